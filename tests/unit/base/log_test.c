#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "tests/unit/unit.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

static int ends[2], saved_stderr;

static int catch_stderr(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    return 0;
}

static int release_stderr(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What stands after the stamp. */
static const char *caught(void)
{
    static char text[PIPE_BUF + 1];
    ssize_t length = read(ends[0], text, PIPE_BUF);

    text[length > 0 ? length : 0] = '\0';
    const char *level = strstr(text, " level=");
    return level != NULL ? level + 1 : text;
}

static void an_event_is_one_line_of_pairs(void **state)
{
    struct log_line line;

    (void)state;
    log_init("test");
    log_begin(&line, LOG_INFO, "drained");
    log_string(&line, "service", "web");
    log_string(&line, "absent", NULL);
    log_u64(&line, "epoch", 17);
    log_i64(&line, "error", -1);
    log_end(&line);
    assert_string_equal(caught(),
                        "level=info role=test event=drained service=web epoch=17 error=-1\n");
}

static void control_bytes_never_reach_the_terminal(void **state)
{
    (void)state;
    log_event(LOG_ERROR, "bad", "value", "a\n\x1b[31m\"b\" \\ \xff");
    assert_string_equal(
        caught(),
        "level=error role=test event=bad value=\"a\\x0a\\x1b[31m\\\"b\\\" \\\\ \\xff\"\n");
}

static void a_long_line_is_cut_at_what_is_written_in_one_piece(void **state)
{
    static char value[2 * PIPE_BUF];
    char text[PIPE_BUF + 1];

    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    log_event(LOG_INFO, "long", "value", value);
    ssize_t length = read(ends[0], text, sizeof(text));
    assert_int_equal(length, PIPE_BUF);
    assert_int_equal(text[PIPE_BUF - 1], '\n');
}

static void debug_lines_are_not_written_by_default(void **state)
{
    (void)state;
    log_event(LOG_DEBUG, "hidden", NULL, NULL);
    log_event(LOG_INFO, "shown", NULL, NULL);
    assert_string_equal(caught(), "level=info role=test event=shown\n");
}

/* --- timers ----------------------------------------------------------------------------------- */

static unsigned fired;

static void on_fire(struct timer *timer)
{
    (void)timer;
    fired++;
}

static void a_timer_that_is_pushed_on_fires_once_at_the_last_deadline(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    struct timer timer;
    uint64_t start = clock_ms();

    (void)state;
    fired = 0;
    timer_init(&timer, on_fire);
    timer_start(loop, &timer, 5);
    timer_start(loop, &timer, 40);
    ev_run(loop, 0);
    assert_int_equal(fired, 1);
    assert_true(clock_ms() - start >= 40);
    assert_false(timer_is_running(&timer));
    ev_loop_destroy(loop);
}

static void a_timer_that_is_pulled_in_fires_early(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    struct timer timer;
    uint64_t start = clock_ms();

    (void)state;
    fired = 0;
    timer_init(&timer, on_fire);
    timer_start(loop, &timer, 60000);
    timer_start(loop, &timer, 10);
    ev_run(loop, 0);
    assert_int_equal(fired, 1);
    assert_true(clock_ms() - start < 30000);
    ev_loop_destroy(loop);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    struct timer timer;

    (void)state;
    fired = 0;
    timer_init(&timer, on_fire);
    timer_start(loop, &timer, 1);
    timer_stop(loop, &timer);
    ev_run(loop, 0);
    assert_int_equal(fired, 0);
    ev_loop_destroy(loop);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, catch_stderr, release_stderr)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(an_event_is_one_line_of_pairs),
        LOG_TEST(control_bytes_never_reach_the_terminal),
        LOG_TEST(a_long_line_is_cut_at_what_is_written_in_one_piece),
        LOG_TEST(debug_lines_are_not_written_by_default),
        cmocka_unit_test(a_timer_that_is_pushed_on_fires_once_at_the_last_deadline),
        cmocka_unit_test(a_timer_that_is_pulled_in_fires_early),
        cmocka_unit_test(a_stopped_timer_does_not_fire),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
