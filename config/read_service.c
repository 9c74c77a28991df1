#include "base/memory.h"
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void host_read(struct reader *reader, const struct node *node, char **ret_host)
{
    if (!reader_wants_text(reader, node))
        return;
    const char *rest = strncmp(node->text, "*.", 2) == 0 ? node->text + 2 : node->text;
    if (!host_is_valid(rest) || (rest != node->text && *rest == '[')) {
        reader_refuse(reader, node,
                      "a host name without port, such as shop.example or "
                      "*.shop.example (in ASCII, xn-- for other letters)");
        return;
    }
    free(*ret_host);
    *ret_host = memory_copy_string(node->text);
    for (char *c = *ret_host; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
}

static void read_host(struct reader *reader, const struct node *node, void *target)
{
    struct config_route *route = target;

    host_read(reader, node, &route->host);
}

static const struct field route_fields[] = {
    {.key = "host", .kind = FIELD_OTHER, .read = read_host},
    {.key = "path",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_route, path),
     .max = 255,
     .valid = path_is_valid,
     .allowed = "a path that starts with /, without ? and #, // and segments . and .."},
};
const struct table route_table = TABLE("route", route_fields);

/* A prefix ends at a path segment, so the slash at its end says nothing. */
static void route_finish(struct config_route *route)
{
    if (route->path == NULL)
        route->path = memory_copy_string("/");
    for (size_t length = strlen(route->path); length > 1 && route->path[length - 1] == '/';)
        route->path[--length] = '\0';
}

static void read_routes(struct reader *reader, const struct node *node, void *target)
{
    struct config_service *service = target;

    if (!reader_wants_list(reader, node, CONFIG_ROUTES_MAX) || node->count == 0)
        return;
    service->routes = memory_new_array(node->count, sizeof(*service->routes));
    for (size_t i = 0; i < node->count; i++) {
        struct config_route *route = &service->routes[service->route_count++];
        size_t mark = reader_enter_index(reader, i);
        table_read(reader, node->items[i], &route_table, route);
        route_finish(route);
        reader_leave(reader, mark);
    }
}

static bool is_listed(char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

static void read_endpoints(struct reader *reader, const struct node *node, char ***ret_list,
                           size_t *ret_count)
{
    if (!reader_wants_list(reader, node, CONFIG_BACKENDS_MAX) || node->count == 0)
        return;
    *ret_list = memory_new_array(node->count, sizeof(char *));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        size_t mark = reader_enter_index(reader, i);
        if (item->kind != NODE_SCALAR || item->scalar != SCALAR_TEXT ||
            !endpoint_is_valid(item->text))
            reader_refuse(reader, item,
                          "HOST:PORT, such as 127.0.0.1:9000, [::1]:9000 or "
                          "app.internal:9000");
        else if (is_listed(*ret_list, *ret_count, item->text))
            reader_refuse(reader, item, "each backend once");
        else
            (*ret_list)[(*ret_count)++] = memory_copy_string(item->text);
        reader_leave(reader, mark);
    }
}

static void read_backends(struct reader *reader, const struct node *node, void *target)
{
    struct config_service *service = target;

    if (node->kind == NODE_SEQUENCE && node->count == 0)
        reader_tell(reader, node->line, "found an empty list, allowed are 1 to %d backends",
                    CONFIG_BACKENDS_MAX);
    read_endpoints(reader, node, &service->backends, &service->backend_count);
}

static void read_canary(struct reader *reader, const struct node *node, void *target)
{
    struct config_service *service = target;

    read_endpoints(reader, node, &service->canary, &service->canary_count);
}

static void read_label(struct reader *reader, const struct node *node, void *target)
{
    struct config_service *service = target;

    if (!reader_wants_text(reader, node))
        return;
    const char *equals = strchr(node->text, '=');
    size_t key_length = equals == NULL ? strlen(node->text) : (size_t)(equals - node->text);
    if (key_length == 0 || !text_is_clean(node->text) || strlen(node->text) > 512 ||
        memchr(node->text, ' ', key_length) != NULL) {
        reader_refuse(reader, node,
                      "KEY=VALUE or KEY, such as sluice.service=web, up to 512 "
                      "bytes");
        return;
    }
    service->label_key = memory_copy_string(node->text);
    service->label_key[key_length] = '\0';
    if (equals != NULL)
        service->label_value = memory_copy_string(equals + 1);
}

