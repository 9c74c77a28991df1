/* The choice by hash: even, moving no more keys than it must, and never past the bound. */
#include "base/siphash.h"
#include "proxy/hash_choice.h"
#include "tests/unit/unit.h"

#define MEMBERS_MAX 4096
#define KEYS        20000

static struct {
    bool down[MEMBERS_MAX];
    uint64_t load[MEMBERS_MAX];
    uint32_t weight[MEMBERS_MAX];
    uint64_t bound_total, weights; /* 0: no bound */
    uint32_t bound_percent;
    unsigned questions;
    struct hash_point points[MEMBERS_MAX];
} world;

static bool may_take(void *context, uint32_t index)
{
    (void)context;
    world.questions++;
    return !world.down[index] &&
           (world.bound_total == 0 ||
            world.load[index] + 1 <= hash_bound(world.bound_total, world.weight[index],
                                                world.weights, world.bound_percent));
}

static struct hash_circle circle_of(uint32_t count)
{
    memset(&world, 0, sizeof(world));
    for (uint32_t i = 0; i < count; i++) {
        world.points[i] = (struct hash_point){hash_spread(i + 1), (uint16_t)i};
        world.weight[i] = 1;
    }
    hash_sort(world.points, count);
    return (struct hash_circle){world.points, count, may_take, NULL};
}

static int32_t choose(const struct hash_circle *circle, uint64_t key)
{
    return hash_choose(circle, hash_spread(key ^ 0x5eed));
}

static void nobody_is_chosen_where_none_may_take(void **state)
{
    struct hash_circle none = circle_of(0), circle = circle_of(5);

    (void)state;
    assert_int_equal(choose(&none, 1), -1);
    for (unsigned i = 0; i < 5; i++)
        world.down[i] = true;
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(choose(&circle, key), -1);
    world.down[3] = false;
    for (uint64_t key = 0; key < 100; key++)
        assert_int_equal(choose(&circle, key), 3);
}

static void keys_are_spread_evenly(void **state)
{
    static const uint32_t sizes[] = {2, 3, 5, 16, 100};

    (void)state;
    for (unsigned s = 0; s < 5; s++) {
        struct hash_circle circle = circle_of(sizes[s]);
        unsigned counts[100] = {0}, mean = KEYS / sizes[s];
        for (uint64_t key = 0; key < KEYS; key++)
            counts[choose(&circle, key)]++;
        for (unsigned i = 0; i < sizes[s]; i++)
            assert_in_range(counts[i], mean / 3, mean * 14 / 10);
    }
}

/* The list is made anew without it: whoever had another keeps that. */
static void a_member_that_goes_moves_its_own_keys_only(void **state)
{
    struct hash_circle circle = circle_of(16);
    static int32_t before[KEYS];
    unsigned moved = 0, got[16] = {0};

    (void)state;
    for (uint64_t key = 0; key < KEYS; key++)
        before[key] = choose(&circle, key);
    uint32_t at = 0;
    while (world.points[at].index != 7)
        at++;
    memmove(&world.points[at], &world.points[at + 1], (15 - at) * sizeof(world.points[0]));
    circle.count = 15;
    for (uint64_t key = 0; key < KEYS; key++) {
        int32_t now = choose(&circle, key);
        assert_int_not_equal(now, 7);
        if (before[key] == 7) {
            moved++;
            got[now]++;
        } else {
            assert_int_equal(now, before[key]);
        }
    }
    assert_in_range(moved, KEYS / 16 / 2, KEYS / 16 * 2);
    for (unsigned i = 0; i < 16; i++) /* and they are spread, not piled up on a neighbour */
        assert_true(got[i] < moved / 2);
}

/* Down is as good as gone, and back is as before. */
static void one_that_is_down_moves_what_one_that_is_gone_does(void **state)
{
    struct hash_circle circle = circle_of(16);

    (void)state;
    for (uint64_t key = 0; key < KEYS; key++) {
        world.down[7] = false;
        int32_t before = choose(&circle, key);
        world.down[7] = true;
        int32_t without = choose(&circle, key);
        assert_true(before == 7 ? without != 7 : without == before);
    }
}

/* More keys at once than any bound allows, many of them the same: an adversary's. */
static void no_member_is_ever_past_the_bound(void **state)
{
    static const uint32_t percents[] = {101, 125, 200};

    (void)state;
    for (unsigned p = 0; p < 3; p++)
        for (uint32_t size = 1; size <= 30; size += 7) {
            struct hash_circle circle = circle_of(size);
            world.bound_percent = percents[p];
            world.weights = 0;
            for (uint32_t i = 0; i < size; i++)
                world.weights += world.weight[i] = 1 + i % 3;
            for (uint64_t total = 1; total <= 600; total++) {
                world.bound_total = total;
                int32_t chosen = choose(&circle, total % 3 == 0 ? total : 42);
                assert_true(chosen >= 0);
                world.load[chosen]++;
                assert_true(world.load[chosen] <=
                            hash_bound(total, world.weight[chosen], world.weights, percents[p]));
            }
        }
}

static void the_bound_is_a_share_of_the_mean(void **state)
{
    (void)state;
    assert_int_equal(hash_bound(40, 1, 4, 125), 13); /* 12.5 */
    assert_int_equal(hash_bound(40, 2, 5, 125), 20);
    assert_int_equal(hash_bound(1, 1, 1000, 125), 1);
    assert_int_equal(hash_bound(0, 1, 4, 125), 1);
}

static void it_asks_few_among_thousands(void **state)
{
    struct hash_circle circle = circle_of(MEMBERS_MAX);

    (void)state;
    for (uint64_t key = 0; key < 1000; key++)
        assert_true(choose(&circle, key) >= 0);
    assert_in_range(world.questions, 1000, 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_chosen_where_none_may_take),
        cmocka_unit_test(keys_are_spread_evenly),
        cmocka_unit_test(a_member_that_goes_moves_its_own_keys_only),
        cmocka_unit_test(one_that_is_down_moves_what_one_that_is_gone_does),
        cmocka_unit_test(no_member_is_ever_past_the_bound),
        cmocka_unit_test(the_bound_is_a_share_of_the_mean),
        cmocka_unit_test(it_asks_few_among_thousands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
