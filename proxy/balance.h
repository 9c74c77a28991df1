/* The choice of a backend among a group's members. Pure: what it asks about them comes through
 * functions, so it is tested without boards, and costs the same with three members and thousands:
 * the caller lists those in rotation, so nearly every draw is a good one. */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* A share at its full height; a member's is its weight times how far it is in its slow start. */
#define SHARE_FULL 1000u

struct balance_turn { /* round robin's memory, kept by the caller; zero is a start */
    uint32_t index, round;
};

struct balance_group {
    uint32_t count;
    uint32_t share_max; /* of the largest share; 0: all are alike, and nobody is asked for his */
    bool (*can_serve)(void *context, uint32_t index);
    uint32_t (*load)(void *context, uint32_t index); /* active exchanges over all workers */
    uint32_t (*weight)(void *context, uint32_t index);
    uint32_t (*share)(void *context, uint32_t index);
    void *context;
};

/* Index of the chosen member, or -1 where none can serve. `random`: 64 fresh random bits.
 * least_requests: the less loaded, by weight, of two drawn at random (Mitzenmacher, "The Power of
 * Two Choices in Randomized Load Balancing"). round_robin: each in turn; where shares differ those
 * with less miss some of the rounds, evenly spread. random: any. All are drawn by their shares. */
int32_t balance_choose(const struct balance_group *group, enum config_balance balance,
                       uint64_t random, struct balance_turn *turn);

/* How far a backend is in its slow start, of SHARE_FULL: grows evenly over the window, from a tenth
 * on (Envoy's formula with its defaults, aggression 1 and a tenth at least). */
uint32_t slow_start_share(uint64_t age_ms, uint32_t window_ms);

#endif
