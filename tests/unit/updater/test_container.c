/* Inspect answers of an engine 20.10 (data/), and small ones by hand for what that one had not. */
#include "base/memory.h"
#include "base/slice.h"
#include "tests/unit/unit.h"
#include "updater/container.h"
#include "updater/engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *read_sample(const char *name)
{
    char path[512];
    static char text[65536];

    snprintf(path, sizeof(path), "%s/%s", SAMPLES, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof(text), file);
    fclose(file);
    cJSON *json = engine_json_parse((struct slice){text, length});
    assert_non_null(json);
    return json;
}

static cJSON *parse(const char *text)
{
    cJSON *json = engine_json_parse(slice_from_string(text));

    assert_non_null(json);
    return json;
}

static void expect_json(const cJSON *item, const char *expected)
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

/* --- facts ---------------------------------------------------------------------------------- */

static void facts_of_a_running_container(void **state)
{
    cJSON *inspect = read_sample("inspect-rich.json");
    struct container_facts facts;

    (void)state;
    assert_int_equal(container_facts_read(inspect, &facts), 0);
    assert_int_equal(strlen(facts.id), 64);
    assert_string_equal(facts.name, "engine-sample-1");
    assert_string_equal(facts.image, "engine-sample:v1");
    assert_memory_equal(facts.image_id, "sha256:", 7);
    assert_null(facts.rollout_label);
    assert_int_equal(facts.ordinal, 1);
    assert_int_equal(facts.state, CONTAINER_RUNNING);
    assert_int_equal(facts.health, CONTAINER_HEALTH_STARTING);
    assert_int_equal(facts.stop_timeout_s, 17);
    assert_false(facts.auto_remove);
    assert_memory_equal(facts.started_at, "2026-", 5);
    container_facts_done(&facts);
    cJSON_Delete(inspect);
}

/* A volume with a name is somebody's; one that the engine named goes with its container. */
static void facts_of_what_is_to_go_with_it(void **state)
{
    cJSON *inspect = cJSON_Parse(
        "{\"Id\":\"a\",\"Name\":\"/b\",\"State\":{},\"Config\":{},\"Mounts\":["
        "{\"Type\":\"volume\",\"Name\":"
        "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"},"
        "{\"Type\":\"volume\",\"Name\":\"data\"},{\"Type\":\"bind\",\"Source\":\"/a\"}],"
        "\"NetworkSettings\":{\"Networks\":{\"shop_default\":{},\"back\":{}}}}");
    struct container_facts facts;

    (void)state;
    assert_int_equal(container_facts_read(inspect, &facts), 0);
    assert_string_equal(
        facts.attached,
        "{\"volumes\":[\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"],"
        "\"networks\":[\"shop_default\",\"back\"]}");
    container_facts_done(&facts);
    cJSON_Delete(inspect);
}

