/* Each check before a rollout: what it refuses, what it warns of, and what it lets pass. */
#include "tests/unit/unit.h"
#include "updater/engine_json.h"
#include "updater/preflight_measure.h"
#include "updater/preflight_parts.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GIB (1ull << 30)
#define MIB (1ull << 20)

static struct config_service config;
static struct plan_spec spec;
static struct plan_preview preview;
static struct preflight_old olds[3];
static struct preflight_network network;
static struct preflight_facts facts;
static struct preflight_results results;
static char id_v1[] = "sha256:1", id_v2[] = "sha256:2", image_v1[] = "web:v1";
static char ids[3][4] = {"aaa", "bbb", "ccc"}, names[3][8] = {"web-1", "web-2", "web-3"};

static cJSON *parse(const char *text)
{
    cJSON *json = engine_json_parse(slice_from_string(text));

    assert_non_null(json);
    return json;
}

#define INSPECT                                                                                    \
    "{\"Id\": \"aaa\", \"Image\": \"sha256:1\", \"Config\": {\"Image\": \"web:v1\", "              \
    "\"Labels\": {}}, \"HostConfig\": {\"NetworkMode\": \"default\"}, "                            \
    "\"NetworkSettings\": {\"Networks\": {\"bridge\": {}}}, \"Mounts\": []}"

/* Two old ones that run, and room for all; every check is content. */
static int set_up(void **state)
{
    (void)state;
    memset(&config, 0, sizeof(config));
    config.port = 8080;
    config.check = (struct config_check){
        .kind = CHECK_HTTP, .interval_ms = 2000, .timeout_ms = 1000, .retries = 3};
    spec = (struct plan_spec){.replicas = 2,
                              .health_timeout_ms = 19000,
                              .progress_deadline_ms = 600000,
                              .monitor_ms = 5000};
    memset(&preview, 0, sizeof(preview));
    preview.beside_max = 2;
    preview.outcome = OUTCOME_COMPLETED;
    memset(olds, 0, sizeof(olds));
    for (size_t i = 0; i < 3; i++) {
        olds[i] = (struct preflight_old){
            .id = ids[i], .name = names[i], .image = image_v1, .image_id = id_v1};
        olds[i].inspect = parse(INSPECT);
        olds[i].its_image = parse("{\"Id\": \"sha256:1\", \"Size\": 104857600, \"Architecture\": "
                                  "\"amd64\", \"Config\": {\"ExposedPorts\": {\"80/tcp\": {}}}}");
        olds[i].use =
            (struct preflight_use){.memory_used = 100 * MIB, .pids = 10, .measured = true};
    }
    facts = (struct preflight_facts){
        .service = "web",
        .strategy = "canary",
        .config = &config,
        .spec = &spec,
        .preview = &preview,
        .api_version = "1.41",
        .attention = "",
        .olds = olds,
        .old_count = 2,
        .others = parse("[]"),
        .image = "web:v2",
        .image_id = id_v2,
        .its_image = parse("{\"Id\": \"sha256:2\", \"Architecture\": \"amd64\", \"Config\": "
                           "{\"ExposedPorts\": {\"80/tcp\": {}}}}"),
        .info = parse("{\"NCPU\": 4, \"ServerVersion\": \"20.10.24\", \"OSType\": \"linux\"}"),
        .host = {.is_here = true,
                 .memory_available = 8 * GIB,
                 .load = 0.5,
                 .threads = 400,
                 .threads_max = 30000,
                 .engine_disk = {.known = true, .path = "/engine", .free_bytes = 50 * GIB},
                 .state_disk = {.known = true, .path = "/state", .free_bytes = 50 * GIB},
                 .descriptors_max = 65536,
                 .descriptors_used = 100,
                 .service_connections = 20,
                 .slots_free = 4000},
    };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        cJSON_Delete(olds[i].inspect);
        cJSON_Delete(olds[i].its_image);
    }
    cJSON_Delete(facts.its_image);
    cJSON_Delete(facts.info);
    cJSON_Delete(facts.others);
    cJSON_Delete(network.inspect);
    memset(&network, 0, sizeof(network));
    return 0;
}

