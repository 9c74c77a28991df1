/* The planner: as many containers as were asked for, of what runs. */
#include "plan_fixture.h"

static void wants(uint32_t replicas)
{
    spec.scale_to = replicas;
    spec.steps = NULL;
    spec.step_count = 0;
}

static void test_up_makes_what_is_missing_and_touches_no_weight(void **state)
{
    (void)state;
    wants(5);
    next();
    assert_int_equal(count(ACTION_CREATE), 2);
    assert_int_equal(out.actions[0].ordinal + out.actions[1].ordinal, 3 + 4);
    assert_int_equal(out.action_count, 2);
    (void)add(true, 3);
    (void)add(true, 4);
    next();
    assert_int_equal(out.action_count, 0);
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_non_null(strstr(out.waiting, "watching the new containers"));
    assert_int_equal(out.look_again_ms, NOW + 5000);
}

static void test_up_ends_once_the_names_are_right(void **state)
{
    struct plan_container *container;

    (void)state;
    wants(4);
    container = add(true, 3);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - 6000;
    next();
    assert_int_equal(out.progress.phase, PHASE_PROMOTED);
    assert_int_equal(count(ACTION_RENAME), 1);
    assert_int_equal(out.action_count, 1);
    in.progress = out.progress;
    snprintf(container->name, sizeof(container->name), "web-4");
    next();
    assert_int_equal(out.progress.phase, PHASE_ENDED);
    assert_int_equal(out.progress.outcome, OUTCOME_COMPLETED);
}

static void test_up_goes_back_where_one_fails(void **state)
{
    struct plan_container *container;

    (void)state;
    wants(4);
    container = add(true, 3);
    container->verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(count(ACTION_DRAIN), 1);
    assert_int_equal(the(ACTION_DRAIN)->container, 3);
}

static void test_down_drains_the_highest(void **state)
{
    (void)state;
    wants(1);
    spec.monitor_ms = 0;
    next();
    assert_int_equal(out.progress.phase, PHASE_PROMOTED);
    assert_int_equal(count(ACTION_DRAIN), 2);
    for (unsigned i = 0; i < out.action_count; i++)
        assert_int_not_equal(in.containers[out.actions[i].container].ordinal, 0);
}

static void test_down_keeps_the_last_that_serve(void **state)
{
    (void)state;
    wants(1);
    in.progress.phase = PHASE_PROMOTED;
    in.containers[0].verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "those that stay"));
    in.progress = out.progress;
    in.now_ms += spec.progress_deadline_ms;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_int_equal(out.action_count, 0);
}

/* The one that was to stay falls ill while the others drain: they serve on. */
static void test_down_takes_back_what_drains_where_nothing_else_serves(void **state)
{
    (void)state;
    wants(1);
    in.progress.phase = PHASE_PROMOTED;
    in.containers[0].verdict = VERDICT_UNHEALTHY;
    for (unsigned i = 1; i < 3; i++) {
        in.containers[i].backend = BACKEND_DRAINING;
        in.containers[i].drained = true;
    }
    in.containers[2].verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(the(ACTION_READY)->container, 1);
    assert_int_equal(the(ACTION_STOP)->container, 2);
}

/* Everything was restarted, and nobody has judged them yet. */
static void test_down_waits_for_a_verdict_on_those_that_stay(void **state)
{
    (void)state;
    wants(1);
    in.progress.phase = PHASE_PROMOTED;
    for (unsigned i = 0; i < 3; i++) {
        in.containers[i].backend = BACKEND_FREE;
        in.containers[i].verdict = VERDICT_UNKNOWN;
    }
    next();
    assert_int_equal(count(ACTION_PUBLISH), 3);
    assert_int_equal(count(ACTION_STOP), 0);
}

/* Paused meanwhile, everything was restarted: what was watched was not there for a while. */
static void test_the_watch_starts_anew_where_it_was_disturbed(void **state)
{
    (void)state;
    wants(4);
    (void)add(true, 3);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - 6000;
    in.wish_pause = true;
    next();
    assert_true(out.progress.step_entered);
    in.containers[3].backend = BACKEND_FREE;
    next();
    assert_false(out.progress.step_entered);
}

