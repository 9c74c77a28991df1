/* A one-shot timer in milliseconds on the libev loop.
 *
 * Lazy: moving the deadline later costs nothing; the kernel-side timer fires at the old one and is
 * armed again for the rest. So a deadline may be pushed on at every message. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct timer {
    ev_timer watcher;
    uint64_t deadline_ms; /* clock_ms(); 0: not running */
    void (*on_fire)(struct timer *timer);
};

void timer_init(struct timer *timer, void (*on_fire)(struct timer *timer));
/* Fires once, `after_ms` from now. Replaces what was set before. */
void timer_start(struct ev_loop *loop, struct timer *timer, uint64_t after_ms);
/* Like timer_start, with the caller's clock reading, for hot paths. */
void timer_start_at(struct ev_loop *loop, struct timer *timer, uint64_t deadline_ms,
                    uint64_t now_ms);
void timer_stop(struct ev_loop *loop, struct timer *timer);
static inline bool timer_is_running(const struct timer *timer)
{
    return timer->deadline_ms != 0;
}

#endif