static const struct preflight_result *result_of(const char *name)
{
    preflight_run_checks(&facts, NULL, &results);
    for (unsigned i = 0; i < results.count; i++) {
        if (strcmp(results.items[i].check->name, name) == 0)
            return &results.items[i];
    }
    fail_msg("no check is called %s", name);
    return &results.items[0];
}

static void expect(const char *name, enum preflight_outcome outcome, const char *words)
{
    const struct preflight_result *result = result_of(name);

    if (result->outcome != outcome || strstr(result->message, words) == NULL)
        fail_msg("%s: %s \"%s\", wanted %s with \"%s\"", name,
                 preflight_outcome_name(result->outcome), result->message,
                 preflight_outcome_name(outcome), words);
}

static void set_inspect(size_t index, const char *text)
{
    cJSON_Delete(olds[index].inspect);
    olds[index].inspect = parse(text);
}

static void set_image(const char *text)
{
    cJSON_Delete(facts.its_image);
    facts.its_image = text != NULL ? parse(text) : NULL;
    if (text == NULL)
        facts.image_id = NULL;
}

static void set_info(const char *text)
{
    cJSON_Delete(facts.info);
    facts.info = text != NULL ? parse(text) : NULL;
}

static void lets_pass_what_is_well(void **state)
{
    (void)state;
    preflight_run_checks(&facts, NULL, &results);
    assert_true(results.count > 10);
    for (unsigned i = 0; i < results.count; i++) {
        if (results.items[i].outcome != PREFLIGHT_OK || results.items[i].message[0] == '\0')
            fail_msg("%s: %s \"%s\"", results.items[i].check->name,
                     preflight_outcome_name(results.items[i].outcome), results.items[i].message);
    }
    assert_null(preflight_refusal(&results));
}

static void forces_judgements_only(void **state)
{
    static const char *const forced[] = {"memory", "image", NULL};
    char *names_of_them = preflight_forcible();

    (void)state;
    facts.host.memory_available = 100 * MIB;
    facts.image_id = id_v1;
    preflight_run_checks(&facts, forced, &results);
    assert_string_equal(preflight_refusal(&results)->check->name, "image");
    assert_true(preflight_may_force("memory"));
    assert_false(preflight_may_force("image"));
    assert_false(preflight_may_force("none"));
    assert_non_null(strstr(names_of_them, "memory"));
    for (unsigned i = 0; i < results.count; i++) {
        if (strcmp(results.items[i].check->name, "memory") == 0) {
            assert_true(results.items[i].forced);
            assert_int_equal(results.items[i].outcome, PREFLIGHT_WARNING);
        }
    }
    free(names_of_them);
}

/* --- what there is --- */

static void refuses_beside_another_rollout_and_without_containers(void **state)
{
    (void)state;
    facts.in_progress = "rollout 7 is in progress";
    expect("rollout", PREFLIGHT_REFUSED, "rollout 7");
    facts.old_count = 0;
    expect("containers", PREFLIGHT_REFUSED, "no container");
    facts.old_count = 2;
    (void)strcpy(olds[1].why, "it is on no network");
    expect("containers", PREFLIGHT_WARNING, "web-2");
}

static void warns_of_mixed_versions_and_of_what_was_left(void **state)
{
    (void)state;
    olds[1].image_id = id_v2;
    expect("versions", PREFLIGHT_WARNING, "web-2");
    facts.leftover_count = 2;
    expect("attention", PREFLIGHT_WARNING, "2 containers");
    facts.attention = "rollout 3 needs attention";
    expect("attention", PREFLIGHT_WARNING, "rollout 3");
}

static void refuses_itself_the_same_image_and_another_platform(void **state)
{
    (void)state;
    facts.own_id = "bbb";
    expect("own-container", PREFLIGHT_REFUSED, "cannot replace itself");
    facts.image_id = id_v1;
    expect("image", PREFLIGHT_REFUSED, "already");
    set_image("{\"Architecture\": \"arm64\"}");
    expect("platform", PREFLIGHT_REFUSED, "arm64");
    set_image(NULL);
    expect("platform", PREFLIGHT_SKIPPED, "");
}

