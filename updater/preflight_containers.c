/* Checks: can each container be made again, beside the old one? */
#include "container.h"
#include "container_template.h"
#include "engine_json.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 120u /* with the suffix of a new one it must fit our records */

/* It would be stopped in the middle of its own rollout. */
void check_own_container(const struct preflight_facts *facts, struct preflight_result *result)
{
    for (size_t i = 0; facts->own_id != NULL && i < facts->old_count; i++) {
        if (strcmp(facts->olds[i].id, facts->own_id) == 0)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "Sluice itself runs in one of the containers of \"%s\": it cannot "
                          "replace itself",
                          facts->service);
    }
    preflight_say(result, PREFLIGHT_OK, "Sluice runs in none of them");
}

/* Where nobody said start-first, such a one makes room: preflight_beside(). */
static void say_beside(const struct preflight_facts *facts, const struct preflight_old *old,
                       struct preflight_result *result)
{
    char why[256] = "";

    if (facts->spec->order != ORDER_STOP_FIRST && container_beside(old->inspect, why) < 0)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "a second container like %s cannot run beside it: %s; with the order "
                      "stop-first the old one would make room",
                      old->name, why);
}

/* Several of the first ones run beside one another, and later ones beside them. */
static void check_first(const struct preflight_facts *facts, struct preflight_result *result)
{
    char why[256] = "";

    if (facts->first > 1 && container_beside(facts->olds[0].inspect, why) < 0)
        preflight_say(result, PREFLIGHT_REFUSED, "%u containers cannot run beside one another: %s",
                      (unsigned)facts->first, why);
    preflight_say(result, PREFLIGHT_OK, "%u can be made", (unsigned)facts->first);
}

/* Tried without making anything. */
void check_recreate(const struct preflight_facts *facts, struct preflight_result *result)
{
    for (size_t i = 0; i < facts->old_count; i++) {
        const struct preflight_old *old = &facts->olds[i];
        cJSON *create = NULL, *connects = NULL;
        char why[256] = "";

        if (old->inspect == NULL) /* gone meanwhile: nothing to be made again */
            continue;
        if (container_recreate(old->inspect, old->its_image, facts->image, NULL, facts->api_version,
                               &create, &connects, why) < 0) {
            preflight_say(result, PREFLIGHT_REFUSED, "%s cannot be made again: %s", old->name, why);
            continue;
        }
        if (facts->first == 0)
            say_beside(facts, old, result);
        cJSON_Delete(create);
        cJSON_Delete(connects);
    }
    if (facts->first > 0)
        check_first(facts, result);
    else if (facts->spec->order == ORDER_STOP_FIRST)
        preflight_say(result, PREFLIGHT_OK, "stop-first, each old one makes room: %s",
                      facts->spec->order_why);
    else
        preflight_say(result, PREFLIGHT_OK, "each can be made again beside the old one");
}

static bool name_is_taken(const struct preflight_facts *facts, const char *name)
{
    const cJSON *other;

    cJSON_ArrayForEach(other, facts->others)
    {
        const char *its = engine_json_string(other, "Name");

        if (its != NULL && strcmp(its[0] == '/' ? its + 1 : its, name) == 0)
            return true;
    }
    return false;
}

/* As the engine takes them: letters, digits, and after the first one "_.-" too. */
static bool name_is_good(const char *name)
{
    static const char all[] = "_.-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    return name[0] != '\0' && strspn(name, all) == strlen(name) && strchr("_.-", name[0]) == NULL;
}

static void check_first_names(const struct preflight_facts *facts, struct preflight_result *result)
{
    char first[NAME_MAX_BYTES + 2] = "", last[sizeof(first)] = "";

    if (strlen(facts->service) + 4 > NAME_MAX_BYTES || !name_is_good(facts->service)) {
        preflight_say(result, PREFLIGHT_REFUSED,
                      "containers cannot be named after \"%.40s\": the engine takes letters, "
                      "digits and _.- only, %u at most",
                      facts->service, NAME_MAX_BYTES);
        return;
    }
    for (unsigned i = 0; i < facts->first; i++) {
        container_template_name(facts->service, i, last, sizeof(last));
        if (i == 0)
            memcpy(first, last, sizeof(first));
        if (name_is_taken(facts, last))
            preflight_say(result, PREFLIGHT_REFUSED,
                          "a container that is not of \"%s\" is called %s", facts->service, last);
    }
    preflight_say(result, PREFLIGHT_OK,
                  facts->first > 1 ? "they get the names %s to %s" : "its name is %s", first, last);
}

void check_names(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->first > 0) {
        check_first_names(facts, result);
        return;
    }
    for (size_t i = 0; i < facts->old_count; i++) {
        if (strlen(facts->olds[i].name) > NAME_MAX_BYTES)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "the name %.40s… has more than %u bytes: rename the container",
                          facts->olds[i].name, NAME_MAX_BYTES);
    }
    preflight_say(result, PREFLIGHT_OK, "the new ones get the names of the old ones at the end");
}

