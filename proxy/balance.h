/* The choice of a backend among a group's members. Pure: what it asks about them comes through
 * functions, so it is tested without boards, and costs the same with three members and thousands.
 */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct balance_member {
    uint32_t load;    /* active exchanges over all workers */
    uint16_t weight;  /* at least 1 counts */
    int32_t *current; /* smooth round robin's memory, kept by the caller */
};

struct balance_group {
    uint32_t count;
    bool (*can_serve)(void *context, uint32_t index);
    struct balance_member (*member)(void *context, uint32_t index);
    void *context;
};

/* Index of the chosen member, or -1 where none can serve. `random`: 64 fresh random bits.
 * least_requests: the less loaded, by weight, of two drawn at random (Mitzenmacher, "The Power of
 * Two Choices in Randomized Load Balancing"). round_robin: the smooth weighted one: each member
 * gains its weight, the foremost is taken and pays the sum. */
int32_t balance_choose(const struct balance_group *group, enum config_balance balance,
                       uint64_t random);

/* Whether any member can serve, looking from a random place on. */
bool balance_any(const struct balance_group *group, uint64_t random);

#endif