static void refuses_what_cannot_be_pulled(void **state)
{
    static char words[] = "unauthorized", digest[] = "sha256:abc";

    (void)state;
    set_image(NULL);
    expect("registry", PREFLIGHT_OK, "to be pulled");
    facts.registry.asked = true;
    facts.registry.error = -EACCES;
    facts.registry.message = words;
    expect("registry", PREFLIGHT_REFUSED, "unauthorized");
    facts.registry = (struct preflight_registry){.asked = true, .digest = digest};
    expect("registry", PREFLIGHT_OK, "sha256:abc");
    facts.registry.platforms =
        parse("[{\"architecture\": \"arm64\"}, {\"architecture\": \"s390x\"}]");
    expect("platform", PREFLIGHT_REFUSED, "amd64");
    cJSON_Delete(facts.registry.platforms);
    facts.registry.platforms =
        parse("[{\"architecture\": \"arm64\"}, {\"architecture\": \"amd64\"}]");
    expect("platform", PREFLIGHT_SKIPPED, "");
    cJSON_Delete(facts.registry.platforms);
    facts.registry.platforms = NULL;
    facts.pull = PULL_NEVER;
    expect("registry", PREFLIGHT_REFUSED, "not to pull");
}

static void refuses_what_somebody_else_manages(void **state)
{
    (void)state;
    set_inspect(1, "{\"Config\": {\"Labels\": {\"com.docker.swarm.service.id\": \"x\"}}}");
    expect("managed", PREFLIGHT_REFUSED, "web-2");
}

static void refuses_what_cannot_be_there_twice(void **state)
{
    (void)state;
    set_inspect(0, "{\"Id\": \"aaa\", \"Config\": {}, \"HostConfig\": {\"PortBindings\": "
                   "{\"80/tcp\": [{\"HostPort\": \"8080\"}]}}}");
    expect("recreate", PREFLIGHT_REFUSED, "8080");
    set_inspect(0, "{\"Id\": \"aaa\", \"Config\": {}, \"HostConfig\": {\"AutoRemove\": true}}");
    expect("recreate", PREFLIGHT_REFUSED, "--rm");
}

#define MOUNT(path)                                                                                \
    "{\"Config\": {}, \"HostConfig\": {}, \"Mounts\": [{\"Type\": \"volume\", \"Name\": "          \
    "\"data\", \"Destination\": \"" path "\", \"RW\": true}]}"

static void refuses_two_databases_on_one_volume_and_warns_of_other_writers(void **state)
{
    (void)state;
    set_inspect(0, MOUNT("/var/lib/mysql"));
    expect("volumes", PREFLIGHT_REFUSED, "data");
    set_inspect(0, MOUNT("/var/lib/mysqlish"));
    expect("volumes", PREFLIGHT_WARNING, "web-1");
    set_inspect(1, MOUNT("/var/lib/mysqlish")); /* two write to it: they know how */
    expect("volumes", PREFLIGHT_OK, "");
    set_inspect(0, MOUNT("/var/lib/mysql"));
    set_inspect(1, INSPECT);
    preview.beside_max = 0; /* stop-first */
    expect("volumes", PREFLIGHT_OK, "beside");
}

/* --- room --- */

static void refuses_memory_that_is_not_there(void **state)
{
    (void)state;
    facts.host.memory_available = 150 * MIB;
    expect("memory", PREFLIGHT_REFUSED, "200 MiB");
    preview.beside_max = 1; /* one at a time fits */
    expect("memory", PREFLIGHT_OK, "100 MiB");
    olds[0].use.memory_limit = 1 * GIB;
    expect("memory", PREFLIGHT_REFUSED, "1.0 GiB by its limit");
}