/* --- volumes ------------------------------------------------------------------------------- */

/* Where servers keep files that two of them must not write at once. */
static bool holds_a_database(const char *path)
{
    static const char *const paths[] = {
        "/var/lib/postgresql", "/var/lib/mysql",      "/data/db",
        "/var/lib/mongodb",    "/var/lib/redis",      "/var/lib/etcd",
        "/var/lib/rabbitmq",   "/var/lib/influxdb",   "/var/lib/clickhouse",
        "/var/lib/neo4j",      "/bitnami/postgresql",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        size_t length = strlen(paths[i]);

        if (strncmp(path, paths[i], length) == 0 && (path[length] == '\0' || path[length] == '/'))
            return true;
    }
    return false;
}

/* What a mount is of: a volume's name or a folder of the host; NULL: of nothing that lasts. */
static const char *source_of(const cJSON *mount)
{
    const char *type = engine_json_string(mount, "Type");

    if (type == NULL || (strcmp(type, "volume") != 0 && strcmp(type, "bind") != 0))
        return NULL;
    return engine_json_string(mount, strcmp(type, "volume") == 0 ? "Name" : "Source");
}

/* How many of the containers write to it. More than one: they know how to share it. */
static unsigned count_writers(const struct preflight_facts *facts, const char *source)
{
    unsigned count = 0;

    for (size_t i = 0; i < facts->old_count; i++) {
        const cJSON *mount;

        cJSON_ArrayForEach(mount, engine_json_get(facts->olds[i].inspect, "Mounts"))
        {
            const char *its = source_of(mount);

            if (its != NULL && strcmp(its, source) == 0 && engine_json_true(mount, "RW")) {
                count++;
                break;
            }
        }
    }
    return count;
}

static void check_mounts(const struct preflight_facts *facts, const struct preflight_old *old,
                         struct preflight_result *result)
{
    const cJSON *mount;

    cJSON_ArrayForEach(mount, engine_json_get(old->inspect, "Mounts"))
    {
        const char *source = source_of(mount);
        const char *path = engine_json_string(mount, "Destination");

        if (source == NULL || path == NULL || !engine_json_true(mount, "RW") ||
            count_writers(facts, source) > 1)
            continue;
        if (facts->first > 0 && holds_a_database(path))
            preflight_say(result, PREFLIGHT_REFUSED,
                          "%.64s (%s) is where a database is kept, and %u containers would write "
                          "to it at once",
                          source, path, (unsigned)facts->first);
        else if (facts->first > 0)
            preflight_say(result, PREFLIGHT_WARNING, "%u containers will write to %.64s (%s)",
                          (unsigned)facts->first, source, path);
        else if (holds_a_database(path))
            preflight_say(result, PREFLIGHT_REFUSED,
                          "%s keeps a database on %.64s (%s), and both versions would write to it "
                          "at once while they run beside one another",
                          old->name, source, path);
        else
            preflight_say(result, PREFLIGHT_WARNING,
                          "%s alone writes to %.64s (%s): both versions will write to it while "
                          "they run beside one another",
                          old->name, source, path);
    }
}

void check_volumes(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->first == 1) {
        preflight_say(result, PREFLIGHT_OK, "there is one container to write to its volumes");
        return;
    }
    if (facts->preview->beside_max == 0) {
        preflight_say(result, PREFLIGHT_OK, "old and new ones do not run beside one another");
        return;
    }
    for (size_t i = 0; i < facts->old_count; i++)
        check_mounts(facts, &facts->olds[i], result);
    preflight_say(result, PREFLIGHT_OK, "no volume has a single writer");
}

static const char *database_of(const struct preflight_facts *facts, const struct preflight_old *old)
{
    const cJSON *mount;

    cJSON_ArrayForEach(mount, engine_json_get(old->inspect, "Mounts"))
    {
        const char *source = source_of(mount);
        const char *path = engine_json_string(mount, "Destination");

        if (source != NULL && path != NULL && engine_json_true(mount, "RW") &&
            holds_a_database(path) && count_writers(facts, source) <= 1)
            return source;
    }
    return NULL;
}

bool preflight_beside(const struct preflight_facts *facts, char why[PLAN_WHY_BYTES])
{
    for (size_t i = 0; i < facts->old_count; i++) {
        const struct preflight_old *old = &facts->olds[i];
        const char *volume = old->inspect != NULL ? database_of(facts, old) : NULL;
        char what[256] = "";

        if (old->inspect == NULL)
            continue;
        if (container_beside(old->inspect, what) < 0) {
            snprintf(why, PLAN_WHY_BYTES, "a second container like %.80s cannot run beside it: %s",
                     old->name, what);
            return false;
        }
        if (volume != NULL) {
            snprintf(why, PLAN_WHY_BYTES,
                     "%.80s keeps a database on %.120s, which two must not write to", old->name,
                     volume);
            return false;
        }
    }
    return true;
}
