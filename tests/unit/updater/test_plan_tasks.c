/* The planner: hooks and verifications, and what waits for them. */
#include "plan_fixture.h"

static char names[][8] = {"smoke", "warm", "desk", "cart", "bye"};
static struct config_task tasks[] = {
    {.name = names[0], .point = POINT_VERIFY_CANARY, .kind = TASK_HTTP},
    {.name = names[1], .point = POINT_PRE_ROLLOUT, .kind = TASK_COMMAND},
    {.name = names[2],
     .point = POINT_CONFIRM_TRAFFIC_INCREASE,
     .kind = TASK_GATE,
     .wait_ms = 60000},
    {.name = names[3], .point = POINT_VERIFY_SERVICE, .kind = TASK_HTTP},
    {.name = names[4], .point = POINT_POST_ROLLOUT, .kind = TASK_WEBHOOK},
};

static int reset_with_tasks(void **state)
{
    (void)reset(state);
    for (size_t i = 0; i < 5; i++)
        tasks[i].on_failure = ON_FAILURE_ROLLBACK;
    tasks[4].on_failure = ON_FAILURE_IGNORE;
    spec.tasks = tasks;
    spec.task_count = 5;
    return 0;
}

/* One replica, whose old container has to make room before its new one is started. */
static struct plan_container *stop_first(enum backend_state old)
{
    struct plan_container *container;

    spec.replicas = 1;
    spec.order = ORDER_STOP_FIRST;
    spec.max_unavailable = 1;
    spec.hold_ms = 10000;
    spec.steps = &steps[4];
    spec.step_count = 1;
    in.container_count = 1;
    in.containers[0].backend = old;
    if (old == BACKEND_FREE) {
        in.containers[0].state = CONTAINER_EXITED;
        in.containers[0].kept = in.progress.holding = in.hold_acknowledged = true;
        in.hold_left_ms = 10000;
    }
    container = add(true, 0);
    container->state = CONTAINER_CREATED;
    container->backend = BACKEND_FREE;
    container->verdict = VERDICT_UNKNOWN;
    container->started_ms = container->published_ms = 0;
    return container;
}

static struct plan_container *come_up(struct plan_container *container, uint64_t published_ms)
{
    container->state = CONTAINER_RUNNING;
    container->backend = BACKEND_STARTING;
    container->verdict = VERDICT_HEALTHY;
    container->started_ms = container->published_ms = published_ms;
    return container;
}

static void says(unsigned task, enum plan_task_state state, uint64_t since_ms)
{
    in.tasks[task] = (struct plan_task){
        .state = state, .step = in.progress.step, .since_ms = since_ms, .reason = "no"};
}

static const char *begun(void)
{
    return spec.tasks[the(ACTION_TASK)->task].name;
}

static void test_a_new_one_is_verified_before_it_is_in_rotation(void **state)
{
    (void)state;
    (void)come_up(add(true, 0), NOW - 100);
    next();
    assert_string_equal(begun(), "smoke");
    assert_int_equal(out.action_count, 1);
    says(0, PLAN_TASK_RUNNING, NOW - 50);
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "for the verification smoke"));
    says(0, PLAN_TASK_PASSED, NOW - 50);
    next();
    assert_int_equal(the(ACTION_READY)->container, 3);
    in.containers[3].backend = BACKEND_READY;
    next();
    assert_string_equal(begun(), "warm");
}

static void test_all_that_a_step_needs_are_verified_together(void **state)
{
    (void)state;
    in.progress.step = 2; /* half of three: two */
    in.weight = 2500;
    (void)add(true, 0);
    come_up(add(true, 1), NOW - 100)->verdict = VERDICT_UNKNOWN;
    next();
    assert_int_equal(out.action_count, 0);
    assert_non_null(strstr(out.waiting, "to become healthy"));
    in.containers[4].verdict = VERDICT_HEALTHY;
    next();
    assert_string_equal(begun(), "smoke");
}