static void warns_where_only_all_limits_together_are_too_much(void **state)
{
    (void)state;
    olds[0].use.memory_limit = olds[1].use.memory_limit = 5 * GIB;
    expect("memory", PREFLIGHT_WARNING, "10 GiB by their limits");
    facts.host.is_here = false;
    expect("memory", PREFLIGHT_SKIPPED, "another host");
}

static void counts_limits_that_are_asked_for(void **state)
{
    cJSON *changes = parse("{\"memory\": 52428800, \"cpus\": 4.5}");
    cJSON *stats = parse("{\"memory_stats\": {\"usage\": 104857600}}");

    (void)state;
    preflight_use_read(olds[0].inspect, changes, stats, &olds[0].use);
    expect("memory", PREFLIGHT_WARNING, "web-1 uses 100 MiB, and one like it is to have no more");
    expect("cpu", PREFLIGHT_REFUSED, "4.5 CPUs");
    cJSON_Delete(changes);
    cJSON_Delete(stats);
}

static void says_that_memory_was_not_measured(void **state)
{
    (void)state;
    olds[0].use = olds[1].use = (struct preflight_use){0};
    expect("memory", PREFLIGHT_SKIPPED, "does not say");
}

static void refuses_more_cpus_than_there_are_and_warns_of_a_busy_host(void **state)
{
    (void)state;
    facts.host.load = 20.;
    expect("cpu", PREFLIGHT_WARNING, "20.0");
    olds[1].use.nano_cpus = 4500000000ull;
    expect("cpu", PREFLIGHT_REFUSED, "4.5 CPUs");
    set_info(NULL);
    expect("cpu", PREFLIGHT_SKIPPED, "");
}

static void guesses_the_size_of_an_image_that_is_to_be_pulled(void **state)
{
    (void)state;
    facts.host.engine_disk.free_bytes = 100 * MIB;
    expect("disk", PREFLIGHT_OK, "100 MiB");
    set_image(NULL);
    expect("disk", PREFLIGHT_REFUSED, "116 MiB");
    facts.host.engine_disk.known = false;
    expect("disk", PREFLIGHT_SKIPPED, "not here");
    facts.host.state_disk.free_bytes = MIB;
    expect("disk", PREFLIGHT_REFUSED, "/state");
}

static void refuses_where_no_inode_is_left(void **state)
{
    (void)state;
    facts.host.engine_disk.no_inodes = true;
    expect("disk", PREFLIGHT_REFUSED, "inode");
}

static void refuses_more_processes_and_descriptors_than_there_may_be(void **state)
{
    (void)state;
    facts.host.threads = facts.host.threads_max - 15;
    expect("processes", PREFLIGHT_REFUSED, "15 more");
    facts.host.threads = 400;
    olds[0].use.pids_limit = 11;
    expect("processes", PREFLIGHT_WARNING, "may have 11");
    facts.host.descriptors_max = 370; /* 100 now, 2 * 10 more, and the spare ones */
    expect("descriptors", PREFLIGHT_REFUSED, "RLIMIT_NOFILE");
    facts.host.descriptors_max = 376;
    expect("descriptors", PREFLIGHT_OK, "");
    facts.host.slots_free = 1;
    expect("descriptors", PREFLIGHT_REFUSED, "routing table");
}

static void sums_the_largest_ones(void **state)
{
    static const uint64_t values[] = {3, 9, 1, 9};

    (void)state;
    assert_int_equal(preflight_sum_largest(values, 4, 0), 0);
    assert_int_equal(preflight_sum_largest(values, 4, 2), 18);
    assert_int_equal(preflight_sum_largest(values, 4, 99), 22);
}

/* --- the engine --- */

static void warns_of_engines_that_are_known_to_be_broken(void **state)
{
    (void)state;
    set_info("{\"NCPU\": 2, \"ServerVersion\": \"25.0.2\", \"OSType\": \"linux\"}");
    expect("engine", PREFLIGHT_WARNING, "25.0.3");
    set_info("{\"NCPU\": 2, \"ServerVersion\": \"25.0.3+x\", \"OSType\": \"linux\"}");
    expect("engine", PREFLIGHT_OK, "25.0.3");
    set_info("{\"NCPU\": 2, \"ServerVersion\": \"25.0.3\", \"OSType\": \"windows\"}");
    expect("engine", PREFLIGHT_REFUSED, "windows");
}

