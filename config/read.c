#include "base/memory.h"
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 32

#define HOUR_MS (3600u * 1000)

#define TIMEOUT(name, member, smallest, largest, usual)                                            \
    {                                                                                              \
        .key = (name), .kind = FIELD_DURATION, .offset = offsetof(struct config_timeouts, member), \
        .min = (smallest), .max = (largest), .fallback = (usual)                                   \
    }

static const struct field timeouts_fields[] = {
    TIMEOUT("header", header_ms, 1, HOUR_MS, 10 * 1000),
    TIMEOUT("body", body_ms, 1, 24 * HOUR_MS, 30 * 1000),
    TIMEOUT("connect", connect_ms, 1, HOUR_MS, 2 * 1000),
    TIMEOUT("response", response_ms, 1, 24 * HOUR_MS, 60 * 1000),
    TIMEOUT("idle", idle_ms, 1, 24 * HOUR_MS, 75 * 1000),
    TIMEOUT("tunnel", tunnel_ms, 1, DURATION_MAX_MS, HOUR_MS),
    TIMEOUT("tunnel_lifetime", tunnel_lifetime_ms, 0, DURATION_MAX_MS, 0),
    TIMEOUT("queue", queue_ms, 0, HOUR_MS, 5 * 1000),
};
const struct table timeouts_table = TABLE("timeouts", timeouts_fields);

static const char *const protocol_words[] = {"http", "tcp", NULL};

static void read_address(struct reader *reader, const struct node *node, void *target)
{
    struct config_listener *listener = target;

    if (node->kind != NODE_SCALAR || node->scalar != SCALAR_TEXT ||
        address_parse(slice_from_string(node->text), &listener->address) < 0)
        reader_refuse(reader, node, "IP:PORT, such as 0.0.0.0:80, :80, [::1]:8080, localhost:8080");
}

static void read_group(struct reader *reader, const struct node *node, void *target)
{
    if (node->kind != NODE_SCALAR || strcmp(node->text, "canary") != 0)
        reader_refuse(reader, node, "canary; without it, the weight decides");
    else
        ((struct config_listener *)target)->canary = true;
}

static const struct field listener_fields[] = {
    {.key = "address", .kind = FIELD_OTHER, .read = read_address},
    {.key = "protocol",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_listener, protocol),
     .words = protocol_words,
     .fallback = PROTOCOL_HTTP},
    {.key = "service", .kind = FIELD_OTHER}, /* config_check() resolves the name */
    {.key = "group", .kind = FIELD_OTHER, .read = read_group},
    {.key = "port",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_listener, port),
     .min = 1,
     .max = UINT16_MAX},
    {.key = "tls", .kind = FIELD_OTHER, .read = listener_tls_read},
    {.key = "redirect", .kind = FIELD_OTHER, .read = listener_redirect_read},
    {.key = "proxy_protocol",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_listener, proxy_protocol),
     .fallback = false},
    {.key = "defer_accept",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_listener, defer_accept),
     .fallback = false},
    {.key = "sni", .kind = FIELD_OTHER, .read = sni_read},
};
const struct table listener_table = TABLE("listener", listener_fields);

static bool wants_name(struct reader *reader, const struct node *node)
{
    if (name_is_valid(node->key))
        return true;
    reader_tell(reader, node->key_line,
                "found a name that is none, allowed are letters, digits, _ . and -, a letter or "
                "digit first, up to %d bytes",
                CONFIG_NAME_MAX);
    return false;
}

static bool wants_entries(struct reader *reader, const struct node *node, size_t max,
                          const char *what)
{
    if (!reader_wants_mapping(reader, node))
        return false;
    if (node->count >= 1 && node->count <= max)
        return true;
    reader_tell(reader, node->line, "found %zu %s, allowed are 1 to %zu", node->count, what, max);
    return false;
}

static void read_listeners(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    if (!wants_entries(reader, node, CONFIG_LISTENERS_MAX, "listeners"))
        return;
    config->listeners = memory_new_array(node->count, sizeof(*config->listeners));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        struct config_listener *listener = &config->listeners[config->listener_count++];
        size_t mark = reader_enter(reader, item->key);
        listener->name = memory_copy_string(item->key);
        listener->service = -1;
        table_defaults(&listener_table, listener);
        if (wants_name(reader, item))
            table_read(reader, item, &listener_table, listener);
        if (item->kind == NODE_MAPPING && node_get(item, "address") == NULL)
            reader_tell(reader, item->key_line, "found no address, allowed is `address: IP:PORT`");
        reader_leave(reader, mark);
    }
}

