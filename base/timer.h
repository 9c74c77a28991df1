/* A one-shot timer in milliseconds on the libev loop.
 *
 * Moving the deadline later costs nothing, nor does rest: so both may be done at every message. All
 * timers of a process are on one wheel (wheel.h), and libev has one timer for them, so a timer
 * takes the loop no memory. All that run at a time are of one loop. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include "wheel.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct timer { /* zeroed: not running, and timer_stop() may be called */
    struct wheel_node node;
    void (*on_fire)(struct timer *timer);
};

void timer_init(struct timer *timer, void (*on_fire)(struct timer *timer));
/* Fires once, `after_ms` from now, in a later turn of the loop. Replaces what was set before. */
void timer_start(struct ev_loop *loop, struct timer *timer, uint64_t after_ms);
/* Like timer_start, with the caller's clock_ms(), for hot paths. */
void timer_start_at(struct ev_loop *loop, struct timer *timer, uint64_t deadline_ms,
                    uint64_t now_ms);
/* To be called before the timer's memory goes. */
void timer_stop(struct ev_loop *loop, struct timer *timer);
/* Does not fire until it is started again, which is likely; until then or timer_stop() it keeps its
 * place. */
static inline void timer_rest(struct timer *timer)
{
    timer->node.at_ms = 0;
}
static inline bool timer_is_running(const struct timer *timer)
{
    return timer->node.at_ms != 0;
}

#endif
