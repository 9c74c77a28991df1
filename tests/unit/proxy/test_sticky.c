/* Users keep to their group and backend: monotone, even, and the same wherever it is computed. */
#include "base/siphash.h"
#include "proxy/sticky.h"
#include "tests/unit/unit.h"

#define USERS 20000u

static uint64_t user_of(unsigned i)
{
    return hash_spread(i + 1);
}

static void user_only_moves_to_canary_as_the_weight_rises(void **state)
{
    (void)state;
    for (uint64_t salt = 0; salt < 3; salt++)
        for (unsigned i = 0; i < 500; i++) {
            enum group before = GROUP_STABLE;
            for (uint32_t weight = 0; weight <= WEIGHT_MAX; weight++) {
                enum group now = sticky_group(user_of(i), salt, weight);
                assert_true(before == GROUP_STABLE || now == GROUP_CANARY);
                before = now;
            }
            assert_int_equal(before, GROUP_CANARY);
            assert_int_equal(sticky_group(user_of(i), salt, 0), GROUP_STABLE);
        }
}

static void share_of_users_is_the_weight(void **state)
{
    static const uint32_t weights[] = {1, 100, 500, 2500, 5000, 9900, 9999};

    (void)state;
    for (unsigned w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
        double expected = (double)USERS * weights[w] / WEIGHT_MAX, canary = 0;
        for (unsigned i = 0; i < USERS; i++)
            canary += sticky_group(user_of(i), 7, weights[w]) == GROUP_CANARY;
        /* four standard deviations of a fair draw, and one for the smallest */
        double off = canary - expected;
        double variance = expected * (1 - (double)weights[w] / WEIGHT_MAX);
        assert_true(off * off <= 16 * variance + 1);
    }
}

static void another_salt_takes_other_users(void **state)
{
    unsigned both = 0;

    (void)state;
    for (unsigned i = 0; i < USERS; i++)
        both += sticky_group(user_of(i), 1, 1000) == GROUP_CANARY &&
                sticky_group(user_of(i), 2, 1000) == GROUP_CANARY;
    assert_in_range(both, 120, 280); /* 200, were the two independent */
}

static void numbers_in_a_row_are_spread_too(void **state)
{
    unsigned canary = 0;

    (void)state;
    for (uint64_t user = 0; user < USERS; user++)
        canary += sticky_group(user, 3, 5000) == GROUP_CANARY;
    assert_in_range(canary, USERS / 2 - 300, USERS / 2 + 300);
}

struct pool {
    uint64_t identities[8];
    bool serves[8];
};

static bool can_serve(void *context, uint32_t index)
{
    return ((struct pool *)context)->serves[index];
}

static uint64_t identity(void *context, uint32_t index)
{
    return ((struct pool *)context)->identities[index];
}

static struct sticky_members members_of(struct pool *pool, uint32_t count)
{
    return (struct sticky_members){count, can_serve, identity, pool};
}

static void pool_fill(struct pool *pool)
{
    for (unsigned i = 0; i < 8; i++) {
        pool->identities[i] = hash_spread(1000 + i);
        pool->serves[i] = true;
    }
}

static void only_users_of_a_backend_that_goes_move(void **state)
{
    struct pool pool;
    struct sticky_members members = members_of(&pool, 8);
    unsigned counts[8] = {0}, moved_to[8] = {0};

    (void)state;
    pool_fill(&pool);
    for (unsigned i = 0; i < USERS; i++) {
        int32_t first = sticky_choose(&members, user_of(i));
        counts[first]++;
        pool.serves[3] = false;
        int32_t second = sticky_choose(&members, user_of(i));
        pool.serves[3] = true;
        assert_true(second != 3 && (first == second || first == 3));
        moved_to[second] += first == 3;
        assert_int_equal(sticky_choose(&members, user_of(i)), first); /* and back */
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_in_range(counts[i], USERS / 8 - 250, USERS / 8 + 250);
        if (i != 3)
            assert_in_range(moved_to[i], USERS / 56 - 90, USERS / 56 + 90);
    }
}

static void place_of_a_backend_does_not_matter(void **state)
{
    struct pool pool, turned;
    struct sticky_members members = members_of(&pool, 8), others = members_of(&turned, 8);

    (void)state;
    pool_fill(&pool);
    pool_fill(&turned);
    for (unsigned i = 0; i < 8; i++)
        turned.identities[i] = pool.identities[7 - i];
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(sticky_choose(&members, user_of(i)),
                         7 - sticky_choose(&others, user_of(i)));
}

static void nobody_can_serve(void **state)
{
    struct pool pool = {.serves = {false}};
    struct sticky_members none = members_of(&pool, 0), sick = members_of(&pool, 8);

    (void)state;
    assert_int_equal(sticky_choose(&none, 1), -1);
    assert_int_equal(sticky_choose(&sick, 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_only_moves_to_canary_as_the_weight_rises),
        cmocka_unit_test(share_of_users_is_the_weight),
        cmocka_unit_test(another_salt_takes_other_users),
        cmocka_unit_test(numbers_in_a_row_are_spread_too),
        cmocka_unit_test(only_users_of_a_backend_that_goes_move),
        cmocka_unit_test(place_of_a_backend_does_not_matter),
        cmocka_unit_test(nobody_can_serve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
