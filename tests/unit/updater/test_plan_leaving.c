/* Back and promoted: how containers leave. */
#include "plan_fixture.h"

/* --- back ---------------------------------------------------------------------------------------
 */

static void back_drains_new_ones_only_after_every_worker_took_the_weight(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    in.weight_acknowledged = false;
    next();
    assert_int_equal(out.action_count, 0);
    in.weight_acknowledged = true;
    next();
    assert_int_equal(count(ACTION_DRAIN), 3);
}

static void a_drained_container_is_stopped_and_then_removed(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    in.container_count = 4;
    in.containers[3].backend = BACKEND_DRAINING;
    in.containers[3].drain_since_ms = NOW - 100;
    in.containers[3].active[KIND_REQUEST] = 2;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "2 requests"));
    assert_int_equal(out.look_again_ms, NOW - 100 + 30000);
    in.containers[3].active[KIND_REQUEST] = 0;
    in.containers[3].drained = true;
    next();
    (void)the(ACTION_STOP);
    in.containers[3].state = CONTAINER_EXITED;
    next();
    (void)the(ACTION_REMOVE);
}

static void each_kind_is_ended_when_its_own_budget_has_passed(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    in.container_count = 4;
    in.containers[3].backend = BACKEND_DRAINING;
    in.containers[3].drain_since_ms = NOW - 30000;
    in.containers[3].active[KIND_REQUEST] = in.containers[3].active[KIND_WEBSOCKET] = 1;
    next();
    assert_int_equal(the(ACTION_END_KINDS)->kinds, 1u << KIND_REQUEST);
    assert_int_equal(out.look_again_ms, NOW + 30000);
    in.containers[3].end_kinds = 1u << KIND_REQUEST;
    next();
    assert_int_equal(out.action_count, 0);
    in.now_ms = NOW + 30000;
    next();
    assert_int_equal(the(ACTION_END_KINDS)->kinds, 1u << KIND_REQUEST | 1u << KIND_WEBSOCKET);
}

/* One that drains since `since_ms` ago. */
static struct plan_container *drain(uint64_t since_ms)
{
    enter(PHASE_BACK, 0);
    in.container_count = 4;
    in.containers[3].backend = BACKEND_DRAINING;
    in.containers[3].drain_since_ms = NOW - since_ms;
    return &in.containers[3];
}

static void what_is_being_ended_is_asked_for_until_it_is_gone(void **state)
{
    struct plan_container *container = drain(30000);

    (void)state;
    container->active[KIND_TCP] = 1;
    container->end_kinds = 1u << KIND_REQUEST; /* the last of them has just ended */
    next();
    assert_int_equal(out.action_count, 0);
}

static void classes_have_policies_of_their_own(void **state)
{
    struct plan_container *container = drain(9000000);

    (void)state;
    spec.drain.budgets[KIND_UPLOAD].on_timeout = ON_TIMEOUT_WAIT;
    container->active[KIND_UPLOAD] = container->active[KIND_STREAM] = 1;
    next();
    assert_int_equal(the(ACTION_END_KINDS)->kinds, 1u << KIND_STREAM);
    container->end_kinds = 1u << KIND_STREAM;
    container->active[KIND_STREAM] = 0;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "1 upload, past its budget (on_timeout: wait)"));
    spec.drain.budgets[KIND_TCP].on_timeout = ON_TIMEOUT_FAIL; /* nothing of this class is left */
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NONE);
    container->active[KIND_TCP] = 1;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
}

static void an_extension_counts_and_takes_back_what_was_asked(void **state)
{
    struct plan_container *container = drain(60000);

    (void)state;
    container->active[KIND_WEBSOCKET] = 3;
    in.drain_orders.extend_ms[KIND_WEBSOCKET] = 5000;
    next();
    assert_int_equal(out.action_count, 0);
    assert_int_equal(out.look_again_ms, NOW + 5000);
    container->end_kinds = 1u << KIND_WEBSOCKET;
    next();
    assert_int_equal(the(ACTION_END_KINDS)->kinds, 0);
    assert_non_null(strstr(the(ACTION_END_KINDS)->why, "extended"));
}

static void an_operator_ends_a_class_of_what_drains_by_then(void **state)
{
    struct plan_container *container = drain(1000);

    (void)state;
    spec.drain.budgets[KIND_STREAM].on_timeout = ON_TIMEOUT_FAIL;
    container->active[KIND_STREAM] = container->active[KIND_REQUEST] = 1;
    in.drain_orders.ended_ms[KIND_STREAM] = NOW - 1001; /* another drain's */
    next();
    assert_int_equal(out.action_count, 0);
    in.drain_orders.ended_ms[KIND_STREAM] = NOW - 1000;
    next();
    assert_int_equal(the(ACTION_END_KINDS)->kinds, 1u << KIND_STREAM);
}

