/* Compares what two containers were told. Both ways: what the old one's user had set must hold in
 * the new one, and what the new one has beyond its image must have held in the old one. */
#include "base/memory.h"
#include "container.h"
#include "container_changes.h"
#include "container_parts.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES_MAX 96
#define DEPTH_MAX       64u

struct comparison {
    char *text; /* the lines found; NULL: none */
    bool swapped;
};

static void add_line(struct comparison *comparison, char *line)
{
    char *old = comparison->text;

    if (old == NULL || strstr(old, line) == NULL)
        comparison->text = memory_format("%s%s", old != NULL ? old : "", line);
    else
        old = NULL;
    free(old);
    free(line);
}

/* "path: before -> after". What an environment variable holds may be a secret. */
static void report(struct comparison *comparison, const char *path, const cJSON *a, const cJSON *b)
{
    const cJSON *before = comparison->swapped ? b : a;
    const cJSON *after = comparison->swapped ? a : b;
    char *before_text = before != NULL ? cJSON_PrintUnformatted(before) : NULL;
    char *after_text = after != NULL ? cJSON_PrintUnformatted(after) : NULL;

    add_line(comparison,
             memory_format("%s: %.*s -> %.*s\n", path, VALUE_BYTES_MAX,
                           before_text != NULL ? before_text : "nothing", VALUE_BYTES_MAX,
                           after_text != NULL ? after_text : "nothing"));
    cJSON_free(before_text);
    cJSON_free(after_text);
}

static void report_member(struct comparison *comparison, const char *path, const cJSON *item)
{
    const char *text = cJSON_IsString(item) ? item->valuestring : "?";
    int length = strcmp(path, "Env") == 0 ? (int)strcspn(text, "=") : VALUE_BYTES_MAX;

    add_line(comparison, memory_format("%s: %.*s is only in the %s container\n", path, length, text,
                                       comparison->swapped ? "new" : "old"));
}

/* Lists that are sets: the order says nothing, or the image may put its own members between. */
static bool is_set(const char *path)
{
    static const char *const sets[] = {
        "Env",
        "HostConfig.Binds",
        "HostConfig.CapAdd",
        "HostConfig.CapDrop",
        "HostConfig.SecurityOpt",
        "HostConfig.GroupAdd",
        "HostConfig.Links",
    };
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (strcmp(path, sets[i]) == 0)
            return true;
    }
    return dot != NULL && (strcmp(dot, ".Aliases") == 0 || strcmp(dot, ".Links") == 0);
}

/* Objects whose keys say something by being there: {"80/tcp": {}}, {"/run": ""}. */
static bool is_map(const char *path)
{
    static const char *const maps[] = {
        "Labels",
        "ExposedPorts",
        "Volumes",
        "HostConfig.PortBindings",
        "HostConfig.Tmpfs",
        "HostConfig.Sysctls",
        "HostConfig.StorageOpt",
        "HostConfig.Annotations",
        "HostConfig.LogConfig.Config",
        "NetworkingConfig.EndpointsConfig",
    };

    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        if (strcmp(path, maps[i]) == 0)
            return true;
    }
    return false;
}

static void compare_sets(struct comparison *comparison, const char *path, const cJSON *a,
                         const cJSON *b)
{
    const cJSON *item, *other;

    cJSON_ArrayForEach(item, a)
    {
        bool found = false;
        for (other = cJSON_IsArray(b) ? b->child : NULL; other != NULL && !found;
             other = other->next)
            found = cJSON_Compare(item, other, true);
        if (!found)
            report_member(comparison, path, item);
    }
}

/* What a new image or this program itself may change. */
static bool is_expected(const char *path, const char *key)
{
    return (path[0] == '\0' && strcmp(key, "Image") == 0) ||
           (strcmp(path, "Labels") == 0 &&
            (strncmp(key, "sluice.", 7) == 0 || strcmp(key, "com.docker.compose.image") == 0 ||
             strcmp(key, LABEL_COMPOSE_NUMBER) == 0));
}

