#include "cli/record.h"
#include "cli/render.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static char *text;

static int stop(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

static void keep(struct lines *lines)
{
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    lines_print(lines, stream, false);
    fclose(stream);
    lines_done(lines);
}

static void render(const char *service, const char *before, const char *rollout, size_t columns)
{
    struct lines lines = {0};
    struct cJSON *now = cJSON_Parse(service);
    struct cJSON *then = before != NULL ? cJSON_Parse(before) : NULL;
    struct cJSON *change = rollout != NULL ? cJSON_Parse(rollout) : NULL;
    assert_non_null(now);
    struct picture picture = {now, then, 2000, change};
    render_service(&picture, columns, &lines);
    cJSON_Delete(now);
    cJSON_Delete(then);
    cJSON_Delete(change);
    keep(&lines);
}

#define SERVICE(requests, exchanges, weight)                                                       \
    "{\"name\":\"web\",\"protocol\":\"http\",\"state\":\"rollout\",\"weight\":" weight             \
    ",\"replicas\":1,\"healthy\":1,\"requests\":" requests ",\"groups\":{\"stable\":{\"image\":"   \
    "\"web:v1\",\"backends\":[{\"slot\":1,\"generation\":2,\"name\":\"web-1\",\"group\":"          \
    "\"stable\",\"state\":\"ready\",\"health\":\"healthy\",\"exchanges\":" exchanges ","           \
    "\"active_by_kind\":{\"request\":4},\"latency_us\":{\"p50\":400,\"p99\":2100}}]},"             \
    "\"canary\":{\"image\":\"web:v2\",\"backends\":[{\"slot\":2,\"generation\":1,\"name\":"        \
    "\"web-1-new\",\"group\":\"canary\",\"state\":\"starting\",\"health\":\"starting\"}]}}}"

static void shows_rates_over_the_time_between_two_looks(void **state)
{
    (void)state;
    render(SERVICE("1500", "1000", "25"), SERVICE("500", "0", "5"), NULL, 100);
    assert_non_null(strstr(text, "500/s"));
    assert_non_null(strstr(text, "web-1      stable  ready     + healthy          4           0    "
                                 "0    500       0  400us  2.1ms"));
    stop(NULL);
    render(SERVICE("1500", "1000", "25"), NULL, NULL, 100);
    assert_null(strstr(text, "/s"));
}

static void an_ejected_backend_is_told(void **state)
{
    char service[2048] = SERVICE("0", "0", "0"), *at = strstr(service, "\"exchanges\":0");
    static const char ejected[] = "\"ejected_by\":2";
    (void)state;
    render(service, NULL, NULL, 120);
    assert_null(strstr(text, "ejected"));
    stop(NULL);
    memmove(at + sizeof ejected, at, strlen(at) + 1);
    memcpy(at, ejected, sizeof ejected - 1);
    at[sizeof ejected - 1] = ',';
    render(service, NULL, NULL, 120);
    assert_non_null(strstr(text, "ejected by 2 workers"));
}

static void bars_show_the_weights_and_never_lie_at_the_ends(void **state)
{
    (void)state;
    render(SERVICE("0", "0", "25"), NULL, NULL, 90);
    assert_non_null(strstr(text, "   75% ##############################..........  1/1  web:v1"));
    assert_non_null(strstr(text, "   25% ##########..............................  0/1  web:v2"));
    stop(NULL);
    render(SERVICE("0", "0", "0.01"), NULL, NULL, 60);
    assert_non_null(strstr(text, "99.99% #########."));
    assert_non_null(strstr(text, " 0.01% #........."));
}

static void steps_are_marked(void **state)
{
    const char *steps = "\"steps\":[{\"set_weight\":5,\"state\":\"done\",\"split\":[{\"exchanges\":"
                        "600,\"canary\":30,\"error\":0.5},{\"exchanges\":400,\"canary\":20,"
                        "\"error\":-0.75}]},{\"pause_ms\":30000,\"state\":\"running\"},"
                        "{\"pause\":\"until_promoted\",\"state\":\"pending\"}]";
    char rollout[1024];
    (void)state;
    snprintf(rollout, sizeof rollout, "{\"state\":\"running\",%s}", steps);
    render(SERVICE("0", "0", "5"), NULL, rollout, 100);
    assert_non_null(strstr(text, "|- + set weight 5%"));
    assert_non_null(strstr(text, "50 of 1000 (5.00%, off by 0.75)"));
    assert_non_null(strstr(text, "|- = pause 30.0s"));
    assert_non_null(strstr(text, "`- o pause until promoted"));
    stop(NULL);
    snprintf(rollout, sizeof rollout, "{\"state\":\"rolling_back\",\"why\":\"it broke\",%s}",
             steps);
    render(SERVICE("0", "0", "5"), NULL, rollout, 100);
    assert_non_null(strstr(text, "|- x pause 30.0s"));
    assert_non_null(strstr(text, "it broke"));
}

static void users_deviation_is_no_error(void **state)
{
    const char *rollout =
        "{\"state\":\"running\",\"steps\":[{\"set_weight\":5,\"state\":\"done\","
        "\"split\":[{\"exchanges\":100,\"canary\":30,\"by\":\"user\",\"error\":null}]}]}";
    (void)state;
    render(SERVICE("0", "0", "5"), NULL, rollout, 100);
    assert_non_null(strstr(text, "30 of 100 (30.00%, by user)"));
    stop(NULL);
}

static void nothing_that_is_missing_breaks_it(void **state)
{
    struct lines lines = {0};
    struct cJSON *empty = cJSON_Parse("{\"steps\":[{}],\"drains\":[{}],\"log\":[{}]}");
    (void)state;
    render("{}", "{}", "{}", 0);
    record_full(empty, &lines);
    record_list(empty, &lines);
    assert_true(lines.count > 5);
    lines_done(&lines);
    cJSON_Delete(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(shows_rates_over_the_time_between_two_looks, stop),
        cmocka_unit_test_teardown(an_ejected_backend_is_told, stop),
        cmocka_unit_test_teardown(bars_show_the_weights_and_never_lie_at_the_ends, stop),
        cmocka_unit_test_teardown(steps_are_marked, stop),
        cmocka_unit_test(users_deviation_is_no_error),
        cmocka_unit_test_teardown(nothing_that_is_missing_breaks_it, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
