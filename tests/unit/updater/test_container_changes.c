/* Changes on purpose: what they make of settings, that they last, and that they can be taken back.
 */
#include "tests/unit/unit.h"
#include "updater/container.h"
#include "updater/container_changes.h"
#include "updater/container_parts.h"
#include "updater/engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static cJSON *parse(const char *text)
{
    cJSON *json = cJSON_Parse(text);

    assert_non_null(json);
    return json;
}

static void expect(const cJSON *item, const char *expected)
{
    cJSON *wanted = parse(expected);

    if (!cJSON_Compare(item, wanted, true)) {
        char *text = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
        print_error("expected %s\nfound    %s\n", expected, text != NULL ? text : "nothing");
        cJSON_free(text);
        fail();
    }
    cJSON_Delete(wanted);
}

static void apply(cJSON *settings, const char *changes)
{
    cJSON *json = parse(changes);

    container_changes_apply(settings, json);
    cJSON_Delete(json);
}

static void expect_applied(const char *settings, const char *changes, const char *expected)
{
    cJSON *json = parse(settings);

    apply(json, changes);
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(json, "Labels"), LABEL_OWN);
    expect(json, expected);
    cJSON_Delete(json);
}

static void variables_and_labels_are_set_and_unset(void **state)
{
    (void)state;
    expect_applied(
        "{\"Env\":[\"A=1\",\"AB=2\",\"C=3\",\"D\"],\"Labels\":{\"x\":\"1\",\"y\":\"2\"},"
        "\"HostConfig\":{}}",
        "{\"env\":{\"A\":\"new\",\"C\":null,\"D\":\"=\"},\"labels\":{\"x\":\"new\",\"y\":null}}",
        "{\"Env\":[\"AB=2\",\"A=new\",\"C\",\"D==\"],\"Labels\":{\"x\":\"new\"},\"HostConfig\":{}"
        "}");
    expect_applied("{\"Env\":null,\"Labels\":null,\"HostConfig\":{}}",
                   "{\"env\":{\"A\":\"\"},\"labels\":{\"x\":\"\"}}",
                   "{\"Env\":[\"A=\"],\"Labels\":{\"x\":\"\"},\"HostConfig\":{}}");
}

static void expect_limits(const char *host_config, const char *changes, const char *expected)
{
    char settings[256], wanted[256];

    snprintf(settings, sizeof(settings), "{\"Env\":[],\"Labels\":{},\"HostConfig\":%s}",
             host_config);
    snprintf(wanted, sizeof(wanted), "{\"Env\":[],\"Labels\":{},\"HostConfig\":%s}", expected);
    expect_applied(settings, changes, wanted);
}

static void the_swap_beside_the_memory_stays_what_it_was(void **state)
{
    (void)state;
    expect_limits("{\"Memory\":100,\"MemorySwap\":200}", "{\"memory\":300}", "{\"Memory\":300}");
    expect_limits("{\"Memory\":100,\"MemorySwap\":150}", "{\"memory\":300}",
                  "{\"Memory\":300,\"MemorySwap\":350}");
    expect_limits("{\"Memory\":100,\"MemorySwap\":100}", "{\"memory\":300}",
                  "{\"Memory\":300,\"MemorySwap\":300}");
    expect_limits("{\"Memory\":100,\"MemorySwap\":-1}", "{\"memory\":300}",
                  "{\"Memory\":300,\"MemorySwap\":-1}");
    expect_limits("{\"Memory\":0,\"MemorySwap\":0}", "{\"memory\":300}", "{\"Memory\":300}");
    expect_limits("{\"Memory\":100,\"MemorySwap\":150}", "{\"memory\":0}", "{\"Memory\":0}");
}

static void a_share_of_time_is_said_in_one_way(void **state)
{
    (void)state;
    expect_limits("{\"CpuQuota\":50000,\"CpuPeriod\":100000,\"NanoCpus\":0}", "{\"cpus\":1.5}",
                  "{\"NanoCpus\":1500000000}");
}