static void a_removal_that_never_ends_needs_attention(void **state)
{
    struct plan_container *container = drain(0);

    (void)state;
    container->backend = BACKEND_FREE;
    container->state = CONTAINER_REMOVING;
    container->removing_since_ms = NOW - 599999;
    next();
    assert_int_equal(out.look_again_ms, NOW + 1);
    assert_non_null(strstr(out.waiting, "to have removed"));
    in.now_ms++;
    in.engine_reachable = false;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NONE);
    in.engine_reachable = true;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_non_null(strstr(out.progress.why, "has been removing"));
}

static void on_timeout_wait_waits_and_says_so(void **state)
{
    (void)state;
    spec.drain.budgets[KIND_TCP].on_timeout = ON_TIMEOUT_WAIT;
    enter(PHASE_BACK, 0);
    in.container_count = 4;
    in.containers[3].backend = BACKEND_DRAINING;
    in.containers[3].drain_since_ms = NOW - 9000000;
    in.containers[3].active[KIND_TCP] = 1;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "past its budget"));
}

static void on_timeout_fail_needs_attention(void **state)
{
    (void)state;
    spec.drain.budgets[KIND_TCP].on_timeout = ON_TIMEOUT_FAIL;
    enter(PHASE_BACK, 0);
    in.containers[3].backend = BACKEND_DRAINING;
    in.containers[3].drain_since_ms = NOW - 9000000;
    in.containers[3].active[KIND_TCP] = 1;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.progress.why, "1 TCP connection left"));
}

static void new_ones_stay_while_only_they_serve(void **state)
{
    (void)state;
    enter(PHASE_BACK, 2500);
    for (unsigned i = 0; i < 3; i++)
        in.containers[i].verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "only new ones serve"));
    in.progress = out.progress;
    in.now_ms += 600000;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_int_equal(out.action_count, 0);
}

/* They are the last that know the configuration, and to call it rolled back would be a lie. */
static void new_ones_stay_where_somebody_has_removed_every_old_one(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    in.containers[0] = in.containers[3];
    in.containers[0].verdict = VERDICT_UNHEALTHY;
    in.container_count = 1;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_non_null(strstr(out.progress.why, "removed every old container"));
    assert_int_equal(out.action_count, 0);
    in.container_count = 0;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
}

static void one_on_its_way_serves_though_it_ends_as_it_stands(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    in.containers[0].backend = BACKEND_STARTING;
    in.containers[0].verdict = VERDICT_UNKNOWN;
    in.containers[3].state = CONTAINER_REMOVING;
    in.containers[3].backend = BACKEND_FREE;
    in.containers[3].removing_since_ms = NOW - spec.progress_deadline_ms;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_int_equal(the(ACTION_READY)->container, 0);
    assert_int_equal(out.action_count, 1);
}

/* Published as STARTING it would stay out of rotation for good: discovery gives it its place. */
static void what_has_no_backend_is_not_published_by_a_rollout_that_has_ended(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    for (unsigned i = 0; i < in.container_count; i++)
        in.containers[i].backend = BACKEND_FREE;
    in.progress.changed_ms = NOW - spec.progress_deadline_ms; /* they were waited for */
    in.containers[3].state = CONTAINER_REMOVING;
    in.containers[3].removing_since_ms = NOW - spec.progress_deadline_ms;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_int_equal(out.action_count, 0);
}

static void a_draining_one_comes_back_where_nothing_else_serves(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    for (unsigned i = 0; i < 3; i++)
        in.containers[i].state = CONTAINER_EXITED;
    in.containers[3].backend = BACKEND_DRAINING;
    next();
    assert_int_equal(the(ACTION_READY)->container, 3);
    assert_int_equal(count(ACTION_STOP) + count(ACTION_REMOVE) + count(ACTION_DRAIN), 0);
}

static void a_remove_that_never_works_needs_attention_and_nothing_more_is_removed(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    for (unsigned i = 3; i < 6; i++) {
        in.containers[i].state = CONTAINER_EXITED;
        in.containers[i].backend = BACKEND_FREE;
    }
    in.containers[4].attempted = ACTION_REMOVE;
    in.containers[4].attempts = 5;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.progress.why, "web-2-new could not be removed"));
}

static void back_does_not_end_while_a_container_may_still_be_made(void **state)
{
    (void)state;
    in.progress.phase = PHASE_BACK;
    in.creating = 1;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    in.creating = 0;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_ROLLED_BACK);
}

static void the_last_that_serves_is_kept_though_the_engine_called_it_paused(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    in.container_count = 4;
    for (unsigned i = 0; i < 3; i++)
        in.containers[i].state = CONTAINER_EXITED;
    in.containers[3].state = CONTAINER_PAUSED;
    next();
    assert_int_equal(count(ACTION_DRAIN), 0);
    assert_non_null(strstr(out.waiting, "old container"));
    in.containers[3].verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(count(ACTION_DRAIN), 1);
}

/* --- promoted -----------------------------------------------------------------------------------
 */

