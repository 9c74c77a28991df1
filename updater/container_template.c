#include "container_template.h"

#include "base/memory.h"
#include "config/config.h"
#include "container.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_BYTES       CONTAINER_TEMPLATE_WHY_BYTES
#define ENTRIES_MAX     64   /* of one list */
#define ENTRY_BYTES_MAX 4096 /* a path's limit */
#define LABEL_PROJECT   "com.docker.compose.project"
#define LABEL_ONEOFF    "com.docker.compose.oneoff"
#define COMPOSE         "com.docker.compose."

struct making {
    const struct config_service *service;
    cJSON *config, *host, *networks, *mounts;
    char *why;
};

static int refuse(struct making *making, const char *what, const char *text)
{
    (void)snprintf(making->why, WHY_BYTES, "%s, not \"%.80s\"", what, text);
    return -EINVAL;
}

/* --- lists ---------------------------------------------------------------------------------- */

typedef int entry_read(struct making *making, const char *text);

static int read_list(struct making *making, const cJSON *list, const char *what, entry_read *read)
{
    const cJSON *item;

    if (list != NULL && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > ENTRIES_MAX)) {
        (void)snprintf(making->why, WHY_BYTES, "%s is a list of at most %d texts", what,
                       ENTRIES_MAX);
        return -EINVAL;
    }
    cJSON_ArrayForEach(item, list)
    {
        int error;

        if (!cJSON_IsString(item) || item->valuestring[0] == '\0' ||
            strlen(item->valuestring) > ENTRY_BYTES_MAX) {
            (void)snprintf(making->why, WHY_BYTES, "each of %s is a text", what);
            return -EINVAL;
        }
        error = read(making, item->valuestring);
        if (error < 0)
            return error;
    }
    return 0;
}

/* --- networks ------------------------------------------------------------------------------- */

/* The engine's own ones know no names. */
static bool has_names(const char *network)
{
    return strcmp(network, "bridge") != 0 && strcmp(network, "default") != 0;
}

/* Under the service's name, as Compose does, so that other containers can find it. */
static int add_network(struct making *making, const char *name)
{
    cJSON *endpoint;

    if (strcmp(name, "host") == 0 || strcmp(name, "none") == 0 || strchr(name, ':') != NULL)
        return refuse(making, "networks have names, and addresses for their containers", name);
    if (engine_json_get(making->networks, name) != NULL)
        return refuse(making, "each network is named once", name);
    endpoint = cJSON_AddObjectToObject(making->networks, name);
    if (has_names(name)) {
        const char *aliases[] = {making->service->name};

        cJSON_AddItemToObject(endpoint, "Aliases", cJSON_CreateStringArray(aliases, 1));
    }
    return 0;
}

/* The one by which Sluice reaches them is one of them. */
static int read_networks(struct making *making, const cJSON *list)
{
    const char *own = making->service->network;
    int error = read_list(making, list, "networks", add_network);

    if (error < 0)
        return error;
    if (own != NULL && engine_json_get(making->networks, own) == NULL)
        error = add_network(making, own);
    if (error == 0 && making->networks->child == NULL)
        error = add_network(making, "bridge");
    if (error == 0)
        cJSON_AddStringToObject(making->host, "NetworkMode", making->networks->child->string);
    return error;
}

/* --- volumes -------------------------------------------------------------------------------- */

static void add_mount(struct making *making, const char *source, const char *target, bool writable)
{
    bool is_volume = source[0] != '/';
    cJSON *mount = cJSON_CreateObject();

    cJSON_AddStringToObject(mount, "Type", is_volume ? "volume" : "bind");
    cJSON_AddStringToObject(mount, is_volume ? "Name" : "Source", source);
    cJSON_AddStringToObject(mount, "Destination", target);
    cJSON_AddBoolToObject(mount, "RW", writable);
    cJSON_AddItemToArray(making->mounts, mount);
}

