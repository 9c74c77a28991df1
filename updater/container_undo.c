/* Changes on purpose, taken back or put together. */
#include "container_changes.h"
#include "container_changes_parts.h"
#include "container_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <string.h>

/* --- undoing --------------------------------------------------------------------------------- */

static void take_back(cJSON *undo, const char *key, const char *name)
{
    cJSON *list = changes_need(changes_need(undo, "default", false), key, true);

    cJSON_AddItemToArray(list, cJSON_CreateString(name));
}

static void undo_env(cJSON *undo, const cJSON *config, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, engine_json_get(config, "Env"))
    {
        const char *equals;
        if (!changes_is_variable(item, name))
            continue;
        equals = strchr(item->valuestring, '=');
        changes_put(changes_need(undo, "env", false), name,
                    equals != NULL ? cJSON_CreateString(equals + 1) : cJSON_CreateNull());
        return;
    }
    take_back(undo, "env", name);
}

static void undo_label(cJSON *undo, const cJSON *config, const char *name)
{
    const char *value = engine_json_string(engine_json_get(config, "Labels"), name);

    if (value != NULL)
        changes_put(changes_need(undo, "labels", false), name, cJSON_CreateString(value));
    else
        take_back(undo, "labels", name);
}

static double cpus_of(const cJSON *host_config)
{
    double quota = changes_number(host_config, "CpuQuota"),
           period = changes_number(host_config, "CpuPeriod");

    if (quota <= 0.)
        return changes_number(host_config, "NanoCpus") / CHANGES_NANO_CPUS;
    return quota / (period > 0. ? period : 100000.);
}

/* What the image supplied is left to the image again: its own settings are what is looked at. */
cJSON *container_changes_undo(const cJSON *inspect, const cJSON *image, const cJSON *changes)
{
    cJSON *config = container_settings(inspect, image);
    const cJSON *host_config = engine_json_get(config, "HostConfig");
    cJSON *undo = cJSON_CreateObject();
    const cJSON *item;

    cJSON_ArrayForEach(item, engine_json_get(changes, "env")) undo_env(undo, config, item->string);
    cJSON_ArrayForEach(item, engine_json_at(changes, "default", "env", NULL))
        undo_env(undo, config, item->valuestring);
    cJSON_ArrayForEach(item, engine_json_get(changes, "labels"))
        undo_label(undo, config, item->string);
    cJSON_ArrayForEach(item, engine_json_at(changes, "default", "labels", NULL))
        undo_label(undo, config, item->valuestring);
    if (engine_json_get(changes, "memory") != NULL)
        changes_put(undo, "memory", cJSON_CreateNumber(changes_number(host_config, "Memory")));
    if (engine_json_get(changes, "cpus") != NULL)
        changes_put(undo, "cpus", cJSON_CreateNumber(cpus_of(host_config)));
    if (engine_json_get(changes, "command") != NULL) {
        item = engine_json_get(config, "Cmd");
        changes_put(undo, "command",
                    cJSON_IsArray(item) ? cJSON_Duplicate(item, true) : cJSON_CreateArray());
    }
    cJSON_Delete(config);
    return undo;
}

/* --- joining --------------------------------------------------------------------------------- */

static void join_map(cJSON *joined, const cJSON *second, const char *key)
{
    const cJSON *set = engine_json_get(second, key);
    const cJSON *back = engine_json_at(second, "default", key, NULL);
    const cJSON *item;

    cJSON_ArrayForEach(item, set)
    {
        cJSON *list = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(joined, "default"), key);
        if (list != NULL)
            changes_list_note(list, item->string, false);
        changes_put(changes_need(joined, key, false), item->string, cJSON_Duplicate(item, true));
    }
    cJSON_ArrayForEach(item, back)
    {
        cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(joined, key),
                                                item->valuestring);
        changes_list_note(changes_need(changes_need(joined, "default", false), key, true),
                          item->valuestring, true);
    }
}

cJSON *container_changes_join(const cJSON *first, const cJSON *second)
{
    static const char *const plain[] = {"memory", "cpus", "command"};
    cJSON *joined = cJSON_IsObject(first) ? cJSON_Duplicate(first, true) : cJSON_CreateObject();

    join_map(joined, second, "env");
    join_map(joined, second, "labels");
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const cJSON *item = engine_json_get(second, plain[i]);
        if (item != NULL)
            changes_put(joined, plain[i], cJSON_Duplicate(item, true));
    }
    return joined;
}
