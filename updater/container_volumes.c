#include "base/memory.h"
#include "container_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define ANONYMOUS_LENGTH 64u

/* The engine names a volume that was given no name by 32 random bytes. */
static bool is_anonymous(const cJSON *mount)
{
    const char *type = engine_json_string(mount, "Type");
    const char *name = engine_json_string(mount, "Name");

    return type != NULL && strcmp(type, "volume") == 0 && name != NULL &&
           strlen(name) == ANONYMOUS_LENGTH && strspn(name, "0123456789abcdef") == ANONYMOUS_LENGTH;
}

char *container_attached(const cJSON *inspect)
{
    cJSON *attached = cJSON_CreateObject();
    cJSON *volumes = cJSON_AddArrayToObject(attached, "volumes");
    cJSON *networks = cJSON_AddArrayToObject(attached, "networks");
    const cJSON *item;
    char *printed, *text;

    cJSON_ArrayForEach(item, engine_json_get(inspect, "Mounts"))
    {
        if (is_anonymous(item))
            cJSON_AddItemToArray(volumes, cJSON_CreateString(engine_json_string(item, "Name")));
    }
    cJSON_ArrayForEach(item, engine_json_at(inspect, "NetworkSettings", "Networks", NULL))
    {
        if (item->string != NULL)
            cJSON_AddItemToArray(networks, cJSON_CreateString(item->string));
    }
    printed = cJSON_PrintUnformatted(attached);
    text = memory_copy_string(printed);
    cJSON_free(printed);
    cJSON_Delete(attached);
    return text;
}

/* Whether one of `binds` ("source:target[:mode]") has this target. */
static bool is_bound(const cJSON *binds, const char *target)
{
    size_t length = strlen(target);
    const cJSON *bind;

    if (!cJSON_IsArray(binds))
        return false;
    cJSON_ArrayForEach(bind, binds)
    {
        const char *colon = cJSON_IsString(bind) ? strchr(bind->valuestring, ':') : NULL;
        if (colon != NULL && strncmp(colon + 1, target, length) == 0 &&
            (colon[1 + length] == '\0' || colon[1 + length] == ':'))
            return true;
    }
    return false;
}

static cJSON *find_mount(cJSON *mounts, const char *target)
{
    cJSON *mount;

    if (!cJSON_IsArray(mounts))
        return NULL;
    cJSON_ArrayForEach(mount, mounts)
    {
        const char *found = engine_json_string(mount, "Target");
        if (found != NULL && strcmp(found, target) == 0)
            return mount;
    }
    return NULL;
}

/* A list of that name in an object, made where there is none (null counts as none). */
static cJSON *need_array(cJSON *object, const char *key)
{
    cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key);

    if (cJSON_IsArray(array))
        return array;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddArrayToObject(object, key);
}

static void bind_by_name(cJSON *host_config, const cJSON *mounted, const char *target)
{
    const char *name = engine_json_string(mounted, "Name");
    bool read_only = cJSON_IsFalse(engine_json_get(mounted, "RW"));

    if (strchr(target, ':') == NULL) {
        char *bind = memory_format("%s:%s%s", name, target, read_only ? ":ro" : "");
        cJSON_AddItemToArray(need_array(host_config, "Binds"), cJSON_CreateString(bind));
        free(bind);
        return;
    }
    cJSON *mount = cJSON_CreateObject(); /* a colon cannot be said in a bind */
    cJSON_AddStringToObject(mount, "Type", "volume");
    cJSON_AddStringToObject(mount, "Source", name);
    cJSON_AddStringToObject(mount, "Target", target);
    if (read_only)
        cJSON_AddTrueToObject(mount, "ReadOnly");
    cJSON_AddItemToArray(need_array(host_config, "Mounts"), mount);
}

/* "64 hex digits:/target[:mode]" */
static bool binds_anonymous(const cJSON *bind)
{
    const char *text = cJSON_IsString(bind) ? bind->valuestring : "";

    return strspn(text, "0123456789abcdef") == ANONYMOUS_LENGTH && text[ANONYMOUS_LENGTH] == ':';
}

