/* Wall clock time that does not jump, and its anchor in the state directory. */
#include "base/clock.h"
#include "tests/unit/unit.h"
#include "updater/steady.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS   86400000ll
#define CLOSE_MS 500 /* the clocks are read one after the other */

static char state[] = "/tmp/sluice-steady-XXXXXX";
static char path[64];

static int setup(void **unused)
{
    (void)unused;
    (void)snprintf(state, sizeof(state), "/tmp/sluice-steady-XXXXXX");
    assert_non_null(mkdtemp(state));
    (void)snprintf(path, sizeof(path), "%s/clock", state);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    (void)unlink(path);
    return rmdir(state);
}

static int64_t apart_ms(void)
{
    return (int64_t)clock_wall_ms() - (int64_t)steady_wall_ms();
}

/* As an updater left it behind before the clock was set ahead by so much. */
static void anchor(int64_t ahead_ms, const char *boot)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fprintf(file, "%s %" PRId64 "\n", boot,
                        (int64_t)clock_wall_ms() - (int64_t)clock_ms() - ahead_ms) > 0);
    assert_int_equal(fclose(file), 0);
}

static void boot_read(char boot[64])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%63s", boot), 1);
    assert_int_equal(fclose(file), 0);
}

static void starts_as_the_wall_clock(void **unused)
{
    (void)unused;
    steady_open(state);
    assert_in_range(apart_ms() + CLOSE_MS, 0, 2 * CLOSE_MS);
    assert_int_equal(access(path, F_OK), 0);
}

static void does_not_follow_a_clock_that_was_set_between_two_updaters(void **unused)
{
    char boot[64];

    (void)unused;
    boot_read(boot);
    anchor(DAY_MS, boot);
    steady_open(state);
    assert_in_range(apart_ms() + CLOSE_MS, DAY_MS, DAY_MS + 2 * CLOSE_MS);
    anchor(-DAY_MS, boot);
    steady_open(state);
    assert_in_range(CLOSE_MS - apart_ms(), DAY_MS, DAY_MS + 2 * CLOSE_MS);
}

static void follows_it_when_it_may_and_keeps_that(void **unused)
{
    char boot[64];

    (void)unused;
    boot_read(boot);
    anchor(DAY_MS, boot);
    steady_open(state);
    steady_follow();
    assert_in_range(apart_ms() + CLOSE_MS, 0, 2 * CLOSE_MS);
    steady_open(state);
    assert_in_range(apart_ms() + CLOSE_MS, 0, 2 * CLOSE_MS);
}

static void begins_anew_with_the_machine_and_with_an_anchor_that_is_none(void **unused)
{
    FILE *file;

    (void)unused;
    anchor(DAY_MS, "00000000-0000-0000-0000-000000000000");
    steady_open(state);
    assert_in_range(apart_ms() + CLOSE_MS, 0, 2 * CLOSE_MS);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    steady_open(state);
    assert_in_range(apart_ms() + CLOSE_MS, 0, 2 * CLOSE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(starts_as_the_wall_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(does_not_follow_a_clock_that_was_set_between_two_updaters,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(follows_it_when_it_may_and_keeps_that, setup, teardown),
        cmocka_unit_test_setup_teardown(
            begins_anew_with_the_machine_and_with_an_anchor_that_is_none, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
