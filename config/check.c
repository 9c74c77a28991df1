/* Checks across fields: what each value allows alone, but not together. */
#include "base/check.h"

#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

static void check_sources(struct reader *reader, const struct node *node)
{
    static const char *const only_discovered[] = {"port", "network", "published"};
    const struct node *backends = node_get(node, "backends");
    const struct node *canary = node_get(node, "canary");
    const struct node *discover = node_get(node, "discover");

    if (backends != NULL && discover != NULL)
        reader_tell(reader, discover->key_line,
                    "found both backends and discover, allowed is one of them");
    else if (backends == NULL && discover == NULL)
        reader_tell(reader, node->key_line,
                    "found neither backends nor discover, allowed is one of them");
    if (canary != NULL && discover != NULL)
        reader_tell(reader, canary->key_line,
                    "found canary with discover, allowed with backends: a rollout makes the "
                    "canary of a discovered service");
    for (size_t i = 0; discover == NULL && i < 3; i++) {
        const struct node *given = node_get(node, only_discovered[i]);
        if (given != NULL)
            reader_tell(reader, given->key_line,
                        "found %s with static backends, allowed with discover", given->key);
    }
}

/* After the last failure in start_period a container has `retries` intervals left. */
static uint64_t health_budget_ms(const struct config_check *check)
{
    if (check->kind == CHECK_NONE)
        return 0;
    return check->start_period_ms + (uint64_t)check->retries * check->interval_ms;
}

static void refuse_below_budget(struct reader *reader, const struct node *node,
                                const struct config_check *check)
{
    char budget[DURATION_TEXT_BYTES];

    duration_format(health_budget_ms(check), budget);
    size_t outer = reader_enter(reader, "rollout");
    reader_enter(reader, node->key);
    reader_refuse(reader, node,
                  "at least %s, the health check's start_period + retries * interval: a "
                  "container must have the time to become healthy",
                  budget);
    reader_leave(reader, outer);
}

/* The default is as long as one check at least: else nobody would look meanwhile. */
static void derive_monitor(const struct node *node, struct config_service *service)
{
    const struct config_check *check = &service->check;
    uint64_t once_ms = (uint64_t)check->interval_ms + check->timeout_ms;

    if (node_get(node_get(node, "rollout"), "monitor") == NULL && check->kind != CHECK_NONE &&
        once_ms > service->rollout.monitor_ms)
        service->rollout.monitor_ms = (uint32_t)once_ms;
}

static void check_health_times(struct reader *reader, const struct node *node,
                               struct config_service *service)
{
    struct config_rollout *rollout = &service->rollout;
    const struct config_check *check = &service->check;
    const struct node *health_timeout = node_get(node_get(node, "rollout"), "health_timeout");
    const struct node *deadline = node_get(node_get(node, "rollout"), "progress_deadline");
    uint64_t derived = check->start_period_ms + (check->retries + 1ull) * check->interval_ms +
                       check->timeout_ms + 10000;

    if (deadline != NULL && rollout->progress_deadline_ms < health_budget_ms(check))
        refuse_below_budget(reader, deadline, check);
    if (health_timeout == NULL) {
        if (deadline != NULL && derived > rollout->progress_deadline_ms)
            derived = rollout->progress_deadline_ms;
        rollout->health_timeout_ms =
            derived > DURATION_MAX_MS ? DURATION_MAX_MS : (uint32_t)derived;
    } else if (rollout->health_timeout_ms < health_budget_ms(check)) {
        refuse_below_budget(reader, health_timeout, check);
    }
    if (rollout->progress_deadline_ms >= rollout->health_timeout_ms)
        return;
    if (deadline == NULL) { /* the default gives way */
        rollout->progress_deadline_ms = rollout->health_timeout_ms;
        return;
    }
    size_t outer = reader_enter(reader, "rollout");
    reader_enter(reader, "progress_deadline");
    reader_refuse(reader, deadline, "at least the health_timeout");
    reader_leave(reader, outer);
}

void service_check(struct reader *reader, const struct node *node, struct config_service *service)
{
    check_sources(reader, node);
    if (service->check.kind == CHECK_CONTAINER && service->backend_count > 0)
        reader_tell(reader, node_get(node, "healthcheck")->key_line,
                    "healthcheck: found container with static backends, allowed with discover");
    check_health_times(reader, node, service);
    derive_monitor(node, service);
    tasks_check(reader, node, service);
}

