#include "../unit.h"
#include "config/config.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char minimal[] = "listeners: { web: { address: \"127.0.0.1:8080\" } }\n"
                              "services: { web: { backends: [ \"127.0.0.1:9000\" ] } }\n";

static struct config *read_good(const char *text, const struct config_overrides *overrides)
{
    struct config_errors errors;
    struct config *config = NULL;

    int result = config_read_text("test", text, strlen(text), overrides, &errors, &config);
    if (result != 0)
        print_error("%s", errors.text);
    assert_int_equal(result, 0);
    assert_null(errors.text);
    return config;
}

static struct config_errors read_bad(const char *text, size_t length)
{
    struct config_errors errors;
    struct config *config = NULL;

    assert_int_equal(config_read_text("test", text, length, NULL, &errors, &config), -EINVAL);
    assert_null(config);
    assert_non_null(errors.text);
    assert_true(errors.count > 0);
    return errors;
}

static int clear_environment(void **state)
{
    (void)state;
    unsetenv("DOCKER_HOST");
    unsetenv("DOCKER_CERT_PATH");
    unsetenv("DOCKER_TLS_VERIFY");
    unsetenv("DOCKER_CONFIG");
    return 0;
}

static void trusted_proxies_are_networks(void **state)
{
    struct config *config = read_good("listeners: { web: { address: \"127.0.0.1:8080\" } }\n"
                                      "services: { web: { backends: [ \"127.0.0.1:9000\" ] } }\n"
                                      "trusted_proxies: [ \"10.0.0.0/8\", \"::1\" ]\n",
                                      NULL);
    struct address inside, outside;
    (void)state;

    assert_int_equal(config->trusted_proxy_count, 2);
    assert_int_equal(address_from_ip(SLICE("10.1.2.3"), 0, &inside), 0);
    assert_int_equal(address_from_ip(SLICE("11.1.2.3"), 0, &outside), 0);
    assert_true(network_any_contains(config->trusted_proxies, 2, &inside));
    assert_false(network_any_contains(config->trusted_proxies, 2, &outside));
    config_free(config);
}

static void fills_in_every_default(void **state)
{
    struct config *config = read_good(minimal, NULL);
    const struct config_service *service = &config->services[0];
    (void)state;

    assert_int_equal(config->listener_count, 1);
    assert_int_equal(config->listeners[0].address.port, 8080);
    assert_int_equal(config->listeners[0].service, -1);
    assert_int_equal(config->timeouts.header_ms, 10000);
    assert_int_equal(config->timeouts.queue_ms, 5000);
    assert_int_equal(service->timeouts.tunnel_ms, 3600000);
    assert_int_equal(service->protocol, PROTOCOL_HTTP);
    assert_int_equal(service->route_count, 1);
    assert_null(service->routes[0].host);
    assert_string_equal(service->routes[0].path, "/");
    assert_int_equal(service->check.kind, CHECK_NONE);
    assert_int_equal(service->rollout.step_count, 7);
    assert_int_equal(service->rollout.steps[0].weight, 500);
    assert_int_equal(service->rollout.steps[1].pause_ms, 30000);
    assert_int_equal(service->rollout.steps[6].weight, WEIGHT_MAX);
    assert_int_equal(service->rollout.drain.budgets[KIND_REQUEST].timeout_ms, 30000);
    assert_int_equal(service->rollout.drain.budgets[KIND_UPLOAD].timeout_ms, 30000);
    assert_int_equal(service->rollout.drain.budgets[KIND_WEBSOCKET].timeout_ms, 300000);
    assert_int_equal(service->rollout.drain.close_spread_ms, 5000);
    assert_int_equal(service->rollout.drain.stream_after_ms, 20000);
    assert_string_equal(config->engine_host, "unix:///var/run/docker.sock");
    assert_null(config->engine_cert_path);
    assert_false(config->engine_needed);
    assert_string_equal(config->admin_socket, "/run/sluice/admin.sock");
    assert_string_equal(config->user, "nobody");
    assert_in_range(config->workers, 1, 32);
    config_free(config);
}

