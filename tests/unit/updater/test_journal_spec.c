/* What a rollout was asked to be, as JSON in the journal: of today and of older ones. */
#include "tests/unit/unit.h"
#include "updater/journal.h"
#include "updater/journal_parts.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void a_spec_survives_the_way_through_json(void **state)
{
    const struct config_step steps[] = {
        {.kind = STEP_SET_WEIGHT, .weight = 25},
        {.kind = STEP_PAUSE, .pause_ms = 30000},
        {.kind = STEP_PAUSE, .until_promoted = true},
        {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX},
        {.kind = STEP_MATCH, .match = {.kind = MATCH_COOKIE, .name = "tester", .value = "yes"}},
        {.kind = STEP_MATCH},
        {.kind = STEP_MIRROR, .mirror = 1050}};
    const struct plan_spec in = {.replicas = 3,
                                 .max_unavailable = 1,
                                 .steps = steps,
                                 .step_count = 7,
                                 .health_timeout_ms = UINT32_MAX,
                                 .progress_deadline_ms = 600000,
                                 .monitor_ms = 5000,
                                 .strategy = STRATEGY_ROLLING,
                                 .order = ORDER_STOP_FIRST,
                                 .order_why = "it has a static IP",
                                 .max_surge = 4,
                                 .ramp_ms = 4000,
                                 .max_failures = 2,
                                 .failure_action = FAILURE_PAUSE,
                                 .hold_ms = 30000,
                                 .drain = {.budgets = {{1, ON_TIMEOUT_CLOSE},
                                                       {2, ON_TIMEOUT_WAIT},
                                                       {3, ON_TIMEOUT_FAIL},
                                                       {4, ON_TIMEOUT_CLOSE},
                                                       {5, ON_TIMEOUT_FAIL}},
                                           .close_spread_ms = 6}};
    char *json = journal_spec_write(&in, NULL);
    struct plan_spec out;
    struct config_step *read;

    (void)state;
    assert_int_equal(journal_spec_read(json, &out, &read), 0);
    assert_int_equal(out.step_count, 7);
    for (size_t i = 4; i < 7; i++) {
        assert_int_equal(out.steps[i].kind, steps[i].kind);
        assert_true(config_match_equals(&out.steps[i].match, &steps[i].match));
    }
    assert_int_equal(out.steps[6].mirror, 1050);
    assert_int_equal(out.steps[0].weight, 25);
    assert_int_equal(out.steps[1].pause_ms, 30000);
    assert_true(out.steps[2].until_promoted);
    assert_int_equal(out.health_timeout_ms, UINT32_MAX);
    assert_int_equal(out.max_unavailable, 1);
    assert_memory_equal(&out.drain, &in.drain, sizeof(in.drain));
    assert_int_equal(out.strategy, STRATEGY_ROLLING);
    assert_int_equal(out.order, ORDER_STOP_FIRST);
    assert_string_equal(out.order_why, "it has a static IP");
    assert_int_equal(out.max_surge, 4);
    assert_int_equal(out.ramp_ms, 4000);
    assert_int_equal(out.max_failures, 2);
    assert_int_equal(out.failure_action, FAILURE_PAUSE);
    assert_int_equal(out.hold_ms, 30000);
    free(read);
    free(json);
}

static void the_template_of_the_first_ones_comes_back(void **state)
{
    const struct plan_spec spec = {.scale_to = 2};
    cJSON *template = cJSON_Parse("{\"Config\":{\"User\":\"1000\"}}");
    char *json = journal_spec_write(&spec, template), *without = journal_spec_write(&spec, NULL);
    cJSON *read = journal_spec_template(json);

    (void)state;
    assert_true(cJSON_Compare(read, template, true));
    assert_null(journal_spec_template(without));
    assert_null(journal_spec_template("no JSON"));
    cJSON_Delete(read);
    cJSON_Delete(template);
    free(without);
    free(json);
}

static void a_spec_of_three_classes_is_still_read(void **state)
{
    const char *json =
        "{\"steps\":[],\"drain\":{\"requests_ms\":1,\"websockets_ms\":2,\"tcp_ms\":3,"
        "\"on_timeout\":\"wait\"},\"replicas\":1,\"max_unavailable\":0,"
        "\"health_timeout_ms\":1,\"progress_deadline_ms\":1,\"monitor_ms\":1}";
    const uint32_t budgets[KIND_COUNT] = {1, 1, 1, 2, 3};
    struct plan_spec spec;
    struct config_step *steps;

    (void)state;
    assert_int_equal(journal_spec_read(json, &spec, &steps), 0);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        assert_int_equal(spec.drain.budgets[kind].timeout_ms, budgets[kind]);
        assert_int_equal(spec.drain.budgets[kind].on_timeout, ON_TIMEOUT_WAIT);
    }
    free(steps);
}

static void a_spec_of_the_first_schema_is_a_canary_that_starts_first(void **state)
{
    struct plan_spec spec;
    struct config_step *steps;

    (void)state;
    assert_int_equal(
        journal_spec_read("{\"steps\":[],\"drain\":{\"requests_ms\":1,\"websockets_ms\":1,"
                          "\"tcp_ms\":1,\"on_timeout\":\"close\"},\"replicas\":1,"
                          "\"max_unavailable\":0,\"health_timeout_ms\":1,"
                          "\"progress_deadline_ms\":1,\"monitor_ms\":1}",
                          &spec, &steps),
        0);
    assert_int_equal(spec.strategy, STRATEGY_CANARY);
    assert_int_equal(spec.order, ORDER_START_FIRST);
    assert_int_equal(spec.hold_ms, 0);
    free(steps);
}

static void what_is_no_spec_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"steps\": 3}",
        "{\"steps\":[{\"weight\":10001}],\"drain\":{\"requests_ms\":1,\"websockets_ms\":1,"
        "\"tcp_ms\":1,\"on_timeout\":\"close\"},\"replicas\":1,\"max_unavailable\":0,"
        "\"health_timeout_ms\":1,\"progress_deadline_ms\":1,\"monitor_ms\":1}",
        "{\"steps\":[],\"drain\":{\"requests_ms\":-1,\"websockets_ms\":1,\"tcp_ms\":1,"
        "\"on_timeout\":\"close\"},\"replicas\":1,\"max_unavailable\":0,\"health_timeout_ms\":1,"
        "\"progress_deadline_ms\":1,\"monitor_ms\":1}"};
    struct plan_spec spec;
    struct config_step *steps;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(journal_spec_read(bad[i], &spec, &steps), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_survives_the_way_through_json),
        cmocka_unit_test(the_template_of_the_first_ones_comes_back),
        cmocka_unit_test(a_spec_of_three_classes_is_still_read),
        cmocka_unit_test(a_spec_of_the_first_schema_is_a_canary_that_starts_first),
        cmocka_unit_test(what_is_no_spec_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
