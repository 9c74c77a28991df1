/* Forward, turning back, and the verbs. */
#include "plan_fixture.h"

#include <errno.h>

/* --- forward ---------------------------------------------------------------------------------- */

static void a_weight_needs_replicas_in_proportion_and_at_least_one(void **state)
{
    (void)state;
    assert_int_equal(plan_replicas_for(3, 0), 0);
    assert_int_equal(plan_replicas_for(3, 1), 1);
    assert_int_equal(plan_replicas_for(3, 3333), 1);
    assert_int_equal(plan_replicas_for(3, 3334), 2);
    assert_int_equal(plan_replicas_for(100, 500), 5);
    assert_int_equal(plan_replicas_for(3, WEIGHT_MAX), 3);
}

static void the_first_step_makes_the_containers_that_its_weight_needs(void **state)
{
    (void)state;
    next();
    assert_int_equal(out.action_count, 1);
    assert_int_equal(the(ACTION_CREATE)->ordinal, 0);
    assert_string_equal(out.waiting, "");
}

static void at_most_two_are_made_at_once(void **state)
{
    (void)state;
    at_step(4, 5000, 0);
    next();
    assert_int_equal(count(ACTION_CREATE), 2);
    in.creating = 1;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "make a container"));
}

static void nothing_is_made_before_the_image_is_there(void **state)
{
    (void)state;
    in.image_ready = false;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "image"));
}

static void a_new_container_is_started_published_and_made_ready(void **state)
{
    struct plan_container *container = add(true, 0);

    (void)state;
    container->state = CONTAINER_CREATED;
    container->backend = BACKEND_FREE;
    container->verdict = VERDICT_UNKNOWN;
    container->started_ms = container->published_ms = 0;
    next();
    assert_int_equal(the(ACTION_START)->container, 3);
    container->state = CONTAINER_RUNNING;
    next();
    (void)the(ACTION_PUBLISH);
    container->backend = BACKEND_STARTING;
    container->published_ms = NOW;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "web-1-new to become healthy"));
    container->verdict = VERDICT_HEALTHY;
    next();
    (void)the(ACTION_READY);
    container->backend = BACKEND_READY;
    next();
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, 2500);
}

static void a_busy_container_is_left_alone(void **state)
{
    struct plan_container *container = add(true, 0);

    (void)state;
    container->state = CONTAINER_CREATED;
    container->backend = BACKEND_FREE;
    container->busy = true;
    next();
    assert_int_equal(out.action_count, 0);
}

static void a_step_ends_only_when_every_worker_has_taken_its_weight(void **state)
{
    (void)state;
    at_step(0, 2500, 1);
    in.weight_acknowledged = false;
    next();
    assert_int_equal(out.progress.step, 0);
    assert_true(out.progress.step_entered);
    in.weight_acknowledged = true;
    next();
    assert_int_equal(out.progress.step, 1);
}

static void a_pause_ends_exactly_at_its_time(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - 10000;
    next();
    assert_int_equal(out.progress.step, 1);
    assert_int_equal(out.look_again_ms, NOW + 20000);
    in.now_ms = NOW + 19999;
    next();
    assert_int_equal(out.progress.step, 1);
    in.now_ms = NOW + 20000;
    next();
    assert_int_equal(out.progress.step, 2);
    assert_int_equal(the(ACTION_CREATE)->ordinal, 1);
}

static void a_pause_without_end_waits_for_promote_and_no_deadline_runs(void **state)
{
    (void)state;
    at_step(3, 5000, 2);
    in.progress.step_entered = true;
    in.progress.step_since_ms = in.progress.changed_ms = NOW - 10000000;
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.progress.step, 3);
    assert_int_equal(out.look_again_ms, 0);
    assert_non_null(strstr(out.waiting, "sluice promote"));
    in.wish_promote = true;
    next();
    assert_int_equal(out.progress.step, 4);
    assert_false(out.progress.promote_wanted);
}

static void a_promote_before_the_pause_ends_the_next_one(void **state)
{
    (void)state;
    at_step(0, 0, 0);
    in.wish_promote = true;
    next();
    assert_true(out.progress.promote_wanted);
    at_step(1, 2500, 1);
    in.progress = out.progress;
    in.progress.step = 1;
    in.wish_promote = false;
    next();
    assert_int_equal(out.progress.step, 2);
    assert_false(out.progress.promote_wanted);
}

static void paused_by_an_operator_no_weight_moves_but_failures_still_count(void **state)
{
    (void)state;
    at_step(0, 0, 1);
    in.wish_pause = true;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "sluice resume"));
    in.containers[3].state = CONTAINER_EXITED;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
}

static void the_deadline_starts_anew_after_an_operators_pause(void **state)
{
    (void)state;
    in.progress.changed_ms = NOW - 599000;
    in.wish_pause = true;
    next();
    assert_int_equal(out.progress.changed_ms, 0);
    in.progress = out.progress;
    in.wish_pause = false;
    in.now_ms = NOW + 10000000;
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.progress.changed_ms, in.now_ms);
    assert_int_equal(out.look_again_ms, in.now_ms + 600000);
}

