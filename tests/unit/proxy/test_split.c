/* Error diffusion: exact within one, at every prefix, from every phase. */
#include "board/scoreboard.h"
#include "proxy/split.h"
#include "tests/unit/unit.h"

static void every_prefix_is_within_one_of_the_weight(void **state)
{
    (void)state;
    for (uint32_t weight = 0; weight <= WEIGHT_MAX; weight += weight < 20 ? 1 : 97)
        for (uint32_t start = 0; start < WEIGHT_MAX; start += 3333) {
            uint32_t phase = start;
            int64_t canary = 0;
            for (int64_t n = 1; n <= 2 * WEIGHT_MAX; n++) {
                canary += split_next(&phase, weight) == GROUP_CANARY;
                int64_t error = canary * WEIGHT_MAX - n * weight;
                assert_true(error <= WEIGHT_MAX && error >= -(int64_t)WEIGHT_MAX);
            }
        }
}

static void ends_of_the_scale_are_absolute(void **state)
{
    uint32_t phase = WEIGHT_MAX - 1;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(split_next(&phase, 0), GROUP_STABLE);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(split_next(&phase, WEIGHT_MAX), GROUP_CANARY);
}

static void stays_exact_over_a_change_of_weight(void **state)
{
    uint32_t phase = 4711;
    int64_t canary = 0;

    (void)state;
    for (unsigned i = 0; i < 333; i++)
        split_next(&phase, 500);
    for (int64_t n = 1; n <= 1000; n++) {
        canary += split_next(&phase, 2500) == GROUP_CANARY;
        assert_true(canary * 4 - n <= 4 && canary * 4 - n >= -4);
    }
}

static void counts_start_anew_with_another_weight(void **state)
{
    uint64_t word = score_split_pack(500, 7, 3);

    (void)state;
    word = split_count(word, 500, GROUP_CANARY);
    assert_int_equal(word, score_split_pack(500, 8, 4));
    word = split_count(word, 2500, GROUP_STABLE);
    assert_int_equal(word, score_split_pack(2500, 1, 0));
}

static void full_counts_start_anew(void **state)
{
    (void)state;
    assert_int_equal(split_count(score_split_pack(1, SPLIT_COUNT_MAX, 9), 1, GROUP_CANARY),
                     score_split_pack(1, 1, 1));
}

static enum group decide(uint32_t weight, bool stable, bool canary, bool *ret_counted)
{
    const bool can_serve[GROUP_COUNT] = {stable, canary};
    uint32_t phase = 0;

    return split_decide(&phase, weight, can_serve, ret_counted);
}

static void group_that_cannot_serve_gets_nothing_and_nothing_is_counted(void **state)
{
    bool counted = true;

    (void)state;
    assert_int_equal(decide(5000, true, false, &counted), GROUP_STABLE);
    assert_false(counted);
    assert_int_equal(decide(5000, false, true, &counted), GROUP_CANARY);
    assert_false(counted);
    assert_int_equal(decide(0, false, true, &counted), GROUP_CANARY);
    assert_false(counted);
    assert_int_equal(decide(WEIGHT_MAX, true, false, &counted), GROUP_STABLE);
    assert_false(counted);
    assert_int_equal(decide(5000, false, false, &counted), GROUP_COUNT);
    assert_false(counted);
}

static void split_that_needs_one_group_only_is_counted_without_the_other(void **state)
{
    bool counted = false;

    (void)state;
    assert_int_equal(decide(0, true, false, &counted), GROUP_STABLE);
    assert_true(counted);
    counted = false;
    assert_int_equal(decide(WEIGHT_MAX, false, true, &counted), GROUP_CANARY);
    assert_true(counted);
}

static void phase_rests_while_the_split_does_not_apply(void **state)
{
    const bool stable_only[GROUP_COUNT] = {true, false};
    uint32_t phase = 1234;
    bool counted;

    (void)state;
    split_decide(&phase, 5000, stable_only, &counted);
    assert_int_equal(phase, 1234);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_prefix_is_within_one_of_the_weight),
        cmocka_unit_test(ends_of_the_scale_are_absolute),
        cmocka_unit_test(stays_exact_over_a_change_of_weight),
        cmocka_unit_test(counts_start_anew_with_another_weight),
        cmocka_unit_test(full_counts_start_anew),
        cmocka_unit_test(group_that_cannot_serve_gets_nothing_and_nothing_is_counted),
        cmocka_unit_test(split_that_needs_one_group_only_is_counted_without_the_other),
        cmocka_unit_test(phase_rests_while_the_split_does_not_apply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
