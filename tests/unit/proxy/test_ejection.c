/* Passive health: who is left out, for how long, and how many at once. */
#include "proxy/ejection.h"
#include "tests/unit/unit.h"

static const struct config_ejection rules = {.failures = 3, .time_ms = 10000, .max_percent = 50};

static bool go_wrong(struct ejection *ejection, unsigned times)
{
    bool due = false;

    for (unsigned i = 0; i < times; i++)
        due = ejection_count(ejection, &rules, true);
    return due;
}

static void failures_in_a_row_eject(void **state)
{
    struct ejection ejection = {0};

    (void)state;
    assert_false(go_wrong(&ejection, 2));
    assert_false(ejection_count(&ejection, &rules, false));
    assert_false(go_wrong(&ejection, 2));
    assert_true(go_wrong(&ejection, 1));
    assert_true(go_wrong(&ejection, 1)); /* stays due, where it was not allowed yet */
}

static void it_comes_back_when_its_time_is_over(void **state)
{
    struct ejection ejection = {0};

    (void)state;
    assert_false(ejection_end(&ejection, 5000));
    ejection_begin(&ejection, &rules, 1000);
    assert_true(ejection_is_on(&ejection));
    assert_false(go_wrong(&ejection, 10)); /* what was under way does not count again */
    assert_false(ejection_end(&ejection, 10999));
    assert_true(ejection_end(&ejection, 11000));
    assert_false(ejection_is_on(&ejection));
    assert_int_equal(ejection.returned_ms, 11000);
    assert_false(go_wrong(&ejection, 2));
    assert_true(go_wrong(&ejection, 1));
}

static void repetition_makes_it_longer_up_to_a_limit(void **state)
{
    struct ejection ejection = {0};
    uint64_t now_ms = 0;

    (void)state;
    for (unsigned times = 1; times <= 40; times++) {
        uint64_t wanted = times * 10000u < EJECTION_MS_MAX ? times * 10000u : EJECTION_MS_MAX;
        ejection_begin(&ejection, &rules, now_ms);
        assert_int_equal(ejection.until_ms - now_ms, wanted);
        now_ms = ejection.until_ms;
        assert_true(ejection_end(&ejection, now_ms));
        now_ms += 9999;
    }
}

static void good_times_are_taken_off_its_record(void **state)
{
    struct ejection ejection = {.times = 5, .returned_ms = 100000};

    (void)state;
    ejection_begin(&ejection, &rules, 120000);
    assert_int_equal(ejection.times, 4); /* two forgotten, one more */
    ejection = (struct ejection){.times = 5, .returned_ms = 100000};
    ejection_begin(&ejection, &rules, 1000000000);
    assert_int_equal(ejection.times, 1);
}

static void never_more_of_a_group_than_allowed(void **state)
{
    (void)state;
    for (uint16_t percent = 1; percent <= 100; percent++)
        for (uint32_t members = 1; members <= 40; members++) {
            const struct config_ejection some = {.max_percent = percent};
            uint32_t ejected = 0;
            while (ejected < members && ejection_is_allowed(&some, ejected, members))
                ejected++;
            assert_true(ejected * 100 <= percent * members);
            assert_true(ejected == members || (ejected + 1) * 100 > percent * members);
        }
    assert_false(ejection_is_allowed(&rules, 0, 1));
    assert_true(ejection_is_allowed(&rules, 0, 2));
}

static void below_half_is_panic(void **state)
{
    (void)state;
    assert_false(ejection_panics(2, 4));
    assert_true(ejection_panics(1, 4));
    assert_true(ejection_panics(2, 5));
    assert_false(ejection_panics(3, 5));
    assert_true(ejection_panics(0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_eject),
        cmocka_unit_test(it_comes_back_when_its_time_is_over),
        cmocka_unit_test(repetition_makes_it_longer_up_to_a_limit),
        cmocka_unit_test(good_times_are_taken_off_its_record),
        cmocka_unit_test(never_more_of_a_group_than_allowed),
        cmocka_unit_test(below_half_is_panic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
