/* What a rollout is going to do is what the planner does when all goes well. */
#include "tests/unit/unit.h"
#include "updater/plan_preview.h"

#include <stdio.h>
#include <string.h>

static const struct config_step steps[] = {
    {.kind = STEP_SET_WEIGHT, .weight = 2500},    {.kind = STEP_PAUSE, .pause_ms = 30000},
    {.kind = STEP_SET_WEIGHT, .weight = 5000},    {.kind = STEP_PAUSE, .until_promoted = true},
    {.kind = STEP_PAUSE, .until_promoted = true}, {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX}};
static struct plan_container olds[PLAN_REPLICAS_MAX];
static struct plan_preview preview;

static struct plan_spec spec_of(uint32_t replicas)
{
    for (uint32_t i = 0; i < replicas; i++) {
        memset(&olds[i], 0, sizeof(olds[i]));
        (void)snprintf(olds[i].name, sizeof(olds[i].name), "web-%u", i + 1);
    }
    return (struct plan_spec){.replicas = replicas,
                              .steps = steps,
                              .step_count = sizeof(steps) / sizeof(steps[0]),
                              .health_timeout_ms = 20000,
                              .progress_deadline_ms = 600000,
                              .monitor_ms = 5000};
}

static int free_preview(void **state)
{
    (void)state;
    plan_preview_done(&preview);
    return 0;
}

static unsigned count_of(enum plan_action_kind kind, bool is_new)
{
    unsigned count = 0;

    for (size_t i = 0; i < preview.count; i++)
        count += !preview.actions[i].promotes && preview.actions[i].action.kind == kind &&
                 preview.actions[i].is_new == is_new;
    return count;
}

static void tells_all_that_a_canary_rollout_does(void **state)
{
    const struct plan_spec spec = spec_of(3);

    (void)state;
    plan_preview(&spec, "web", olds, 3, &preview);
    assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
    assert_string_equal(preview.stuck, "");
    assert_int_equal(count_of(ACTION_CREATE, true), 3);
    assert_int_equal(count_of(ACTION_START, true), 3);
    assert_int_equal(count_of(ACTION_DRAIN, false), 3);
    assert_int_equal(count_of(ACTION_STOP, false), 3);
    assert_int_equal(count_of(ACTION_REMOVE, false), 3);
    assert_int_equal(count_of(ACTION_RENAME, true), 3);
    assert_int_equal(count_of(ACTION_SET_WEIGHT, false), 3);
    assert_int_equal(preview.beside_max, 3);
    assert_int_equal(preview.took_ms, 35000);
}

static void gives_new_ones_the_names_that_they_will_have(void **state)
{
    const struct plan_spec spec = spec_of(2);

    (void)state;
    plan_preview(&spec, "web", olds, 2, &preview);
    assert_int_equal(preview.actions[0].action.kind, ACTION_CREATE);
    assert_string_equal(preview.actions[0].name, "web-1");
    assert_true(preview.actions[0].is_new);
    assert_int_equal(preview.actions[preview.count - 1].action.kind, ACTION_RENAME);
}

static char names[][8] = {"go", "smoke", "warm", "bye"};

/* Whatever the strategy, and whether there are old ones or not: all say yes, and it ends. */
static void shows_hooks_and_verifications_where_they_come(void **state)
{
    const struct config_task tasks[] = {
        {.name = names[0], .point = POINT_CONFIRM_ROLLOUT, .kind = TASK_GATE, .wait_ms = 1000},
        {.name = names[1], .point = POINT_VERIFY_CANARY, .kind = TASK_HTTP},
        {.name = names[2], .point = POINT_PRE_ROLLOUT, .kind = TASK_COMMAND},
        {.name = names[3], .point = POINT_POST_ROLLOUT, .kind = TASK_WEBHOOK}};
    struct plan_spec spec;

    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        spec = spec_of(way == 3 ? 0 : 2);
        spec.tasks = tasks;
        spec.task_count = 4;
        spec.hold_ms = 10000;
        spec.strategy = way == 1 ? STRATEGY_ROLLING : STRATEGY_CANARY;
        spec.order = way == 2 ? ORDER_STOP_FIRST : ORDER_START_FIRST;
        spec.max_unavailable = way == 2;
        spec.scale_to = way == 3 ? 2 : 0;
        spec.step_count = way == 3 ? 0 : spec.step_count;
        plan_preview_done(&preview);
        plan_preview(&spec, "web", olds, spec.replicas, &preview);
        assert_string_equal(preview.stuck, "");
        assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
        assert_string_equal(preview.actions[0].name, "go");
        assert_string_equal(preview.actions[preview.count - 1].name, "bye");
        assert_true(count_of(ACTION_TASK, false) >= 4);
    }
}

