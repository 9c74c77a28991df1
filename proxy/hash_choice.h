/* `balance: hash`: the same key to the same backend, with bounded load. Pure.
 *
 * Multi-probe consistent hashing (Appleton and O'Reilly, 2015): each backend is one point on a
 * circle; a key looks from HASH_PROBES places of its own for the next point that may take it, and
 * takes the nearest. Where a backend goes, its keys alone move, each to its next best; where one
 * comes, it only takes. Some 10 % unevenness, at one point per backend: no table of thousands to
 * make anew when a verdict changes.
 *
 * Bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): no backend has more than `bound` per
 * cent of the mean load, whatever the keys; what finds its backend full goes to its next best. */
#ifndef PROXY_HASH_CHOICE_H
#define PROXY_HASH_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_PROBES 21u /* the paper's: the fullest of many has 1.05 times the mean */

struct hash_point {
    uint64_t place; /* follows from the backend's address */
    uint16_t index; /* of the member */
};

struct hash_circle {
    const struct hash_point *points; /* one per member, sorted */
    uint32_t count;
    bool (*may_take)(void *context, uint32_t index);
    void *context;
};

void hash_sort(struct hash_point *points, uint32_t count);
/* Index of the key's member among those that may take it, or -1 where none may. */
int32_t hash_choose(const struct hash_circle *circle, uint64_t key);

/* The most exchanges that a member of this weight may have, once there are `total` in the group,
 * whose weights sum to `weights`. At least one; over all members never less than `total`. */
uint64_t hash_bound(uint64_t total, uint32_t weight, uint64_t weights, uint32_t bound_percent);

#endif