static void no_progress_until_the_deadline_turns_back_and_says_for_what_it_waited(void **state)
{
    (void)state;
    in.creating = 1;
    in.now_ms = in.progress.changed_ms + 600000;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_non_null(strstr(out.progress.why, "no progress for 10m"));
    assert_non_null(strstr(out.progress.why, "make a container"));
}

static void without_the_engine_no_deadline_runs_and_nothing_is_asked_of_it(void **state)
{
    (void)state;
    add(true, 0)->backend = BACKEND_STARTING;
    in.containers[3].verdict = VERDICT_STARTING;
    in.containers[3].published_ms = NOW - 10000000;
    in.progress.changed_ms = NOW - 10000000;
    in.engine_reachable = false;
    at_step(4, 5000, 0);
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.action_count, 0);
    assert_int_equal(out.progress.changed_ms, 0);
}

static void the_new_version_is_watched_at_full_weight_before_it_is_promoted(void **state)
{
    (void)state;
    at_step(4, WEIGHT_MAX, 3);
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.progress.step, 5);
    assert_int_equal(out.look_again_ms, NOW + 5000);
    in.progress = out.progress;
    in.now_ms = NOW + 5000;
    next();
    assert_int_equal(out.progress.phase, PHASE_PROMOTED);
    assert_int_equal(count(ACTION_DRAIN), 3);
}

static void what_comes_back_as_it_is_promoted_is_not_published_and_stopped_at_once(void **state)
{
    (void)state;
    at_step(4, WEIGHT_MAX, 3);
    in.progress.step = 5;
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - 5000;
    in.containers[1].backend = BACKEND_FREE; /* was paused by somebody, and runs again */
    next();
    assert_int_equal(out.progress.phase, PHASE_PROMOTED);
    assert_int_equal(count(ACTION_PUBLISH), 0);
    assert_int_equal(the(ACTION_STOP)->container, 1);
    assert_int_equal(count(ACTION_DRAIN), 2);
}

/* --- turning back -------------------------------------------------------------------------------
 */

static void expect_back(const char *why)
{
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    if (strstr(out.progress.why, why) == NULL)
        fail_msg("why is '%s'", out.progress.why);
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, 0);
    assert_int_equal(out.action_count, 1);
}

static void an_unhealthy_new_container_turns_back_with_the_checks_words(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.containers[3].verdict = VERDICT_UNHEALTHY;
    snprintf(in.containers[3].reason, sizeof(in.containers[3].reason), "status 500");
    expect_back("web-1-new is unhealthy: status 500");
}

static void an_exited_new_container_turns_back_with_its_code(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.containers[3].state = CONTAINER_EXITED;
    in.containers[3].exit_code = 137;
    expect_back("web-1-new exited with code 137");
}

static void a_new_container_that_flaps_turns_back(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.containers[3].state = CONTAINER_RESTARTING;
    expect_back("keeps exiting");
}

static void a_new_container_that_was_killed_for_want_of_memory_says_so(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.containers[3].state = CONTAINER_EXITED;
    in.containers[3].exit_code = 137;
    in.containers[3].oom_killed = true;
    expect_back("web-1-new exited with code 137: it was killed for want of memory");
}

static void a_new_container_that_was_restarted_between_two_looks_turns_back(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.containers[3].restarts = 1;
    expect_back("web-1-new exited and was restarted by its restart policy");
}

static void a_new_container_that_somebody_removed_turns_back(void **state)
{
    (void)state;
    at_step(1, 2500, 0);
    in.progress.seen[0] = 1;
    expect_back("removed by somebody");
}

static void a_new_container_that_is_not_healthy_in_time_turns_back(void **state)
{
    (void)state;
    at_step(0, 0, 1);
    in.containers[3].backend = BACKEND_STARTING;
    in.containers[3].verdict = VERDICT_STARTING;
    in.containers[3].published_ms = NOW - 19999;
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.look_again_ms, NOW + 1);
    in.now_ms++;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_non_null(strstr(out.progress.why, "not healthy within 20s"));
}

static void a_restart_of_everything_makes_no_new_container_late(void **state)
{
    (void)state;
    at_step(1, 0, 1);
    for (unsigned i = 0; i < 4; i++) {
        in.containers[i].backend = BACKEND_FREE;
        in.containers[i].verdict = VERDICT_UNKNOWN;
        in.containers[i].published_ms = 0;
        in.containers[i].started_ms = NOW - 86400000;
    }
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(count(ACTION_PUBLISH), 4);
    in.containers[3].attempted = ACTION_PUBLISH;
    in.containers[3].attempts = 1;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
}

