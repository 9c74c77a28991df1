#include "timer.h"

#include "check.h"
#include "clock.h"

static struct {
    struct ev_loop *loop; /* of all that are on the wheel; NULL: none was ever started */
    struct wheel wheel;
    ev_timer wake;
    uint64_t wake_ms; /* when it is to fire; UINT64_MAX: it is stopped */
} timers;

/* So that it fires when the wheel's next slot begins, or earlier. */
static void arm(uint64_t now_ms)
{
    uint64_t next_ms = wheel_next(&timers.wheel);

    if (next_ms >= timers.wake_ms && next_ms != UINT64_MAX)
        return;
    ev_timer_stop(timers.loop, &timers.wake);
    timers.wake_ms = next_ms;
    if (next_ms == UINT64_MAX)
        return; /* nothing keeps the loop running */
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    /* One millisecond more: libev's clock and ours may differ by a rounding. */
    ev_timer_set(&timers.wake, (ev_tstamp)wait_ms / 1000.0 + 0.001, 0.);
    ev_timer_start(timers.loop, &timers.wake);
}

static void on_wake(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct wheel_node *node;

    (void)loop;
    (void)watcher;
    (void)events;
    timers.wake_ms = UINT64_MAX;
    wheel_advance(&timers.wheel, clock_ms());
    while ((node = wheel_take(&timers.wheel)) != NULL) {
        struct timer *timer = container_of(node, struct timer, node);
        timer->on_fire(timer);
    }
    arm(clock_ms());
}

void timer_init(struct timer *timer, void (*on_fire)(struct timer *timer))
{
    *timer = (struct timer){.on_fire = on_fire};
}

static void use_loop(struct ev_loop *loop, uint64_t now_ms)
{
    if (timers.loop == loop)
        return;
    /* Those of another loop have to be stopped first: it would not look at them any more. */
    check(timers.loop == NULL || wheel_is_empty(&timers.wheel));
    wheel_init(&timers.wheel, now_ms);
    ev_init(&timers.wake, on_wake);
    timers.wake_ms = UINT64_MAX;
    timers.loop = loop;
}

void timer_start_at(struct ev_loop *loop, struct timer *timer, uint64_t deadline_ms,
                    uint64_t now_ms)
{
    use_loop(loop, now_ms);
    if (wheel_set(&timers.wheel, &timer->node, deadline_ms))
        arm(now_ms);
}

void timer_start(struct ev_loop *loop, struct timer *timer, uint64_t after_ms)
{
    uint64_t now = clock_ms();

    timer_start_at(loop, timer, now + after_ms, now);
}

void timer_stop(struct ev_loop *loop, struct timer *timer)
{
    if (timer->node.place == 0) {
        timer->node.at_ms = 0;
        return;
    }
    check(loop == timers.loop);
    wheel_remove(&timers.wheel, &timer->node);
    if (wheel_is_empty(&timers.wheel))
        arm(0);
}
