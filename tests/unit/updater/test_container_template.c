/* What the first containers of a service are made from: what it says, and what it refuses. */
#include "config/config.h"
#include "tests/unit/unit.h"
#include "updater/container.h"
#include "updater/container_changes.h"
#include "updater/container_template.h"
#include "updater/engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char name[] = "web", key[] = "sluice.service", value[] = "web", network[] = "shop_default",
            project[] = "shop", compose_key[] = "com.docker.compose.service";
static struct config_service service;
static cJSON *template, *create, *connects;
static char why[CONTAINER_TEMPLATE_WHY_BYTES];

static int set_up(void **state)
{
    (void)state;
    service = (struct config_service){.name = name, .label_key = key, .label_value = value};
    template = create = connects = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cJSON_Delete(template);
    cJSON_Delete(create);
    cJSON_Delete(connects);
    return 0;
}

/* As create.c goes on from it. */
static void make(const char *wanted, const char *api_version)
{
    cJSON *json = engine_json_parse(slice_from_string(wanted));
    int error = container_template(&service, json, &template, why);

    cJSON_Delete(json);
    if (error != 0)
        fail_msg("%s: %s", wanted, why);
    assert_int_equal(
        container_recreate(template, NULL, "web:v1", NULL, api_version, &create, &connects, why),
        0);
}

static void holds(const cJSON *at, const char *expected)
{
    cJSON *json = engine_json_parse(slice_from_string(expected));
    char *text = cJSON_PrintUnformatted(at);

    if (!cJSON_Compare(at, json, true))
        fail_msg("found %s, expected %s", text, expected);
    cJSON_free(text);
    cJSON_Delete(json);
}

static void refuses(const char *wanted, const char *words)
{
    cJSON *json = engine_json_parse(slice_from_string(wanted));

    assert_int_equal(container_template(&service, json, &template, why), -EINVAL);
    if (strstr(why, words) == NULL)
        fail_msg("%s: \"%s\", without \"%s\"", wanted, why, words);
    cJSON_Delete(json);
}

static void says_nothing_but_how_it_is_found_and_restarted(void **state)
{
    (void)state;
    make("{}", "1.41");
    holds(engine_json_get(create, "Labels"), "{\"sluice.service\": \"web\"}");
    holds(engine_json_at(create, "HostConfig", "RestartPolicy", NULL),
          "{\"Name\": \"unless-stopped\", \"MaximumRetryCount\": 0}");
    assert_string_equal(engine_json_string(create, "Image"), "web:v1");
    assert_string_equal(engine_json_string(engine_json_get(create, "HostConfig"), "NetworkMode"),
                        "bridge");
    /* The engine refuses names on its own network. */
    holds(engine_json_at(create, "NetworkingConfig", "EndpointsConfig", NULL), "{\"bridge\": {}}");
    assert_null(engine_json_get(create, "Cmd"));
    assert_null(engine_json_get(create, "User"));
    assert_true(engine_json_is_empty(engine_json_at(create, "HostConfig", "PortBindings", NULL)));
}

static void is_on_the_network_of_the_service_too_under_its_name(void **state)
{
    (void)state;
    service.network = network;
    make("{\"networks\": [\"back\"]}", "1.41");
    assert_string_equal(engine_json_string(engine_json_get(create, "HostConfig"), "NetworkMode"),
                        "back");
    holds(engine_json_at(create, "NetworkingConfig", "EndpointsConfig", NULL),
          "{\"back\": {\"Aliases\": [\"web\"]}}");
    holds(connects, "{\"shop_default\": {\"Aliases\": [\"web\"]}}");
}

static void takes_what_is_asked_for(void **state)
{
    (void)state;
    make("{\"volumes\": [\"data:/data\", \"/etc/shop:/etc/shop:ro,z\", \"/cache\"], \"user\": "
         "\"1000:1000\", \"restart\": \"on-failure:3\", \"ports\": [\"9000\", \"53:53/udp\", "
         "\"127.0.0.1:8443:443\", \"[::1]::443\", \"8000-8010:80\"]}",
         "1.41");
    holds(engine_json_at(create, "HostConfig", "Binds", NULL),
          "[\"data:/data\", \"/etc/shop:/etc/shop:ro,z\"]");
    holds(engine_json_get(create, "Volumes"), "{\"/cache\": {}}");
    holds(engine_json_at(create, "HostConfig", "RestartPolicy", NULL),
          "{\"Name\": \"on-failure\", \"MaximumRetryCount\": 3}");
    assert_string_equal(engine_json_string(create, "User"), "1000:1000");
    holds(engine_json_at(create, "HostConfig", "PortBindings", NULL),
          "{\"9000/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"\"}], \"53/udp\": [{\"HostIp\": "
          "\"\", \"HostPort\": \"53\"}], \"443/tcp\": [{\"HostIp\": \"127.0.0.1\", \"HostPort\": "
          "\"8443\"}, {\"HostIp\": \"::1\", \"HostPort\": \"\"}], \"80/tcp\": [{\"HostIp\": \"\", "
          "\"HostPort\": \"8000-8010\"}]}");
    holds(engine_json_get(create, "ExposedPorts"),
          "{\"9000/tcp\": {}, \"53/udp\": {}, \"443/tcp\": {}, \"80/tcp\": {}}");
    holds(engine_json_get(template, "Mounts"),
          "[{\"Type\": \"volume\", \"Name\": \"data\", \"Destination\": \"/data\", \"RW\": true}, "
          "{\"Type\": \"bind\", \"Source\": \"/etc/shop\", \"Destination\": \"/etc/shop\", \"RW\": "
          "false}]");
}