static void refuses_a_network_that_is_gone_or_full(void **state)
{
    static char name[] = "shop";

    (void)state;
    network = (struct preflight_network){.name = name, .is_gone = true};
    facts.networks = &network;
    facts.network_count = 1;
    expect("networks", PREFLIGHT_REFUSED, "is gone");
    network.is_gone = false;
    network.inspect = parse("{\"Scope\": \"local\", \"IPAM\": {\"Config\": [{\"Subnet\": "
                            "\"10.0.0.0/29\"}]}, \"Containers\": {\"a\": {}, \"b\": {}, \"c\": "
                            "{}, \"d\": {}}}");
    expect("networks", PREFLIGHT_REFUSED, "room for 5");
    preview.beside_max = 1;
    expect("networks", PREFLIGHT_OK, "");
}

static void knows_how_many_addresses_a_subnet_has(void **state)
{
    (void)state;
    assert_int_equal(preflight_subnet_room("10.0.0.0/24"), 253);
    assert_int_equal(preflight_subnet_room("10.0.0.0/31"), 0);
    assert_true(preflight_subnet_room("fd00::/64") == UINT64_MAX);
    assert_true(preflight_subnet_room("nonsense") == UINT64_MAX);
    assert_true(preflight_subnet_room(NULL) == UINT64_MAX);
}

/* --- settings --- */

static void refuses_health_that_nobody_would_tell(void **state)
{
    (void)state;
    config.check.kind = CHECK_CONTAINER;
    expect("health", PREFLIGHT_REFUSED, "no HEALTHCHECK");
    set_image("{\"Config\": {\"Healthcheck\": {\"Test\": [\"CMD\", \"/x\"], \"Interval\": "
              "20000000000}}}");
    expect("health", PREFLIGHT_REFUSED, "first after 20s");
    set_image("{\"Config\": {\"Healthcheck\": {\"Test\": [\"CMD\", \"/x\"], \"Interval\": "
              "10000000000}}}");
    expect("health", PREFLIGHT_WARNING, "may take 30s");
    set_image("{\"Config\": {\"Healthcheck\": {\"Test\": [\"NONE\"]}}}");
    expect("health", PREFLIGHT_REFUSED, "no HEALTHCHECK");
}

static void warns_of_health_that_is_asked_too_seldom(void **state)
{
    (void)state;
    spec.monitor_ms = 1000;
    expect("health", PREFLIGHT_WARNING, "monitor");
    config.check.kind = CHECK_NONE;
    expect("health", PREFLIGHT_WARNING, "no health check");
}

static void refuses_an_image_whose_port_is_not_the_only_one(void **state)
{
    (void)state;
    config.port = 0;
    expect("port", PREFLIGHT_OK, "one TCP port");
    set_image(
        "{\"Config\": {\"ExposedPorts\": {\"80/tcp\": {}, \"443/tcp\": {}, \"53/udp\": {}}}}");
    expect("port", PREFLIGHT_REFUSED, "more than one");
    set_image("{\"Config\": {\"ExposedPorts\": [1, 2]}}");
    expect("port", PREFLIGHT_REFUSED, "no TCP port");
}

static void refuses_a_plan_that_does_not_end(void **state)
{
    (void)state;
    (void)strcpy(preview.stuck, "for the moon");
    expect("settings", PREFLIGHT_REFUSED, "for the moon");
    preview.stuck[0] = '\0';
    preview.outcome = OUTCOME_ROLLED_BACK;
    expect("settings", PREFLIGHT_REFUSED, "rolled_back");
}

static void warns_of_a_grace_that_is_cut_short(void **state)
{
    (void)state;
    config.rollout.stop_grace_period_ms = 5000;
    set_inspect(0, "{\"Id\": \"aaa\", \"Config\": {\"StopTimeout\": 30}, \"HostConfig\": {}}");
    expect("settings", PREFLIGHT_WARNING, "asks for 30s");
}

