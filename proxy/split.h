/* The split of a service's exchanges between its groups: error diffusion (Bresenham's line).
 *
 * Pure. After n exchanges the canary has had n * weight / WEIGHT_MAX of them, within one. */
#ifndef PROXY_SPLIT_H
#define PROXY_SPLIT_H

#include "board/routing.h"

#include <stdbool.h>
#include <stdint.h>

/* The next exchange's group. `phase` is kept by the caller, below WEIGHT_MAX; a random start keeps
 * workers from sending their canary exchanges at the same moment. */
enum group split_next(uint32_t *phase, uint32_t weight);

/* The scoreboard's word with one more exchange counted; the counts start anew where the weight
 * differs or they are full. */
uint64_t split_count(uint64_t word, uint32_t weight, enum group group);

/* Which groups can serve decides whether the split applies: when it sends to a group that cannot,
 * the other takes the exchange and nothing is counted or diffused. Returns GROUP_COUNT where none
 * can serve. */
enum group split_decide(uint32_t *phase, uint32_t weight, const bool can_serve[GROUP_COUNT],
                        bool *ret_counted);
/* The same where the exchange's user says which group it is (sticky.h). */
enum group split_decide_for(enum group users, uint32_t weight, const bool can_serve[GROUP_COUNT],
                            bool *ret_counted);

#endif