void container_forget_anonymous_volumes(cJSON *inspect)
{
    cJSON *config = cJSON_GetObjectItemCaseSensitive(inspect, "Config");
    cJSON *host = cJSON_GetObjectItemCaseSensitive(inspect, "HostConfig");
    cJSON *binds = cJSON_GetObjectItemCaseSensitive(host, "Binds");
    cJSON *mounts = cJSON_GetObjectItemCaseSensitive(inspect, "Mounts");
    cJSON *volumes = cJSON_GetObjectItemCaseSensitive(config, "Volumes");

    if (!cJSON_IsObject(volumes)) {
        cJSON_DeleteItemFromObjectCaseSensitive(config, "Volumes");
        volumes = cJSON_AddObjectToObject(config, "Volumes");
    }
    for (int i = cJSON_GetArraySize(mounts); i-- > 0;) {
        cJSON *mounted = cJSON_GetArrayItem(mounts, i);
        const char *target = engine_json_string(mounted, "Destination");
        cJSON *mount =
            find_mount(cJSON_GetObjectItemCaseSensitive(host, "Mounts"), target ? target : "");

        if (target == NULL || !is_anonymous(mounted))
            continue;
        if (mount != NULL)
            cJSON_DeleteItemFromObjectCaseSensitive(mount, "Source");
        else if (engine_json_get(volumes, target) == NULL)
            cJSON_AddObjectToObject(volumes, target);
        cJSON_DeleteItemFromArray(mounts, i);
    }
    for (int i = cJSON_GetArraySize(binds); i-- > 0;) {
        if (binds_anonymous(cJSON_GetArrayItem(binds, i)))
            cJSON_DeleteItemFromArray(binds, i);
    }
}

void container_keep_volumes(cJSON *settings, const cJSON *inspect)
{
    cJSON *host_config = cJSON_GetObjectItemCaseSensitive(settings, "HostConfig");
    cJSON *volumes = cJSON_GetObjectItemCaseSensitive(settings, "Volumes");
    const cJSON *mounts = engine_json_get(inspect, "Mounts");
    const cJSON *mounted;

    if (!cJSON_IsArray(mounts))
        return;
    cJSON_ArrayForEach(mounted, mounts)
    {
        const char *target = engine_json_string(mounted, "Destination");
        if (target == NULL || target[0] == '\0')
            continue;
        cJSON *mount = find_mount(cJSON_GetObjectItemCaseSensitive(host_config, "Mounts"), target);
        if (cJSON_IsObject(volumes)) /* what is mounted below needs no new volume */
            cJSON_DeleteItemFromObjectCaseSensitive(volumes, target);
        if (!is_anonymous(mounted) || is_bound(engine_json_get(host_config, "Binds"), target))
            continue;
        if (mount == NULL) {
            bind_by_name(host_config, mounted, target);
        } else if (engine_json_is_empty(engine_json_get(mount, "Source"))) {
            cJSON_DeleteItemFromObjectCaseSensitive(mount, "Source");
            cJSON_AddStringToObject(mount, "Source", engine_json_string(mounted, "Name"));
        }
    }
}

/* Binds and mounts of this volume. */
static void drop_volume(cJSON *list, const char *name)
{
    size_t length = strlen(name);

    for (cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL;) {
        cJSON *next = item->next;
        const char *source = engine_json_string(item, "Source");
        if (cJSON_IsString(item)
                ? strncmp(item->valuestring, name, length) == 0 && item->valuestring[length] == ':'
                : source != NULL && strcmp(source, name) == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(list, item));
        item = next;
    }
}

void container_drop_image_volumes(cJSON *settings, const cJSON *inspect, const cJSON *image)
{
    cJSON *host_config = cJSON_GetObjectItemCaseSensitive(settings, "HostConfig");
    const cJSON *volumes = engine_json_at(image, "Config", "Volumes", NULL);
    const cJSON *mounts = engine_json_get(inspect, "Mounts");
    const cJSON *mounted;

    cJSON_ArrayForEach(mounted, mounts)
    {
        const char *target = engine_json_string(mounted, "Destination");
        const char *name = engine_json_string(mounted, "Name");
        if (target == NULL || !is_anonymous(mounted) || engine_json_get(volumes, target) == NULL)
            continue;
        drop_volume(cJSON_GetObjectItemCaseSensitive(host_config, "Binds"), name);
        drop_volume(cJSON_GetObjectItemCaseSensitive(host_config, "Mounts"), name);
    }
}