static void old_ones_stay_while_no_new_one_is_healthy(void **state)
{
    (void)state;
    enter(PHASE_PROMOTED, WEIGHT_MAX);
    for (unsigned i = 3; i < 6; i++)
        in.containers[i].verdict = VERDICT_UNHEALTHY;
    in.containers[0].backend = BACKEND_DRAINING;
    in.containers[0].drained = true;
    next();
    assert_int_equal(count(ACTION_DRAIN) + count(ACTION_STOP) + count(ACTION_REMOVE), 0);
    assert_int_equal(the(ACTION_READY)->container, 0);
}

static void a_name_is_put_right_once_the_old_one_is_gone(void **state)
{
    (void)state;
    enter(PHASE_PROMOTED, WEIGHT_MAX);
    in.containers[0] = in.containers[5]; /* web-1 is gone; web-2 and web-3 are left */
    in.container_count = 5;
    next();
    assert_int_equal(count(ACTION_DRAIN), 2);
    assert_int_equal(count(ACTION_RENAME), 1);
    assert_int_equal(the(ACTION_RENAME)->container, 3);
}

static void it_is_completed_when_no_old_one_is_left_and_names_are_right(void **state)
{
    (void)state;
    enter(PHASE_PROMOTED, WEIGHT_MAX);
    memmove(&in.containers[0], &in.containers[3], 3 * sizeof(in.containers[0]));
    in.container_count = 3;
    next();
    assert_int_equal(count(ACTION_RENAME), 3);
    for (unsigned i = 0; i < 3; i++)
        memcpy(in.containers[i].name, in.containers[i].final_name, sizeof(in.containers[i].name));
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_COMPLETED);
    next();
    assert_int_equal(out.action_count, 0);
}

static void a_surplus_container_of_a_crash_is_removed(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    add(true, 0)->state = CONTAINER_CREATED;
    in.containers[4].backend = BACKEND_FREE;
    next();
    assert_int_equal(the(ACTION_REMOVE)->container, 4);
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
}

static void more_actions_than_fit_are_done_in_turns(void **state)
{
    (void)state;
    in.container_count = 0;
    spec.replicas = 100;
    in.progress.phase = PHASE_PROMOTED;
    in.weight = WEIGHT_MAX;
    for (uint16_t i = 0; i < 100; i++) {
        (void)add(false, i);
        (void)add(true, i);
    }
    next();
    assert_int_equal(out.action_count, PLAN_ACTIONS_MAX);
    assert_int_equal(out.look_again_ms, NOW);
}

static void a_container_that_comes_up_late_is_renamed_once_it_is_up(void **state)
{
    (void)state;
    enter(PHASE_PROMOTED, WEIGHT_MAX);
    memmove(&in.containers[0], &in.containers[3], 3 * sizeof(in.containers[0]));
    in.container_count = 3;
    in.containers[1].backend = BACKEND_FREE;
    next();
    assert_int_equal(the(ACTION_PUBLISH)->container, 1);
    assert_int_equal(count(ACTION_RENAME), 2);
    in.containers[1].backend = BACKEND_STARTING;
    in.containers[1].verdict = VERDICT_UNKNOWN;
    next();
    assert_int_equal(count(ACTION_RENAME), 3);
}

#define TEST(function) cmocka_unit_test_setup(function, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_container_that_comes_up_late_is_renamed_once_it_is_up),
        TEST(the_last_that_serves_is_kept_though_the_engine_called_it_paused),
        TEST(back_drains_new_ones_only_after_every_worker_took_the_weight),
        TEST(a_drained_container_is_stopped_and_then_removed),
        TEST(each_kind_is_ended_when_its_own_budget_has_passed),
        TEST(what_is_being_ended_is_asked_for_until_it_is_gone),
        TEST(classes_have_policies_of_their_own),
        TEST(an_extension_counts_and_takes_back_what_was_asked),
        TEST(an_operator_ends_a_class_of_what_drains_by_then),
        TEST(a_removal_that_never_ends_needs_attention),
        TEST(on_timeout_wait_waits_and_says_so),
        TEST(on_timeout_fail_needs_attention),
        TEST(new_ones_stay_while_only_they_serve),
        TEST(new_ones_stay_where_somebody_has_removed_every_old_one),
        TEST(one_on_its_way_serves_though_it_ends_as_it_stands),
        TEST(what_has_no_backend_is_not_published_by_a_rollout_that_has_ended),
        TEST(a_draining_one_comes_back_where_nothing_else_serves),
        TEST(a_remove_that_never_works_needs_attention_and_nothing_more_is_removed),
        TEST(back_does_not_end_while_a_container_may_still_be_made),
        TEST(old_ones_stay_while_no_new_one_is_healthy),
        TEST(a_name_is_put_right_once_the_old_one_is_gone),
        TEST(it_is_completed_when_no_old_one_is_left_and_names_are_right),
        TEST(a_surplus_container_of_a_crash_is_removed),
        TEST(more_actions_than_fit_are_done_in_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