static const struct field discover_fields[] = {
    {.key = "label", .kind = FIELD_OTHER, .read = read_label},
    {.key = "project",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_service, project),
     .max = 255,
     .valid = text_is_clean,
     .allowed = "a Compose project's name"},
};
const struct table discover_table = TABLE("discover", discover_fields);

static void read_discover(struct reader *reader, const struct node *node, void *target)
{
    table_read(reader, node, &discover_table, target);
    if (node->kind == NODE_MAPPING && node_get(node, "label") == NULL)
        reader_tell(reader, node->line, "found no label, allowed is `label: KEY=VALUE`");
}

static const char *const balance_words[] = {"least_requests", "round_robin", "random", "hash",
                                            NULL};

/* As enum config_proxy_protocol has them. */
static const char *const proxy_protocol_words[] = {"none", "v1", "v2", NULL};

static const struct field service_fields[] = {
    {.key = "routes", .kind = FIELD_OTHER, .read = read_routes},
    {.key = "backends", .kind = FIELD_OTHER, .read = read_backends},
    {.key = "canary", .kind = FIELD_OTHER, .read = read_canary},
    {.key = "discover", .kind = FIELD_OTHER, .read = read_discover},
    {.key = "port",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_service, port),
     .min = 1,
     .max = UINT16_MAX},
    {.key = "network",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_service, network),
     .max = 255,
     .valid = text_is_clean,
     .allowed = "a network's name"},
    {.key = "published",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_service, published),
     .fallback = false},
    {.key = "balance",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_service, balance),
     .words = balance_words,
     .fallback = BALANCE_LEAST_REQUESTS},
    {.key = "hash", .kind = FIELD_OTHER, .read = hash_read},
    {.key = "slow_start",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_service, slow_start_ms),
     .min = 0,
     .max = 3600 * 1000,
     .fallback = 0},
    {.key = "max_connections",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_service, max_connections),
     .min = 0,
     .max = UINT16_MAX,
     .fallback = 0},
    {.key = "queue",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config_service, queue),
     .table = &queue_table},
    {.key = "ejection", .kind = FIELD_OTHER, .read = ejection_read},
    {.key = "retries",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config_service, retries),
     .table = &retries_table},
    {.key = "send_proxy_protocol",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_service, send_proxy_protocol),
     .words = proxy_protocol_words,
     .fallback = SEND_PROXY_PROTOCOL_NONE},
    {.key = "healthcheck", .kind = FIELD_OTHER, .read = healthcheck_read},
    {.key = "timeouts",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config_service, timeouts),
     .table = &timeouts_table},
    {.key = "limits",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config_service, limits),
     .table = &service_limits_table},
    {.key = "rollout", .kind = FIELD_OTHER, .read = rollout_read},
    {.key = "error_pages", .kind = FIELD_OTHER, .read = service_error_pages_read},
    {.key = "tls", .kind = FIELD_OTHER, .read = service_tls_read}, /* behind backends, discover */
    {.key = "sticky", .kind = FIELD_OTHER, .read = sticky_read},
    {.key = "preview", .kind = FIELD_OTHER, .read = preview_read},
    {.key = "retry_assets",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_service, retry_assets),
     .fallback = false},
    {.key = "hold",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config_service, hold),
     .table = &hold_table},
};
const struct table service_table = TABLE("service", service_fields);

void service_read(struct reader *reader, const struct node *node, struct config_service *service)
{
    size_t before = reader->problems.count;

    balance_defaults(service);
    service->send_proxy_protocol = SEND_PROXY_PROTOCOL_NONE;
    table_defaults(&healthcheck_table, &service->check);
    table_defaults(&rollout_table, &service->rollout);
    analysis_defaults(&service->rollout.analysis);
    drain_defaults(&service->rollout.drain);
    table_defaults(&hold_table, &service->hold);
    table_read(reader, node, &service_table, service);
    if (service->check.path == NULL)
        service->check.path = memory_copy_string("/");
    if (service->rollout.steps == NULL)
        rollout_default_steps(&service->rollout, 30 * 1000);
    if (reader->problems.count == before)
        service_check(reader, node, service);
}