static void each_class_has_a_drain_budget_of_its_own(void **state)
{
    struct config *config = read_good(
        "listeners: { web: { address: \":80\" } }\n"
        "services: { web: { backends: [ \"a:1\" ], rollout: { drain: { requests: 10s,\n"
        "  uploads: { timeout: 10m }, streams: { on_timeout: fail }, tcp: { timeout: 0s,\n"
        "  on_timeout: close }, on_timeout: wait, close_spread: 1s, stream_after: 0 } } } }\n",
        NULL);
    const struct config_drain *drain = &config->services[0].rollout.drain;
    const struct config_drain_budget budgets[KIND_COUNT] = {
        [KIND_REQUEST] = {10000, ON_TIMEOUT_WAIT},    [KIND_UPLOAD] = {600000, ON_TIMEOUT_WAIT},
        [KIND_STREAM] = {10000, ON_TIMEOUT_FAIL},     [KIND_TCP] = {0, ON_TIMEOUT_CLOSE},
        [KIND_WEBSOCKET] = {300000, ON_TIMEOUT_WAIT},
    };
    (void)state;

    assert_memory_equal(drain->budgets, budgets, sizeof(budgets));
    assert_int_equal(drain->close_spread_ms, 1000);
    assert_int_equal(drain->stream_after_ms, 0);
    config_free(config);
}

static void a_service_overrides_single_timeouts_wherever_the_global_ones_stand(void **state)
{
    struct config *config =
        read_good("listeners: { web: { address: \":80\" } }\n"
                  "services: { web: { backends: [ \"a:1\" ], timeouts: { idle: 1s } } }\n"
                  "timeouts: { idle: 9s, body: 8s }\n",
                  NULL);
    (void)state;

    assert_int_equal(config->services[0].timeouts.idle_ms, 1000);
    assert_int_equal(config->services[0].timeouts.body_ms, 8000);
    assert_int_equal(config->timeouts.idle_ms, 9000);
    config_free(config);
}

static void finds_services_by_name(void **state)
{
    struct config *config = read_good(
        "listeners: { web: { address: \":80\" }, db: { address: \":81\", protocol: tcp, "
        "service: db } }\n"
        "services: { web: { backends: [ \"a:1\" ] }, db: { discover: { label: k=v=w } } }\n",
        NULL);
    (void)state;

    assert_int_equal(config_find_service(config, "web"), 0);
    assert_int_equal(config_find_service(config, "db"), 1);
    assert_int_equal(config_find_service(config, "we"), -1);
    assert_int_equal(config->listeners[1].service, 1);
    assert_int_equal(config->services[1].protocol, PROTOCOL_TCP);
    assert_int_equal(config->services[1].route_count, 0);
    assert_string_equal(config->services[1].label_key, "k");
    assert_string_equal(config->services[1].label_value, "v=w");
    assert_true(config->engine_needed);
    config_free(config);
}

static void derives_the_health_timeout_from_the_check(void **state)
{
    struct config *config = read_good(
        "listeners: { web: { address: \":80\" } }\n"
        "services: { web: { backends: [ \"a:1\" ], healthcheck: { tcp: {}, interval: 500ms, "
        "retries: 5, start_period: 10m } } }\n",
        NULL);
    (void)state;

    assert_int_equal(config->services[0].check.timeout_ms, 500);
    assert_int_equal(config->services[0].rollout.health_timeout_ms, 600000 + 3000 + 500 + 10000);
    /* The default deadline gives way, or it would end what the health check allows. */
    assert_int_equal(config->services[0].rollout.progress_deadline_ms, 613500);
    config_free(config);
}

/* Preflight warns of less, and defaults are not to be warned of. */
static void watches_for_one_check_at_least_where_nobody_says_how_long(void **state)
{
    struct config *config = read_good(
        "listeners: { web: { address: \":80\" } }\n"
        "services:\n"
        "  often: { backends: [ \"a:1\" ], healthcheck: { tcp: {} } }\n"
        "  seldom: { backends: [ \"a:1\" ], healthcheck: { tcp: {}, interval: 10s, timeout: 3s },\n"
        "            routes: [ { host: b } ] }\n"
        "  told: { backends: [ \"a:1\" ], healthcheck: { tcp: {}, interval: 10s },\n"
        "          routes: [ { host: c } ], rollout: { monitor: 1s } }\n",
        NULL);
    (void)state;

    assert_int_equal(config->services[0].rollout.monitor_ms, 5000);
    assert_int_equal(config->services[1].rollout.monitor_ms, 13000);
    assert_int_equal(config->services[2].rollout.monitor_ms, 1000);
    config_free(config);
}

static void overrides_win_over_the_file(void **state)
{
    struct config_overrides overrides = {.state = "/tmp/state",
                                         .admin_socket = "/tmp/admin",
                                         .engine_host = "unix:///tmp/engine",
                                         .workers = 3};
    char text[512];
    (void)state;

    setenv("DOCKER_HOST", "unix:///env", 1);
    snprintf(text, sizeof(text),
             "%sstate: /a\nadmin: { socket: /b }\nworkers: 9\n"
             "engine: { host: \"unix:///c\" }\n",
             minimal);
    struct config *config = read_good(text, &overrides);
    assert_string_equal(config->state, "/tmp/state");
    assert_string_equal(config->admin_socket, "/tmp/admin");
    assert_string_equal(config->engine_host, "unix:///tmp/engine");
    assert_int_equal(config->workers, 3);
    config_free(config);
    config = read_good(text, NULL);
    assert_string_equal(config->engine_host, "unix:///c");
    config_free(config);
}