static void a_command_is_replaced_or_left_to_the_image(void **state)
{
    (void)state;
    expect_applied("{\"Env\":[],\"Labels\":{},\"Cmd\":[\"a\"],\"HostConfig\":{}}",
                   "{\"command\":[\"b\",\"\"]}",
                   "{\"Env\":[],\"Labels\":{},\"Cmd\":[\"b\",\"\"],\"HostConfig\":{}}");
    expect_applied("{\"Env\":[],\"Labels\":{},\"Cmd\":[\"a\"],\"HostConfig\":{}}",
                   "{\"command\":[]}", "{\"Env\":[],\"Labels\":{},\"HostConfig\":{}}");
}

/* The next image supplies the very value that was set on purpose, and the one after it another. */
static void what_was_changed_is_never_taken_for_the_images(void **state)
{
    cJSON *inspect =
        parse("{\"Id\":\"" ID "\",\"Name\":\"/a\",\"Config\":{\"Env\":[\"K=v\",\"I=i\"],"
              "\"Cmd\":[\"c\"],\"Labels\":{\"l\":\"v\",\"m\":\"i\"}},\"HostConfig\":{}}");
    cJSON *image = parse("{\"Config\":{\"Env\":[\"K=v\",\"I=i\"],\"Cmd\":[\"c\"],"
                         "\"Labels\":{\"l\":\"v\",\"m\":\"i\"}}}");
    cJSON *settings;

    (void)state;
    settings = container_settings(inspect, image);
    expect(cJSON_GetObjectItem(settings, "Env"), "[]");
    cJSON_Delete(settings);
    apply(cJSON_GetObjectItem(inspect, "Config"),
          "{\"env\":{\"K\":\"v\"},\"labels\":{\"l\":\"v\"},\"command\":[\"c\"]}");
    settings = container_settings(inspect, image);
    expect(cJSON_GetObjectItem(settings, "Env"), "[\"K=v\"]");
    expect(cJSON_GetObjectItem(settings, "Cmd"), "[\"c\"]");
    assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(settings, "Labels"), "l"));
    assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(settings, "Labels"), "m"));
    cJSON_Delete(settings);
    apply(cJSON_GetObjectItem(inspect, "Config"),
          "{\"command\":[],\"default\":{\"env\":[\"K\"],\"labels\":[\"l\"]}}");
    assert_null(cJSON_GetObjectItem(
        cJSON_GetObjectItem(cJSON_GetObjectItem(inspect, "Config"), "Labels"), LABEL_OWN));
    cJSON_Delete(inspect);
    cJSON_Delete(image);
}

/* What the user set lasts where the next image comes to supply the same. */
static void what_is_the_users_own_stays_it_where_an_image_supplies_the_same(void **state)
{
    cJSON *create =
        parse("{\"Env\":[\"K=v\",\"X=1\",\"GONE\"],\"Labels\":{\"l\":\"v\"},\"User\":\"5\","
              "\"StopSignal\":\"SIGINT\",\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"],"
              "\"Healthcheck\":{\"Timeout\":1,\"Interval\":2},"
              "\"ExposedPorts\":{\"1/tcp\":{}},\"HostConfig\":{}}");
    cJSON *image = parse("{\"Config\":{\"Env\":[\"K=v\"],\"Labels\":{\"l\":\"v\"},\"User\":\"6\","
                         "\"StopSignal\":\"SIGINT\",\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"],"
                         "\"Healthcheck\":{\"Timeout\":1},\"ExposedPorts\":{\"1/tcp\":{}}}}");
    cJSON *inspect = parse("{\"Id\":\"" ID "\",\"Name\":\"/a\",\"HostConfig\":{}}");
    cJSON *settings;

    (void)state;
    container_note_own(create, image);
    cJSON_AddItemToObject(inspect, "Config", cJSON_Duplicate(create, true));
    settings = container_settings(inspect, image);
    expect(cJSON_GetObjectItem(settings, "Env"), "[\"K=v\",\"X=1\",\"GONE\"]");
    expect(cJSON_GetObjectItem(settings, "StopSignal"), "\"SIGINT\"");
    expect(cJSON_GetObjectItem(settings, "Cmd"), "[\"c\"]");
    expect(cJSON_GetObjectItem(settings, "Entrypoint"), "[\"e\"]");
    expect(cJSON_GetObjectItem(settings, "Healthcheck"), "{\"Timeout\":1,\"Interval\":2}");
    expect(cJSON_GetObjectItem(settings, "ExposedPorts"), "{\"1/tcp\":{}}");
    assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(settings, "Labels"), "l"));
    assert_false(container_changes_has(cJSON_GetObjectItem(settings, "Labels"), "env", "X"));
    cJSON_Delete(create);
    cJSON_Delete(image);
    cJSON_Delete(inspect);
    cJSON_Delete(settings);
}