static void a_create_that_is_refused_turns_back_with_the_engines_words(void **state)
{
    (void)state;
    in.create_error_final = true;
    snprintf(in.create_error, sizeof(in.create_error), "invalid mount");
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_ROLLED_BACK); /* there is nothing to take back */
    assert_non_null(strstr(out.progress.why, "invalid mount"));
}

static void failed_starts_are_given_up_after_five(void **state)
{
    (void)state;
    at_step(0, 0, 1);
    in.containers[3].state = CONTAINER_CREATED;
    in.containers[3].backend = BACKEND_FREE;
    in.containers[3].attempted = ACTION_START;
    in.containers[3].attempts = 4;
    next();
    (void)the(ACTION_START);
    in.containers[3].attempts = 5;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(count(ACTION_REMOVE), 1); /* the failed start says nothing about a remove */
}

static void an_abort_turns_back_and_ends_aborted(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.wish_abort = true;
    expect_back("aborted by an operator");
    in.progress = out.progress;
    in.wish_abort = false;
    in.weight = 0;
    in.container_count = 3;
    next();
    assert_int_equal(out.progress.phase, PHASE_ENDED);
    assert_int_equal(out.progress.outcome, OUTCOME_ABORTED);
}

/* --- verbs --------------------------------------------------------------------------------------
 */

static void verbs_apply_where_they_make_sense_and_say_what_to_do_instead(void **state)
{
    struct plan_progress progress = {.phase = PHASE_FORWARD};
    char why[PLAN_WHY_BYTES];

    (void)state;
    assert_int_equal(plan_verb_applies(&progress, false, VERB_PAUSE, why), 0);
    assert_int_equal(plan_verb_applies(&progress, true, VERB_PAUSE, why), -EPERM);
    assert_int_equal(plan_verb_applies(&progress, true, VERB_RESUME, why), 0);
    assert_int_equal(plan_verb_applies(&progress, false, VERB_RESUME, why), -EPERM);
    assert_int_equal(plan_verb_applies(&progress, false, VERB_PROMOTE, why), 0);
    assert_int_equal(plan_verb_applies(&progress, true, VERB_PROMOTE, why), -EPERM);
    assert_non_null(strstr(why, "sluice resume"));
    assert_int_equal(plan_verb_applies(&progress, true, VERB_ABORT, why), 0);
    progress.phase = PHASE_PROMOTED;
    assert_int_equal(plan_verb_applies(&progress, false, VERB_ABORT, why), -EPERM);
    assert_non_null(strstr(why, "`sluice rollback`"));
    progress.phase = PHASE_BACK;
    assert_int_equal(plan_verb_applies(&progress, false, VERB_ABORT, why), -EPERM);
    progress.phase = PHASE_ENDED;
    progress.outcome = OUTCOME_ABORTED;
    assert_int_equal(plan_verb_applies(&progress, false, VERB_PROMOTE, why), -EPERM);
    assert_non_null(strstr(why, "aborted"));
}

#define TEST(function) cmocka_unit_test_setup(function, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_weight_needs_replicas_in_proportion_and_at_least_one),
        TEST(the_first_step_makes_the_containers_that_its_weight_needs),
        TEST(at_most_two_are_made_at_once),
        TEST(nothing_is_made_before_the_image_is_there),
        TEST(a_new_container_is_started_published_and_made_ready),
        TEST(a_busy_container_is_left_alone),
        TEST(a_step_ends_only_when_every_worker_has_taken_its_weight),
        TEST(a_pause_ends_exactly_at_its_time),
        TEST(a_pause_without_end_waits_for_promote_and_no_deadline_runs),
        TEST(a_promote_before_the_pause_ends_the_next_one),
        TEST(paused_by_an_operator_no_weight_moves_but_failures_still_count),
        TEST(the_deadline_starts_anew_after_an_operators_pause),
        TEST(no_progress_until_the_deadline_turns_back_and_says_for_what_it_waited),
        TEST(without_the_engine_no_deadline_runs_and_nothing_is_asked_of_it),
        TEST(the_new_version_is_watched_at_full_weight_before_it_is_promoted),
        TEST(what_comes_back_as_it_is_promoted_is_not_published_and_stopped_at_once),
        TEST(an_unhealthy_new_container_turns_back_with_the_checks_words),
        TEST(an_exited_new_container_turns_back_with_its_code),
        TEST(a_new_container_that_flaps_turns_back),
        TEST(a_new_container_that_was_killed_for_want_of_memory_says_so),
        TEST(a_new_container_that_was_restarted_between_two_looks_turns_back),
        TEST(a_new_container_that_somebody_removed_turns_back),
        TEST(a_new_container_that_is_not_healthy_in_time_turns_back),
        TEST(a_restart_of_everything_makes_no_new_container_late),
        TEST(a_create_that_is_refused_turns_back_with_the_engines_words),
        TEST(failed_starts_are_given_up_after_five),
        TEST(an_abort_turns_back_and_ends_aborted),
        TEST(verbs_apply_where_they_make_sense_and_say_what_to_do_instead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
