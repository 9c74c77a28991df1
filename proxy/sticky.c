#include "sticky.h"

#include "base/siphash.h"

uint32_t sticky_position(uint64_t user, uint64_t salt)
{
    uint64_t hash = hash_spread(user ^ hash_spread(salt));

    return (uint32_t)((hash >> 32) * WEIGHT_MAX >> 32);
}

int32_t sticky_choose(const struct sticky_members *members, uint64_t user)
{
    int32_t best = -1;
    uint64_t best_score = 0;

    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t score = hash_spread(user ^ members->identity(members->context, i));
        if ((best < 0 || score > best_score) && members->can_serve(members->context, i)) {
            best = (int32_t)i;
            best_score = score;
        }
    }
    return best;
}
