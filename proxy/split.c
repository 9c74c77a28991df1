#include "split.h"

#include "base/check.h"
#include "board/scoreboard.h"

enum group split_next(uint32_t *phase, uint32_t weight)
{
    check(weight <= WEIGHT_MAX && *phase < WEIGHT_MAX);
    *phase += weight;
    if (*phase < WEIGHT_MAX)
        return GROUP_STABLE;
    *phase -= WEIGHT_MAX;
    return GROUP_CANARY;
}

uint64_t split_count(uint64_t word, uint32_t weight, enum group group)
{
    uint32_t exchanges = score_split_exchanges(word);
    uint32_t canary = score_split_canary(word);

    if (score_split_weight(word) != weight || exchanges >= SPLIT_COUNT_MAX)
        exchanges = canary = 0;
    return score_split_pack(weight, exchanges + 1, canary + (group == GROUP_CANARY));
}

enum group split_decide(uint32_t *phase, uint32_t weight, const bool can_serve[GROUP_COUNT],
                        bool *ret_counted)
{
    bool all_to_one = weight == 0 || weight == WEIGHT_MAX;
    enum group one = weight == 0 ? GROUP_STABLE : GROUP_CANARY;

    *ret_counted = false;
    if (!can_serve[GROUP_STABLE] && !can_serve[GROUP_CANARY])
        return GROUP_COUNT;
    if ((can_serve[GROUP_STABLE] && can_serve[GROUP_CANARY]) || (all_to_one && can_serve[one])) {
        *ret_counted = true;
        return split_next(phase, weight);
    }
    return can_serve[GROUP_STABLE] ? GROUP_STABLE : GROUP_CANARY;
}
