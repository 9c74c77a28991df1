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

static bool applies(uint32_t weight, const bool can_serve[GROUP_COUNT])
{
    bool all_to_one = weight == 0 || weight == WEIGHT_MAX;
    enum group one = weight == 0 ? GROUP_STABLE : GROUP_CANARY;

    return (can_serve[GROUP_STABLE] && can_serve[GROUP_CANARY]) || (all_to_one && can_serve[one]);
}

static enum group any_of(const bool can_serve[GROUP_COUNT])
{
    return can_serve[GROUP_STABLE]   ? GROUP_STABLE
           : can_serve[GROUP_CANARY] ? GROUP_CANARY
                                     : GROUP_COUNT;
}

enum group split_decide(uint32_t *phase, uint32_t weight, const bool can_serve[GROUP_COUNT],
                        bool *ret_counted)
{
    *ret_counted = applies(weight, can_serve);
    return *ret_counted ? split_next(phase, weight) : any_of(can_serve);
}

enum group split_decide_for(enum group users, uint32_t weight, const bool can_serve[GROUP_COUNT],
                            bool *ret_counted)
{
    *ret_counted = applies(weight, can_serve);
    return *ret_counted ? users : any_of(can_serve);
}