static bool is_read_only(const char *options)
{
    for (const char *at = options; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");

        if (length == 2 && strncmp(at, "ro", 2) == 0)
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

/* "name:/path[:options]", "/host/path:/path[:options]", "/path" */
static int add_volume(struct making *making, const char *text)
{
    static const char form[] =
        "a volume is NAME:/PATH, /HOST/PATH:/PATH, either with :ro, or /PATH";
    const char *colon = strchr(text, ':');
    const char *target = colon != NULL ? colon + 1 : text;
    const char *end = colon != NULL ? strchr(target, ':') : NULL;
    char *source, *path;

    if (target[0] != '/' || colon == text || (end != NULL && end[1] == '\0'))
        return refuse(making, form, text);
    if (colon == NULL) {
        cJSON *volumes = cJSON_GetObjectItemCaseSensitive(making->config, "Volumes");

        if (engine_json_get(volumes, text) == NULL)
            cJSON_AddObjectToObject(volumes, text);
        return 0;
    }
    if (text[0] != '/' && strcspn(text, "/\\") < (size_t)(colon - text)) /* "./data" of here? */
        return refuse(making, form, text);
    source = memory_format("%.*s", (int)(colon - text), text);
    path = memory_format("%.*s", end != NULL ? (int)(end - target) : (int)strlen(target), target);
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(making->host, "Binds"),
                         cJSON_CreateString(text));
    add_mount(making, source, path, !is_read_only(end != NULL ? end + 1 : NULL));
    free(source);
    free(path);
    return 0;
}

/* --- ports ---------------------------------------------------------------------------------- */

static bool is_port(const char *text, size_t length)
{
    uint64_t port = 0;

    return slice_to_u64((struct slice){text, length}, &port) == 0 && port > 0 && port <= UINT16_MAX;
}

/* "8080", "8080-8090" (the engine takes one that is free), "" (any) */
static bool is_host_port(const char *text, size_t length)
{
    const char *dash = memchr(text, '-', length);

    if (length == 0)
        return true;
    if (dash == NULL)
        return is_port(text, length);
    return is_port(text, (size_t)(dash - text)) &&
           is_port(dash + 1, length - (size_t)(dash - text) - 1);
}

static void publish(struct making *making, const char *port, const char *ip, const char *host_port)
{
    cJSON *bindings = cJSON_GetObjectItemCaseSensitive(making->host, "PortBindings");
    cJSON *exposed = cJSON_GetObjectItemCaseSensitive(making->config, "ExposedPorts");
    cJSON *list = cJSON_GetObjectItemCaseSensitive(bindings, port);
    cJSON *binding = cJSON_CreateObject();

    if (list == NULL)
        list = cJSON_AddArrayToObject(bindings, port);
    if (engine_json_get(exposed, port) == NULL)
        cJSON_AddObjectToObject(exposed, port);
    cJSON_AddStringToObject(binding, "HostIp", ip);
    cJSON_AddStringToObject(binding, "HostPort", host_port);
    cJSON_AddItemToArray(list, binding);
}

/* "[[IP]:][HOST]:CONTAINER[/udp]" or "CONTAINER[/udp]"; an IPv6 address in brackets. */
static int add_port(struct making *making, const char *text)
{
    static const char form[] = "a port is [[IP:]HOST:]CONTAINER, with /udp where it is not TCP";
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    const char *colon = memrchr(text, ':', length);
    const char *port = colon != NULL ? colon + 1 : text;
    size_t port_length = length - (size_t)(port - text);
    const char *host = colon != NULL ? memrchr(text, ':', (size_t)(colon - text)) : NULL;
    const char *host_port = host != NULL ? host + 1 : text;
    size_t host_length = colon != NULL ? (size_t)(colon - host_port) : 0;
    size_t ip_length = host != NULL ? (size_t)(host - text) : 0;
    bool is_bracketed = ip_length > 2 && text[0] == '[' && text[ip_length - 1] == ']';
    char ip[64], bare[128], key[24];
    struct address address;

    (void)snprintf(ip, sizeof(ip), "%.*s", (int)(is_bracketed ? ip_length - 2 : ip_length),
                   text + is_bracketed);
    if (!is_port(port, port_length) || !is_host_port(host_port, host_length) ||
        host_length >= sizeof(bare) || ip_length >= sizeof(ip) ||
        (slash != NULL && strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0) ||
        (ip_length > 0 && address_from_ip(slice_from_string(ip), 1, &address) < 0))
        return refuse(making, form, text);
    (void)snprintf(bare, sizeof(bare), "%.*s", (int)host_length, host_port);
    (void)snprintf(key, sizeof(key), "%.*s%s", (int)port_length, port,
                   slash != NULL ? slash : "/tcp");
    publish(making, key, ip, bare);
    return 0;
}

/* Where Sluice is to reach them by a port of the host, on the loopback, whichever is free. */
static int read_ports(struct making *making, const cJSON *list)
{
    const struct config_service *service = making->service;
    const cJSON *bindings = cJSON_GetObjectItemCaseSensitive(making->host, "PortBindings");
    char key[24];
    int error = read_list(making, list, "ports", add_port);

    (void)snprintf(key, sizeof(key), "%u/tcp", service->port);
    if (error == 0 && service->published && service->port != 0 &&
        engine_json_get(bindings, key) == NULL)
        publish(making, key, "127.0.0.1", "");
    return error;
}

/* --- the rest ------------------------------------------------------------------------------- */

/* By default they come back with the engine, but not where somebody has stopped them: an old one
 * that is kept stopped for the way back must not rise by itself. */
static int read_restart(struct making *making, const cJSON *item)
{
    static const char *const names[] = {"unless-stopped", "always", "on-failure", "no"};
    const char *wanted = item == NULL ? names[0] : cJSON_GetStringValue(item);
    const char *colon = wanted != NULL ? strchr(wanted, ':') : NULL;
    size_t length = wanted == NULL ? 0 : colon != NULL ? (size_t)(colon - wanted) : strlen(wanted);
    uint64_t count = 0;
    cJSON *policy;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (wanted == NULL || strlen(names[i]) != length || strncmp(wanted, names[i], length) != 0)
            continue;
        if (colon != NULL &&
            (strcmp(names[i], "on-failure") != 0 ||
             slice_to_u64(slice_from_string(colon + 1), &count) < 0 || count > 1000000))
            break;
        policy = cJSON_AddObjectToObject(making->host, "RestartPolicy");
        cJSON_AddStringToObject(policy, "Name", names[i]);
        cJSON_AddNumberToObject(policy, "MaximumRetryCount", (double)count);
        return 0;
    }
    return refuse(making, "restart is no, always, unless-stopped or on-failure[:COUNT]",
                  wanted != NULL ? wanted : "?");
}