static void asks_dockers_variables_where_the_file_says_nothing(void **state)
{
    (void)state;
    setenv("DOCKER_HOST", "tcp://box:2376", 1);
    setenv("DOCKER_CERT_PATH", "/certs", 1);
    struct config *config = read_good(minimal, NULL);
    assert_string_equal(config->engine_host, "tcp://box:2376");
    assert_null(config->engine_cert_path);
    config_free(config);

    setenv("DOCKER_TLS_VERIFY", "1", 1);
    config = read_good(minimal, NULL);
    assert_string_equal(config->engine_cert_path, "/certs");
    config_free(config);

    setenv("DOCKER_HOST", "ssh://box", 1);
    struct config_errors errors = read_bad(minimal, strlen(minimal));
    assert_string_equal(errors.text, "test: DOCKER_HOST: found ssh://box, allowed unix:///PATH or "
                                     "tcp://HOST:PORT\n");
    config_errors_done(&errors);
}

static void the_children_read_what_the_supervisor_read(void **state)
{
    struct config *config = read_good(minimal, NULL);
    struct config *again = NULL;
    char *json = config_to_json(config);
    int fd = memfd_create("config", MFD_CLOEXEC);
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, json, strlen(json)), strlen(json)); /* the offset is at the end */
    setenv("DOCKER_HOST", "unix:///changed-since", 1);
    assert_int_equal(config_read_fd(fd, &again), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), strlen(json)); /* and stays: others share it */
    char *json_again = config_to_json(again);
    assert_string_equal(json_again, json);
    free(json);
    free(json_again);
    config_free(config);
    config_free(again);
    close(fd);
    assert_int_equal(config_read_fd(fd, &again), -EBADF);
}

static void tells_all_errors_at_once_in_the_order_of_the_file(void **state)
{
    static const char text[] = "workers: 0\n"
                               "services:\n"
                               "  web:\n"
                               "    backends: [ nope ]\n"
                               "    routes: [ { hots: a } ]\n"
                               "listeners:\n"
                               "  web: { address: 80 }\n";
    struct config_errors errors = read_bad(text, strlen(text));
    (void)state;

    assert_int_equal(errors.count, 4);
    assert_string_equal(
        errors.text,
        "test:1: workers: found 0, allowed auto or a whole number from 1 to 32\n"
        "test:4: services.web.backends[0]: found nope, allowed HOST:PORT, such as "
        "127.0.0.1:9000, [::1]:9000 or app.internal:9000\n"
        "test:5: services.web.routes[0].hots: found an unknown key, allowed are host or path; did "
        "you mean host?\n"
        "test:7: listeners.web.address: found 80, allowed IP:PORT, such as 0.0.0.0:80, :80, "
        "[::1]:8080, localhost:8080\n");
    config_errors_done(&errors);
}

static void control_bytes_of_the_file_never_reach_the_terminal(void **state)
{
    static const char text[] = "\"a\\e[31m\\nb\": 1\nworkers: \"\\e]0;x\\a\"\n";
    struct config_errors errors = read_bad(text, strlen(text));
    (void)state;

    for (const char *c = errors.text; *c != '\0'; c++)
        assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
    assert_non_null(strstr(errors.text, "a\\x1b[31m\\x0ab: found an unknown key"));
    config_errors_done(&errors);
}

static void stops_telling_after_a_hundred_errors(void **state)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    (void)state;

    for (int i = 0; i < 300; i++)
        fprintf(out, "key%d: 1\n", i);
    fclose(out);
    struct config_errors errors = read_bad(text, length);
    assert_int_equal(errors.count, 302); /* and no services, no listeners */
    assert_non_null(strstr(errors.text, "test: and 202 more\n"));
    config_errors_done(&errors);
    free(text);
}

static void refuses_a_file_above_the_size_limit(void **state)
{
    char *text = calloc(1, CONFIG_FILE_BYTES_MAX + 1);
    (void)state;

    memset(text, '#', CONFIG_FILE_BYTES_MAX + 1);
    struct config_errors errors = read_bad(text, CONFIG_FILE_BYTES_MAX + 1);
    assert_non_null(strstr(errors.text, "found 1048577 bytes, allowed are 1048576"));
    config_errors_done(&errors);
    errors = read_bad(text, CONFIG_FILE_BYTES_MAX);
    assert_non_null(strstr(errors.text, "found nothing"));
    config_errors_done(&errors);
    free(text);
}

