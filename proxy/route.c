#include "route.h"

#include "base/memory.h"
#include "http1.h"
#include "path.h"

#include <stdlib.h>

static void add(struct route_table *table, const char *host, const char *path, size_t service)
{
    struct route *route = &table->routes[table->count++];

    struct slice given = slice_from_string(path);
    char *normal = memory_new(given.length + 1);

    *route = (struct route){.service = (uint16_t)service};
    if (!path_normalise(given, normal, &route->path)) { /* config refuses those */
        memcpy(normal, given.data, given.length);
        route->path = (struct slice){normal, given.length};
    }
    table->by_path = table->by_path || route->path.length > 1;
    if (host == NULL)
        return;
    route->host = slice_from_string(host);
    if (slice_starts_with(route->host, SLICE("*."))) {
        route->is_suffix = true;
        route->host.data++;
        route->host.length--;
    }
}

static int host_rank(const struct route *route)
{
    return route->host.length == 0 ? 0 : route->is_suffix ? 1 : 2;
}

/* Whether `a` must be tried before `b`. */
static bool is_before(const struct route *a, const struct route *b)
{
    if (host_rank(a) != host_rank(b))
        return host_rank(a) > host_rank(b);
    if (a->is_suffix && a->host.length != b->host.length)
        return a->host.length > b->host.length;
    return a->path.length > b->path.length;
}

/* By insertion: stable, and made once from some hundred routes. */
static void sort(struct route_table *table)
{
    for (size_t i = 1; i < table->count; i++) {
        struct route route = table->routes[i];
        size_t place = i;
        while (place > 0 && is_before(&route, &table->routes[place - 1])) {
            table->routes[place] = table->routes[place - 1];
            place--;
        }
        table->routes[place] = route;
    }
}

void route_table_init(struct route_table *table, const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->service_count; i++)
        count += config->services[i].route_count > 0 ? config->services[i].route_count : 1;
    table->routes = memory_new_array(count > 0 ? count : 1, sizeof(*table->routes));
    table->count = 0;
    table->by_path = false;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        if (service->protocol != PROTOCOL_HTTP)
            continue;
        for (size_t j = 0; j < service->route_count; j++)
            add(table, service->routes[j].host, service->routes[j].path, i);
        if (service->route_count == 0)
            add(table, NULL, "/", i);
    }
    sort(table);
}

void route_table_init_names(struct route_table *table, const struct config_listener *listener)
{
    *table = (struct route_table){0};
    if (listener->sni_count == 0)
        return;
    table->routes = memory_new_array(listener->sni_count, sizeof(*table->routes));
    for (size_t i = 0; i < listener->sni_count; i++)
        add(table, listener->sni[i].host, "/", (size_t)listener->sni[i].service);
    sort(table);
}

void route_table_done(struct route_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): the slice is const, its memory the table's */
        free((void *)(uintptr_t)table->routes[i].path.data);
    free(table->routes);
    *table = (struct route_table){0};
}

/* Without port and without the root's dot. */
static struct slice host_name(struct slice host)
{
    if (host.length > 0 && host.data[0] == '[') {
        const char *end = memchr(host.data, ']', host.length);
        if (end != NULL)
            host.length = (size_t)(end - host.data) + 1;
        return host;
    }
    const char *colon = memchr(host.data, ':', host.length);
    if (host.length > 0 && colon != NULL)
        host.length = (size_t)(colon - host.data);
    if (host.length > 0 && host.data[host.length - 1] == '.')
        host.length--;
    return host;
}

static bool host_matches(const struct route *route, struct slice host)
{
    if (route->host.length == 0)
        return true;
    if (!route->is_suffix)
        return slice_equals_ignoring_case(route->host, host);
    if (host.length <= route->host.length)
        return false;
    struct slice tail = {host.data + host.length - route->host.length, route->host.length};
    return slice_equals_ignoring_case(route->host, tail);
}

/* "/api" leads "/api", "/api/x" and "/api?x", not "/apix". */
static bool path_matches(struct slice prefix, struct slice path)
{
    if (prefix.length <= 1)
        return true; /* "/", and so "*" too */
    if (!slice_starts_with(path, prefix))
        return false;
    return path.length == prefix.length || prefix.data[prefix.length - 1] == '/' ||
           path.data[prefix.length] == '/' || path.data[prefix.length] == '?';
}

static int find(const struct route_table *table, struct slice name, struct slice path)
{
    for (size_t i = 0; i < table->count; i++)
        if (host_matches(&table->routes[i], name) && path_matches(table->routes[i].path, path))
            return table->routes[i].service;
    return ROUTE_NONE;
}

static __attribute__((noinline)) int find_normal(const struct route_table *table, struct slice name,
                                                 struct slice path)
{
    char buffer[HTTP1_TARGET_BYTES_MAX];
    struct slice normal;

    if (path.length > sizeof(buffer) || !path_normalise(path, buffer, &normal))
        return ROUTE_AMBIGUOUS;
    return find(table, name, normal);
}

int route_find(const struct route_table *table, struct slice host, struct slice path)
{
    struct slice name = host.length > 0 ? host_name(host) : host;

    if (table->by_path && !path_is_normal(path))
        return find_normal(table, name, path);
    return find(table, name, path);
}