int config_find_service(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void tell_no_such_service(struct reader *reader, const struct node *named)
{
    const struct config *config = reader->config;
    const char *best = NULL;
    size_t best_distance = 4;

    for (size_t i = 0; i < config->service_count; i++) {
        size_t distance = edit_distance(named->text, config->services[i].name);
        if (distance < best_distance && distance < strlen(named->text)) {
            best_distance = distance;
            best = config->services[i].name;
        }
    }
    if (best != NULL)
        reader_refuse(reader, named, "a service of this file; did you mean %s?", best);
    else
        reader_refuse(reader, named, "a service of this file");
}

int service_resolve(struct reader *reader, const struct node *named)
{
    int service = -1;

    if (named->kind != NODE_SCALAR)
        reader_refuse(reader, named, "the name of a service");
    else if ((service = config_find_service(reader->config, named->text)) < 0)
        tell_no_such_service(reader, named);
    return service;
}

static void resolve_service(struct reader *reader, const struct node *node,
                            struct config_listener *listener)
{
    const struct node *named = node_get(node, "service");

    if (node->kind != NODE_MAPPING)
        return;
    if (listener->port != 0 && listener->protocol != PROTOCOL_TCP)
        reader_tell(reader, node->key_line,
                    "found `port` without `protocol: tcp`, allowed with it");
    if (named == NULL) {
        if (listener->protocol == PROTOCOL_TCP && node_get(node, "sni") == NULL)
            reader_tell(reader, node->key_line,
                        "found a tcp listener without a service, allowed with `service: NAME` or "
                        "`sni`");
        return;
    }
    size_t mark = reader_enter(reader, "service");
    if (listener->protocol != PROTOCOL_TCP && !listener->canary)
        reader_refuse(reader, named,
                      "only with `protocol: tcp` or `group: canary`; else for http the services' "
                      "routes decide");
    else
        listener->service = service_resolve(reader, named);
    reader_leave(reader, mark);
}

/* A preview of one service's canary: what contradicts that. */
static void check_group(struct reader *reader, const struct node *node,
                        const struct config_listener *listener)
{
    const struct node *group = node_get(node, "group");

    if (!listener->canary)
        return;
    if (listener->protocol == PROTOCOL_TCP)
        reader_tell(reader, group->key_line,
                    "found group with protocol tcp, allowed with http: whose connection is the new "
                    "version's shows in requests only");
    else if (node_get(node, "service") == NULL)
        reader_tell(reader, group->key_line,
                    "found group without service, allowed with `service: NAME`, whose canary is "
                    "to be shown");
    if (node_get(node, "redirect") != NULL)
        reader_tell(reader, group->key_line, "found group with redirect, allowed is one of them");
}

static void check_tls(struct reader *reader, const struct node *node,
                      const struct config_listener *listener)
{
    const struct node *tls = node_get(node, "tls");
    const struct node *redirect = node_get(node, "redirect");

    if (listener->protocol == PROTOCOL_TCP && tls != NULL)
        reader_tell(reader, tls->key_line,
                    "found tls with protocol tcp, allowed with http: TLS of a TCP service passes "
                    "through to its backends");
    if (listener->protocol == PROTOCOL_TCP && redirect != NULL)
        reader_tell(reader, redirect->key_line,
                    "found redirect with protocol tcp, allowed with http");
    if (tls != NULL && redirect != NULL)
        reader_tell(reader, redirect->key_line,
                    "found redirect with tls, allowed without: what comes here is https already");
}

static void check_same_address(struct reader *reader, const struct node *node, size_t index)
{
    const struct config_listener *listeners = reader->config->listeners;
    const struct config_listener *mine = &listeners[index];

    if (mine->address.family == 0 || mine->address.port == 0)
        return;
    for (size_t i = 0; i < index; i++) {
        if (!address_equals(&mine->address, &listeners[i].address) ||
            mine->address.family != listeners[i].address.family)
            continue;
        size_t mark = reader_enter(reader, "address");
        reader_refuse(reader, node_get(node, "address"),
                      "an address of its own (listener %s has this one)", listeners[i].name);
        reader_leave(reader, mark);
        return;
    }
}

static void check_listeners(struct reader *reader, const struct node *nodes)
{
    struct config *config = reader->config;
    size_t outer = reader_enter(reader, "listeners");

    for (size_t i = 0; i < config->listener_count; i++) {
        size_t mark = reader_enter(reader, nodes->items[i]->key);
        resolve_service(reader, nodes->items[i], &config->listeners[i]);
        check_group(reader, nodes->items[i], &config->listeners[i]);
        check_tls(reader, nodes->items[i], &config->listeners[i]);
        listener_check_tcp(reader, nodes->items[i], &config->listeners[i]);
        check_same_address(reader, nodes->items[i], i);
        reader_leave(reader, mark);
    }
    reader_leave(reader, outer);
}

/* What a preview listener shows is known only once every listener was looked at. */
static void check_previews(struct reader *reader, const struct node *nodes)
{
    const struct config *config = reader->config;

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (!listener->canary || listener->service < 0 ||
            config->services[listener->service].protocol != PROTOCOL_TCP)
            continue;
        reader_tell(reader, node_get(nodes->items[i], "service")->line,
                    "listeners.%s.service: found tcp service %s with group, allowed are http ones",
                    listener->name, config->services[listener->service].name);
    }
}

