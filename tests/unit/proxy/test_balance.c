/* The choice among members: who is chosen, how often, and what it costs. */
#include "proxy/balance.h"
#include "tests/unit/unit.h"

#define MEMBERS_MAX 4096

static struct {
    bool down[MEMBERS_MAX];
    uint32_t load[MEMBERS_MAX];
    uint16_t weight[MEMBERS_MAX];
    uint32_t readiness[MEMBERS_MAX]; /* of SHARE_FULL */
    struct balance_turn turn;
    unsigned questions;
} world;

static bool can_serve(void *context, uint32_t index)
{
    (void)context;
    world.questions++;
    return !world.down[index];
}

static uint32_t load(void *context, uint32_t index)
{
    (void)context;
    return world.load[index];
}

static uint32_t weight(void *context, uint32_t index)
{
    (void)context;
    return world.weight[index];
}

static uint32_t share(void *context, uint32_t index)
{
    (void)context;
    return world.weight[index] * world.readiness[index];
}

static struct balance_group group_of(uint32_t count)
{
    memset(&world, 0, sizeof(world));
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
        world.weight[i] = 1;
        world.readiness[i] = SHARE_FULL;
    }
    return (struct balance_group){
        .count = count, .can_serve = can_serve, .load = load, .weight = weight, .share = share};
}

/* As the caller finds it: 0 where all are alike. */
static void weigh(struct balance_group *group)
{
    uint32_t lowest = UINT32_MAX, highest = 0;

    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t found = share(NULL, i);
        lowest = found < lowest ? found : lowest;
        highest = found > highest ? found : highest;
    }
    group->share_max = lowest < highest ? highest : 0;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

static int32_t choose(const struct balance_group *group, enum config_balance balance)
{
    return balance_choose(group, balance, next_random(), &world.turn);
}

static void count_choices(const struct balance_group *group, enum config_balance balance,
                          unsigned rounds, unsigned *counts)
{
    memset(counts, 0, group->count * sizeof(*counts));
    for (unsigned i = 0; i < rounds; i++)
        counts[choose(group, balance)]++;
}

static void nobody_is_chosen_where_none_can_serve(void **state)
{
    struct balance_group none = group_of(0), group = group_of(3);

    (void)state;
    world.down[0] = world.down[1] = world.down[2] = true;
    for (unsigned b = BALANCE_LEAST_REQUESTS; b <= BALANCE_RANDOM; b++) {
        assert_int_equal(choose(&none, (enum config_balance)b), -1);
        assert_int_equal(choose(&group, (enum config_balance)b), -1);
    }
}

static void only_those_that_can_serve_are_chosen(void **state)
{
    struct balance_group group = group_of(10);

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        world.down[i] = i != 3 && i != 7;
    for (unsigned b = BALANCE_LEAST_REQUESTS; b <= BALANCE_RANDOM; b++)
        for (unsigned i = 0; i < 1000; i++) {
            int32_t chosen = choose(&group, (enum config_balance)b);
            assert_true(chosen == 3 || chosen == 7);
        }
}

static void least_requests_takes_the_less_loaded_of_two(void **state)
{
    struct balance_group group = group_of(2);

    (void)state;
    world.load[0] = 5;
    world.load[1] = 4;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(choose(&group, BALANCE_LEAST_REQUESTS), 1);
}

static void least_requests_never_takes_the_most_loaded_of_many(void **state)
{
    struct balance_group group = group_of(20);

    (void)state;
    world.load[11] = 1;
    for (unsigned i = 0; i < 10000; i++)
        assert_int_not_equal(choose(&group, BALANCE_LEAST_REQUESTS), 11);
}

static void least_requests_is_even_at_even_load(void **state)
{
    struct balance_group group = group_of(4);
    unsigned counts[4];

    (void)state;
    count_choices(&group, BALANCE_LEAST_REQUESTS, 40000, counts);
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(counts[i], 9000, 11000);
}

static void least_requests_weighs_load_by_weight(void **state)
{
    struct balance_group group = group_of(2);

    (void)state;
    world.weight[0] = 10;
    world.weight[1] = 1;
    world.load[0] = 8;
    weigh(&group);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(choose(&group, BALANCE_LEAST_REQUESTS), 0);
}

static void round_robin_takes_each_in_turn(void **state)
{
    struct balance_group group = group_of(3);

    (void)state;
    for (int32_t i = 0; i < 9; i++)
        assert_int_equal(choose(&group, BALANCE_ROUND_ROBIN), i % 3);
    world.down[1] = true;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(choose(&group, BALANCE_ROUND_ROBIN), i % 2 == 0 ? 0 : 2);
}

static void round_robin_is_exact_and_smooth_by_weight(void **state)
{
    struct balance_group group = group_of(3);
    unsigned counts[3] = {0}, run = 0;

    (void)state;
    world.weight[0] = 5;
    weigh(&group);
    for (unsigned i = 1; i <= 7000; i++) {
        int32_t chosen = choose(&group, BALANCE_ROUND_ROBIN);
        counts[chosen]++;
        run = chosen == 0 ? run + 1 : 0;
        assert_true(run <= 5);
        assert_in_range(counts[0] * 7 + 14, i * 5, i * 5 + 28);
    }
    assert_in_range(counts[0], 4999, 5001);
    assert_in_range(counts[1], 999, 1001);
    assert_in_range(counts[2], 999, 1001);
}