static void test_down_ends_when_they_are_gone(void **state)
{
    (void)state;
    wants(1);
    in.progress.phase = PHASE_PROMOTED;
    in.container_count = 1;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_COMPLETED);
}

/* --- from none: a first deployment --------------------------------------------------------- */

static void wants_first(uint32_t replicas)
{
    wants(replicas);
    spec.replicas = 0;
    in.container_count = 0;
}

static void test_the_first_ones_are_made(void **state)
{
    (void)state;
    wants_first(2);
    next();
    assert_int_equal(count(ACTION_CREATE), 2);
    assert_int_equal(out.actions[0].ordinal + out.actions[1].ordinal, 0 + 1);
    assert_int_equal(out.action_count, 2);
    (void)add(true, 0);
    (void)add(true, 1);
    in.progress = out.progress;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "watching the new containers"));
}

/* Nothing was there before that could serve instead: they do not wait for it. */
static void test_the_first_ones_go_again_though_they_serve(void **state)
{
    (void)state;
    wants_first(3);
    for (uint16_t i = 0; i < 3; i++)
        (void)add(true, i);
    in.containers[1].verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(count(ACTION_DRAIN), 3);
    in.progress = out.progress;
    for (uint16_t i = 0; i < 3; i++) {
        in.containers[i].backend = BACKEND_FREE;
        in.containers[i].state = CONTAINER_EXITED;
    }
    next();
    assert_int_equal(count(ACTION_REMOVE), 3);
    in.container_count = 0;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_ROLLED_BACK);
}

static void test_the_first_ones_are_taken_back_by_an_abort(void **state)
{
    (void)state;
    wants_first(1);
    (void)add(true, 0);
    in.wish_abort = true;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(count(ACTION_DRAIN), 1);
    in.container_count = 0;
    in.progress = out.progress;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_ABORTED);
}

static void test_a_create_that_is_refused_leaves_nothing(void **state)
{
    (void)state;
    wants_first(2);
    in.create_error_final = true;
    snprintf(in.create_error, sizeof(in.create_error), "no such volume driver");
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_ROLLED_BACK);
    assert_non_null(strstr(out.progress.why, "no such volume driver"));
}

/* Somebody starts one of the service meanwhile: theirs is left alone. */
static void test_a_strangers_container_is_left_alone(void **state)
{
    (void)state;
    wants_first(1);
    in.progress.phase = PHASE_PROMOTED;
    (void)add(true, 0);
    (void)add(false, 0); /* it has the name that ours was to get */
    next();
    assert_int_equal(out.action_count, 0);
    assert_int_equal(out.progress.outcome, OUTCOME_COMPLETED);
    in.progress.phase = PHASE_BACK;
    next();
    assert_int_equal(count(ACTION_DRAIN), 1);
    assert_int_equal(the(ACTION_DRAIN)->container, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_up_makes_what_is_missing_and_touches_no_weight, reset),
        cmocka_unit_test_setup(test_up_ends_once_the_names_are_right, reset),
        cmocka_unit_test_setup(test_up_goes_back_where_one_fails, reset),
        cmocka_unit_test_setup(test_down_drains_the_highest, reset),
        cmocka_unit_test_setup(test_down_keeps_the_last_that_serve, reset),
        cmocka_unit_test_setup(test_down_takes_back_what_drains_where_nothing_else_serves, reset),
        cmocka_unit_test_setup(test_down_waits_for_a_verdict_on_those_that_stay, reset),
        cmocka_unit_test_setup(test_the_watch_starts_anew_where_it_was_disturbed, reset),
        cmocka_unit_test_setup(test_down_ends_when_they_are_gone, reset),
        cmocka_unit_test_setup(test_the_first_ones_are_made, reset),
        cmocka_unit_test_setup(test_the_first_ones_go_again_though_they_serve, reset),
        cmocka_unit_test_setup(test_the_first_ones_are_taken_back_by_an_abort, reset),
        cmocka_unit_test_setup(test_a_create_that_is_refused_leaves_nothing, reset),
        cmocka_unit_test_setup(test_a_strangers_container_is_left_alone, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