/* For the engine they do, and one of two was left out. */
static void names_and_paths_that_differ_in_case_differ(void **state)
{
    (void)state;
    make("{\"networks\": [\"back\", \"Back\"], \"volumes\": [\"/data\", \"/Data\"]}", "1.44");
    holds(engine_json_at(create, "NetworkingConfig", "EndpointsConfig", NULL),
          "{\"back\": {\"Aliases\": [\"web\"]}, \"Back\": {\"Aliases\": [\"web\"]}}");
    holds(engine_json_get(create, "Volumes"), "{\"/data\": {}, \"/Data\": {}}");
}

static void publishes_the_port_by_which_it_is_to_be_reached(void **state)
{
    (void)state;
    service.published = true;
    service.port = 8080;
    make("{}", "1.41");
    holds(engine_json_at(create, "HostConfig", "PortBindings", NULL),
          "{\"8080/tcp\": [{\"HostIp\": \"127.0.0.1\", \"HostPort\": \"\"}]}");
    assert_int_equal(container_beside(template, why), 0);
}

static void keeps_the_publication_that_was_asked_for(void **state)
{
    (void)state;
    service.published = true;
    service.port = 8080;
    make("{\"ports\": [\"80:8080\"]}", "1.41");
    holds(engine_json_at(create, "HostConfig", "PortBindings", NULL),
          "{\"8080/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"80\"}]}");
    assert_int_equal(container_beside(template, why), -EINVAL);
}

static void carries_what_compose_finds_its_own_by(void **state)
{
    (void)state;
    service.label_key = compose_key;
    service.project = project;
    make("{}", "1.44");
    holds(engine_json_get(create, "Labels"),
          "{\"com.docker.compose.service\": \"web\", \"com.docker.compose.project\": \"shop\", "
          "\"com.docker.compose.oneoff\": \"False\", "
          "\"com.docker.compose.container-number\": \"1\"}");
}

static void goes_by_the_services_name_where_the_label_has_no_value(void **state)
{
    (void)state;
    service.label_value = NULL;
    make("{}", "1.41");
    holds(engine_json_get(create, "Labels"), "{\"sluice.service\": \"web\"}");
}

static void refuses_what_it_cannot_be(void **state)
{
    static const struct {
        const char *wanted, *words;
    } cases[] = {
        {"{\"volumes\": [\"data\"]}", "/PATH, not \"data\""},
        {"{\"volumes\": [\"./data:/data\"]}", "a volume is"},
        {"{\"volumes\": [\":/data\"]}", "a volume is"},
        {"{\"volumes\": [\"a:data\"]}", "a volume is"},
        {"{\"volumes\": [\"a:/data:\"]}", "a volume is"},
        {"{\"volumes\": \"a:/data\"}", "volumes is a list"},
        {"{\"volumes\": [3]}", "each of volumes is a text"},
        {"{\"ports\": [\"\"]}", "each of ports"},
        {"{\"ports\": [\"web\"]}", "a port is"},
        {"{\"ports\": [\"0\"]}", "a port is"},
        {"{\"ports\": [\"70000:80\"]}", "a port is"},
        {"{\"ports\": [\"80:80/icmp\"]}", "a port is"},
        {"{\"ports\": [\"host:80:80\"]}", "a port is"},
        {"{\"ports\": [\"80-:80\"]}", "a port is"},
        {"{\"networks\": [\"host\"]}", "networks have names"},
        {"{\"networks\": [\"container:db\"]}", "networks have names"},
        {"{\"networks\": [\"a\", \"a\"]}", "each network is named once"},
        {"{\"restart\": \"sometimes\"}", "restart is no, always"},
        {"{\"restart\": \"always:3\"}", "restart is no, always"},
        {"{\"restart\": \"on-failure:x\"}", "restart is no, always"},
        {"{\"restart\": true}", "restart is no, always"},
        {"{\"user\": \"\"}", "user is"},
        {"{\"user\": 1000}", "user is"},
        {"{\"privileged\": true}", "not \"privileged\""},
        {"[]", "create is an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuses(cases[i].wanted, cases[i].words);
}

/* Later rollouts tell by it what the user gave from what the image supplies. */
static void takes_changes_like_any_other(void **state)
{
    cJSON *changes = cJSON_Parse("{\"env\": {\"POOL\": \"20\"}, \"memory\": 67108864, \"cpus\": "
                                 "1.5, \"command\": [\"/run\"]}");

    (void)state;
    make("{}", "1.41");
    container_changes_apply(create, changes);
    holds(engine_json_get(create, "Env"), "[\"POOL=20\"]");
    holds(engine_json_get(create, "Cmd"), "[\"/run\"]");
    assert_int_equal(engine_json_integer(engine_json_get(create, "HostConfig"), "Memory", 0),
                     67108864);
    assert_int_equal(engine_json_integer(engine_json_get(create, "HostConfig"), "NanoCpus", 0),
                     1500000000);
    assert_true(container_changes_has(engine_json_get(create, "Labels"), "env", "POOL"));
    cJSON_Delete(changes);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_nothing_but_how_it_is_found_and_restarted),
        TEST(is_on_the_network_of_the_service_too_under_its_name),
        TEST(takes_what_is_asked_for),
        TEST(names_and_paths_that_differ_in_case_differ),
        TEST(publishes_the_port_by_which_it_is_to_be_reached),
        TEST(keeps_the_publication_that_was_asked_for),
        TEST(carries_what_compose_finds_its_own_by),
        TEST(goes_by_the_services_name_where_the_label_has_no_value),
        TEST(refuses_what_it_cannot_be),
        TEST(takes_changes_like_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
