/* A worker near its memory limit (limits.memory): the plan, so that it never ends in death.
 *
 *   from 92 %  tight: answers close their connections, idle connections are closed, those that
 *              have waited longest first, and each read brings little
 *   from 95 %  full: no connections are accepted; they wait in the kernel's queue
 *   at 100 %   a request that comes on a connection that is there is answered 503
 *
 * It is left at 85 % (tight) and 90 % (full), so that it does not swing. What holds memory then,
 * ends by itself: slow readers and bodies by their least rate, the rest by its timeouts. */
#ifndef PROXY_PRESSURE_H
#define PROXY_PRESSURE_H

#include "base/held.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;

enum pressure_level { PRESSURE_NONE, PRESSURE_TIGHT, PRESSURE_FULL };

struct pressure { /* embedded in the worker */
    enum pressure_level level;
    uint64_t limit;
    uint64_t low, high; /* the level holds from low to below high */
};

void pressure_init(struct worker *worker);
/* Another level, and what it asks for. Called by pressure_check() only. */
void pressure_act(struct worker *worker);

/* Once per turn. Where all is well it is a comparison. */
static inline void pressure_check(struct worker *worker, const struct pressure *pressure)
{
    if (held_bytes() >= pressure->high || pressure->level != PRESSURE_NONE)
        pressure_act(worker);
}

/* Whether nothing is left for one request more. */
static inline bool pressure_is_out(const struct pressure *pressure)
{
    return held_bytes() >= pressure->limit;
}

#endif
