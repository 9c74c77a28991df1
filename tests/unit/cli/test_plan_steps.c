#include "cli/plan_steps.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char why[PLAN_STEPS_WHY_BYTES];

static void expect(const char *weights, const char *interval, const char *json)
{
    struct cJSON *steps = NULL;
    assert_int_equal(plan_steps(weights, interval, &steps, why), 0);
    char *text = cJSON_PrintUnformatted(steps);
    assert_string_equal(text, json);
    free(text);
    cJSON_Delete(steps);
}

static void refuse(const char *weights, const char *interval, const char *piece)
{
    struct cJSON *steps = NULL;
    assert_int_equal(plan_steps(weights, interval, &steps, why), -EINVAL);
    assert_null(steps);
    assert_non_null(strstr(why, piece));
}

static void pauses_between_weights(void **state)
{
    (void)state;
    expect("5,100", "1m", "[{\"set_weight\":5},{\"pause\":\"1m\"},{\"set_weight\":100}]");
    expect("0.25,100", NULL, "[{\"set_weight\":0.25},{\"pause\":\"30s\"},{\"set_weight\":100}]");
    expect("100", "1m", "[{\"set_weight\":100}]");
}

static void no_interval_no_pause(void **state)
{
    (void)state;
    expect("50,100", "0", "[{\"set_weight\":50},{\"set_weight\":100}]");
}

static void an_interval_alone_takes_the_usual_weights(void **state)
{
    (void)state;
    expect(NULL, "0s",
           "[{\"set_weight\":5},{\"set_weight\":25},{\"set_weight\":50},"
           "{\"set_weight\":100}]");
}

static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    refuse("5,50", NULL, "must end at 100");
    refuse("", NULL, "must end at 100");
    refuse("5,100,", NULL, "must end at 100");
    refuse("50,5,100", NULL, "'5' is no weight");
    refuse("5,5,100", NULL, "'5' is no weight");
    refuse("0,100", NULL, "'0' is no weight");
    refuse("5,x,100", NULL, "'x' is no weight");
    refuse("5,101", NULL, "'101' is no weight");
    refuse("5,000000000000000000000000000100", NULL, "is no weight");
    refuse("5,100", "soon", "is no duration");
    refuse("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,"
           "33,100",
           NULL, "at most");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_between_weights),
        cmocka_unit_test(no_interval_no_pause),
        cmocka_unit_test(an_interval_alone_takes_the_usual_weights),
        cmocka_unit_test(refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
