#include "base/memory.h"
#include "container_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STOP_TIMEOUT_DEFAULT_S 10
#define WHY_BYTES              256u

/* --- facts ---------------------------------------------------------------------------------- */

static int to_ordinal(const char *text, int offset)
{
    uint64_t number;

    if (text == NULL || slice_to_u64(slice_from_string(text), &number) < 0 || number > UINT16_MAX)
        return -1;
    return (int)number >= offset ? (int)number - offset : -1;
}

static int read_ordinal(const cJSON *labels)
{
    int ordinal = to_ordinal(engine_json_string(labels, LABEL_ORDINAL), 0);

    return ordinal >= 0 ? ordinal : to_ordinal(engine_json_string(labels, LABEL_COMPOSE_NUMBER), 1);
}

static enum container_state read_state(const cJSON *state)
{
    static const struct {
        const char *status;
        enum container_state state;
    } states[] = {
        {"created", CONTAINER_CREATED}, {"running", CONTAINER_RUNNING},
        {"paused", CONTAINER_PAUSED},   {"restarting", CONTAINER_RESTARTING},
        {"exited", CONTAINER_EXITED},   {"dead", CONTAINER_EXITED},
        {"stopped", CONTAINER_EXITED},  {"removing", CONTAINER_REMOVING},
    };
    const char *status = engine_json_string(state, "Status");

    for (size_t i = 0; status != NULL && i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(status, states[i].status) == 0)
            return states[i].state;
    }
    if (engine_json_true(state, "Restarting"))
        return CONTAINER_RESTARTING;
    if (engine_json_true(state, "Paused"))
        return CONTAINER_PAUSED;
    return engine_json_true(state, "Running") ? CONTAINER_RUNNING : CONTAINER_EXITED;
}

static enum container_health read_health(const cJSON *state)
{
    const char *status = engine_json_string(engine_json_get(state, "Health"), "Status");

    if (status == NULL)
        return CONTAINER_HEALTH_NONE;
    if (strcmp(status, "starting") == 0)
        return CONTAINER_HEALTH_STARTING;
    if (strcmp(status, "healthy") == 0)
        return CONTAINER_HEALTH_HEALTHY;
    return strcmp(status, "unhealthy") == 0 ? CONTAINER_HEALTH_UNHEALTHY : CONTAINER_HEALTH_NONE;
}

static uint32_t read_count(const cJSON *object, const char *key, uint32_t otherwise)
{
    int64_t value = engine_json_integer(object, key, otherwise);

    if (value < 0)
        return otherwise;
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static bool read_once(const cJSON *labels)
{
    const char *once = engine_json_string(labels, LABEL_COMPOSE_ONCE);

    return once != NULL && strcasecmp(once, "true") == 0;
}

int container_facts_read(const cJSON *inspect, struct container_facts *ret_facts)
{
    const cJSON *state = engine_json_get(inspect, "State");
    const cJSON *config = engine_json_get(inspect, "Config");
    const cJSON *labels = engine_json_get(config, "Labels");
    const char *id = engine_json_string(inspect, "Id");
    const char *name = engine_json_string(inspect, "Name");
    const char *image = engine_json_string(config, "Image");
    const char *image_id = engine_json_string(inspect, "Image");
    const char *started_at = engine_json_string(state, "StartedAt");
    const char *finished_at = engine_json_string(state, "FinishedAt");

    if (id == NULL || id[0] == '\0' || name == NULL || !cJSON_IsObject(state) ||
        !cJSON_IsObject(config))
        return -EPROTO;
    *ret_facts = (struct container_facts){
        .id = memory_copy_string(id),
        .name = memory_copy_string(name[0] == '/' ? name + 1 : name),
        .image = memory_copy_string(image != NULL ? image : ""),
        .image_id = memory_copy_string(image_id != NULL ? image_id : ""),
        .rollout_label = memory_copy_string(engine_json_string(labels, LABEL_ROLLOUT)),
        .ordinal = read_ordinal(labels),
        .state = read_state(state),
        .exit_code = (int)(int32_t)engine_json_integer(state, "ExitCode", 0),
        .oom_killed = engine_json_true(state, "OOMKilled"),
        .is_once = read_once(labels),
        .auto_remove = engine_json_true(engine_json_get(inspect, "HostConfig"), "AutoRemove"),
        .health = read_health(state),
        .restart_count = read_count(inspect, "RestartCount", 0),
        .started_at = memory_copy_string(started_at != NULL ? started_at : ""),
        .finished_at = memory_copy_string(finished_at != NULL ? finished_at : ""),
        .stop_timeout_s = read_count(config, "StopTimeout", STOP_TIMEOUT_DEFAULT_S),
        .attached = container_attached(inspect),
    };
    return 0;
}

void container_facts_done(struct container_facts *facts)
{
    free(facts->id);
    free(facts->name);
    free(facts->image);
    free(facts->image_id);
    free(facts->rollout_label);
    free(facts->started_at);
    free(facts->finished_at);
    free(facts->attached);
    *facts = (struct container_facts){0};
}

/* --- address -------------------------------------------------------------------------------- */

/* The keys of an object as "a, b, c". */
static void list_keys(const cJSON *object, char *text, size_t size)
{
    const cJSON *item;
    size_t length = 0;

    text[0] = '\0';
    cJSON_ArrayForEach(item, object)
    {
        int added = snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "",
                             item->string != NULL ? item->string : "?");
        if (added < 0 || (size_t)added >= size - length)
            return;
        length += (size_t)added;
    }
}

/* "8080/tcp" or "8080" -> 8080; 0 for anything else, UDP too. */
static uint16_t tcp_port(const char *text)
{
    size_t length = text != NULL ? strcspn(text, "/") : 0;
    uint64_t port = 0;

    if (length == 0 || (text[length] != '\0' && strcmp(text + length, "/tcp") != 0))
        return 0;
    if (slice_to_u64((struct slice){text, length}, &port) < 0 || port > UINT16_MAX)
        return 0;
    return (uint16_t)port;
}