static void test_one_that_comes_after_the_verification_is_verified_too(void **state)
{
    (void)state;
    (void)come_up(add(true, 0), NOW - 100);
    says(0, PLAN_TASK_PASSED, NOW - 200);
    next();
    assert_string_equal(begun(), "smoke");
    assert_int_equal(out.action_count, 1);
}

static void test_a_failed_verification_turns_back_with_its_words(void **state)
{
    (void)state;
    (void)come_up(add(true, 0), NOW - 100);
    says(0, PLAN_TASK_FAILED, NOW - 50);
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_string_equal(out.progress.why, "verification smoke failed: no");
}

static void test_stop_first_asks_before_an_old_one_makes_room(void **state)
{
    (void)state;
    (void)stop_first(BACKEND_READY);
    next();
    assert_string_equal(begun(), "warm");
    assert_int_equal(out.action_count, 1);
    says(1, PLAN_TASK_PASSED, NOW);
    next();
    assert_string_equal(begun(), "desk");
    assert_int_equal(out.action_count, 1);
    says(2, PLAN_TASK_PASSED, NOW);
    next();
    assert_int_equal(count(ACTION_TASK), 0);
    assert_int_equal(count(ACTION_HOLD), 1);
}

static void test_while_exchanges_are_held_a_verification_has_half_of_the_hold(void **state)
{
    (void)state;
    (void)come_up(stop_first(BACKEND_FREE), NOW - 100);
    in.wish_pause = true; /* begun all the same: requests wait for it */
    next();
    assert_string_equal(begun(), "smoke");
    says(0, PLAN_TASK_RUNNING, NOW);
    next();
    assert_int_equal(out.look_again_ms, NOW + 5000);
    in.now_ms = NOW + 5000;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_non_null(strstr(out.progress.why, "half of `hold.timeout`"));
}

static void test_while_exchanges_are_held_another_that_comes_up_extends_nothing(void **state)
{
    (void)state;
    (void)come_up(stop_first(BACKEND_FREE), NOW - 100);
    spec.replicas = 2;
    add(false, 1)->state = CONTAINER_EXITED;
    in.containers[2].backend = BACKEND_FREE;
    in.containers[2].kept = true;
    come_up(add(true, 1), NOW - 100)->verdict = VERDICT_UNKNOWN;
    says(0, PLAN_TASK_RUNNING, NOW);
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    in.now_ms = NOW + 5000;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
}

static void test_while_exchanges_are_held_nobody_is_waited_for(void **state)
{
    (void)state;
    (void)come_up(stop_first(BACKEND_FREE), NOW - 100);
    tasks[0].on_failure = ON_FAILURE_PAUSE;
    says(0, PLAN_TASK_FAILED, NOW);
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
}

static void test_the_last_old_one_makes_room_only_after_another_serves(void **state)
{
    (void)state;
    (void)stop_first(BACKEND_READY);
    spec.replicas = 2;
    in.container_count = 0;
    add(false, 0)->state = CONTAINER_EXITED;
    in.containers[0].backend = BACKEND_FREE;
    in.containers[0].kept = true;
    (void)add(false, 1);
    (void)come_up(add(true, 0), NOW - 100);
    add(true, 1)->state = CONTAINER_CREATED;
    in.containers[3].backend = BACKEND_FREE;
    for (unsigned i = 0; i < 3; i++)
        says(i, PLAN_TASK_PASSED, NOW);
    says(0, PLAN_TASK_RUNNING, NOW);
    next();
    assert_int_equal(out.action_count, 0);
    says(0, PLAN_TASK_PASSED, NOW);
    next();
    assert_int_equal(the(ACTION_READY)->container, 2);
    assert_int_equal(count(ACTION_HOLD), 0);
}

static void test_a_pause_begins_no_hook(void **state)
{
    (void)state;
    (void)add(true, 0);
    in.wish_pause = true;
    next();
    assert_int_equal(count(ACTION_TASK), 0);
    assert_non_null(strstr(out.waiting, "paused by an operator"));
}