/* What a newer engine fills in where a create call says nothing, as it does for a container that an
 * older one made and that has nothing there: the engine's default then as now. (Of swap so too
 * where a changed limit of memory leaves it to the engine.) */
static bool is_filled_in(const char *path)
{
    static const char *const defaults[] = {
        "HostConfig.CgroupnsMode", "HostConfig.ConsoleSize",   "HostConfig.IpcMode",
        "HostConfig.Isolation",    "HostConfig.MaskedPaths",   "HostConfig.LogConfig.Type",
        "HostConfig.MemorySwap",   "HostConfig.ReadonlyPaths", "HostConfig.Runtime",
        "HostConfig.ShmSize",
    };

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (strcmp(path, defaults[i]) == 0)
            return true;
    }
    return false;
}

static void compare(struct comparison *comparison, const char *path, const cJSON *a, const cJSON *b,
                    unsigned depth);

static void compare_members(struct comparison *comparison, const char *path, const cJSON *a,
                            const cJSON *b, unsigned depth)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, a)
    {
        const cJSON *other = engine_json_get(b, item->string);
        if (is_expected(path, item->string))
            continue;
        char *inner = memory_format("%s%s%s", path, path[0] != '\0' ? "." : "", item->string);
        if (other == NULL && is_map(path))
            report(comparison, inner, item, NULL);
        else
            compare(comparison, inner, item, other, depth + 1);
        free(inner);
    }
}

/* Of the same length, so that each has its counterpart. */
static void compare_items(struct comparison *comparison, const char *path, const cJSON *a,
                          const cJSON *b, unsigned depth)
{
    const cJSON *other = b->child;
    const cJSON *item;
    unsigned index = 0;

    cJSON_ArrayForEach(item, a)
    {
        char *inner = memory_format("%s[%u]", path, index++);
        compare(comparison, inner, item, other, depth + 1);
        other = other->next;
        free(inner);
    }
}

/* Everything that `a` says, `b` says too. */
static void compare(struct comparison *comparison, const char *path, const cJSON *a, const cJSON *b,
                    unsigned depth)
{
    if (engine_json_is_empty(a) ||
        (comparison->swapped && engine_json_is_empty(b) && is_filled_in(path)))
        return;
    if (cJSON_IsArray(a) && is_set(path))
        compare_sets(comparison, path, a, b);
    else if (cJSON_IsObject(a) && depth < DEPTH_MAX)
        compare_members(comparison, path, a, b, depth);
    else if (cJSON_IsArray(a) && cJSON_IsArray(b) && depth < DEPTH_MAX &&
             cJSON_GetArraySize(a) == cJSON_GetArraySize(b))
        compare_items(comparison, path, a, b, depth);
    else if (!cJSON_Compare(a, b, true))
        report(comparison, path, a, b);
}

char *container_difference(const cJSON *old_inspect, const cJSON *old_image, const cJSON *changes,
                           const cJSON *new_inspect, const cJSON *new_image)
{
    cJSON *old_own = container_settings(old_inspect, old_image);
    cJSON *old_all = container_settings(old_inspect, NULL);
    cJSON *new_own = container_settings(new_inspect, new_image);
    cJSON *new_all = container_settings(new_inspect, NULL);
    struct comparison comparison = {0};

    if (old_own == NULL || new_own == NULL) {
        comparison.text = memory_copy_string("the engine's answer does not describe a container\n");
    } else {
        container_changes_apply(old_own, changes);
        container_changes_apply(old_all, changes);
        compare(&comparison, "", old_own, new_all, 0);
        comparison.swapped = true;
        container_drop_image_volumes(new_own, new_inspect, new_image);
        compare(&comparison, "", new_own, old_all, 0);
    }
    cJSON_Delete(old_own);
    cJSON_Delete(old_all);
    cJSON_Delete(new_own);
    cJSON_Delete(new_all);
    return comparison.text;
}
