#include "tests/unit/unit.h"
#include "updater/notify_text.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static cJSON *payload_of(const char *event, const char *why)
{
    cJSON *payload = cJSON_CreateObject();
    cJSON *rollout = cJSON_AddObjectToObject(payload, "rollout");

    cJSON_AddStringToObject(payload, "event", event);
    cJSON_AddStringToObject(rollout, "service", "web");
    cJSON_AddStringToObject(rollout, "previous_image", "web:v1");
    cJSON_AddStringToObject(rollout, "image", "web:v2");
    cJSON_AddStringToObject(rollout, "id", "20261123-1");
    cJSON_AddStringToObject(rollout, "user", "ada");
    cJSON_AddStringToObject(rollout, "why", why);
    cJSON_AddStringToObject(rollout, "waiting", "for the gate go");
    notify_add_text(payload);
    return payload;
}

static void assert_text(const char *event, const char *why, const char *wanted)
{
    cJSON *payload = payload_of(event, why);

    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(payload, "text")), wanted);
    cJSON_Delete(payload);
}

static void says_in_a_line_what_happened(void **state)
{
    (void)state;
    assert_text("rollout_updated", "",
                "web: web:v1 → web:v2 started (20261123-1, asked for by ada)");
    assert_text("rollout_rolled_back", "web-1 is unhealthy",
                "web: web:v1 → web:v2 rolled back: web-1 is unhealthy (20261123-1, asked for by "
                "ada)");
    assert_text("rollout_paused", "",
                "web: web:v1 → web:v2 paused: for the gate go (20261123-1, asked for by ada)");
}

static void says_of_a_scale_and_of_the_first_ones_what_they_are(void **state)
{
    cJSON *payload = cJSON_Parse("{\"event\": \"rollout_completed\", \"rollout\": {\"service\": "
                                 "\"web\", \"strategy\": \"scale\", \"image\": \"web:v1\", "
                                 "\"id\": \"1\", \"user\": \"ada\"}}");

    (void)state;
    notify_add_text(payload);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(payload, "text")),
                        "web: scale of web:v1 completed (1, asked for by ada)");
    cJSON_Delete(payload);
}

static void says_what_was_found(void **state)
{
    cJSON *payload =
        cJSON_Parse("{\"event\": \"rollout_not_as_promised\", \"check\": \"no container is left\", "
                    "\"found\": \"1: web-1\", \"rollout\": {\"service\": \"web\", \"id\": \"1\"}}");

    (void)state;
    notify_add_text(payload);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(payload, "text")),
                        "web: after the end it was not so that no container is left: 1: web-1 (1)");
    cJSON_Delete(payload);
}

static void tells_bad_news_from_good(void **state)
{
    (void)state;
    assert_int_equal(notify_severity("rollout_completed"), SEVERITY_INFO);
    assert_int_equal(notify_severity("rollout_paused"), SEVERITY_WARNING);
    assert_int_equal(notify_severity("rollout_aborted"), SEVERITY_WARNING);
    assert_int_equal(notify_severity("rollout_not_as_promised"), SEVERITY_WARNING);
    assert_int_equal(notify_severity("rollout_rolled_back"), SEVERITY_ERROR);
    assert_int_equal(notify_severity("rollout_needs_attention"), SEVERITY_ERROR);
}

static void slack_gets_its_text_alone_with_its_three_characters_escaped(void **state)
{
    cJSON *payload = payload_of("rollout_rolled_back", "<b> & \"c\"");
    char *body = notify_body(payload, NOTIFY_SLACK);
    cJSON *read = cJSON_Parse(body);

    (void)state;
    assert_int_equal(cJSON_GetArraySize(read), 1);
    assert_non_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItem(read, "text")),
                           "rolled back: &lt;b&gt; &amp; \"c\" ("));
    cJSON_Delete(read);
    free(body);
    body = notify_body(payload, NOTIFY_JSON);
    assert_non_null(strstr(body, "\"event\":\"rollout_rolled_back\""));
    free(body);
    cJSON_Delete(payload);
}

static void an_empty_payload_is_no_trouble(void **state)
{
    cJSON *payload = cJSON_CreateObject();
    char *body;

    (void)state;
    notify_add_text(payload);
    body = notify_body(payload, NOTIFY_SLACK);
    assert_non_null(strstr(body, "\"text\":"));
    free(body);
    cJSON_Delete(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_in_a_line_what_happened),
        cmocka_unit_test(says_of_a_scale_and_of_the_first_ones_what_they_are),
        cmocka_unit_test(says_what_was_found),
        cmocka_unit_test(tells_bad_news_from_good),
        cmocka_unit_test(slack_gets_its_text_alone_with_its_three_characters_escaped),
        cmocka_unit_test(an_empty_payload_is_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