static void warns_of_verifications_that_the_hold_is_too_short_for(void **state)
{
    static const struct config_task task = {.point = POINT_VERIFY_CANARY, .timeout_ms = 10000};

    (void)state;
    spec.tasks = &task;
    spec.task_count = spec.replicas = 1;
    spec.hold_ms = 10000;
    expect("settings", PREFLIGHT_OK, "");
    spec.order = ORDER_STOP_FIRST;
    expect("settings", PREFLIGHT_WARNING, "may take 10s, but after 5s (half of hold.timeout)");
}

/* --- measures --- */

static void reads_what_a_container_uses(void **state)
{
    cJSON *inspect = parse("{\"HostConfig\": {\"Memory\": 536870912, \"PidsLimit\": null, "
                           "\"CpuQuota\": 150000, \"CpuPeriod\": 100000}}");
    cJSON *stats = parse("{\"pids_stats\": {\"current\": 7}, \"memory_stats\": {\"usage\": "
                         "104857600, \"stats\": {\"inactive_file\": 4857600, "
                         "\"total_inactive_file\": 1000}}}");
    struct preflight_use use;

    (void)state;
    preflight_use_read(inspect, NULL, stats, &use);
    assert_int_equal(use.memory_limit, 512 * MIB);
    assert_int_equal(use.memory_used, 104856600);
    assert_int_equal(use.pids, 7);
    assert_int_equal(use.pids_limit, 0);
    assert_int_equal(use.nano_cpus, 1500000000);
    assert_true(use.measured);
    preflight_use_read(NULL, NULL, NULL, &use);
    assert_false(use.measured);
    cJSON_Delete(inspect);
    cJSON_Delete(stats);
}

/* --- a first deployment --- */

static void set_first(uint32_t replicas, const char *template)
{
    static char none[] = "", name[] = "web";

    facts.first = replicas;
    facts.old_count = 1;
    olds[0].id = olds[0].image = olds[0].image_id = none;
    olds[0].name = name;
    olds[0].use = (struct preflight_use){0};
    cJSON_Delete(olds[0].its_image);
    olds[0].its_image = NULL;
    set_inspect(0, template);
    facts.template = olds[0].inspect;
    preview.beside_max = replicas;
}

#define TEMPLATE(host, mounts)                                                                     \
    "{\"Id\": \"\", \"Config\": {\"Labels\": {}}, \"HostConfig\": {\"NetworkMode\": "              \
    "\"bridge\"" host                                                                              \
    "}, \"NetworkSettings\": {\"Networks\": {\"bridge\": {}}}, \"Mounts\": [" mounts "]}"

static void lets_the_first_ones_pass(void **state)
{
    (void)state;
    set_first(2, TEMPLATE("", ""));
    for (const struct preflight_check *check = preflight_checks; check->name != NULL; check++) {
        const struct preflight_result *result = result_of(check->name);

        if (result->outcome > PREFLIGHT_SKIPPED)
            fail_msg("%s: %s", check->name, result->message);
    }
    expect("containers", PREFLIGHT_OK, "the first 2 are made");
    expect("names", PREFLIGHT_OK, "web-1 to web-2");
    set_image(NULL);
    config.check.kind = CHECK_CONTAINER;
    expect("health", PREFLIGHT_SKIPPED, "once the image is here");
}

static void refuses_first_ones_that_cannot_be(void **state)
{
    (void)state;
    set_first(2, TEMPLATE(", \"PortBindings\": {\"80/tcp\": [{\"HostPort\": \"80\"}]}", ""));
    expect("recreate", PREFLIGHT_REFUSED, "cannot run beside one another");
    facts.first = 1;
    expect("recreate", PREFLIGHT_OK, "1 can be made");
    cJSON_Delete(facts.others);
    facts.others = parse("[{\"Id\": \"x\", \"Name\": \"/web-1\"}]");
    expect("names", PREFLIGHT_REFUSED, "is called web-1");
    facts.service = "my shop";
    expect("names", PREFLIGHT_REFUSED, "letters");
    network = (struct preflight_network){.name = names[2], .is_gone = true};
    facts.networks = &network;
    facts.network_count = 1;
    expect("networks", PREFLIGHT_REFUSED, "docker network create");
}