/* The only TCP port among an object's keys: > 0. 0: none. -1: several. */
static int only_port(const cJSON *ports)
{
    const cJSON *item;
    int found = 0;

    cJSON_ArrayForEach(item, ports)
    {
        uint16_t port = tcp_port(item->string);
        if (port != 0 && found != 0)
            return -1;
        if (port != 0)
            found = port;
    }
    return found;
}

static int choose_port(const cJSON *ports, const char *what, uint16_t *port, char *why)
{
    char list[160];
    int only = only_port(ports);

    if (*port != 0)
        return 0;
    if (only > 0) {
        *port = (uint16_t)only;
        return 0;
    }
    list_keys(ports, list, sizeof(list));
    if (only == 0)
        snprintf(why, WHY_BYTES, "it %s no TCP port: say which one with `port`", what);
    else
        snprintf(why, WHY_BYTES, "it %s several ports (%s): say which one with `port`", what, list);
    return -EINVAL;
}

/* The binding's host address where it can be connected to from this host. */
static int binding_address(const cJSON *binding, struct address *ret_address)
{
    const char *ip = engine_json_string(binding, "HostIp");
    uint16_t port = tcp_port(engine_json_string(binding, "HostPort"));

    if (port == 0)
        return -EINVAL;
    if (ip == NULL || ip[0] == '\0' || strcmp(ip, "0.0.0.0") == 0)
        ip = "127.0.0.1";
    else if (strcmp(ip, "::") == 0)
        ip = "::1";
    return address_from_ip(slice_from_string(ip), port, ret_address);
}

/* Only the ports that are bound: the others stand there with null. */
static int choose_published(const cJSON *ports, uint16_t *port, char *why)
{
    cJSON *published = cJSON_CreateObject();
    const cJSON *item;

    cJSON_ArrayForEach(item, ports)
    {
        if (cJSON_IsArray(item) && item->child != NULL && item->string != NULL)
            cJSON_AddNullToObject(published, item->string);
    }
    int error = choose_port(published, "publishes", port, why);
    cJSON_Delete(published);
    return error;
}

/* The first binding by IPv4, else the first one. */
static struct address choose_binding(const cJSON *bindings)
{
    struct address address = {0}, found;
    const cJSON *binding;

    cJSON_ArrayForEach(binding, bindings)
    {
        if (binding_address(binding, &found) < 0)
            continue;
        if (found.family == AF_INET)
            return found;
        if (address.family == 0)
            address = found;
    }
    return address;
}

static int published_address(const cJSON *inspect, uint16_t port, struct address *ret_address,
                             char *why)
{
    const cJSON *ports = engine_json_at(inspect, "NetworkSettings", "Ports", NULL);
    struct address address = {0};
    const cJSON *item;
    int error = choose_published(ports, &port, why);

    if (error < 0)
        return error;
    cJSON_ArrayForEach(item, ports)
    {
        if (address.family == 0 && tcp_port(item->string) == port && cJSON_IsArray(item))
            address = choose_binding(item);
    }
    if (address.family == 0) {
        snprintf(why, WHY_BYTES, "port %u is not published on the host (or it does not run)", port);
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

static int choose_network(const cJSON *inspect, const char *network, const cJSON **ret_endpoint,
                          char *why)
{
    const cJSON *networks = engine_json_at(inspect, "NetworkSettings", "Networks", NULL);
    const char *mode = engine_json_string(engine_json_get(inspect, "HostConfig"), "NetworkMode");
    const cJSON *endpoint = NULL;
    char list[160];

    list_keys(networks, list, sizeof(list));
    if (mode != NULL && strcmp(mode, "host") == 0)
        snprintf(why, WHY_BYTES, "it uses the host's own network, so it has no address of its own");
    else if (mode != NULL && strncmp(mode, "container:", 10) == 0)
        snprintf(why, WHY_BYTES, "it shares the network of another container (%.80s)", mode);
    else if (!cJSON_IsObject(networks) || networks->child == NULL)
        snprintf(why, WHY_BYTES, "it is on no network");
    else if (network != NULL && (endpoint = engine_json_get(networks, network)) == NULL)
        snprintf(why, WHY_BYTES, "it is not on network %.60s, but on: %s", network, list);
    else if (network == NULL && networks->child->next != NULL)
        snprintf(why, WHY_BYTES, "it is on several networks (%s): say which one with `network`",
                 list);
    else
        endpoint = network != NULL ? endpoint : networks->child;
    *ret_endpoint = endpoint;
    return endpoint != NULL ? 0 : -EINVAL;
}

int container_address(const cJSON *inspect, const char *network, uint16_t port, bool published,
                      struct address *ret_address, char why[256])
{
    const cJSON *endpoint;

    if (published)
        return published_address(inspect, port, ret_address, why);
    int error = choose_network(inspect, network, &endpoint, why);
    if (error < 0)
        return error;
    error =
        choose_port(engine_json_at(inspect, "Config", "ExposedPorts", NULL), "exposes", &port, why);
    if (error < 0)
        return error;
    const char *ip = engine_json_string(endpoint, "IPAddress");
    if (ip == NULL || ip[0] == '\0')
        ip = engine_json_string(endpoint, "GlobalIPv6Address");
    if (ip == NULL || address_from_ip(slice_from_string(ip), port, ret_address) < 0) {
        snprintf(why, WHY_BYTES, "it has no address on network %.60s (it does not run?)",
                 endpoint->string != NULL ? endpoint->string : "?");
        return -EINVAL;
    }
    return 0;
}