static void a_label_that_is_no_list_of_changes_is_none(void **state)
{
    cJSON *labels = parse("{\"" LABEL_OWN "\":\"no JSON\"}");
    cJSON *others = parse("{\"" LABEL_OWN "\":\"{\\\"env\\\":{\\\"K\\\":1},\\\"command\\\":1}\"}");

    (void)state;
    assert_false(container_changes_has(labels, "env", "K"));
    assert_false(container_changes_has(others, "env", "K"));
    assert_false(container_changes_has(others, "command", NULL));
    assert_false(container_changes_has(NULL, "env", "K"));
    cJSON_Delete(labels);
    cJSON_Delete(others);
}

static void changes_are_taken_back(void **state)
{
    cJSON *inspect = parse(
        "{\"Id\":\"" ID "\",\"Name\":\"/a\",\"Config\":{\"Env\":[\"MINE=1\",\"IMAGE=i\",\"GONE\"],"
        "\"Cmd\":[\"c\"],\"Labels\":{\"mine\":\"1\",\"image\":\"i\"}},"
        "\"HostConfig\":{\"Memory\":100,\"CpuQuota\":50000}}");
    cJSON *image = parse("{\"Config\":{\"Env\":[\"IMAGE=i\"],\"Cmd\":[\"c\"],"
                         "\"Labels\":{\"image\":\"i\"}}}");
    cJSON *changes = parse("{\"env\":{\"MINE\":\"2\",\"IMAGE\":\"2\",\"GONE\":\"2\",\"NEW\":\"2\"},"
                           "\"labels\":{\"mine\":null,\"image\":\"2\"},"
                           "\"memory\":200,\"cpus\":2,\"command\":[\"x\"]}");
    cJSON *undo = container_changes_undo(inspect, image, changes);

    (void)state;
    expect(undo, "{\"env\":{\"MINE\":\"1\",\"GONE\":null},\"labels\":{\"mine\":\"1\"},"
                 "\"memory\":100,\"cpus\":0.5,\"command\":[],"
                 "\"default\":{\"env\":[\"IMAGE\",\"NEW\"],\"labels\":[\"image\"]}}");
    cJSON_Delete(inspect);
    cJSON_Delete(image);
    cJSON_Delete(changes);
    cJSON_Delete(undo);
}

static void the_later_of_two_changes_holds(void **state)
{
    cJSON *first = parse("{\"env\":{\"A\":\"1\",\"B\":\"1\"},\"memory\":1,"
                         "\"default\":{\"env\":[\"C\",\"D\"]}}");
    cJSON *second = parse("{\"env\":{\"A\":\"2\",\"C\":null},\"cpus\":1,"
                          "\"default\":{\"env\":[\"B\",\"D\"]}}");
    cJSON *joined = container_changes_join(first, second);
    cJSON *only = container_changes_join(NULL, second);

    (void)state;
    expect(joined, "{\"env\":{\"A\":\"2\",\"C\":null},\"memory\":1,\"cpus\":1,"
                   "\"default\":{\"env\":[\"B\",\"D\"]}}");
    assert_true(cJSON_Compare(only, second, true));
    cJSON_Delete(first);
    cJSON_Delete(second);
    cJSON_Delete(joined);
    cJSON_Delete(only);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_and_labels_are_set_and_unset),
        cmocka_unit_test(the_swap_beside_the_memory_stays_what_it_was),
        cmocka_unit_test(a_share_of_time_is_said_in_one_way),
        cmocka_unit_test(a_command_is_replaced_or_left_to_the_image),
        cmocka_unit_test(what_was_changed_is_never_taken_for_the_images),
        cmocka_unit_test(what_is_the_users_own_stays_it_where_an_image_supplies_the_same),
        cmocka_unit_test(a_label_that_is_no_list_of_changes_is_none),
        cmocka_unit_test(changes_are_taken_back),
        cmocka_unit_test(the_later_of_two_changes_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
