/* The choice among members: who is chosen, how often, and what it costs. */
#include "proxy/balance.h"
#include "tests/unit/unit.h"

#define MEMBERS_MAX 4096

static struct {
    bool down[MEMBERS_MAX];
    uint32_t load[MEMBERS_MAX];
    uint16_t weight[MEMBERS_MAX];
    int32_t current[MEMBERS_MAX];
    unsigned questions;
} world;

static bool can_serve(void *context, uint32_t index)
{
    (void)context;
    world.questions++;
    return !world.down[index];
}

static struct balance_member member(void *context, uint32_t index)
{
    (void)context;
    return (struct balance_member){world.load[index], world.weight[index], &world.current[index]};
}

static struct balance_group group_of(uint32_t count)
{
    memset(&world, 0, sizeof(world));
    return (struct balance_group){count, can_serve, member, NULL};
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

static void nobody_is_chosen_where_none_can_serve(void **state)
{
    struct balance_group none = group_of(0), group = group_of(3);

    (void)state;
    world.down[0] = world.down[1] = world.down[2] = true;
    for (unsigned b = BALANCE_LEAST_REQUESTS; b <= BALANCE_RANDOM; b++) {
        assert_int_equal(balance_choose(&none, (enum config_balance)b, next_random()), -1);
        assert_int_equal(balance_choose(&group, (enum config_balance)b, next_random()), -1);
    }
    assert_false(balance_any(&none, next_random()));
    assert_false(balance_any(&group, next_random()));
    world.down[1] = false;
    assert_true(balance_any(&group, next_random()));
}

static void only_those_that_can_serve_are_chosen(void **state)
{
    struct balance_group group = group_of(10);

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        world.down[i] = i != 3 && i != 7;
    for (unsigned b = BALANCE_LEAST_REQUESTS; b <= BALANCE_RANDOM; b++)
        for (unsigned i = 0; i < 1000; i++) {
            int32_t chosen = balance_choose(&group, (enum config_balance)b, next_random());
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
        assert_int_equal(balance_choose(&group, BALANCE_LEAST_REQUESTS, next_random()), 1);
}

static void least_requests_never_takes_the_most_loaded_of_many(void **state)
{
    struct balance_group group = group_of(20);

    (void)state;
    world.load[11] = 1;
    for (unsigned i = 0; i < 10000; i++)
        assert_int_not_equal(balance_choose(&group, BALANCE_LEAST_REQUESTS, next_random()), 11);
}

static void least_requests_is_even_at_even_load(void **state)
{
    struct balance_group group = group_of(4);
    unsigned counts[4] = {0};

    (void)state;
    for (unsigned i = 0; i < 40000; i++)
        counts[balance_choose(&group, BALANCE_LEAST_REQUESTS, next_random())]++;
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
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(balance_choose(&group, BALANCE_LEAST_REQUESTS, next_random()), 0);
}

static void round_robin_is_smooth_by_weight(void **state)
{
    static const int32_t expected[] = {0, 0, 1, 0, 2, 0, 0};
    struct balance_group group = group_of(3);

    (void)state;
    world.weight[0] = 5;
    world.weight[1] = world.weight[2] = 1;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 7; i++)
            assert_int_equal(balance_choose(&group, BALANCE_ROUND_ROBIN, 0), expected[i]);
}

static void random_is_even(void **state)
{
    struct balance_group group = group_of(5);
    unsigned counts[5] = {0};

    (void)state;
    for (unsigned i = 0; i < 50000; i++)
        counts[balance_choose(&group, BALANCE_RANDOM, next_random())]++;
    for (unsigned i = 0; i < 5; i++)
        assert_in_range(counts[i], 9500, 10500);
}

static void a_choice_among_thousands_costs_as_much_as_among_three(void **state)
{
    struct balance_group group = group_of(MEMBERS_MAX);

    (void)state;
    assert_true(balance_any(&group, next_random()));
    assert_true(balance_choose(&group, BALANCE_LEAST_REQUESTS, next_random()) >= 0);
    assert_in_range(world.questions, 1, 10);
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
        cmocka_unit_test(round_robin_is_smooth_by_weight),
        cmocka_unit_test(random_is_even),
        cmocka_unit_test(a_choice_among_thousands_costs_as_much_as_among_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
