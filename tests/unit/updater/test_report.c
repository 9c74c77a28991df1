#include "tests/unit/unit.h"
#include "updater/report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                       \
    "\"id\": \"20261123-051500-4f2a\", \"service\": \"web\", \"state\": \"rolled_back\","          \
    "\"image\": \"web:v2\", \"previous_image\": \"web:v1\", \"user\": \"ada\","                    \
    "\"reason\": \"new checkout\", \"duration_ms\": 61000, \"replicas\": 3"

static char *report(const char *json)
{
    cJSON *rollout = cJSON_Parse(json);
    char *text;

    assert_non_null(rollout);
    text = report_markdown(rollout);
    cJSON_Delete(rollout);
    return text;
}

static void assert_holds(const char *json, const char *wanted)
{
    char *text = report(json);

    if (strstr(text, wanted) == NULL)
        fail_msg("'%s' is not in:\n%s", wanted, text);
    free(text);
}

static void assert_lacks(const char *json, const char *unwanted)
{
    char *text = report(json);

    if (strstr(text, unwanted) != NULL)
        fail_msg("'%s' is in:\n%s", unwanted, text);
    free(text);
}

static void tells_what_who_and_why(void **state)
{
    const char *json = "{" HEAD "}";

    (void)state;
    assert_holds(json, "# web: web:v1 → web:v2, rolled_back\n");
    assert_holds(json, "| asked for by | ada |\n");
    assert_holds(json, "| reason | new checkout |\n");
    assert_holds(json, "| took | 1 min 1 s |\n");
    assert_lacks(json, "What went wrong");
    assert_lacks(json, "## Steps");
}

static void an_empty_record_is_a_report_all_the_same(void **state)
{
    (void)state;
    assert_holds("{}", "# : ");
    assert_holds("{\"steps\": null, \"drains\": 5, \"notes\": \"x\", \"checks\": {}}", "| took |");
}

static void gathers_what_went_wrong_in_one_place(void **state)
{
    const char *json =
        "{" HEAD ", \"why\": \"web-1 is unhealthy\","
        "\"failures\": [{\"time\": \"T\", \"action\": \"start\", \"message\": \"no port\"}],"
        "\"hooks\": [{\"name\": \"smoke\", \"state\": \"failed\", \"message\": \"exit 1\"},"
        "            {\"name\": \"chat\", \"state\": \"passed\", \"message\": \"fine\"}],"
        "\"checks\": [{\"name\": \"nothing left over\", \"state\": \"failed\","
        "              \"message\": \"web-9\"}]}";

    (void)state;
    assert_holds(json, "## What went wrong\n\n- web-1 is unhealthy\n- start: no port (T)\n"
                       "- hook smoke: exit 1\n- check nothing left over: web-9\n");
}

static void gives_each_step_its_figures(void **state)
{
    (void)state;
    assert_holds("{" HEAD ", \"steps\": [{\"index\": 0, \"set_weight\": 5, \"state\": \"done\","
                 "\"started\": \"A\", \"ended\": \"B\", \"split\": ["
                 "{\"row\": 0, \"exchanges\": 100, \"canary\": 5, \"error\": 0.25},"
                 "{\"row\": 1, \"exchanges\": 100, \"canary\": 6, \"error\": -0.75}]}]}",
                 "| 1 set_weight 5 | done | A | B | 200 | 11 (5.50 %) | 0.75 |\n");
}

static void gives_each_drain_its_proof(void **state)
{
    (void)state;
    assert_holds("{" HEAD ", \"drains\": [{\"container\": \"web-1\", \"new\": false, \"epoch\": 17,"
                 "\"started\": \"A\", \"drained\": \"B\", \"duration_ms\": 1500, \"forced\": false,"
                 "\"proof\": [{\"row\": 0, \"pid\": 9, \"seen_epoch\": 18, \"active\": 0,"
                 "\"connecting\": 0, \"idle\": 0}]}]}",
                 "| web-1 | old | A | B | 1.5 s | itself | epoch 17; worker 0 (pid 9) saw 18, "
                 "0 active, 0 connecting, 0 idle |\n");
}

static void says_where_no_worker_ran_when_a_drain_was_proven(void **state)
{
    (void)state;
    assert_holds("{" HEAD ", \"drains\": [{\"container\": \"web-1\", \"new\": false, \"epoch\": 17,"
                 "\"started\": \"A\", \"drained\": \"B\", \"duration_ms\": 1500, \"forced\": false,"
                 "\"proof\": []}]}",
                 "| web-1 | old | A | B | 1.5 s | itself | epoch 17; no worker was running |\n");
}

static void sets_lessons_apart_from_notes(void **state)
{
    const char *json = "{" HEAD ", \"notes\": ["
                       "{\"message\": \"slow\", \"user\": \"ada\", \"time\": \"T\"},"
                       "{\"message\": \"migrate first\", \"lesson\": true, \"time\": \"T\"}]}";

    (void)state;
    assert_holds(json, "## Lessons for the next time\n\n- migrate first (Sluice, T)\n\n");
    assert_holds(json, "## Notes\n\n- slow (ada, T)\n- migrate first (Sluice, T)\n");
}

static void text_of_others_makes_no_markup(void **state)
{
    const char *json = "{\"service\": \"web\", \"reason\": \"a|b\\n# c <script> [x](y) `d` *e* "
                       "\\u0007\\u009b2Jé\"}";

    (void)state;
    assert_holds(json, "| reason | a\\|b \\# c \\<script\\> \\[x\\](y) \\`d\\` \\*e\\*   2Jé |\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_who_and_why),
        cmocka_unit_test(an_empty_record_is_a_report_all_the_same),
        cmocka_unit_test(gathers_what_went_wrong_in_one_place),
        cmocka_unit_test(gives_each_step_its_figures),
        cmocka_unit_test(gives_each_drain_its_proof),
        cmocka_unit_test(says_where_no_worker_ran_when_a_drain_was_proven),
        cmocka_unit_test(sets_lessons_apart_from_notes),
        cmocka_unit_test(text_of_others_makes_no_markup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