static void tells_why_a_file_cannot_be_read(void **state)
{
    struct config_errors errors;
    struct config *config = NULL;
    (void)state;

    assert_int_equal(config_read_file("/nonexistent/x.yaml", NULL, &errors, &config), -EINVAL);
    assert_string_equal(errors.text,
                        "/nonexistent/x.yaml: cannot be read: No such file or directory\n");
    config_errors_done(&errors);
    assert_int_equal(config_read_file("/", NULL, &errors, &config), -EINVAL);
    assert_string_equal(errors.text, "/: cannot be read: Is a directory\n");
    config_errors_done(&errors);
}

static void the_limits_of_services_hold(void **state)
{
    for (int count = CONFIG_SERVICES_MAX; count <= CONFIG_SERVICES_MAX + 1; count++) {
        struct config_errors errors;
        struct config *config = NULL;
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        fprintf(out, "listeners: { web: { address: \":80\" } }\nservices:\n");
        for (int i = 0; i < count; i++)
            fprintf(out, "  s%d: { backends: [ \"a:1\" ], routes: [ { path: /%d } ] }\n", i, i);
        fclose(out);
        int result = config_read_text("test", text, length, NULL, &errors, &config);
        assert_int_equal(result, count == CONFIG_SERVICES_MAX ? 0 : -EINVAL);
        if (result < 0)
            assert_string_equal(errors.text,
                                "test:3: services: found 257 services, allowed are 1 to 256\n");
        config_errors_done(&errors);
        config_free(config);
        free(text);
    }
    (void)state;
}

static void must_be_a_fixed_point(struct config *config)
{
    char *json = config_to_json(config);

    config_free(config);
    config = read_good(json, NULL);
    char *again = config_to_json(config);
    assert_string_equal(again, json);
    free(json);
    free(again);
    config_free(config);
}

/* Changes a few bytes of a seed, from a fixed start, and reads it from memory of just its size.
 * Returns how often the result was good; each of those must be a fixed point. */
static int read_changed(const char *seed, int rounds)
{
    static const char alphabet[] = "{}[]:,&*?|->!%@`'\"#\\ \t\n\r<0a\x80\xc3\xa9\xff\x01";
    size_t whole = strlen(seed);
    uint32_t random = 12345;
    int good = 0;

    for (int round = 0; round < rounds; round++) {
        size_t length = round % 3 == 0 ? whole - (random >> 28) : whole;
        char *text = malloc(length);
        memcpy(text, seed, length);
        for (int i = 0; i < round % 5; i++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % length] = alphabet[(random >> 20) % (sizeof(alphabet) - 1)];
        }
        struct config_errors errors;
        struct config *config = NULL;
        if (config_read_text("test", text, length, NULL, &errors, &config) == 0) {
            must_be_a_fixed_point(config);
            good++;
        }
        config_errors_done(&errors);
        free(text);
    }
    return good;
}

static void survives_any_bytes(void **state)
{
    static const char good[] =
        "listeners: { web: { address: \":80\" } }\n"
        "services: { web: { backends: [ \"a:1\" ], rollout: { steps: [ 5, 100 ] }, "
        "healthcheck: { script: \"x\\ty\\u2028\\x85\\x7f\\ufeff \\\\ \\\"#\" } } }\n"
        "state: 'a long enough text of which any byte may change, mostly, without a refusal'\n";
    static const char bad[] = "x-a: &a { b: [ 1, *c ], <<: *a }\n--- |\n  ? - !t\n? [ a ]\n: b\n";
    (void)state;

    assert_true(read_changed(good, 20000) > 1000);
    assert_int_equal(read_changed(bad, 10000), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fills_in_every_default),
        TEST(each_class_has_a_drain_budget_of_its_own),
        TEST(trusted_proxies_are_networks),
        TEST(a_service_overrides_single_timeouts_wherever_the_global_ones_stand),
        TEST(finds_services_by_name),
        TEST(derives_the_health_timeout_from_the_check),
        TEST(watches_for_one_check_at_least_where_nobody_says_how_long),
        TEST(overrides_win_over_the_file),
        TEST(asks_dockers_variables_where_the_file_says_nothing),
        TEST(the_children_read_what_the_supervisor_read),
        TEST(tells_all_errors_at_once_in_the_order_of_the_file),
        TEST(control_bytes_of_the_file_never_reach_the_terminal),
        TEST(stops_telling_after_a_hundred_errors),
        TEST(refuses_a_file_above_the_size_limit),
        TEST(tells_why_a_file_cannot_be_read),
        TEST(the_limits_of_services_hold),
        TEST(survives_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
