#include "container_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <string.h>

/* What the engine fills in; everything else in an endpoint is a setting. */
static const char *const filled_in[] = {
    "NetworkID",   "EndpointID",        "Gateway",  "IPAddress",  "IPPrefixLen",
    "IPv6Gateway", "GlobalIPv6Address", "DNSNames", "MacAddress", "GlobalIPv6PrefixLen",
};

/* The engine adds the short id, and a hostname of the user's own, to the aliases of each container.
 */
static void drop_added_aliases(cJSON *aliases, const cJSON *inspect)
{
    const char *hostname = engine_json_string(engine_json_get(inspect, "Config"), "Hostname");

    for (cJSON *item = cJSON_IsArray(aliases) ? aliases->child : NULL; item != NULL;) {
        cJSON *next = item->next;
        if (cJSON_IsString(item) &&
            (container_is_short_id(inspect, item->valuestring) ||
             (hostname != NULL && strcmp(item->valuestring, hostname) == 0)))
            cJSON_Delete(cJSON_DetachItemViaPointer(aliases, item));
        item = next;
    }
}

static cJSON *endpoint_settings(const cJSON *endpoint, const cJSON *inspect)
{
    cJSON *settings =
        cJSON_IsObject(endpoint) ? cJSON_Duplicate(endpoint, true) : cJSON_CreateObject();

    for (size_t i = 0; i < sizeof(filled_in) / sizeof(filled_in[0]); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(settings, filled_in[i]);
    drop_added_aliases(cJSON_GetObjectItemCaseSensitive(settings, "Aliases"), inspect);
    for (cJSON *item = settings != NULL ? settings->child : NULL; item != NULL;) {
        cJSON *next = item->next;
        if (engine_json_is_empty(item))
            cJSON_Delete(cJSON_DetachItemViaPointer(settings, item));
        item = next;
    }
    return settings;
}

/* Whether `text` is a network's id, whole or begun. */
static bool is_id_of(const cJSON *endpoint, const char *text)
{
    const char *id = engine_json_string(endpoint, "NetworkID");
    size_t length = strlen(text);

    return id != NULL && length >= 12 && strncmp(id, text, length) == 0;
}

const char *container_main_network(const cJSON *settings, const cJSON *endpoints)
{
    const char *mode = engine_json_string(engine_json_get(settings, "HostConfig"), "NetworkMode");

    if (mode == NULL || !cJSON_IsObject(endpoints) || endpoints->child == NULL)
        return NULL;
    if (mode[0] == '\0' || strcmp(mode, "default") == 0)
        mode = "bridge";
    const cJSON *endpoint = engine_json_get(endpoints, mode);
    return endpoint != NULL ? endpoint->string : NULL;
}

static void set_mode(cJSON *settings, const char *mode)
{
    cJSON *host_config = cJSON_GetObjectItemCaseSensitive(settings, "HostConfig");

    cJSON_DeleteItemFromObjectCaseSensitive(host_config, "NetworkMode");
    cJSON_AddStringToObject(host_config, "NetworkMode", mode);
}

/* NetworkMode by name and among the container's networks: by an id the engine may make two
 * endpoints of one, and a network that it was taken off must not come back. */
static void put_mode_right(cJSON *settings, const cJSON *networks)
{
    const char *mode = engine_json_string(engine_json_get(settings, "HostConfig"), "NetworkMode");
    const cJSON *endpoint;

    if (mode == NULL || container_main_network(settings, networks) != NULL)
        return;
    cJSON_ArrayForEach(endpoint, networks)
    {
        if (is_id_of(endpoint, mode) && endpoint->string != NULL) {
            set_mode(settings, endpoint->string);
            return;
        }
    }
    if (networks->child != NULL && networks->child->string != NULL)
        set_mode(settings, networks->child->string);
}

cJSON *container_networking(cJSON *settings, const cJSON *inspect)
{
    const cJSON *networks = engine_json_at(inspect, "NetworkSettings", "Networks", NULL);
    const char *mode = engine_json_string(engine_json_get(settings, "HostConfig"), "NetworkMode");
    const cJSON *endpoint;

    if (!cJSON_IsObject(networks) || networks->child == NULL || mode == NULL ||
        strcmp(mode, "none") == 0 || strcmp(mode, "host") == 0 ||
        strncmp(mode, "container:", 10) == 0)
        return NULL;
    put_mode_right(settings, networks);
    cJSON *networking = cJSON_CreateObject();
    cJSON *endpoints = cJSON_AddObjectToObject(networking, "EndpointsConfig");
    cJSON_ArrayForEach(endpoint, networks)
    {
        if (endpoint->string != NULL)
            cJSON_AddItemToObject(endpoints, endpoint->string,
                                  endpoint_settings(endpoint, inspect));
    }
    return networking;
}
