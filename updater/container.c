#include "container.h"

#include "container_parts.h"
#include "engine_json.h"
#include "engine_text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_BYTES             256u
#define API_SEVERAL_ENDPOINTS "1.44" /* from here on a create call takes more than one */

/* --- what cannot exist twice ---------------------------------------------------------------- */

/* A fixed port; not "", "0" (the engine chooses) and not a range (it chooses among those). */
static bool is_fixed_port(const char *text)
{
    const char *dash = text != NULL ? strchr(text, '-') : NULL;

    if (text == NULL || text[0] == '\0' || strcmp(text, "0") == 0)
        return false;
    return dash == NULL || (strlen(dash + 1) == (size_t)(dash - text) &&
                            strncmp(text, dash + 1, (size_t)(dash - text)) == 0);
}

static int check_ports(const cJSON *host_config, char *why)
{
    const cJSON *port, *binding;

    cJSON_ArrayForEach(port, engine_json_get(host_config, "PortBindings"))
    {
        if (!cJSON_IsArray(port))
            continue;
        cJSON_ArrayForEach(binding, port)
        {
            const char *host_port = engine_json_string(binding, "HostPort");
            if (!is_fixed_port(host_port))
                continue;
            snprintf(why, WHY_BYTES,
                     "it publishes %.20s on the host's port %.12s, which two containers cannot "
                     "share: let the proxy listen there and publish without a host port",
                     port->string != NULL ? port->string : "?", host_port);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_addresses(const cJSON *inspect, char *why)
{
    const cJSON *endpoint;

    cJSON_ArrayForEach(endpoint, engine_json_at(inspect, "NetworkSettings", "Networks", NULL))
    {
        const cJSON *ipam = engine_json_get(endpoint, "IPAMConfig");
        const char *ip = engine_json_string(ipam, "IPv4Address");
        if (ip == NULL || ip[0] == '\0')
            ip = engine_json_string(ipam, "IPv6Address");
        if ((ip == NULL || ip[0] == '\0') &&
            engine_json_is_empty(engine_json_get(ipam, "LinkLocalIPs")))
            continue;
        snprintf(why, WHY_BYTES,
                 "it has a static IP (%.40s) on network %.60s, which two containers cannot share",
                 ip != NULL && ip[0] != '\0' ? ip : "link-local",
                 endpoint->string != NULL ? endpoint->string : "?");
        return -EINVAL;
    }
    return 0;
}

/* 02:42 and the bytes of the address: made by the engine. Of one that does not run, and so has no
 * address, by its beginning alone. */
bool container_mac_is_generated(const cJSON *inspect, const char *mac)
{
    const cJSON *endpoint;
    struct address ip;
    char generated[18];
    bool has_address = false;

    cJSON_ArrayForEach(endpoint, engine_json_at(inspect, "NetworkSettings", "Networks", NULL))
    {
        const char *text = engine_json_string(endpoint, "IPAddress");
        if (text == NULL || address_from_ip(slice_from_string(text), 0, &ip) < 0 ||
            ip.family != AF_INET)
            continue;
        has_address = true;
        snprintf(generated, sizeof(generated), "02:42:%02x:%02x:%02x:%02x", ip.bytes[0],
                 ip.bytes[1], ip.bytes[2], ip.bytes[3]);
        if (strcasecmp(generated, mac) == 0)
            return true;
    }
    return !has_address && strncasecmp(mac, "02:42:", 6) == 0;
}

int container_beside(const cJSON *inspect, char why[256])
{
    const cJSON *host_config = engine_json_get(inspect, "HostConfig");
    const char *mac = engine_json_string(engine_json_get(inspect, "Config"), "MacAddress");

    if (mac != NULL && mac[0] != '\0' && !container_mac_is_generated(inspect, mac)) {
        snprintf(why, WHY_BYTES,
                 "it has a MAC address of its own (%.20s), which two containers "
                 "cannot share",
                 mac);
        return -EINVAL;
    }
    int error = check_addresses(inspect, why);
    return error < 0 ? error : check_ports(host_config, why);
}

/* --- recreate ------------------------------------------------------------------------------- */

static void set_labels(cJSON *create, const cJSON *labels)
{
    cJSON *own = cJSON_GetObjectItemCaseSensitive(create, "Labels");
    const cJSON *label;

    if (!cJSON_IsObject(own)) {
        cJSON_DeleteItemFromObjectCaseSensitive(create, "Labels");
        own = cJSON_AddObjectToObject(create, "Labels");
    }
    if (!cJSON_IsObject(labels))
        return;
    cJSON_ArrayForEach(label, labels)
    {
        cJSON_DeleteItemFromObjectCaseSensitive(own, label->string);
        if (cJSON_IsString(label))
            cJSON_AddStringToObject(own, label->string, label->valuestring);
    }
}

/* Moves the endpoints that a create call of this API version does not take. */
static cJSON *split_connects(cJSON *create, const char *api_version)
{
    cJSON *connects = cJSON_CreateObject();
    cJSON *networking = cJSON_GetObjectItemCaseSensitive(create, "NetworkingConfig");
    cJSON *endpoints = cJSON_GetObjectItemCaseSensitive(networking, "EndpointsConfig");

    if (endpoints == NULL || engine_version_compare(api_version, API_SEVERAL_ENDPOINTS) >= 0)
        return connects;
    const char *main_network = container_main_network(create, endpoints);
    for (cJSON *item = endpoints->child; item != NULL;) {
        cJSON *next = item->next;
        if (item->string != main_network) {
            char *name = item->string;
            item->string = NULL;
            cJSON_DetachItemViaPointer(endpoints, item);
            cJSON_AddItemToObject(connects, name, item);
            cJSON_free(name);
        }
        item = next;
    }
    return connects;
}

/* NOLINTNEXTLINE(readability-function-size): the contract's eight parameters */
int container_recreate(const cJSON *inspect, const cJSON *old_image, const char *image,
                       const cJSON *labels, const char *api_version, cJSON **ret_create,
                       cJSON **ret_connects, char why[256])
{
    if (engine_json_true(engine_json_get(inspect, "HostConfig"), "AutoRemove")) {
        snprintf(why, WHY_BYTES,
                 "it was started with --rm: it vanishes when it stops, so there "
                 "would be no way back to it");
        return -EINVAL;
    }
    cJSON *create = container_settings(inspect, old_image);
    if (create == NULL) {
        snprintf(why, WHY_BYTES, "the engine's answer does not describe a container");
        return -EINVAL;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(create, "Image");
    cJSON_AddStringToObject(create, "Image", image);
    set_labels(create, labels);
    *ret_connects = split_connects(create, api_version);
    *ret_create = create;
    return 0;
}
