#include "container_changes.h"

#include "base/memory.h"
#include "container_changes_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- applying -------------------------------------------------------------------------------- */

/* An object or list of that name, made where there is none (null counts as none). */
cJSON *changes_need(cJSON *object, const char *key, bool is_list)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (is_list ? cJSON_IsArray(item) : cJSON_IsObject(item))
        return item;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return is_list ? cJSON_AddArrayToObject(object, key) : cJSON_AddObjectToObject(object, key);
}

void changes_put(cJSON *object, const char *key, cJSON *item)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (item != NULL)
        cJSON_AddItemToObject(object, key, item);
}

bool changes_is_variable(const cJSON *item, const char *name)
{
    size_t length = strlen(name);
    const char *text = cJSON_IsString(item) ? item->valuestring : "";

    return strncmp(text, name, length) == 0 && (text[length] == '=' || text[length] == '\0');
}

static void env_remove(cJSON *env, const char *name)
{
    for (cJSON *item = env->child; item != NULL;) {
        cJSON *next = item->next;
        if (changes_is_variable(item, name))
            cJSON_Delete(cJSON_DetachItemViaPointer(env, item));
        item = next;
    }
}

/* A name without "=" is how a create call says that the image's variable is not wanted. */
static void env_set(cJSON *env, const char *name, const char *value)
{
    char *text = value != NULL ? memory_format("%s=%s", name, value) : memory_copy_string(name);

    env_remove(env, name);
    cJSON_AddItemToArray(env, cJSON_CreateString(text));
    free(text);
}

double changes_number(const cJSON *object, const char *key)
{
    const cJSON *item = engine_json_get(object, key);

    return cJSON_IsNumber(item) ? item->valuedouble : 0.;
}

/* The swap beside it stays what it was: none, without a limit, or as much; where the engine had
 * filled in as much again as the memory, it does so anew. */
static void set_memory(cJSON *host_config, double bytes)
{
    double before = changes_number(host_config, "Memory"),
           both = changes_number(host_config, "MemorySwap");

    changes_put(host_config, "Memory", cJSON_CreateNumber(bytes));
    if (both < 0.)
        return;
    if (bytes <= 0. || both <= 0. || before <= 0. || (both >= 2. * before && both <= 2. * before))
        changes_put(host_config, "MemorySwap", NULL);
    else
        changes_put(host_config, "MemorySwap", cJSON_CreateNumber(both - before + bytes));
}

/* A share of time may be said in two ways, of which the engine takes one. */
static void set_cpus(cJSON *host_config, double cpus)
{
    changes_put(host_config, "CpuQuota", NULL);
    changes_put(host_config, "CpuPeriod", NULL);
    changes_put(host_config, "NanoCpus",
                cJSON_CreateNumber((double)(int64_t)(cpus * CHANGES_NANO_CPUS + 0.5)));
}

static void apply_env(cJSON *settings, const cJSON *changes)
{
    cJSON *env = changes_need(settings, "Env", true);
    const cJSON *item;

    cJSON_ArrayForEach(item, engine_json_get(changes, "env"))
        env_set(env, item->string, cJSON_GetStringValue(item));
    cJSON_ArrayForEach(item, engine_json_at(changes, "default", "env", NULL))
        env_remove(env, item->valuestring);
}

static void apply_labels(cJSON *settings, const cJSON *changes)
{
    cJSON *labels = changes_need(settings, "Labels", false);
    const cJSON *item;

    cJSON_ArrayForEach(item, engine_json_get(changes, "labels")) changes_put(
        labels, item->string, cJSON_IsString(item) ? cJSON_Duplicate(item, true) : NULL);
    cJSON_ArrayForEach(item, engine_json_at(changes, "default", "labels", NULL))
        changes_put(labels, item->valuestring, NULL);
}

/* --- what was changed, as a label ------------------------------------------------------------ */

static cJSON *changed_read(const cJSON *labels)
{
    const char *text = engine_json_string(labels, LABEL_OWN);
    cJSON *changed = text != NULL ? cJSON_Parse(text) : NULL;

    if (cJSON_IsObject(changed))
        return changed;
    cJSON_Delete(changed);
    return cJSON_CreateObject();
}

static bool list_has(const cJSON *list, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
            return true;
    }
    return false;
}

void changes_list_note(cJSON *list, const char *name, bool is_in)
{
    for (cJSON *item = list->child; item != NULL;) {
        cJSON *next = item->next;
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(list, item));
        item = next;
    }
    if (is_in)
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
}

static void note_list(cJSON *changed, const cJSON *changes, const char *key)
{
    cJSON *list = changes_need(changed, key, true);
    const cJSON *item;

    cJSON_ArrayForEach(item, engine_json_get(changes, key))
        changes_list_note(list, item->string, cJSON_IsString(item));
    cJSON_ArrayForEach(item, engine_json_at(changes, "default", key, NULL))
        changes_list_note(list, item->valuestring, false);
    if (list->child == NULL)
        changes_put(changed, key, NULL);
}