static void test_the_watch_begins_after_the_service_was_verified(void **state)
{
    (void)state;
    at_step(5, WEIGHT_MAX, 3);
    next();
    assert_string_equal(begun(), "cart");
    assert_false(out.progress.step_entered);
    says(3, PLAN_TASK_PASSED, NOW);
    next();
    assert_true(out.progress.step_entered);
    assert_int_equal(out.progress.step_since_ms, NOW);
}

static void test_rolling_ends_after_its_last_hook_both_ways(void **state)
{
    (void)state;
    spec.strategy = STRATEGY_ROLLING;
    in.progress.phase = PHASE_BACK;
    next();
    assert_string_equal(begun(), "bye");
    says(4, PLAN_TASK_FAILED, NOW); /* told, and nothing turns on it */
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_ROLLED_BACK);
    (void)reset_with_tasks(state);
    in.progress.phase = PHASE_PROMOTED;
    in.weight = WEIGHT_MAX;
    in.container_count = 0;
    for (uint16_t i = 0; i < 3; i++)
        add(true, i)->final_name[0] = '\0';
    next();
    assert_string_equal(begun(), "bye");
    says(4, PLAN_TASK_PASSED, NOW);
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_COMPLETED);
}

static void test_a_scale_verifies_what_it_adds_and_asks_nobody(void **state)
{
    (void)state;
    spec.scale_to = 4;
    spec.steps = NULL;
    spec.step_count = 0;
    (void)come_up(add(true, 3), NOW - 100);
    next();
    assert_string_equal(begun(), "smoke");
    says(0, PLAN_TASK_PASSED, NOW);
    in.containers[3].backend = BACKEND_READY;
    next();
    assert_string_equal(begun(), "cart");
    says(3, PLAN_TASK_PASSED, NOW);
    next();
    assert_int_equal(count(ACTION_TASK), 0);
    spec.scale_to = 1;
    memset(in.tasks, 0, sizeof(in.tasks));
    in.progress.phase = PHASE_PROMOTED;
    in.container_count = 1;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_COMPLETED);
}

static void test_the_first_ones_are_asked_for_before_they_serve(void **state)
{
    (void)state;
    spec.replicas = 0;
    spec.scale_to = 1;
    spec.steps = NULL;
    spec.step_count = in.container_count = 0;
    (void)come_up(add(true, 0), NOW - 100);
    next();
    assert_string_equal(begun(), "smoke");
    says(0, PLAN_TASK_PASSED, NOW);
    next();
    assert_string_equal(begun(), "warm");
    assert_int_equal(out.action_count, 1);
    says(1, PLAN_TASK_PASSED, NOW);
    next();
    assert_int_equal(the(ACTION_READY)->container, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_new_one_is_verified_before_it_is_in_rotation,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_all_that_a_step_needs_are_verified_together, reset_with_tasks),
        cmocka_unit_test_setup(test_one_that_comes_after_the_verification_is_verified_too,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_a_failed_verification_turns_back_with_its_words,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_stop_first_asks_before_an_old_one_makes_room, reset_with_tasks),
        cmocka_unit_test_setup(test_while_exchanges_are_held_a_verification_has_half_of_the_hold,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_while_exchanges_are_held_another_that_comes_up_extends_nothing,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_while_exchanges_are_held_nobody_is_waited_for,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_the_last_old_one_makes_room_only_after_another_serves,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_a_pause_begins_no_hook, reset_with_tasks),
        cmocka_unit_test_setup(test_the_watch_begins_after_the_service_was_verified,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_rolling_ends_after_its_last_hook_both_ways, reset_with_tasks),
        cmocka_unit_test_setup(test_the_first_ones_are_asked_for_before_they_serve,
                               reset_with_tasks),
        cmocka_unit_test_setup(test_a_scale_verifies_what_it_adds_and_asks_nobody,
                               reset_with_tasks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
