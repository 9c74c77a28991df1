#include "balance.h"

#define NONE UINT32_MAX

/* Draws before the members are looked through: with a rotation that is nearly right, one does. With
 * shares each may also lose the coin; ten in a row that is a tenth high do so once in three times,
 * and then the last one drawn is taken, which is no worse. */
#define DRAWS       4u
#define SHARE_DRAWS 10u
/* The same for round robin, which passes over more where all have small shares. */
#define SHARE_ROUNDS 64u
/* Spreads over the rounds whose share comes when: a prime, far from the shares in use. */
#define ROUND_STRIDE 30011u

/* Knuth's linear congruential generator (MMIX): its high bits are the good ones. */
static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 32);
}

static uint32_t below(uint32_t limit, uint64_t *random)
{
    return (uint32_t)((uint64_t)next_random(random) * limit >> 32);
}

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

static bool wins_coin(const struct balance_group *group, uint32_t index, uint64_t *random)
{
    return group->share_max == 0 ||
           below(group->share_max, random) < group->share(group->context, index);
}

/* A member drawn by its share from those that can serve, other than `except`. Where only losers of
 * the coin were met, the last of them, or NONE where the draw may come to nothing. */
static uint32_t draw(const struct balance_group *group, uint64_t *random, uint32_t except,
                     bool may_fail)
{
    unsigned draws = group->share_max == 0 ? DRAWS : SHARE_DRAWS;
    uint32_t index = 0, loser = NONE;

    for (unsigned i = 0; i < draws; i++) {
        index = below(group->count, random);
        if (index == except || !group->can_serve(group->context, index))
            continue;
        if (wins_coin(group, index, random))
            return index;
        loser = index;
        if (may_fail)
            return NONE;
    }
    return loser != NONE ? loser : find(group, index, except);
}

static uint32_t choose_least(const struct balance_group *group, uint64_t *random)
{
    uint32_t a = draw(group, random, NONE, false);

    if (a == NONE || group->count == 1)
        return a;
    uint32_t b = draw(group, random, a, true);
    if (b == NONE)
        return a;
    uint64_t first_cost =
        ((uint64_t)group->load(group->context, a) + 1) * group->weight(group->context, b);
    uint64_t second_cost =
        ((uint64_t)group->load(group->context, b) + 1) * group->weight(group->context, a);
    return second_cost < first_cost ? b : a;
}

static uint32_t advance(const struct balance_group *group, struct balance_turn *turn)
{
    if (turn->index >= group->count)
        turn->index = 0;
    uint32_t index = turn->index++;
    if (turn->index == group->count) {
        turn->index = 0;
        turn->round++;
    }
    return index;
}

/* Whether it is served in this round: in share of share_max rounds, each member at other ones (the
 * static stride scheduler of gRPC's weighted_round_robin). */
static bool has_turn(const struct balance_group *group, uint32_t index, uint32_t round)
{
    if (group->share_max == 0)
        return true;
    uint64_t share = group->share(group->context, index);
    uint64_t place = share * round + (uint64_t)index * ROUND_STRIDE;
    return place % group->share_max + share >= group->share_max;
}

static uint32_t choose_round_robin(const struct balance_group *group, struct balance_turn *turn)
{
    unsigned tries = group->share_max == 0 ? DRAWS : SHARE_ROUNDS;

    for (unsigned i = 0; i < tries; i++) {
        uint32_t round = turn->round;
        uint32_t index = advance(group, turn);
        if (has_turn(group, index, round) && group->can_serve(group->context, index))
            return index;
    }
    uint32_t index = find(group, turn->index % group->count, NONE);
    if (index != NONE)
        turn->index = index + 1 < group->count ? index + 1 : 0;
    return index;
}

int32_t balance_choose(const struct balance_group *group, enum config_balance balance,
                       uint64_t random, struct balance_turn *turn)
{
    uint32_t index = NONE;

    if (group->count == 0)
        return -1;
    switch (balance) {
    case BALANCE_LEAST_REQUESTS:
    case BALANCE_HASH: /* without a key */
        index = choose_least(group, &random);
        break;
    case BALANCE_ROUND_ROBIN:
        index = choose_round_robin(group, turn);
        break;
    case BALANCE_RANDOM:
        index = draw(group, &random, NONE, false);
        break;
    }
    return index == NONE ? -1 : (int32_t)index;
}

uint32_t slow_start_share(uint64_t age_ms, uint32_t window_ms)
{
    if (age_ms >= window_ms)
        return SHARE_FULL;
    uint64_t share = age_ms * SHARE_FULL / window_ms;
    return share < SHARE_FULL / 10 ? SHARE_FULL / 10 : (uint32_t)share;
}