static void read_services(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    if (!wants_entries(reader, node, CONFIG_SERVICES_MAX, "services"))
        return;
    config->services = memory_new_array(node->count, sizeof(*config->services));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        struct config_service *service = &config->services[config->service_count++];
        size_t mark = reader_enter(reader, item->key);
        service->name = memory_copy_string(item->key);
        service->timeouts = config->timeouts;
        service_limits_begin(config, service);
        if (wants_name(reader, item))
            service_read(reader, item, service);
        reader_leave(reader, mark);
    }
}

static void read_cert_path(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    if (node->kind == NODE_SCALAR && node->scalar == SCALAR_NULL)
        return; /* said to be none, so the environment is not asked */
    if (!reader_wants_text(reader, node))
        return;
    if (!text_is_clean(node->text) || strlen(node->text) > 1024) {
        reader_refuse(reader, node, "a folder with ca.pem, cert.pem and key.pem, or null");
        return;
    }
    config->engine_cert_path = memory_copy_string(node->text);
}

static const struct field engine_fields[] = {
    {.key = "host",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config, engine_host),
     .max = 1024,
     .valid = engine_host_is_valid,
     .allowed = "unix:///PATH or tcp://HOST:PORT"},
    {.key = "cert_path", .kind = FIELD_OTHER, .read = read_cert_path},
};
const struct table engine_table = TABLE("engine", engine_fields);

static const struct field admin_fields[] = {
    {.key = "socket",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config, admin_socket),
     .max = 107, /* sun_path */
     .valid = text_is_clean,
     .allowed = "a path for a Unix socket"},
};
const struct table admin_table = TABLE("admin", admin_fields);

static uint32_t processors(void)
{
    cpu_set_t set;
    uint32_t count = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        count = (uint32_t)CPU_COUNT(&set);
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : count;
}

static void read_workers(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;
    uint64_t number = 0;

    if (node->kind == NODE_SCALAR && strcmp(node->text, "auto") == 0)
        return; /* config_read_tree() counts */
    if (node->kind == NODE_SCALAR && node->plain && number_parse(node->text, &number) &&
        number >= 1 && number <= WORKERS_MAX)
        config->workers = (uint32_t)number;
    else
        reader_refuse(reader, node, "auto or a whole number from 1 to %d", WORKERS_MAX);
}

static const struct field config_fields[] = {
    {.key = "timeouts",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config, timeouts),
     .table = &timeouts_table}, /* before the services, which start from them */
    {.key = "limits",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config, limits),
     .table = &limits_table},                                      /* the same */
    {.key = "presets", .kind = FIELD_OTHER, .read = presets_read}, /* before services */
    {.key = "listeners", .kind = FIELD_OTHER, .read = read_listeners},
    {.key = "services", .kind = FIELD_OTHER, .read = read_services},
    {.key = "engine", .kind = FIELD_TABLE, .offset = 0, .table = &engine_table},
    {.key = "admin", .kind = FIELD_TABLE, .offset = 0, .table = &admin_table},
    {.key = "state",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config, state),
     .max = 1024,
     .valid = text_is_clean,
     .allowed = "a folder"},
    {.key = "user",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config, user),
     .max = 32,
     .valid = name_is_valid,
     .allowed = "a user's name"},
    {.key = "notify", .kind = FIELD_OTHER, .read = notify_read},
    {.key = "workers", .kind = FIELD_OTHER, .read = read_workers},
    {.key = "access_log", .kind = FIELD_OTHER, .read = access_log_read},
    {.key = "error_pages", .kind = FIELD_OTHER, .read = error_pages_read},
    {.key = "trusted_proxies", .kind = FIELD_OTHER, .read = trusted_proxies_read},
};
const struct table config_table = TABLE("config", config_fields);

const struct table *const config_tables[] = {
    &config_table,
    &timeouts_table,
    &limits_table,
    &service_limits_table,
    &rate_table,
    &listener_table,
    &sni_table,
    &engine_table,
    &admin_table,
    &access_log_table,
    &error_pages_table,
    &service_table,
    &route_table,
    &discover_table,
    &healthcheck_table,
    &http_check_table,
    &tcp_check_table,
    &container_check_table,
    &rollout_table,
    &step_table,
    &pause_table,
    &drain_table,
    &drain_budget_table,
    &tls_table,
    &certificate_table,
    &client_certificates_table,
    &backend_tls_table,
    &sticky_table,
    &preview_table,
    &preview_match_table,
    &step_match_table,
    &step_match_value_table,
    &hash_table,
    &queue_table,
    &ejection_table,
    &retries_table,
    &hold_table,
    &images_table,
    &analysis_table,
    &preset_table,
    &hook_table,
    &verify_table,
    &verify_http_table,
    &notify_table,
    NULL,
};

