#include "board/verdicts.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

static struct verdicts_board *board;

static int set_up(void **state)
{
    int fd = verdicts_board_create();

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(verdicts_board_map(fd, true, &board), 0);
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    verdicts_board_unmap(board);
    return 0;
}

static void a_verdict_for_another_generation_is_unknown(void **state)
{
    const struct verdict healthy = {.state = VERDICT_HEALTHY, .reason = "status 200"};
    struct verdict read;

    (void)state;
    assert_true(verdict_write(board, 3, 7, &healthy, 100));
    assert_int_equal(verdict_state_of(board, 3, 7), VERDICT_HEALTHY);
    assert_int_equal(verdict_state_of(board, 3, 8), VERDICT_UNKNOWN);
    verdict_read(board, 3, 8, &read);
    assert_int_equal(read.state, VERDICT_UNKNOWN);
    assert_string_equal(read.reason, "");
}

static void since_moves_with_the_state_only(void **state)
{
    struct verdict verdict = {.state = VERDICT_HEALTHY, .latency_us = 10};
    struct verdict read;

    (void)state;
    assert_true(verdict_write(board, 0, 1, &verdict, 100));
    verdict.latency_us = 20;
    assert_int_equal(verdicts_changes(board), 1);
    assert_false(verdict_write(board, 0, 1, &verdict, 200));
    assert_int_equal(verdicts_changes(board), 1);
    verdict_read(board, 0, 1, &read);
    assert_int_equal(read.since_ms, 100);
    assert_int_equal(read.latency_us, 20);
    verdict.state = VERDICT_UNHEALTHY;
    assert_true(verdict_write(board, 0, 1, &verdict, 300));
    verdict_read(board, 0, 1, &read);
    assert_int_equal(read.since_ms, 300);
}

static void a_writer_that_died_in_the_middle_leaves_a_readable_state(void **state)
{
    const struct verdict healthy = {.state = VERDICT_HEALTHY};
    struct verdict read;

    (void)state;
    verdict_write(board, 5, 1, &healthy, 100);
    atomic_fetch_add(&board->cells[5].sequence, 1); /* as if it had just begun */
    verdict_read(board, 5, 1, &read);
    assert_int_equal(read.state, VERDICT_HEALTHY);
    verdict_write(board, 5, 1, &healthy, 200); /* its successor puts it right */
    assert_int_equal(atomic_load(&board->cells[5].sequence) & 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_verdict_for_another_generation_is_unknown, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(since_moves_with_the_state_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_writer_that_died_in_the_middle_leaves_a_readable_state,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("verdicts", tests, NULL, NULL);
}
