/* When a container started: the engine's text on our clocks. */
#include "tests/unit/unit.h"
#include "updater/start_time.h"

#define MOMENT    "2026-11-23T05:04:56.123456789Z"
#define MOMENT_MS 1795410296123ull

static void reads_the_engine_s_time_to_the_millisecond(void **state)
{
    (void)state;
    assert_int_equal(start_time_wall_ms(MOMENT), MOMENT_MS);
    assert_int_equal(start_time_wall_ms("2026-11-23T05:04:56Z"), MOMENT_MS - 123);
    assert_int_equal(start_time_wall_ms("2026-11-23T05:04:56.1Z"), MOMENT_MS - 23);
}

static void takes_what_is_no_time_for_none(void **state)
{
    (void)state;
    assert_int_equal(start_time_wall_ms(NULL), 0);
    assert_int_equal(start_time_wall_ms(""), 0);
    assert_int_equal(start_time_wall_ms("yesterday"), 0);
    assert_int_equal(start_time_wall_ms("0001-01-01T00:00:00Z"), 0);
}

static void turns_it_into_the_monotonic_clock(void **state)
{
    (void)state;
    assert_int_equal(start_time_ms(MOMENT, MOMENT_MS + 5000, 90000), 85000);
    assert_int_equal(start_time_ms("no time", MOMENT_MS, 90000), 90000);
}

static void a_start_that_is_still_to_come_is_now(void **state)
{
    (void)state;
    assert_int_equal(start_time_ms(MOMENT, MOMENT_MS - 5000, 90000), 90000);
}

static void a_start_from_before_the_machine_s_is_never_zero(void **state)
{
    (void)state;
    assert_int_equal(start_time_ms(MOMENT, MOMENT_MS + 100000, 90000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_engine_s_time_to_the_millisecond),
        cmocka_unit_test(takes_what_is_no_time_for_none),
        cmocka_unit_test(turns_it_into_the_monotonic_clock),
        cmocka_unit_test(a_start_that_is_still_to_come_is_now),
        cmocka_unit_test(a_start_from_before_the_machine_s_is_never_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
