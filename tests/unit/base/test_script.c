#include "base/list.h"
#include "base/memory.h"
#include "base/script.h"
#include "tests/unit/unit.h"

#include <sys/wait.h>

#include <ev.h>
#include <stdlib.h>
#include <string.h>

struct heard {
    struct ev_loop *loop;
    int status, count;
    char text[SCRIPT_OUTPUT_BYTES_MAX + 1];
    size_t length;
};

static void on_end(void *context, int status, struct slice output)
{
    struct heard *heard = context;

    heard->status = status;
    heard->count++;
    heard->length = output.length;
    memcpy(heard->text, output.data, output.length + 1);
    ev_break(heard->loop, EVBREAK_ONE);
}

static char *const no_environment[] = {NULL};

static struct heard *run(struct script_options options, const char *command)
{
    struct heard *heard = memory_new(sizeof(*heard));
    char shell[] = "/bin/sh", flag[] = "-c";
    char *copy = memory_copy_string(command);
    char *const argv[] = {shell, flag, copy, NULL};
    struct script *script = NULL;
    struct list running;

    list_init(&running);
    heard->loop = ev_loop_new(EVBACKEND_EPOLL);
    options.argv = argv;
    options.environment = no_environment;
    options.running = &running;
    options.on_end = on_end;
    options.context = heard;
    assert_int_equal(script_start(heard->loop, &options, &script), 0);
    ev_run(heard->loop, 0);
    assert_true(list_is_empty(&running));
    ev_loop_destroy(heard->loop);
    assert_int_equal(heard->count, 1);
    free(copy);
    return heard;
}

static void reads_its_input_from_the_beginning_to_the_end(void **state)
{
    char *input = memory_new(200001);
    (void)state;

    memset(input, 'x', 200000);
    struct heard *heard = run((struct script_options){.input = {input, 200000}},
                              "/usr/bin/wc -c; read more || echo end");
    assert_string_equal(heard->text, "200000\nend\n");
    free(heard);
    free(input);
}

static void has_an_empty_input_where_none_is_given(void **state)
{
    (void)state;
    struct heard *heard = run((struct script_options){0}, "/usr/bin/wc -c; exit 3");
    assert_string_equal(heard->text, "0\n");
    assert_int_equal(WEXITSTATUS(heard->status), 3);
    free(heard);
}

static void keeps_as_much_of_the_output_as_was_said(void **state)
{
    static const char many[] = "i=0; while [ $i -lt 300 ]; do echo 123456789; i=$((i+1)); done";
    (void)state;
    struct heard *heard = run((struct script_options){0}, many);
    assert_int_equal(heard->length, SCRIPT_OUTPUT_BYTES);
    free(heard);
    heard = run((struct script_options){.output_bytes = 2995}, many);
    assert_int_equal(heard->length, 2995);
    free(heard);
}

static void keeps_errors_out_of_the_output_where_told(void **state)
{
    (void)state;
    struct heard *heard = run((struct script_options){0}, "echo out; echo err >&2");
    assert_string_equal(heard->text, "out\nerr\n");
    free(heard);
    heard = run((struct script_options){.errors_apart = true}, "echo out; echo err >&2");
    assert_string_equal(heard->text, "out\n");
    free(heard);
}

struct killer {
    ev_timer timer;
    struct script *script;
};

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    script_kill(((struct killer *)timer->data)->script);
}

static void one_that_never_stops_printing_does_not_hold_the_loop(void **state)
{
    struct heard *heard = memory_new(sizeof(*heard));
    char yes[] = "/usr/bin/yes";
    char *const argv[] = {yes, NULL};
    struct killer killer = {0};
    struct list running;
    (void)state;

    list_init(&running);
    heard->loop = ev_loop_new(EVBACKEND_EPOLL);
    const struct script_options options = {.argv = argv,
                                           .environment = no_environment,
                                           .running = &running,
                                           .on_end = on_end,
                                           .context = heard};
    assert_int_equal(script_start(heard->loop, &options, &killer.script), 0);
    ev_timer_init(&killer.timer, on_time, 0.2, 0.);
    killer.timer.data = &killer;
    ev_timer_start(heard->loop, &killer.timer);
    ev_run(heard->loop, 0);
    assert_int_equal(WTERMSIG(heard->status), SIGKILL);
    assert_int_equal(heard->length, SCRIPT_OUTPUT_BYTES);
    ev_loop_destroy(heard->loop);
    free(heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_its_input_from_the_beginning_to_the_end),
        cmocka_unit_test(has_an_empty_input_where_none_is_given),
        cmocka_unit_test(keeps_as_much_of_the_output_as_was_said),
        cmocka_unit_test(keeps_errors_out_of_the_output_where_told),
        cmocka_unit_test(one_that_never_stops_printing_does_not_hold_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