static void facts_of_states_and_labels(void **state)
{
    static const struct {
        const char *inspect;
        enum container_state state;
        enum container_health health;
        int ordinal;
    } cases[] = {
        {"{\"Id\":\"a\",\"Name\":\"b\",\"State\":{\"Status\":\"dead\"},\"Config\":{}}",
         CONTAINER_EXITED, CONTAINER_HEALTH_NONE, -1},
        {"{\"Id\":\"a\",\"Name\":\"/b\",\"State\":{\"Status\":\"created\",\"Health\":null},"
         "\"Config\":{\"Labels\":{\"sluice.ordinal\":\"3\","
         "\"com.docker.compose.container-number\":\"9\"}}}",
         CONTAINER_CREATED, CONTAINER_HEALTH_NONE, 3},
        {"{\"Id\":\"a\",\"Name\":\"/b\",\"State\":{\"Status\":\"removing\",\"Health\":{\"Status\":"
         "\"unhealthy\"}},\"Config\":{\"Labels\":{\"com.docker.compose.container-number\":\"0\"}}}",
         CONTAINER_REMOVING, CONTAINER_HEALTH_UNHEALTHY, -1},
        {"{\"Id\":\"a\",\"Name\":\"/b\",\"State\":{\"Restarting\":true,\"Running\":true},"
         "\"Config\":{\"Labels\":{\"sluice.ordinal\":\"99999999\"},\"StopTimeout\":null}}",
         CONTAINER_RESTARTING, CONTAINER_HEALTH_NONE, -1},
        {"{\"Id\":\"a\",\"Name\":\"/b\",\"State\":{\"Running\":true,\"Status\":7,\"Health\":{"
         "\"Status\":\"healthy\"}},\"Config\":{\"Labels\":null}}",
         CONTAINER_RUNNING, CONTAINER_HEALTH_HEALTHY, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cJSON *inspect = parse(cases[i].inspect);
        struct container_facts facts;
        assert_int_equal(container_facts_read(inspect, &facts), 0);
        assert_string_equal(facts.name, "b");
        assert_int_equal(facts.state, cases[i].state);
        assert_int_equal(facts.health, cases[i].health);
        assert_int_equal(facts.ordinal, cases[i].ordinal);
        assert_int_equal(facts.stop_timeout_s, 10);
        assert_false(facts.is_once);
        container_facts_done(&facts);
        cJSON_Delete(inspect);
    }
}

static void refuses_json_that_is_no_inspect(void **state)
{
    static const char *const cases[] = {
        "null",
        "[]",
        "{}",
        "{\"Id\":\"\",\"Name\":\"b\",\"State\":{},\"Config\":{}}",
        "{\"Id\":\"a\",\"Name\":3,\"State\":{},\"Config\":{}}",
        "{\"Id\":\"a\",\"Name\":\"b\",\"State\":null,\"Config\":{}}",
        "{\"Id\":\"a\",\"Name\":\"b\",\"State\":{},\"Config\":[]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cJSON *inspect = parse(cases[i]);
        struct container_facts facts;
        assert_int_equal(container_facts_read(inspect, &facts), -EPROTO);
        cJSON_Delete(inspect);
    }
}

/* --- address -------------------------------------------------------------------------------- */

static void expect_address(const cJSON *inspect, const char *network, uint16_t port, bool published,
                           const char *expected)
{
    struct address address = {0};
    char text[ADDRESS_TEXT_BYTES], why[256] = "";
    int error = container_address(inspect, network, port, published, &address, why);

    if (error < 0) {
        if (strstr(why, expected) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", expected, why);
        return;
    }
    address_format(&address, text);
    assert_string_equal(text, expected);
}

static void address_on_the_only_network_and_port(void **state)
{
    cJSON *inspect = read_sample("inspect-plain.json");

    (void)state;
    expect_address(inspect, NULL, 0, false, "10.209.94.2:80");
    expect_address(inspect, NULL, 8080, false, "10.209.94.2:8080");
    expect_address(inspect, "bridge", 0, false, "10.209.94.2:80");
    expect_address(inspect, "shop", 0, false, "not on network shop, but on: bridge");
    expect_address(inspect, NULL, 0, true, "publishes no TCP port");
    expect_address(inspect, NULL, 80, true, "port 80 is not published");
    cJSON_Delete(inspect);
}

static void address_where_there_are_several_networks(void **state)
{
    cJSON *inspect = read_sample("inspect-rich.json");
    const cJSON *front =
        engine_json_at(inspect, "NetworkSettings", "Networks", "engine-sample-front", NULL);
    const cJSON *ports = engine_json_at(inspect, "NetworkSettings", "Ports", "80/tcp", NULL);
    char expected[64];

    (void)state;
    expect_address(inspect, NULL, 80, false, "engine-sample-back, engine-sample-front");
    snprintf(expected, sizeof(expected), "%s:80", engine_json_string(front, "IPAddress"));
    expect_address(inspect, "engine-sample-front", 0, false, expected);
    snprintf(expected, sizeof(expected), "127.0.0.1:%s",
             engine_json_string(ports->child, "HostPort"));
    expect_address(inspect, NULL, 0, true, expected);
    cJSON_Delete(inspect);
}

static void address_says_why_there_is_none(void **state)
{
    static const struct {
        const char *inspect, *why;
    } cases[] = {
        {"{}", "on no network"},
        {"{\"NetworkSettings\":{\"Networks\":null}}", "on no network"},
        {"{\"HostConfig\":{\"NetworkMode\":\"host\"}}", "host's own network"},
        {"{\"HostConfig\":{\"NetworkMode\":\"container:abc\"}}", "container:abc"},
        {"{\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"\"}}},"
         "\"Config\":{\"ExposedPorts\":{\"80/tcp\":{}}}}",
         "no address on network a"},
        {"{\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"10.0.0.1\"}}},"
         "\"Config\":{\"ExposedPorts\":{\"53/udp\":{}}}}",
         "exposes no TCP port"},
        {"{\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"10.0.0.1\"}}},"
         "\"Config\":{\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}}}",
         "(80/tcp, 81/tcp)"},
        {"{\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"x\"}}},"
         "\"Config\":{\"ExposedPorts\":{\"80\":{}}}}",
         "no address"},
        {"{\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"\",\"GlobalIPv6Address\":"
         "\"fd00::2\"}}},\"Config\":{\"ExposedPorts\":{\"80\":{}}}}",
         "[fd00::2]:80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cJSON *inspect = parse(cases[i].inspect);
        expect_address(inspect, NULL, 0, false, cases[i].why);
        cJSON_Delete(inspect);
    }
}

static void published_ports_prefer_ipv4_and_this_host(void **state)
{
    cJSON *inspect = parse("{\"NetworkSettings\":{\"Ports\":{\"1/tcp\":null,\"80/tcp\":["
                           "{\"HostIp\":\"::\",\"HostPort\":\"4000\"},"
                           "{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"4001\"}],"
                           "\"81/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"4002\"}],"
                           "\"82/tcp\":[{\"HostIp\":\"10.1.2.3\",\"HostPort\":\"4003\"}]}}}");

    (void)state;
    expect_address(inspect, NULL, 80, true, "127.0.0.1:4001");
    expect_address(inspect, NULL, 81, true, "[::1]:4002");
    expect_address(inspect, NULL, 82, true, "10.1.2.3:4003");
    expect_address(inspect, NULL, 1, true, "port 1 is not published");
    expect_address(inspect, NULL, 0, true, "(80/tcp, 81/tcp, 82/tcp)");
    cJSON_Delete(inspect);
}

/* --- recreate ------------------------------------------------------------------------------- */

struct recreated {
    cJSON *inspect, *image, *create, *connects;
};

static void recreate(struct recreated *recreated, const char *sample, const char *api_version)
{
    cJSON *labels = parse("{\"sluice.rollout\":\"r1\",\"com.docker.compose.service\":null}");
    char why[256];

    recreated->inspect = read_sample(sample);
    recreated->image = read_sample("image.json");
    assert_int_equal(container_recreate(recreated->inspect, recreated->image, "web:v2", labels,
                                        api_version, &recreated->create, &recreated->connects, why),
                     0);
    cJSON_Delete(labels);
}

static void recreated_done(struct recreated *recreated)
{
    cJSON_Delete(recreated->inspect);
    cJSON_Delete(recreated->image);
    cJSON_Delete(recreated->create);
    cJSON_Delete(recreated->connects);
}

static void keeps_what_the_user_set_and_drops_what_the_image_supplied(void **state)
{
    struct recreated made;
    const cJSON *host_config;

    (void)state;
    recreate(&made, "inspect-rich.json", "1.41");
    host_config = engine_json_get(made.create, "HostConfig");
    expect_json(engine_json_get(made.create, "Image"), "\"web:v2\"");
    expect_json(engine_json_get(made.create, "Env"), "[\"X=1\",\"A=mine\"]");
    expect_json(engine_json_get(made.create, "Cmd"), "[\"mine\"]");
    assert_null(engine_json_get(made.create, "Entrypoint"));
    assert_null(engine_json_get(made.create, "Hostname"));
    assert_null(engine_json_get(made.create, "WorkingDir"));
    assert_null(engine_json_get(made.create, "User"));
    assert_null(engine_json_get(made.create, "StopSignal"));
    expect_json(engine_json_get(made.create, "StopTimeout"), "17");
    expect_json(engine_json_get(made.create, "Labels"),
                "{\"com.docker.compose.project\":\"shop\","
                "\"com.docker.compose.container-number\":\"2\",\"sluice.rollout\":\"r1\"}");
    expect_json(engine_json_get(made.create, "ExposedPorts"), "{\"80/tcp\":{}}");
    expect_json(engine_json_get(made.create, "Volumes"), "{}");
    expect_json(engine_json_get(host_config, "Ulimits"),
                "[{\"Name\":\"nofile\",\"Hard\":256,\"Soft\":128}]");
    recreated_done(&made);
}

static void host_config_goes_through_untouched_but_for_volumes(void **state)
{
    struct recreated made;

    (void)state;
    recreate(&made, "inspect-rich.json", "1.41");
    cJSON *before = cJSON_Duplicate(engine_json_get(made.inspect, "HostConfig"), true);
    cJSON *after = cJSON_Duplicate(engine_json_get(made.create, "HostConfig"), true);
    assert_int_equal(cJSON_GetArraySize(engine_json_get(before, "Binds")), 2);
    assert_int_equal(cJSON_GetArraySize(engine_json_get(after, "Binds")), 4);
    for (int i = 2; i < 4; i++) {
        const char *bind = cJSON_GetArrayItem(engine_json_get(after, "Binds"), i)->valuestring;
        assert_int_equal(strspn(bind, "0123456789abcdef"), 64);
        assert_true(strcmp(bind + 64, ":/data") == 0 || strcmp(bind + 64, ":/anonymous") == 0);
    }
    cJSON_DeleteItemFromObject(before, "Binds");
    cJSON_DeleteItemFromObject(after, "Binds");
    assert_true(cJSON_Compare(before, after, true));
    cJSON_Delete(before);
    cJSON_Delete(after);
    recreated_done(&made);
}

static void before_api_1_44_other_networks_are_connected_afterwards(void **state)
{
    struct recreated made;

    (void)state;
    recreate(&made, "inspect-rich.json", "1.43");
    expect_json(engine_json_get(made.create, "NetworkingConfig"),
                "{\"EndpointsConfig\":{\"engine-sample-front\":{\"Aliases\":[\"web\"]}}}");
    expect_json(made.connects, "{\"engine-sample-back\":{\"Aliases\":[\"back\"]}}");
    recreated_done(&made);
}

static void from_api_1_44_on_all_networks_are_in_the_create_call(void **state)
{
    struct recreated made;

    (void)state;
    recreate(&made, "inspect-rich.json", "1.44");
    expect_json(engine_json_get(made.create, "NetworkingConfig"),
                "{\"EndpointsConfig\":{\"engine-sample-front\":{\"Aliases\":[\"web\"]},"
                "\"engine-sample-back\":{\"Aliases\":[\"back\"]}}}");
    expect_json(made.connects, "{}");
    recreated_done(&made);
}

static void unknown_settings_live(void **state)
{
    cJSON *inspect = parse("{\"Id\":\"x\",\"Config\":{\"NewSetting\":{\"a\":1}},\"HostConfig\":{"
                           "\"NewLimit\":12345678901234567890},\"NetworkSettings\":{\"Networks\":{"
                           "\"n\":{\"GwPriority\":3,\"NewOption\":true,\"EndpointID\":\"e\"}}}}");
    cJSON *create, *connects;
    char why[256];

    (void)state;
    cJSON_AddStringToObject(cJSON_GetObjectItem(inspect, "HostConfig"), "NetworkMode", "n");
    assert_int_equal(container_recreate(inspect, NULL, "i", NULL, "1.44", &create, &connects, why),
                     0);
    char *text = cJSON_PrintUnformatted(create);
    assert_string_equal(text, "{\"NewSetting\":{\"a\":1},\"HostConfig\":{\"NewLimit\":"
                              "12345678901234567890,\"NetworkMode\":\"n\"},\"NetworkingConfig\":{"
                              "\"EndpointsConfig\":{\"n\":{\"GwPriority\":3,\"NewOption\":true}}},"
                              "\"Image\":\"i\",\"Labels\":{}}");
    cJSON_free(text);
    cJSON_Delete(inspect);
    cJSON_Delete(create);
    cJSON_Delete(connects);
}

static void refuses_what_cannot_be_there_twice(void **state)
{
    static const struct {
        const char *inspect, *why;
    } cases[] = {
        {"{\"HostConfig\":{\"AutoRemove\":true}}", "--rm"},
        {"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}}}", "8080"},
        {"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"80-80\"}]}}}", "80-80"},
        {"{\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAMConfig\":{\"IPv4Address\":"
         "\"10.0.0.9\"}}}}}",
         "10.0.0.9"},
        {"{\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAMConfig\":{\"IPv6Address\":"
         "\"fd00::9\"}}}}}",
         "fd00::9"},
        {"{\"Config\":{\"MacAddress\":\"02:42:0a:00:00:09\"},\"NetworkSettings\":{\"Networks\":{"
         "\"n\":{\"IPAddress\":\"10.0.0.8\"}}}}",
         "02:42:0a:00:00:09"},
        {"{}", "does not describe a container"},
        {"null", "does not describe a container"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cJSON *inspect = parse(cases[i].inspect);
        cJSON *create = NULL, *connects = NULL;
        char why[256] = "";
        /* It could be made again, once the old one has made room. */
        int error = container_beside(inspect, why);
        if (error == 0)
            error = container_recreate(inspect, NULL, "i", NULL, "1.41", &create, &connects, why);
        assert_int_equal(error, -EINVAL);
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", cases[i].why, why);
        assert_null(create);
        assert_null(connects);
        cJSON_Delete(inspect);
    }
}

static void lets_pass_what_the_engine_chooses_anew(void **state)
{
    cJSON *inspect =
        parse("{\"Id\":\"x\",\"Config\":{\"MacAddress\":\"02:42:0A:00:00:08\"},\"HostConfig\":{"
              "\"PortBindings\":{\"1/tcp\":[{\"HostPort\":\"\"}],\"2/tcp\":[{\"HostPort\":\"0\"}],"
              "\"3/tcp\":[{\"HostPort\":\"8000-8010\"}],\"4/tcp\":null}},\"NetworkSettings\":{"
              "\"Networks\":{\"n\":{\"IPAddress\":\"10.0.0.8\",\"IPAMConfig\":{\"IPv4Address\":"
              "\"\"}}}}}");
    cJSON *create, *connects;
    char why[256];

    (void)state;
    assert_int_equal(container_recreate(inspect, NULL, "i", NULL, "1.41", &create, &connects, why),
                     0);
    assert_null(engine_json_get(create, "MacAddress"));
    cJSON_Delete(inspect);
    cJSON_Delete(create);
    cJSON_Delete(connects);
}

static void a_mac_address_is_kept_where_the_user_set_it(void **state)
{
    static const struct {
        const char *mac, *ip;
        bool kept;
    } cases[] = {
        {"02:00:00:00:07:07", "10.0.0.8", true},
        {"02:42:0a:00:00:09", "10.0.0.8", true}, /* of another address */
        {"02:42:0a:00:00:08", "10.0.0.8", false},
        {"02:00:00:00:07:07", "", true}, /* it does not run */
        {"02:42:0a:00:00:08", "", false},
        {"", "10.0.0.8", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = memory_format("{\"Id\":\"x\",\"Config\":{\"MacAddress\":\"%s\"},"
                                   "\"HostConfig\":{},\"NetworkSettings\":{\"Networks\":{\"n\":{"
                                   "\"IPAddress\":\"%s\"}}}}",
                                   cases[i].mac, cases[i].ip);
        cJSON *inspect = parse(text);
        cJSON *create, *connects;
        char why[256];

        assert_int_equal(
            container_recreate(inspect, NULL, "i", NULL, "1.41", &create, &connects, why), 0);
        if (cases[i].kept)
            assert_string_equal(engine_json_string(create, "MacAddress"), cases[i].mac);
        else
            assert_null(engine_json_get(create, "MacAddress"));
        cJSON_Delete(inspect);
        cJSON_Delete(create);
        cJSON_Delete(connects);
        free(text);
    }
}

/* --- difference ----------------------------------------------------------------------------- */

static void a_container_does_not_differ_from_itself(void **state)
{
    static const char *const samples[] = {"inspect-rich.json", "inspect-plain.json"};
    cJSON *image = read_sample("image.json");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        cJSON *inspect = read_sample(samples[i]);
        char *difference = container_difference(inspect, image, NULL, inspect, image);
        if (difference != NULL)
            fail_msg("%s", difference);
        cJSON_Delete(inspect);
    }
    cJSON_Delete(image);
}

static void a_limit_that_was_lost_is_found(void **state)
{
    cJSON *image = read_sample("image.json");
    cJSON *old = read_sample("inspect-rich.json");
    cJSON *new = cJSON_Duplicate(old, true);
    cJSON *host_config = cJSON_GetObjectItem(new, "HostConfig");

    (void)state;
    cJSON_SetNumberValue(cJSON_GetObjectItem(host_config, "Memory"), 0);
    cJSON_DeleteItemFromObject(host_config, "Ulimits");
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(host_config, "Tmpfs"), "/run");
    char *difference = container_difference(old, image, NULL, new, image);
    assert_string_equal(difference,
                        "HostConfig.Tmpfs./run: \"size=64k\" -> nothing\n"
                        "HostConfig.Memory: 67108864 -> 0\n"
                        "HostConfig.Ulimits: [{\"Name\":\"nofile\",\"Hard\":256,\"Soft\":128}] -> "
                        "nothing\n");
    free(difference);
    cJSON_Delete(old);
    cJSON_Delete(new);
    cJSON_Delete(image);
}

static void expect_difference(const char *old, const char *new, const char *image,
                              const char *expected)
{
    cJSON *before = parse(old), *after = parse(new), *of_new = parse(image);
    char *difference = container_difference(before, NULL, NULL, after, of_new);

    if (expected == NULL)
        assert_null(difference);
    else
        assert_string_equal(difference, expected);
    free(difference);
    cJSON_Delete(before);
    cJSON_Delete(after);
    cJSON_Delete(of_new);
}

#define PLAIN(host_config) "{\"Id\":\"a\",\"Config\":{},\"HostConfig\":{" host_config "}}"
#define ANONYMOUS          "fec9b5ee45158b02de785ed560deaf6ec78c69afd641b308b0f16972e8840ef0"

static void what_a_newer_engine_fills_in_is_no_difference(void **state)
{
    (void)state;
    expect_difference(PLAIN("\"CgroupnsMode\":\"\""),
                      PLAIN("\"CgroupnsMode\":\"private\",\"IpcMode\":\"private\""), "{}", NULL);
    expect_difference(PLAIN("\"CgroupnsMode\":\"host\""), PLAIN("\"CgroupnsMode\":\"private\""),
                      "{}", "HostConfig.CgroupnsMode: \"host\" -> \"private\"\n");
    expect_difference(PLAIN("\"IpcMode\":\"host\""), PLAIN("\"IpcMode\":\"\""), "{}",
                      "HostConfig.IpcMode: \"host\" -> \"\"\n");
}

/* It stood in the way of every image that declares a volume: the new one's own was taken for the
 * user's. */
static void the_volume_that_a_new_image_asks_for_is_no_difference(void **state)
{
    static const char old[] = PLAIN("");
    static const char new[] =
        "{\"Id\":\"a\",\"Config\":{},\"HostConfig\":{},\"Mounts\":[{\"Type\":\"volume\","
        "\"Name\":\"" ANONYMOUS "\",\"Destination\":\"/data\",\"RW\":true}]}";

    (void)state;
    expect_difference(old, new, "{\"Config\":{\"Volumes\":{\"/data\":{}}}}", NULL);
    expect_difference(old, new, "{\"Config\":{\"Volumes\":{\"/other\":{}}}}",
                      "HostConfig.Binds: " ANONYMOUS ":/data is only in the new container\n");
}

/* Each rollout added it once more. */
static void a_hostname_that_the_engine_made_an_alias_of_is_none(void **state)
{
    cJSON *inspect = parse(
        "{\"Id\":\"a\",\"Config\":{\"Hostname\":\"db-1\"},\"HostConfig\":{\"NetworkMode\":\"n\"},"
        "\"NetworkSettings\":{\"Networks\":{\"n\":{\"Aliases\":[\"db\",\"db-1\",\"db-1\"]}}}}");
    cJSON *create, *connects;
    char why[256];

    (void)state;
    assert_int_equal(container_recreate(inspect, NULL, "i", NULL, "1.41", &create, &connects, why),
                     0);
    expect_json(engine_json_at(create, "NetworkingConfig", "EndpointsConfig", "n", "Aliases", NULL),
                "[\"db\"]");
    cJSON_Delete(inspect);
    cJSON_Delete(create);
    cJSON_Delete(connects);
}

static void anonymous_volumes_of_paths_that_differ_in_case_are_two(void **state)
{
    static const char text[] =
        "{\"Config\":{\"Volumes\":{\"/"
        "data\":{}}},\"HostConfig\":{},\"Mounts\":[{\"Type\":\"volume\","
        "\"Name\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
        "\"Destination\":\"/Data\"}]}";
    cJSON *inspect = parse(text);

    (void)state;
    container_forget_anonymous_volumes(inspect);
    expect_json(engine_json_at(inspect, "Config", "Volumes", NULL), "{\"/data\":{},\"/Data\":{}}");
    cJSON_Delete(inspect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_running_container),
        cmocka_unit_test(facts_of_what_is_to_go_with_it),
        cmocka_unit_test(facts_of_states_and_labels),
        cmocka_unit_test(refuses_json_that_is_no_inspect),
        cmocka_unit_test(address_on_the_only_network_and_port),
        cmocka_unit_test(address_where_there_are_several_networks),
        cmocka_unit_test(address_says_why_there_is_none),
        cmocka_unit_test(published_ports_prefer_ipv4_and_this_host),
        cmocka_unit_test(keeps_what_the_user_set_and_drops_what_the_image_supplied),
        cmocka_unit_test(host_config_goes_through_untouched_but_for_volumes),
        cmocka_unit_test(before_api_1_44_other_networks_are_connected_afterwards),
        cmocka_unit_test(from_api_1_44_on_all_networks_are_in_the_create_call),
        cmocka_unit_test(unknown_settings_live),
        cmocka_unit_test(refuses_what_cannot_be_there_twice),
        cmocka_unit_test(lets_pass_what_the_engine_chooses_anew),
        cmocka_unit_test(a_mac_address_is_kept_where_the_user_set_it),
        cmocka_unit_test(a_container_does_not_differ_from_itself),
        cmocka_unit_test(a_limit_that_was_lost_is_found),
        cmocka_unit_test(what_a_newer_engine_fills_in_is_no_difference),
        cmocka_unit_test(the_volume_that_a_new_image_asks_for_is_no_difference),
        cmocka_unit_test(a_hostname_that_the_engine_made_an_alias_of_is_none),
        cmocka_unit_test(anonymous_volumes_of_paths_that_differ_in_case_are_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