static void round_robin_finds_its_turn_where_all_shares_are_small(void **state)
{
    struct balance_group group = group_of(100);
    unsigned counts[100];

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        world.readiness[i] = 100 + i % 2; /* as with a newcomer a little ahead */
    group.share_max = SHARE_FULL;         /* of one that is gone since */
    count_choices(&group, BALANCE_ROUND_ROBIN, 20000, counts);
    for (unsigned i = 0; i < 100; i++)
        assert_in_range(counts[i], 100, 300);
}

static void random_is_even(void **state)
{
    struct balance_group group = group_of(5);
    unsigned counts[5];

    (void)state;
    count_choices(&group, BALANCE_RANDOM, 50000, counts);
    for (unsigned i = 0; i < 5; i++)
        assert_in_range(counts[i], 9500, 10500);
}

static void random_goes_by_weight(void **state)
{
    struct balance_group group = group_of(3);
    unsigned counts[3];

    (void)state;
    world.weight[1] = 2;
    world.weight[2] = 4;
    weigh(&group);
    count_choices(&group, BALANCE_RANDOM, 70000, counts);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(counts[i], 9300u << i, 10700u << i);
}

/* A newcomer at a tenth among nine that are warm is to get a tenth of what they get. */
static void a_newcomer_gets_its_share(void **state)
{
    struct balance_group group = group_of(10);
    unsigned counts[10];

    (void)state;
    for (unsigned b = BALANCE_LEAST_REQUESTS; b <= BALANCE_RANDOM; b++)
        for (uint32_t readiness = SHARE_FULL / 10; readiness <= SHARE_FULL; readiness *= 3) {
            world.readiness[3] = readiness;
            weigh(&group);
            count_choices(&group, (enum config_balance)b, 100000, counts);
            double wanted = (double)readiness / (9 * SHARE_FULL + readiness);
            assert_true(counts[3] >= 100000 * wanted * 0.85);
            assert_true(counts[3] <= 100000 * wanted * 1.15);
        }
}

/* Loads follow the choices: exchanges end in the order they began. */
static void a_newcomer_is_not_overrun_by_least_requests(void **state)
{
    struct balance_group group = group_of(4);
    int32_t held[64];
    unsigned counts[4] = {0};

    (void)state;
    world.readiness[0] = SHARE_FULL / 10;
    weigh(&group);
    for (unsigned i = 0; i < 40000; i++) {
        if (i >= 64)
            world.load[held[i % 64]]--;
        held[i % 64] = choose(&group, BALANCE_LEAST_REQUESTS);
        world.load[held[i % 64]]++;
        counts[held[i % 64]]++;
    }
    assert_in_range(counts[0], 400, 3000); /* 10,000 would be its full share */
    for (unsigned i = 1; i < 4; i++)
        assert_in_range(counts[i], 12000, 13500);
}

static void slow_start_grows_evenly_from_a_tenth(void **state)
{
    (void)state;
    assert_int_equal(slow_start_share(0, 30000), 100);
    assert_int_equal(slow_start_share(3000, 30000), 100);
    assert_int_equal(slow_start_share(15000, 30000), 500);
    assert_int_equal(slow_start_share(29970, 30000), 999);
    assert_int_equal(slow_start_share(30000, 30000), SHARE_FULL);
    assert_int_equal(slow_start_share(UINT64_MAX, 30000), SHARE_FULL);
    assert_int_equal(slow_start_share(0, 0), SHARE_FULL);
    uint32_t before = 0;
    for (uint64_t age_ms = 0; age_ms <= 3600000; age_ms += 997) {
        uint32_t now = slow_start_share(age_ms, 3600000);
        assert_true(now >= before && now <= SHARE_FULL);
        before = now;
    }
}

static void a_choice_among_thousands_costs_as_much_as_among_three(void **state)
{
    struct balance_group group = group_of(MEMBERS_MAX);

    (void)state;
    for (unsigned b = BALANCE_LEAST_REQUESTS; b <= BALANCE_RANDOM; b++) {
        world.questions = 0;
        assert_true(choose(&group, (enum config_balance)b) >= 0);
        assert_in_range(world.questions, 1, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_chosen_where_none_can_serve),
        cmocka_unit_test(only_those_that_can_serve_are_chosen),
        cmocka_unit_test(least_requests_takes_the_less_loaded_of_two),
        cmocka_unit_test(least_requests_never_takes_the_most_loaded_of_many),
        cmocka_unit_test(least_requests_is_even_at_even_load),
        cmocka_unit_test(least_requests_weighs_load_by_weight),
        cmocka_unit_test(round_robin_takes_each_in_turn),
        cmocka_unit_test(round_robin_is_exact_and_smooth_by_weight),
        cmocka_unit_test(round_robin_finds_its_turn_where_all_shares_are_small),
        cmocka_unit_test(random_is_even),
        cmocka_unit_test(random_goes_by_weight),
        cmocka_unit_test(a_newcomer_gets_its_share),
        cmocka_unit_test(a_newcomer_is_not_overrun_by_least_requests),
        cmocka_unit_test(slow_start_grows_evenly_from_a_tenth),
        cmocka_unit_test(a_choice_among_thousands_costs_as_much_as_among_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
