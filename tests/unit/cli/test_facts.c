#include "cli/facts.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static struct facts facts;
static char *told; /* the lines of the last call, joined */

static int start(void **state)
{
    (void)state;
    facts_init(&facts);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    facts_done(&facts);
    free(told);
    told = NULL;
    return 0;
}

static void keep(struct lines *lines)
{
    size_t size = 0;
    free(told);
    FILE *stream = open_memstream(&told, &size);
    lines_print(lines, stream, false);
    fclose(stream);
    lines_done(lines);
}

static void rollout(const char *json)
{
    struct lines lines = {0};
    struct cJSON *value = cJSON_Parse(json);
    assert_non_null(value);
    facts_rollout(&facts, value, &lines);
    cJSON_Delete(value);
    keep(&lines);
}

static void event(const char *name, const char *json)
{
    struct lines lines = {0};
    struct cJSON *value = cJSON_Parse(json);
    assert_non_null(value);
    facts_event(&facts, name, value, &lines);
    cJSON_Delete(value);
    keep(&lines);
}

#define HEAD "\"id\":\"r1\",\"service\":\"web\",\"image\":\"web:v2\",\"previous_image\":\"web:v1\""

static void tells_each_thing_once(void **state)
{
    const char *json =
        "{" HEAD ",\"state\":\"running\",\"weight\":5,\"containers\":[{\"name\":\"n\","
        "\"id\":\"1\",\"new\":true,\"state\":\"running\",\"health\":\"healthy\"}]}";
    (void)state;
    rollout(json);
    assert_non_null(strstr(told, "web: web:v1 -> web:v2"));
    assert_non_null(strstr(told, "created n\nstarted n\nn is healthy\n"));
    assert_non_null(strstr(told, "5% of the traffic goes to the new version, before: 0%"));
    rollout(json);
    assert_string_equal(told, "");
}

static void an_event_and_the_rollout_tell_the_same_fact_once(void **state)
{
    (void)state;
    rollout("{" HEAD ",\"state\":\"running\"}");
    event("container_created", "{\"container\":\"1\",\"name\":\"n\"}");
    assert_string_equal(told, "created n\n");
    event("drain_started", "{\"drain\":{\"container\":\"o\",\"id\":\"2\"}}");
    assert_string_equal(told, "draining o (old version)\n");
    rollout("{" HEAD ",\"state\":\"running\",\"containers\":[{\"name\":\"n\",\"id\":\"1\","
            "\"new\":true}],\"drains\":[{\"container\":\"o\",\"id\":\"2\",\"drained\":\"t\","
            "\"duration_ms\":5,\"notice_ms\":null}]}");
    assert_string_equal(told, "drained o in 5ms: it was idle\n");
}

static void a_countdown_is_no_news(void **state)
{
    (void)state;
    rollout("{" HEAD ",\"waiting\":\"for the pause, 30 s left\"}");
    assert_non_null(strstr(told, "waiting for the pause, 30 s left"));
    rollout("{" HEAD ",\"waiting\":\"for the pause, 29.5 s left\"}");
    assert_string_equal(told, "");
    rollout("{" HEAD ",\"waiting\":\"for web-1\"}");
    assert_string_equal(told, "waiting for web-1\n");
    rollout("{" HEAD ",\"waiting\":\"for web-1: an action on it is under way\"}");
    assert_string_equal(told, "");
}

static void health_is_told_when_it_changes(void **state)
{
    (void)state;
    event("backend_health", "{\"backend\":{\"name\":\"n\",\"health\":\"healthy\"}}");
    assert_string_equal(told, "n is healthy\n");
    event("backend_health", "{\"backend\":{\"name\":\"n\",\"health\":\"healthy\"}}");
    assert_string_equal(told, "");
    event("backend_health",
          "{\"backend\":{\"name\":\"n\",\"health\":\"unhealthy\",\"reason\":\"status 500\"}}");
    assert_string_equal(told, "n is unhealthy: status 500\n");
    event("backend_health", "{\"backend\":{\"name\":\"n\",\"health\":\"unknown\"}}");
    assert_string_equal(told, "");
}

static void states_are_told_with_their_reason(void **state)
{
    (void)state;
    rollout("{" HEAD ",\"state\":\"paused\"}");
    assert_non_null(strstr(told, "paused"));
    rollout("{" HEAD ",\"state\":\"running\"}");
    assert_string_equal(told, "going on\n");
    rollout("{" HEAD ",\"state\":\"rolling_back\",\"why\":\"n failed\"}");
    assert_string_equal(told, "rolling back: n failed\n");
    assert_false(facts_is_end("rolling_back"));
    assert_false(facts_is_end("finishing"));
    assert_true(facts_is_end("completed"));
    assert_true(facts_is_end("needs_attention"));
}

static void a_long_drain_is_mentioned_every_ten_seconds(void **state)
{
#define HELD(waited)                                                                               \
    "{\"groups\":{\"stable\":{\"backends\":[{\"name\":\"o\",\"drain\":{\"epoch\":3,\"active\":2,"  \
    "\"waited_ms\":" waited ",\"left_ms\":9000,\"active_by_kind\":{\"websocket\":2}}}]}}}"
    (void)state;
    event("service", HELD("9999"));
    assert_string_equal(told, "");
    event("service", HELD("10001"));
    assert_non_null(strstr(told, "o still has 2 active (2 websockets), 9.0s"));
    event("service", HELD("19000"));
    assert_string_equal(told, "");
    event("service", HELD("20500"));
    assert_non_null(strstr(told, "still has"));
}

static void nothing_that_is_missing_breaks_it(void **state)
{
    (void)state;
    rollout("{}");
    event("drain_started", "{}");
    event("container_removed", "{}");
    event("backend_health", "{}");
    event("service", "[]");
    event("something_new", "{}");
    assert_string_equal(told, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_each_thing_once, start, stop),
        cmocka_unit_test_setup_teardown(an_event_and_the_rollout_tell_the_same_fact_once, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_countdown_is_no_news, start, stop),
        cmocka_unit_test_setup_teardown(health_is_told_when_it_changes, start, stop),
        cmocka_unit_test_setup_teardown(states_are_told_with_their_reason, start, stop),
        cmocka_unit_test_setup_teardown(a_long_drain_is_mentioned_every_ten_seconds, start, stop),
        cmocka_unit_test_setup_teardown(nothing_that_is_missing_breaks_it, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