static void refuses_first_ones_that_share_a_database(void **state)
{
    (void)state;
    set_first(2, TEMPLATE("", "{\"Type\": \"volume\", \"Name\": \"data\", \"Destination\": "
                              "\"/data/db\", \"RW\": true}"));
    expect("volumes", PREFLIGHT_REFUSED, "2 containers would write");
    facts.first = 1;
    expect("volumes", PREFLIGHT_OK, "one container");
}

static void counts_the_limits_of_each_of_the_first_ones(void **state)
{
    (void)state;
    set_first(3, TEMPLATE("", ""));
    olds[0].use.memory_limit = 4 * GIB;
    expect("memory", PREFLIGHT_WARNING, "12 GiB by their limits");
    olds[0].use.memory_limit = 1 * GIB;
    expect("memory", PREFLIGHT_OK, "3.0 GiB by their limits");
}

static void reads_what_the_kernel_says(void **state)
{
    double load;
    uint64_t threads;

    (void)state;
    assert_int_equal(preflight_meminfo("MemTotal:  24 kB\nMemAvailable:    2 kB\n", "MemAvailable"),
                     2048);
    assert_int_equal(preflight_meminfo("MemTotal:  24 kB", "MemTotal"), 24 * 1024);
    assert_int_equal(preflight_meminfo("MemTotal:  24 kB\n", "Mem"), 0);
    assert_int_equal(preflight_meminfo("", "MemTotal"), 0);
    preflight_loadavg("7.25 1 2 3/512 99", &load, &threads);
    assert_true(load > 7.2 && load < 7.3);
    assert_int_equal(threads, 512);
    preflight_loadavg("", &load, &threads);
    assert_int_equal(threads, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lets_pass_what_is_well),
        TEST(forces_judgements_only),
        TEST(refuses_beside_another_rollout_and_without_containers),
        TEST(warns_of_mixed_versions_and_of_what_was_left),
        TEST(refuses_itself_the_same_image_and_another_platform),
        TEST(refuses_what_cannot_be_pulled),
        TEST(refuses_what_somebody_else_manages),
        TEST(refuses_what_cannot_be_there_twice),
        TEST(refuses_two_databases_on_one_volume_and_warns_of_other_writers),
        TEST(refuses_memory_that_is_not_there),
        TEST(warns_where_only_all_limits_together_are_too_much),
        TEST(counts_limits_that_are_asked_for),
        TEST(says_that_memory_was_not_measured),
        TEST(refuses_more_cpus_than_there_are_and_warns_of_a_busy_host),
        TEST(guesses_the_size_of_an_image_that_is_to_be_pulled),
        TEST(refuses_where_no_inode_is_left),
        TEST(refuses_more_processes_and_descriptors_than_there_may_be),
        TEST(sums_the_largest_ones),
        TEST(warns_of_engines_that_are_known_to_be_broken),
        TEST(refuses_a_network_that_is_gone_or_full),
        TEST(knows_how_many_addresses_a_subnet_has),
        TEST(refuses_health_that_nobody_would_tell),
        TEST(warns_of_health_that_is_asked_too_seldom),
        TEST(refuses_an_image_whose_port_is_not_the_only_one),
        TEST(refuses_a_plan_that_does_not_end),
        TEST(warns_of_a_grace_that_is_cut_short),
        TEST(lets_the_first_ones_pass),
        TEST(refuses_first_ones_that_cannot_be),
        TEST(refuses_first_ones_that_share_a_database),
        TEST(counts_the_limits_of_each_of_the_first_ones),
        TEST(warns_of_verifications_that_the_hold_is_too_short_for),
        cmocka_unit_test(reads_what_a_container_uses),
        cmocka_unit_test(reads_what_the_kernel_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