static int read_user(struct making *making, const cJSON *item)
{
    if (item == NULL)
        return 0;
    if (!cJSON_IsString(item) || item->valuestring[0] == '\0' ||
        strlen(item->valuestring) > ENTRY_BYTES_MAX)
        return refuse(making, "user is a name or a number, with :GROUP or without", "");
    cJSON_AddStringToObject(making->config, "User", item->valuestring);
    return 0;
}

/* What the service finds them by. Compose's own need a number beside them (create.c gives it). */
static void add_labels(struct making *making)
{
    const struct config_service *service = making->service;
    cJSON *labels = cJSON_AddObjectToObject(making->config, "Labels");
    bool is_compose =
        service->project != NULL || strncmp(service->label_key, COMPOSE, strlen(COMPOSE)) == 0;

    cJSON_AddStringToObject(labels, service->label_key,
                            service->label_value != NULL ? service->label_value : service->name);
    if (service->project != NULL)
        cJSON_AddStringToObject(labels, LABEL_PROJECT, service->project);
    if (is_compose) {
        cJSON_AddStringToObject(labels, LABEL_ONEOFF, "False");
        cJSON_AddStringToObject(labels, LABEL_COMPOSE_NUMBER, "1");
    }
}

static int check_keys(struct making *making, const cJSON *wanted)
{
    static const char *const keys[] = {"networks", "volumes", "ports", "restart", "user"};
    const cJSON *item;

    if (wanted != NULL && !cJSON_IsObject(wanted)) {
        (void)snprintf(making->why, WHY_BYTES, "create is an object");
        return -EINVAL;
    }
    cJSON_ArrayForEach(item, wanted)
    {
        bool is_known = false;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            is_known = is_known || strcmp(item->string, keys[i]) == 0;
        if (!is_known)
            return refuse(making, "create has networks, volumes, ports, restart and user",
                          item->string);
    }
    return 0;
}

/* NULL: it cannot be made; `why` says it. */
static cJSON *make(struct making *making, const cJSON *wanted)
{
    cJSON *template = cJSON_CreateObject();

    cJSON_AddStringToObject(template, "Id", ""); /* none of the engine's */
    making->config = cJSON_AddObjectToObject(template, "Config");
    making->host = cJSON_AddObjectToObject(template, "HostConfig");
    making->networks =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(template, "NetworkSettings"), "Networks");
    making->mounts = cJSON_AddArrayToObject(template, "Mounts");
    cJSON_AddObjectToObject(making->config, "ExposedPorts");
    cJSON_AddObjectToObject(making->config, "Volumes");
    cJSON_AddArrayToObject(making->host, "Binds");
    cJSON_AddObjectToObject(making->host, "PortBindings");
    add_labels(making);
    if (check_keys(making, wanted) == 0 &&
        read_networks(making, engine_json_get(wanted, "networks")) == 0 &&
        read_list(making, engine_json_get(wanted, "volumes"), "volumes", add_volume) == 0 &&
        read_ports(making, engine_json_get(wanted, "ports")) == 0 &&
        read_restart(making, engine_json_get(wanted, "restart")) == 0 &&
        read_user(making, engine_json_get(wanted, "user")) == 0)
        return template;
    cJSON_Delete(template);
    return NULL;
}

int container_template(const struct config_service *service, const cJSON *wanted,
                       cJSON **ret_template, char why[CONTAINER_TEMPLATE_WHY_BYTES])
{
    struct making making = {.service = service, .why = why};
    cJSON *template;

    why[0] = '\0';
    template = make(&making, wanted);
    if (template == NULL)
        return -EINVAL;
    *ret_template = template;
    return 0;
}