/* tcp where a tcp listener leads to its port (not to a second one of its containers); else http,
 * with every host and path where none is told. */
static void derive_protocols(struct reader *reader, const struct node *nodes)
{
    struct config *config = reader->config;
    size_t outer = reader_enter(reader, "services");

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->port != 0)
            continue;
        if (listener->service >= 0 && !listener->canary)
            config->services[listener->service].protocol = PROTOCOL_TCP;
        for (size_t j = 0; j < listener->sni_count; j++)
            if (listener->sni[j].service >= 0)
                config->services[listener->sni[j].service].protocol = PROTOCOL_TCP;
    }
    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        size_t mark = reader_enter(reader, service->name);
        if (service->protocol == PROTOCOL_TCP && service->route_count > 0)
            reader_tell(reader, node_get(nodes->items[i], "routes")->key_line,
                        "routes: found with a tcp listener leading to this service, allowed for "
                        "http");
        if (service->protocol == PROTOCOL_HTTP && service->route_count == 0) {
            free(service->routes);
            service->routes = memory_new_array(1, sizeof(*service->routes));
            service->routes[0].path = memory_copy_string("/");
            service->route_count = 1;
        }
        sticky_check(reader, nodes->items[i], service);
        steps_check(reader, nodes->items[i], service);
        hash_check(reader, nodes->items[i], service);
        reader_leave(reader, mark);
    }
    reader_leave(reader, outer);
}

struct claim {
    const struct config_route *route;
    size_t service;
    size_t index;
};

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left;
    const struct claim *b = right;
    int order = strcmp(a->route->host == NULL ? "" : a->route->host,
                       b->route->host == NULL ? "" : b->route->host);

    if (order == 0)
        order = strcmp(a->route->path, b->route->path);
    if (order == 0)
        order = a->service < b->service ? -1 : a->service > b->service;
    if (order == 0)
        order = a->index < b->index ? -1 : a->index > b->index;
    return order;
}

static void refuse_claim(struct reader *reader, const struct node *nodes, const struct claim *first,
                         const struct claim *second)
{
    const struct config *config = reader->config;
    const struct node *service = nodes->items[second->service];
    const struct node *routes = node_get(service, "routes");
    const struct node *entry =
        routes == NULL || routes->count == 0 ? service : routes->items[second->index];
    size_t outer = reader_enter(reader, "services");

    reader_enter(reader, service->key);
    reader_enter(reader, "routes");
    if (entry == service)
        reader_tell(reader, service->key_line,
                    "found none, so every host and path, which service %s has already, allowed "
                    "is each host and path once",
                    config->services[first->service].name);
    else
        reader_tell(reader, entry->line,
                    "found %.100s%.100s, which service %s has already, allowed is each host and "
                    "path once",
                    second->route->host == NULL ? "every host with " : second->route->host,
                    second->route->path, config->services[first->service].name);
    reader_leave(reader, outer);
}

/* The same host and path twice would make the choice a matter of luck. */
static void check_routes(struct reader *reader, const struct node *nodes)
{
    const struct config *config = reader->config;
    size_t count = 0;

    for (size_t i = 0; i < config->service_count; i++)
        count += config->services[i].route_count;
    if (count == 0)
        return;
    struct claim *claims = memory_new_array(count, sizeof(*claims));
    size_t used = 0;
    for (size_t i = 0; i < config->service_count; i++)
        for (size_t j = 0; j < config->services[i].route_count; j++)
            claims[used++] = (struct claim){&config->services[i].routes[j], i, j};
    check(used == count);
    qsort(claims, count, sizeof(*claims), compare_claims);
    for (size_t i = 1; i < count; i++) {
        const struct config_route *a = claims[i - 1].route;
        const struct config_route *b = claims[i].route;
        bool same_host =
            a->host == NULL || b->host == NULL ? a->host == b->host : strcmp(a->host, b->host) == 0;
        if (same_host && strcmp(a->path, b->path) == 0)
            refuse_claim(reader, nodes, &claims[i - 1], &claims[i]);
    }
    free(claims);
}

void config_check(struct reader *reader, const struct node *root)
{
    struct config *config = reader->config;
    const struct node *services = node_get(root, "services");

    check_listeners(reader, node_get(root, "listeners"));
    derive_protocols(reader, services);
    check_previews(reader, node_get(root, "listeners"));
    if (reader->problems.count == 0) /* a refused route stands at its default */
        check_routes(reader, services);
    for (size_t i = 0; i < config->service_count; i++)
        config->engine_needed = config->engine_needed || config->services[i].label_key != NULL;
}
