#include "base/memory.h"
#include "container_changes.h"
#include "container_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_ID_LENGTH 12u

bool container_is_short_id(const cJSON *inspect, const char *text)
{
    const char *id = engine_json_string(inspect, "Id");

    return id != NULL && text != NULL && strlen(text) == SHORT_ID_LENGTH &&
           strncmp(id, text, SHORT_ID_LENGTH) == 0;
}

/* --- what the image supplied ---------------------------------------------------------------- */

static bool is_same(const cJSON *a, const cJSON *b)
{
    return (engine_json_is_empty(a) && engine_json_is_empty(b)) || cJSON_Compare(a, b, true);
}

static bool array_contains(const cJSON *array, const cJSON *wanted)
{
    const cJSON *item;

    if (!cJSON_IsArray(array))
        return false;
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_Compare(item, wanted, true))
            return true;
    }
    return false;
}

/* Whether it is known to be the container's own, though the image may supply the same. */
static bool is_own(const cJSON *settings, const char *list, const char *name)
{
    return container_changes_has(engine_json_get(settings, "Labels"), list, name);
}

static bool is_own_variable(const cJSON *settings, const cJSON *item)
{
    char *name;
    bool is_its;

    if (!cJSON_IsString(item))
        return false;
    name = memory_format("%.*s", (int)strcspn(item->valuestring, "="), item->valuestring);
    is_its = is_own(settings, "env", name);
    free(name);
    return is_its;
}

/* Whole K=V: a value that the user has changed is the user's. */
static void subtract_env(cJSON *settings, const cJSON *defaults)
{
    cJSON *env = cJSON_GetObjectItemCaseSensitive(settings, "Env");
    const cJSON *image_env = engine_json_get(defaults, "Env");

    for (cJSON *item = cJSON_IsArray(env) ? env->child : NULL; item != NULL;) {
        cJSON *next = item->next;
        if (array_contains(image_env, item) && !is_own_variable(settings, item))
            cJSON_Delete(cJSON_DetachItemViaPointer(env, item));
        item = next;
    }
}

/* Deletes from the object `key` the entries that the image's has too, with the same value. */
static void subtract_entries(cJSON *settings, const cJSON *defaults, const char *key)
{
    const char *list = strcmp(key, "Labels") == 0 ? "labels" : key;
    cJSON *object = cJSON_GetObjectItemCaseSensitive(settings, key);
    const cJSON *image_object = engine_json_get(defaults, key);

    for (cJSON *item = cJSON_IsObject(object) ? object->child : NULL; item != NULL;) {
        cJSON *next = item->next;
        const cJSON *supplied = engine_json_get(image_object, item->string);
        if (supplied != NULL && is_same(item, supplied) && !is_own(settings, list, item->string))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
        item = next;
    }
}

/* An entrypoint of the user's own keeps the image's command from applying, so both stay then. And
 * one that the user took away must be taken away again: [""] is how a create call says so. */
static void subtract_command(cJSON *settings, const cJSON *defaults)
{
    const cJSON *entrypoint = engine_json_get(settings, "Entrypoint");
    const cJSON *command = engine_json_get(settings, "Cmd");
    const cJSON *image_entrypoint = engine_json_get(defaults, "Entrypoint");
    const cJSON *image_command = engine_json_get(defaults, "Cmd");

    if (!is_same(entrypoint, image_entrypoint)) {
        if (engine_json_is_empty(entrypoint)) {
            const char *nothing[] = {""};
            cJSON_DeleteItemFromObjectCaseSensitive(settings, "Entrypoint");
            cJSON_AddItemToObject(settings, "Entrypoint", cJSON_CreateStringArray(nothing, 1));
        }
        return;
    }
    if (engine_json_is_empty(command) && !engine_json_is_empty(image_command))
        return; /* the user gave the same entrypoint again, and no command to it */
    if (is_same(command, image_command) && !is_own(settings, "command", NULL))
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "Cmd");
    if (!is_own(settings, "entrypoint", NULL))
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "Entrypoint");
}

static void subtract_values(cJSON *settings, const cJSON *defaults)
{
    static const char *const keys[] = {"WorkingDir", "User",    "StopSignal",
                                       "Shell",      "OnBuild", "ArgsEscaped"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const cJSON *supplied = engine_json_get(defaults, keys[i]);
        if (!engine_json_is_empty(supplied) &&
            is_same(engine_json_get(settings, keys[i]), supplied) &&
            !is_own(settings, "values", keys[i]))
            cJSON_DeleteItemFromObjectCaseSensitive(settings, keys[i]);
    }
}

