#include "api_changes.h"

#include "config/config.h"
#include "service.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES_MAX  256          /* variables, labels, words of a command */
#define TEXT_MAX     (128u << 10) /* of one: Linux takes no more of one argument or variable */
#define MEMORY_MIN   (6.0 * 1024 * 1024) /* the engine's */
#define MEMORY_MAX   1e15                /* exact in JSON's numbers */
#define CPUS_MIN     0.01                /* the engine's */
#define CPUS_MAX     4096.
#define LABEL_OF_OWN "sluice."

struct reading {
    const struct service *service;
    cJSON *changes;
    char *why;
};

static int refuse(struct reading *reading, const char *text)
{
    (void)snprintf(reading->why, API_CHANGES_WHY_BYTES, "%s", text);
    return -EINVAL;
}

static bool is_text(const cJSON *item)
{
    return cJSON_IsString(item) && strlen(item->valuestring) <= TEXT_MAX;
}

/* What a service's containers are found by, and what Sluice writes itself, stays. */
static bool label_is_kept(const struct service *service, const char *key)
{
    return strcmp(key, service->config->label_key) == 0 ||
           strncmp(key, LABEL_OF_OWN, strlen(LABEL_OF_OWN)) == 0 ||
           strncmp(key, "com.docker.compose.", 19) == 0;
}

/* {"KEY": "value" | null} */
static int read_map(struct reading *reading, const cJSON *map, bool is_env)
{
    const char *name = is_env ? "env" : "labels";
    cJSON *copy;
    const cJSON *item;

    if (!cJSON_IsObject(map) || cJSON_GetArraySize(map) > ENTRIES_MAX)
        return refuse(reading, is_env
                                   ? "env is an object: {\"KEY\": \"value\", \"GONE\": null}"
                                   : "labels is an object: {\"key\": \"value\", \"gone\": null}");
    copy = cJSON_AddObjectToObject(reading->changes, name);
    cJSON_ArrayForEach(item, map)
    {
        if (item->string[0] == '\0' || strlen(item->string) > TEXT_MAX ||
            (is_env && strchr(item->string, '=') != NULL))
            return refuse(reading, "a name in env or labels is not empty, and one in env has no =");
        if (!is_text(item) && !cJSON_IsNull(item))
            return refuse(reading, "a value in env or labels is a text, or null, which unsets it");
        if (!is_env && label_is_kept(reading->service, item->string))
            return refuse(reading, "labels that the service is found by, and those of Sluice and "
                                   "Compose, cannot be changed");
        if (cJSON_GetObjectItemCaseSensitive(copy, item->string) != NULL)
            return refuse(reading, "a name stands twice in env or labels");
        cJSON_AddItemToObject(copy, item->string, cJSON_Duplicate(item, true));
    }
    return 0;
}

static int read_memory(struct reading *reading, const cJSON *item)
{
    double bytes = cJSON_IsNumber(item) ? item->valuedouble : -1.;
    uint64_t size;

    if (cJSON_IsString(item) && config_parse_size(item->valuestring, &size) == 0)
        bytes = (double)size;
    if (!(bytes >= 0. && bytes <= MEMORY_MAX) || (bytes > 0. && bytes < MEMORY_MIN) ||
        bytes > (double)(uint64_t)bytes)
        return refuse(reading, "memory is a size like \"512m\", 6m or more, or 0 for no limit");
    cJSON_AddNumberToObject(reading->changes, "memory", bytes);
    return 0;
}

static int read_cpus(struct reading *reading, const cJSON *item)
{
    double cpus = cJSON_IsNumber(item) ? item->valuedouble : -1.;

    if (!(cpus >= 0. && cpus <= CPUS_MAX) || (cpus > 0. && cpus < CPUS_MIN))
        return refuse(reading, "cpus is a number like 1.5, 0.01 or more, or 0 for no limit");
    cJSON_AddNumberToObject(reading->changes, "cpus", cpus);
    return 0;
}

static int read_command(struct reading *reading, const cJSON *list)
{
    const cJSON *item;

    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > ENTRIES_MAX)
        return refuse(reading, "command is a list of words; an empty one is the image's own");
    cJSON_ArrayForEach(item, list)
    {
        if (!is_text(item))
            return refuse(reading, "each word of command is a text");
    }
    cJSON_AddItemToObject(reading->changes, "command", cJSON_Duplicate(list, true));
    return 0;
}

static int read_one(struct reading *reading, const cJSON *item)
{
    if (strcmp(item->string, "env") == 0 || strcmp(item->string, "labels") == 0)
        return read_map(reading, item, item->string[0] == 'e');
    if (strcmp(item->string, "memory") == 0)
        return read_memory(reading, item);
    if (strcmp(item->string, "cpus") == 0)
        return read_cpus(reading, item);
    if (strcmp(item->string, "command") == 0)
        return read_command(reading, item);
    return refuse(reading, "changes has env, labels, memory, cpus and command, nothing else");
}

int api_changes_read(const struct service *service, const cJSON *wanted, cJSON **ret_changes,
                     char why[API_CHANGES_WHY_BYTES])
{
    struct reading reading = {.service = service, .why = why};
    const cJSON *item;
    int error = 0;

    if (!cJSON_IsObject(wanted) || wanted->child == NULL)
        return refuse(&reading, "changes is an object that changes something");
    reading.changes = cJSON_CreateObject();
    cJSON_ArrayForEach(item, wanted)
    {
        if (cJSON_GetObjectItemCaseSensitive(reading.changes, item->string) != NULL)
            error = refuse(&reading, "a key stands twice in changes");
        else
            error = read_one(&reading, item);
        if (error)
            break;
    }
    if (error) {
        cJSON_Delete(reading.changes);
        return error;
    }
    *ret_changes = reading.changes;
    return 0;
}
