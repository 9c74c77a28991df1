#include "timer.h"

#include "clock.h"
#include "list.h"

static void arm(struct ev_loop *loop, struct timer *timer, uint64_t wait_ms)
{
    /* It may wait to be called in this very turn: then it must not be called as well. */
    ev_timer_stop(loop, &timer->watcher);
    /* One millisecond more: libev's clock and ours may differ by a rounding. */
    ev_timer_set(&timer->watcher, (ev_tstamp)wait_ms / 1000.0 + 0.001, 0.);
    ev_timer_start(loop, &timer->watcher);
}

static void on_watcher(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct timer *timer = container_of(watcher, struct timer, watcher);
    uint64_t now = clock_ms();

    (void)events;
    if (timer->deadline_ms == 0)
        return;
    if (now < timer->deadline_ms) {
        arm(loop, timer, timer->deadline_ms - now);
        return;
    }
    timer->deadline_ms = 0;
    timer->on_fire(timer);
}

void timer_init(struct timer *timer, void (*on_fire)(struct timer *timer))
{
    ev_init(&timer->watcher, on_watcher);
    timer->deadline_ms = 0;
    timer->on_fire = on_fire;
}

void timer_start_at(struct ev_loop *loop, struct timer *timer, uint64_t deadline_ms,
                    uint64_t now_ms)
{
    uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;

    timer->deadline_ms = deadline_ms > 0 ? deadline_ms : 1;
    if (ev_is_active(&timer->watcher)) {
        ev_tstamp remaining = ev_timer_remaining(loop, &timer->watcher);
        if (remaining <= (ev_tstamp)wait_ms / 1000.0 + 0.001)
            return; /* fires early and is armed again then */
        ev_timer_stop(loop, &timer->watcher);
    }
    arm(loop, timer, wait_ms);
}

void timer_start(struct ev_loop *loop, struct timer *timer, uint64_t after_ms)
{
    uint64_t now = clock_ms();

    timer_start_at(loop, timer, now + after_ms, now);
}

void timer_stop(struct ev_loop *loop, struct timer *timer)
{
    timer->deadline_ms = 0;
    ev_timer_stop(loop, &timer->watcher);
}
