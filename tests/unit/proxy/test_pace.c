/* The least rate: what a window finds. */
#include "proxy/pace.h"
#include "tests/unit/unit.h"

static const struct config_traffic_limits limits = {.min_rate = 100, .min_rate_window_ms = 1000};

static void the_first_look_begins_a_window_and_finds_nothing(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_false(pace_is_too_slow(&pace, &limits, 5, 777));
    assert_false(pace_is_too_slow(&pace, &limits, 5, 1776));
    assert_true(pace_is_too_slow(&pace, &limits, 5, 1777));
}

static void the_rate_itself_is_enough_and_a_byte_less_is_not(void **state)
{
    struct pace enough = {0}, less = {0};

    (void)state;
    assert_false(pace_is_too_slow(&enough, &limits, 0, 1000));
    assert_false(pace_is_too_slow(&enough, &limits, 100, 2000));
    assert_false(pace_is_too_slow(&enough, &limits, 200, 3000)); /* a window of its own */
    assert_false(pace_is_too_slow(&less, &limits, 0, 1000));
    assert_true(pace_is_too_slow(&less, &limits, 99, 2000));
}

static void a_late_look_asks_for_all_of_the_time(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_false(pace_is_too_slow(&pace, &limits, 0, 1000));
    assert_true(pace_is_too_slow(&pace, &limits, 2000, 31000));
}

static void rest_does_not_count(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_false(pace_is_too_slow(&pace, &limits, 0, 1000));
    pace_rest(&pace);
    assert_false(pace_is_too_slow(&pace, &limits, 1, 9000));
    assert_false(pace_is_too_slow(&pace, &limits, 101, 10000));
}

static void no_rate_is_never_too_slow(void **state)
{
    struct config_traffic_limits none = {.min_rate = 0, .min_rate_window_ms = 1000};
    struct pace pace = {0};

    (void)state;
    assert_false(pace_is_too_slow(&pace, &none, 0, 1000));
    assert_false(pace_is_too_slow(&pace, &none, 0, 100000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_look_begins_a_window_and_finds_nothing),
        cmocka_unit_test(the_rate_itself_is_enough_and_a_byte_less_is_not),
        cmocka_unit_test(a_late_look_asks_for_all_of_the_time),
        cmocka_unit_test(rest_does_not_count),
        cmocka_unit_test(no_rate_is_never_too_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
