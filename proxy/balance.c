#include "balance.h"

#define NONE UINT32_MAX

/* The first member that can serve from `start` on, around the end, other than `except`. */
static uint32_t find(const struct balance_group *group, uint32_t start, uint32_t except)
{
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t index = start + i < group->count ? start + i : start + i - group->count;
        if (index != except && group->can_serve(group->context, index))
            return index;
    }
    return NONE;
}

/* A member drawn evenly from those that can serve: some draws, then the next from the last one. */
static uint32_t draw(const struct balance_group *group, uint64_t random, uint32_t except)
{
    uint32_t index = 0;

    for (unsigned tries = 0; tries < 4; tries++) {
        index = (uint32_t)(((random & 0xffffu) * group->count) >> 16);
        if (index != except && group->can_serve(group->context, index))
            return index;
        random = random >> 16 | random << 48;
    }
    return find(group, index, except);
}

static uint32_t weight_of(struct balance_member member)
{
    return member.weight > 0 ? member.weight : 1;
}

static uint32_t choose_least(const struct balance_group *group, uint64_t random)
{
    uint32_t a = draw(group, random, NONE);

    if (a == NONE || group->count == 1)
        return a;
    uint32_t b = draw(group, random * 0x9e3779b97f4a7c15u, a);
    if (b == NONE)
        return a;
    struct balance_member first = group->member(group->context, a);
    struct balance_member second = group->member(group->context, b);
    uint64_t first_cost = ((uint64_t)first.load + 1) * weight_of(second);
    uint64_t second_cost = ((uint64_t)second.load + 1) * weight_of(first);
    return second_cost < first_cost ? b : a;
}

static uint32_t choose_round_robin(const struct balance_group *group)
{
    uint32_t best = NONE;
    int32_t *best_current = NULL;
    int32_t sum = 0;

    for (uint32_t i = 0; i < group->count; i++) {
        if (!group->can_serve(group->context, i))
            continue;
        struct balance_member member = group->member(group->context, i);
        *member.current += (int32_t)weight_of(member);
        sum += (int32_t)weight_of(member);
        if (best == NONE || *member.current > *best_current) {
            best = i;
            best_current = member.current;
        }
    }
    if (best_current != NULL)
        *best_current -= sum;
    return best;
}

int32_t balance_choose(const struct balance_group *group, enum config_balance balance,
                       uint64_t random)
{
    uint32_t index = NONE;

    if (group->count == 0)
        return -1;
    switch (balance) {
    case BALANCE_LEAST_REQUESTS:
        index = choose_least(group, random);
        break;
    case BALANCE_ROUND_ROBIN:
        index = choose_round_robin(group);
        break;
    case BALANCE_RANDOM:
        index = draw(group, random, NONE);
        break;
    }
    return index == NONE ? -1 : (int32_t)index;
}

bool balance_any(const struct balance_group *group, uint64_t random)
{
    return group->count > 0 &&
           find(group, (uint32_t)(((random & 0xffffu) * group->count) >> 16), NONE) != NONE;
}
