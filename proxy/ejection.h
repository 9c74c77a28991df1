/* Passive health: a backend that fails exchange after exchange is left out for a while, whatever
 * its checks say. One per backend and worker; each worker goes by what it saw itself, so no worker
 * can be led by another's, and a fault between one worker and a backend stays its own.
 *
 * Pure. A worker that is started anew has seen nothing yet. */
#ifndef PROXY_EJECTION_H
#define PROXY_EJECTION_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest that repetition makes it (Envoy's max_ejection_time). */
#define EJECTION_MS_MAX (UINT64_C(5) * 60 * 1000)

struct ejection {         /* zero is the start */
    uint16_t failures;    /* in a row */
    uint16_t times;       /* ejected; forgotten one by one while it stays in */
    uint64_t until_ms;    /* 0: not ejected */
    uint64_t returned_ms; /* from the last one; 0: never ejected */
};

static inline bool ejection_is_on(const struct ejection *ejection)
{
    return ejection->until_ms != 0;
}

/* An exchange went well or failed. Returns whether it is to be ejected. */
bool ejection_count(struct ejection *ejection, const struct config_ejection *rules, bool failed);

/* Whether one more of `members` may be ejected, where `ejected` are already. */
bool ejection_is_allowed(const struct config_ejection *rules, uint32_t ejected, uint32_t members);

void ejection_begin(struct ejection *ejection, const struct config_ejection *rules,
                    uint64_t now_ms);
/* Ends one whose time is over; returns whether it did. */
bool ejection_end(struct ejection *ejection, uint64_t now_ms);

/* Fewer than half of a group in rotation: what is left would be overrun, so ejections are looked
 * past (Envoy's panic threshold). Health checks never are. */
static inline bool ejection_panics(uint32_t in_rotation, uint32_t members)
{
    return in_rotation * 2 < members;
}

#endif