/* Port bindings work only for exposed ports, so those stay whoever exposed them. */
static void subtract_ports(cJSON *settings, const cJSON *defaults)
{
    const cJSON *bindings = engine_json_at(settings, "HostConfig", "PortBindings", NULL);
    cJSON *ports = cJSON_GetObjectItemCaseSensitive(settings, "ExposedPorts");
    const cJSON *binding;

    subtract_entries(settings, defaults, "ExposedPorts");
    if (!cJSON_IsObject(bindings) || bindings->child == NULL)
        return;
    if (!cJSON_IsObject(ports)) {
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "ExposedPorts");
        ports = cJSON_AddObjectToObject(settings, "ExposedPorts");
    }
    cJSON_ArrayForEach(binding, bindings)
    {
        if (binding->string != NULL && engine_json_get(ports, binding->string) == NULL)
            cJSON_AddItemToObject(ports, binding->string, cJSON_CreateObject());
    }
}

static void subtract_image(cJSON *settings, const cJSON *image)
{
    const cJSON *defaults = engine_json_get(image, "Config");

    if (!cJSON_IsObject(defaults))
        defaults = engine_json_get(image, "ContainerConfig");
    subtract_env(settings, defaults);
    subtract_command(settings, defaults);
    subtract_values(settings, defaults);
    subtract_entries(settings, defaults, "Labels");
    subtract_entries(settings, defaults, "Volumes");
    subtract_entries(settings, defaults, "Healthcheck"); /* the engine fills it field by field */
    subtract_ports(settings, defaults);
}

/* --- what the engine filled in -------------------------------------------------------------- */

static void drop_generated(cJSON *settings, const cJSON *inspect)
{
    const cJSON *host_config = engine_json_get(settings, "HostConfig");
    const char *mode = engine_json_string(host_config, "NetworkMode");
    const char *uts_mode = engine_json_string(host_config, "UTSMode");
    const char *mac = engine_json_string(settings, "MacAddress");
    bool shares_network = mode != NULL && strncmp(mode, "container:", 10) == 0;

    if (shares_network || (uts_mode != NULL && strcmp(uts_mode, "host") == 0) ||
        container_is_short_id(inspect, engine_json_string(settings, "Hostname")))
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "Hostname");
    if (shares_network) { /* they are the other container's, and refused here */
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "Domainname");
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "ExposedPorts");
    }
    if (mac == NULL || mac[0] == '\0' || container_mac_is_generated(inspect, mac))
        cJSON_DeleteItemFromObjectCaseSensitive(settings, "MacAddress");
}

/* The engine adds label=disable to what is privileged or shares the host's IPC or PIDs, each time
 * anew, and would add it to the ones from before. */
static void drop_added_label(cJSON *host_config)
{
    cJSON *options = cJSON_GetObjectItemCaseSensitive(host_config, "SecurityOpt");
    const char *ipc = engine_json_string(host_config, "IpcMode");
    const char *pid = engine_json_string(host_config, "PidMode");

    if (!engine_json_true(host_config, "Privileged") && (ipc == NULL || strcmp(ipc, "host") != 0) &&
        (pid == NULL || strcmp(pid, "host") != 0))
        return;
    for (cJSON *item = cJSON_IsArray(options) ? options->child : NULL; item != NULL;) {
        cJSON *next = item->next;
        if (cJSON_IsString(item) && strcmp(item->valuestring, "label=disable") == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(options, item));
        item = next;
    }
}

/* Inspect says "/db:/web/database" where a create call takes "db:database". */
static void rewrite_links(cJSON *host_config)
{
    cJSON *links = cJSON_GetObjectItemCaseSensitive(host_config, "Links");
    cJSON *rewritten;
    const cJSON *item;

    if (!cJSON_IsArray(links))
        return;
    rewritten = cJSON_CreateArray();
    cJSON_ArrayForEach(item, links)
    {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        const char *colon = strchr(text, ':');
        const char *alias = colon != NULL ? strrchr(colon, '/') : NULL;
        char *link;
        if (colon == NULL || text[0] != '/') {
            cJSON_AddItemToArray(rewritten, cJSON_Duplicate(item, true));
            continue;
        }
        link = memory_format("%.*s:%s", (int)(colon - text - 1), text + 1,
                             alias != NULL ? alias + 1 : colon + 1);
        cJSON_AddItemToArray(rewritten, cJSON_CreateString(link));
        free(link);
    }
    cJSON_ReplaceItemInObjectCaseSensitive(host_config, "Links", rewritten);
}

cJSON *container_settings(const cJSON *inspect, const cJSON *image)
{
    const cJSON *config = engine_json_get(inspect, "Config");
    const cJSON *host_config = engine_json_get(inspect, "HostConfig");

    if (!cJSON_IsObject(config) || !cJSON_IsObject(host_config) ||
        engine_json_string(inspect, "Id") == NULL)
        return NULL;
    cJSON *settings = cJSON_Duplicate(config, true);
    cJSON *host_settings = cJSON_Duplicate(host_config, true);
    cJSON_AddItemToObject(settings, "HostConfig", host_settings);
    drop_generated(settings, inspect);
    drop_added_label(host_settings);
    rewrite_links(host_settings);
    container_keep_volumes(settings, inspect);
    if (image != NULL)
        subtract_image(settings, image);
    cJSON *networking = container_networking(settings, inspect);
    if (networking != NULL)
        cJSON_AddItemToObject(settings, "NetworkingConfig", networking);
    return settings;
}
