#include "view_plan.h"

#include "api_views.h"
#include "engine_json.h"
#include "image_names.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* --- what runs ----------------------------------------------------------------------------- */

static void add_integer(cJSON *object, const char *key, const cJSON *from, const char *its_key)
{
    int64_t value = engine_json_integer(from, its_key, 0);

    if (value > 0)
        cJSON_AddNumberToObject(object, key, (double)value);
    else
        cJSON_AddNullToObject(object, key);
}

/* Names alone: values of the environment are secrets more often than not. */
static void add_environment(cJSON *object, const cJSON *config)
{
    cJSON *names = cJSON_AddArrayToObject(object, "environment");
    const cJSON *variable;

    cJSON_ArrayForEach(variable, engine_json_get(config, "Env"))
    {
        const char *text = cJSON_IsString(variable) ? variable->valuestring : "";
        char *name = strndup(text, strcspn(text, "="));

        if (name != NULL)
            cJSON_AddItemToArray(names, cJSON_CreateString(name));
        free(name);
    }
}

static void add_mounts(cJSON *object, const cJSON *inspect)
{
    cJSON *mounts = cJSON_AddArrayToObject(object, "mounts");
    const cJSON *mount;

    cJSON_ArrayForEach(mount, engine_json_get(inspect, "Mounts"))
    {
        const char *name = engine_json_string(mount, "Name");
        cJSON *entry = cJSON_CreateObject();

        view_add_string(entry, "type", engine_json_string(mount, "Type"));
        view_add_string(entry, "source", name ? name : engine_json_string(mount, "Source"));
        view_add_string(entry, "path", engine_json_string(mount, "Destination"));
        cJSON_AddBoolToObject(entry, "writable", engine_json_true(mount, "RW"));
        cJSON_AddItemToArray(mounts, entry);
    }
}

static void add_keys(cJSON *object, const char *key, const cJSON *from)
{
    cJSON *names = cJSON_AddArrayToObject(object, key);
    const cJSON *item;

    cJSON_ArrayForEach(item, from)
    {
        if (item->string != NULL)
            cJSON_AddItemToArray(names, cJSON_CreateString(item->string));
    }
}

static void add_copy(cJSON *object, const char *key, const cJSON *from)
{
    cJSON_AddItemToObject(object, key, from ? cJSON_Duplicate(from, true) : cJSON_CreateNull());
}

static cJSON *view_settings(const cJSON *inspect)
{
    const cJSON *config = engine_json_get(inspect, "Config");
    const cJSON *host = engine_json_get(inspect, "HostConfig");
    cJSON *object = cJSON_CreateObject();

    add_copy(object, "entrypoint", engine_json_get(config, "Entrypoint"));
    add_copy(object, "command", engine_json_get(config, "Cmd"));
    view_add_string(object, "user", engine_json_string(config, "User"));
    add_environment(object, config);
    add_keys(object, "networks", engine_json_at(inspect, "NetworkSettings", "Networks", NULL));
    add_keys(object, "exposed", engine_json_get(config, "ExposedPorts"));
    add_copy(object, "published", engine_json_get(host, "PortBindings"));
    add_mounts(object, inspect);
    add_integer(object, "memory_bytes", host, "Memory");
    add_integer(object, "nano_cpus", host, "NanoCpus");
    add_integer(object, "pids", host, "PidsLimit");
    view_add_string(object, "restart",
                    engine_json_string(engine_json_get(host, "RestartPolicy"), "Name"));
    view_add_string(object, "health",
                    engine_json_string(engine_json_at(inspect, "State", "Health", NULL), "Status"));
    return object;
}

static void add_running(cJSON *object, const struct preflight_facts *facts)
{
    cJSON *array = cJSON_AddArrayToObject(object, "running");

    for (size_t i = 0; i < facts->old_count && facts->first == 0; i++) {
        const struct preflight_old *old = &facts->olds[i];
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddStringToObject(entry, "name", old->name);
        cJSON_AddStringToObject(entry, "id", old->id);
        cJSON_AddStringToObject(entry, "image", old->image);
        cJSON_AddStringToObject(entry, "image_id", old->image_id);
        view_add_string(entry, "digest", image_repo_digest(old->its_image, old->image));
        cJSON_AddItemToObject(entry, "settings",
                              old->inspect ? view_settings(old->inspect) : cJSON_CreateNull());
        cJSON_AddItemToArray(array, entry);
    }
}

/* --- what would be done -------------------------------------------------------------------- */

/* Of a first deployment: how many, and what is made as in `settings` of those that run. */
static void add_first(cJSON *object, const struct preflight_facts *facts)
{
    cJSON *create;

    if (facts->first == 0)
        return;
    create = cJSON_AddObjectToObject(object, "create");
    cJSON_AddNumberToObject(create, "replicas", facts->first);
    cJSON_AddItemToObject(create, "settings", view_settings(facts->template));
}

static void add_image(cJSON *object, const struct preflight_facts *facts)
{
    cJSON_AddStringToObject(object, "image", facts->image);
    view_add_string(object, "image_id", facts->image_id);
    if (facts->digest == NULL && facts->registry.digest != NULL)
        view_add_string(object, "digest", facts->registry.digest);
    else
        view_add_string(object, "digest", facts->digest);
    cJSON_AddBoolToObject(object, "pull", facts->its_image == NULL);
    add_integer(object, "image_bytes", facts->its_image, "Size");
}

static void add_action(cJSON *array, const struct plan_preview_action *noted)
{
    cJSON *entry = cJSON_CreateObject();
    enum plan_action_kind kind = noted->action.kind;

    cJSON_AddStringToObject(entry, "kind",
                            noted->promotes ? "wait_for_promote" : plan_action_name(kind));
    if (!noted->promotes && kind == ACTION_SET_WEIGHT)
        cJSON_AddNumberToObject(entry, "weight", view_percent(noted->action.weight));
    if (!noted->promotes && kind == ACTION_TASK) {
        cJSON_AddStringToObject(entry, "task", noted->name);
    } else if (noted->name[0]) {
        cJSON_AddStringToObject(entry, "container", noted->name);
        cJSON_AddBoolToObject(entry, "new", noted->is_new);
    }
    cJSON_AddNumberToObject(entry, "after_ms", (double)noted->after_ms);
    cJSON_AddStringToObject(entry, "phase", plan_phase_name(noted->phase));
    cJSON_AddStringToObject(entry, "why", noted->promotes ? "" : noted->action.why);
    cJSON_AddItemToArray(array, entry);
}

static void add_actions(cJSON *object, const struct plan_preview *preview)
{
    cJSON *array = cJSON_AddArrayToObject(object, "actions");

    for (size_t i = 0; i < preview->count; i++)
        add_action(array, &preview->actions[i]);
    cJSON_AddNumberToObject(object, "takes_ms", (double)preview->took_ms);
    cJSON_AddNumberToObject(object, "beside", preview->beside_max);
    cJSON_AddStringToObject(object, "waiting", preview->stuck);
}

cJSON *view_plan(const struct preflight_facts *facts, const struct preflight_results *results)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddBoolToObject(object, "dry_run", true);
    cJSON_AddStringToObject(object, "service", facts->service);
    cJSON_AddStringToObject(object, "strategy", facts->strategy);
    cJSON_AddStringToObject(object, "would", preflight_refusal(results) ? "refuse" : "begin");
    add_image(object, facts);
    add_running(object, facts);
    add_first(object, facts);
    add_actions(object, facts->preview);
    cJSON_AddItemToObject(object, "checks", preflight_results_view(results));
    return object;
}