static void note_changed(cJSON *settings, const cJSON *changes)
{
    cJSON *labels = cJSON_GetObjectItemCaseSensitive(settings, "Labels");
    cJSON *changed = changed_read(labels);
    const cJSON *command = engine_json_get(changes, "command");
    char *text;

    note_list(changed, changes, "env");
    note_list(changed, changes, "labels");
    if (command != NULL)
        changes_put(changed, "command", command->child != NULL ? cJSON_CreateTrue() : NULL);
    text = cJSON_PrintUnformatted(changed);
    changes_put(labels, LABEL_OWN, changed->child != NULL ? cJSON_CreateString(text) : NULL);
    cJSON_free(text);
    cJSON_Delete(changed);
}

/* Entries of the object `key` that the image's has too, with the same value. */
static void note_entries(cJSON *own, const cJSON *create, const cJSON *defaults, const char *key,
                         const char *list)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, engine_json_get(create, key))
    {
        const cJSON *supplied = engine_json_get(engine_json_get(defaults, key), item->string);
        if (supplied != NULL && cJSON_Compare(item, supplied, true))
            changes_list_note(changes_need(own, list, true), item->string, true);
    }
}

static void note_env(cJSON *own, const cJSON *create, const cJSON *defaults)
{
    const cJSON *item, *supplied;

    cJSON_ArrayForEach(item, engine_json_get(create, "Env"))
    {
        cJSON_ArrayForEach(supplied, engine_json_get(defaults, "Env"))
        {
            if (!cJSON_IsString(item) || !cJSON_Compare(item, supplied, true))
                continue;
            char *name =
                memory_format("%.*s", (int)strcspn(item->valuestring, "="), item->valuestring);
            changes_list_note(changes_need(own, "env", true), name, true);
            free(name);
        }
    }
}

static bool is_supplied(const cJSON *create, const cJSON *defaults, const char *key)
{
    const cJSON *item = engine_json_get(create, key);

    return !engine_json_is_empty(item) && cJSON_Compare(item, engine_json_get(defaults, key), true);
}

void container_note_own(cJSON *create, const cJSON *image)
{
    static const char *const values[] = {"WorkingDir", "User", "StopSignal", "Shell"};
    const cJSON *defaults = engine_json_get(image, "Config");
    cJSON *labels = changes_need(create, "Labels", false);
    cJSON *own = changed_read(labels);
    char *text;

    note_env(own, create, defaults);
    note_entries(own, create, defaults, "Labels", "labels");
    note_entries(own, create, defaults, "Healthcheck", "Healthcheck");
    note_entries(own, create, defaults, "ExposedPorts", "ExposedPorts");
    note_entries(own, create, defaults, "Volumes", "Volumes");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (is_supplied(create, defaults, values[i]))
            changes_list_note(changes_need(own, "values", true), values[i], true);
    }
    if (is_supplied(create, defaults, "Cmd"))
        changes_put(own, "command", cJSON_CreateTrue());
    if (is_supplied(create, defaults, "Entrypoint"))
        changes_put(own, "entrypoint", cJSON_CreateTrue());
    text = cJSON_PrintUnformatted(own);
    changes_put(labels, LABEL_OWN, own->child != NULL ? cJSON_CreateString(text) : NULL);
    cJSON_free(text);
    cJSON_Delete(own);
}

bool container_changes_has(const cJSON *labels, const char *list, const char *name)
{
    cJSON *changed;
    bool has;

    if (engine_json_string(labels, LABEL_OWN) == NULL)
        return false;
    changed = changed_read(labels);
    has = name != NULL ? list_has(engine_json_get(changed, list), name)
                       : engine_json_true(changed, list);
    cJSON_Delete(changed);
    return has;
}

void container_changes_apply(cJSON *settings, const cJSON *changes)
{
    cJSON *host_config = cJSON_GetObjectItemCaseSensitive(settings, "HostConfig");
    const cJSON *command = engine_json_get(changes, "command");

    if (!cJSON_IsObject(changes) || settings == NULL)
        return;
    apply_env(settings, changes);
    apply_labels(settings, changes);
    if (engine_json_get(changes, "memory") != NULL)
        set_memory(host_config, changes_number(changes, "memory"));
    if (engine_json_get(changes, "cpus") != NULL)
        set_cpus(host_config, changes_number(changes, "cpus"));
    if (command != NULL)
        changes_put(settings, "Cmd",
                    command->child != NULL ? cJSON_Duplicate(command, true) : NULL);
    note_changed(settings, changes);
}