static void says_where_it_waits_for_an_operator(void **state)
{
    const struct plan_spec spec = spec_of(1);
    unsigned promotes = 0;

    (void)state;
    plan_preview(&spec, "web", olds, 1, &preview);
    for (size_t i = 0; i < preview.count; i++)
        promotes += preview.actions[i].promotes;
    assert_int_equal(promotes, 2); /* two pauses, one behind the other */
    assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
}

static void takes_an_analysis_to_pass(void **state)
{
    static const struct config_step judged[] = {
        {.kind = STEP_SET_WEIGHT, .weight = 2500},
        {.kind = STEP_ANALYSIS,
         .analysis = {.on = true, .interval_ms = 60000, .min_requests = 100}},
        {.kind = STEP_MIRROR, .mirror = 1000},
        {.kind = STEP_PAUSE, .pause_ms = 3600000},
        {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX}};
    struct plan_spec spec = spec_of(1);

    (void)state;
    spec.steps = judged;
    spec.step_count = sizeof(judged) / sizeof(judged[0]);
    spec.analysis = judged[1].analysis;
    plan_preview(&spec, "web", olds, 1, &preview);
    assert_string_equal(preview.stuck, "");
    assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
    assert_true(preview.took_ms >= 60000 + 3600000 + 5000);
}

static void holds_as_many_replicas_as_there_may_be(void **state)
{
    const struct plan_spec spec = spec_of(PLAN_REPLICAS_MAX);

    (void)state;
    plan_preview(&spec, "web", olds, PLAN_REPLICAS_MAX, &preview);
    assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
    assert_int_equal(count_of(ACTION_REMOVE, false), PLAN_REPLICAS_MAX);
    assert_int_equal(preview.beside_max, PLAN_REPLICAS_MAX);
}

static void an_analysis_passes_by_itself_and_match_and_mirror_are_set_once(void **state)
{
    static const struct config_step judged[] = {
        {.kind = STEP_MATCH, .match = {.kind = MATCH_HEADER, .name = "X-Team", .value = "yes"}},
        {.kind = STEP_MIRROR, .mirror = 1000},
        {.kind = STEP_SET_WEIGHT, .weight = 2500},
        {.kind = STEP_ANALYSIS,
         .analysis = {.on = true, .success_rate = 9900, .min_requests = 100, .interval_ms = 60000}},
        {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX}};
    struct plan_spec spec = spec_of(2);

    (void)state;
    spec.steps = judged;
    spec.step_count = sizeof(judged) / sizeof(judged[0]);
    spec.analysis = judged[3].analysis;
    spec.monitor_ms = 24 * 3600 * 1000; /* a long bake is no plan without an end */
    plan_preview(&spec, "web", olds, 2, &preview);
    assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
    assert_int_equal(count_of(ACTION_SET_WEIGHT, false), 4);
    assert_true(preview.took_ms >= 60000 + spec.monitor_ms);
    for (size_t i = 0; i < preview.count; i++)
        assert_false(preview.actions[i].promotes);
}

static void tells_what_a_first_deployment_makes(void **state)
{
    const struct plan_spec spec = {
        .scale_to = 3, .health_timeout_ms = 20000, .progress_deadline_ms = 600000};

    (void)state;
    plan_preview(&spec, "web", olds, 0, &preview);
    assert_int_equal(preview.outcome, OUTCOME_COMPLETED);
    assert_int_equal(preview.beside_max, 3);
    assert_int_equal(count_of(ACTION_CREATE, true), 3);
    assert_int_equal(count_of(ACTION_READY, true), 3);
    assert_int_equal(count_of(ACTION_SET_WEIGHT, false), 0);
    assert_string_equal(preview.actions[0].name, "web-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(tells_all_that_a_canary_rollout_does, free_preview),
        cmocka_unit_test_teardown(gives_new_ones_the_names_that_they_will_have, free_preview),
        cmocka_unit_test_teardown(shows_hooks_and_verifications_where_they_come, free_preview),
        cmocka_unit_test_teardown(says_where_it_waits_for_an_operator, free_preview),
        cmocka_unit_test_teardown(tells_what_a_first_deployment_makes, free_preview),
        cmocka_unit_test_teardown(takes_an_analysis_to_pass, free_preview),
        cmocka_unit_test_teardown(holds_as_many_replicas_as_there_may_be, free_preview),
        cmocka_unit_test_teardown(an_analysis_passes_by_itself_and_match_and_mirror_are_set_once,
                                  free_preview),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
