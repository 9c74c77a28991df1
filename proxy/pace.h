/* Whether bytes move at least at limits.min_rate, averaged over limits.min_rate_window. Looked at
 * when something happens anyway (a read, a deadline), so it needs no timer of its own. Pure. */
#ifndef PROXY_PACE_H
#define PROXY_PACE_H

#include "config/config.h"

struct pace {          /* zero rests */
    uint64_t since_ms; /* the window's start; 0: rests */
    uint64_t start;    /* position then */
};

/* Time until the next look does not count: the other side was not waited for. */
static inline void pace_rest(struct pace *pace)
{
    pace->since_ms = 0;
}

/* `position`: bytes moved so far, never less than before. The first look after a rest begins a
 * window and finds nothing. */
static inline bool pace_is_too_slow(struct pace *pace, const struct config_traffic_limits *limits,
                                    uint64_t position, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - pace->since_ms;
    uint64_t moved = position - pace->start;

    if (pace->since_ms != 0 && elapsed_ms < limits->min_rate_window_ms)
        return false;
    bool slow =
        pace->since_ms != 0 && limits->min_rate > 0 && moved * 1000 / limits->min_rate < elapsed_ms;
    *pace = (struct pace){.since_ms = now_ms, .start = position};
    return slow;
}

#endif
