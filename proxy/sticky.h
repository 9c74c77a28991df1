/* Where a user belongs: to which group, and to which backend in it. Pure.
 *
 * A user is a number that says nothing about its place. The group follows from the user and the
 * rollout's salt alone, so every worker decides alike, with no memory; while the weight rises users
 * move from stable to canary only, and when it falls to 0 all are back. */
#ifndef PROXY_STICKY_H
#define PROXY_STICKY_H

#include "board/routing.h"

/* The user's place on the scale of weights: below the weight it is canary. */
uint32_t sticky_position(uint64_t user, uint64_t salt);

static inline enum group sticky_group(uint64_t user, uint64_t salt, uint32_t weight)
{
    return sticky_position(user, salt) < weight ? GROUP_CANARY : GROUP_STABLE;
}

struct sticky_members {
    uint32_t count;
    bool (*can_serve)(void *context, uint32_t index);
    uint64_t (*identity)(void *context, uint32_t index); /* of the backend, not of its place */
    void *context;
};

/* Index of the user's member among those that can serve, or -1. The highest of a score per user and
 * backend (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates"): where a
 * member goes, its users only are spread over the others, and get it back when it returns. */
int32_t sticky_choose(const struct sticky_members *members, uint64_t user);

#endif