static void replace(char **place, const char *text)
{
    free(*place);
    *place = memory_copy_string(text);
}

/* An override or variable is no line of the file: `source` names it. */
static void take_engine_host(struct reader *reader, const char *text, const char *source)
{
    char quoted[QUOTED_BYTES];

    if (strlen(text) <= 1024 && engine_host_is_valid(text)) {
        replace(&reader->config->engine_host, text);
        return;
    }
    quote_text(text, strlen(text), quoted);
    reader_tell(reader, 0, "%s: found %s, allowed unix:///PATH or tcp://HOST:PORT", source, quoted);
}

static const char *variable(const struct reader *reader, const char *name)
{
    const char *value = reader->canonical ? NULL : getenv(name);

    return value == NULL || *value == '\0' ? NULL : value;
}

/* Docker's own rules: TLS where DOCKER_TLS_VERIFY is set, with the files of DOCKER_CERT_PATH or
 * of the client's folder. */
static void take_engine_cert_path(struct reader *reader, const struct node *engine)
{
    struct config *config = reader->config;
    const char *path = variable(reader, "DOCKER_CERT_PATH");
    const char *home = variable(reader, "HOME");

    if (node_get(engine, "cert_path") != NULL || variable(reader, "DOCKER_TLS_VERIFY") == NULL ||
        strncmp(config->engine_host, "tcp://", 6) != 0)
        return;
    if (path == NULL)
        path = variable(reader, "DOCKER_CONFIG");
    if (path != NULL)
        config->engine_cert_path = memory_copy_string(path);
    else if (home != NULL)
        config->engine_cert_path = memory_format("%s/.docker", home);
    else
        reader_tell(reader, 0, "DOCKER_TLS_VERIFY: found without DOCKER_CERT_PATH, allowed with");
}

static void take_engine(struct reader *reader, const struct node *engine)
{
    struct config *config = reader->config;
    const char *told = reader->overrides->engine_host;
    const char *host = variable(reader, "DOCKER_HOST");

    if (told != NULL)
        take_engine_host(reader, told, "engine host of the command line");
    else if (host != NULL && node_get(engine, "host") == NULL)
        take_engine_host(reader, host, "DOCKER_HOST");
    if (config->engine_host == NULL)
        config->engine_host = memory_copy_string("unix:///var/run/docker.sock");
    take_engine_cert_path(reader, engine);
}

static void take_overrides(struct reader *reader)
{
    const struct config_overrides *overrides = reader->overrides;
    struct config *config = reader->config;

    if (overrides->state != NULL)
        replace(&config->state, overrides->state);
    if (overrides->admin_socket != NULL)
        replace(&config->admin_socket, overrides->admin_socket);
    if (overrides->workers > 0)
        config->workers = overrides->workers;
    if (config->admin_socket == NULL)
        config->admin_socket = memory_copy_string("/run/sluice/admin.sock");
    if (config->state == NULL)
        config->state = memory_copy_string("/var/lib/sluice");
    if (config->user == NULL)
        config->user = memory_copy_string("nobody");
    if (config->workers == 0)
        config->workers = processors();
    if (strlen(config->admin_socket) > 107 || !text_is_clean(config->admin_socket))
        reader_tell(reader, 0,
                    "admin socket of the command line: found %zu bytes, allowed is a "
                    "path of up to 107",
                    strlen(config->admin_socket));
    if (strlen(config->state) > 1024 || !text_is_clean(config->state))
        reader_tell(reader, 0,
                    "state folder of the command line: found %zu bytes, allowed is a "
                    "path of up to 1024",
                    strlen(config->state));
    if (config->workers > WORKERS_MAX)
        reader_tell(reader, 0, "workers of the command line: found %u, allowed 1 to %d",
                    config->workers, WORKERS_MAX);
}

void config_read_tree(struct reader *reader, const struct node *root)
{
    struct config *config = reader->config;

    table_defaults(&timeouts_table, &config->timeouts);
    table_defaults(&limits_table, &config->limits);
    access_log_defaults(&config->access_log);
    table_read(reader, root, &config_table, config);
    if (root->kind == NODE_MAPPING && node_get(root, "services") == NULL)
        reader_tell(reader, root->line, "services: found nothing, allowed are 1 to %d services",
                    CONFIG_SERVICES_MAX);
    if (root->kind == NODE_MAPPING && node_get(root, "listeners") == NULL)
        reader_tell(reader, root->line, "listeners: found nothing, allowed are 1 to %d listeners",
                    CONFIG_LISTENERS_MAX);
    take_engine(reader, node_get(root, "engine"));
    take_overrides(reader);
    limits_finish(config);
    config_check(reader, root);
}
