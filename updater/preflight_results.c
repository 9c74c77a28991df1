/* The list of checks, and what they have said. */
#include "base/memory.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REFUSED    422u
#define CONFLICT   409u
#define JUDGEMENT  true
#define IMPOSSIBLE false

const struct preflight_check preflight_checks[] = {
    {"rollout", "rollout-in-progress", CONFLICT, IMPOSSIBLE, check_in_progress},
    {"engine", "engine-unsupported", REFUSED, IMPOSSIBLE, check_engine},
    {"containers", "no-containers", REFUSED, IMPOSSIBLE, check_containers},
    {"own-container", "cannot-recreate", REFUSED, IMPOSSIBLE, check_own_container},
    {"managed", "cannot-recreate", REFUSED, IMPOSSIBLE, check_managed},
    {"registry", "no-such-image", REFUSED, IMPOSSIBLE, check_registry},
    {"image", "same-image", REFUSED, IMPOSSIBLE, check_image},
    {"platform", "wrong-platform", REFUSED, JUDGEMENT, check_platform},
    {"versions", "mixed-versions", REFUSED, IMPOSSIBLE, check_versions},
    {"attention", "needs-attention", REFUSED, IMPOSSIBLE, check_attention},
    {"recreate", "cannot-recreate", REFUSED, IMPOSSIBLE, check_recreate},
    {"names", "cannot-recreate", REFUSED, IMPOSSIBLE, check_names},
    {"dependents", "dependents", REFUSED, JUDGEMENT, check_dependents},
    {"volumes", "shared-volume", REFUSED, JUDGEMENT, check_volumes},
    {"networks", "cannot-recreate", REFUSED, JUDGEMENT, check_networks},
    {"memory", "not-enough-memory", REFUSED, JUDGEMENT, check_memory},
    {"cpu", "not-enough-cpu", REFUSED, JUDGEMENT, check_cpu},
    {"disk", "not-enough-disk", REFUSED, JUDGEMENT, check_disk},
    {"processes", "not-enough-processes", REFUSED, JUDGEMENT, check_processes},
    {"descriptors", "not-enough-descriptors", REFUSED, JUDGEMENT, check_descriptors},
    {"health", "bad-settings", REFUSED, IMPOSSIBLE, check_health},
    {"port", "bad-settings", REFUSED, IMPOSSIBLE, check_port},
    {"settings", "bad-settings", REFUSED, IMPOSSIBLE, check_settings},
    {.name = NULL},
};

void preflight_say(struct preflight_result *result, enum preflight_outcome outcome,
                   const char *format, ...)
{
    va_list arguments;

    if (result->message[0] != '\0' && outcome <= result->outcome)
        return;
    result->outcome = outcome;
    va_start(arguments, format);
    (void)vsnprintf(result->message, sizeof(result->message), format, arguments);
    va_end(arguments);
}

static bool is_forced(const char *name, const char *const *forced)
{
    for (; forced != NULL && *forced != NULL; forced++) {
        if (strcmp(*forced, name) == 0)
            return true;
    }
    return false;
}

void preflight_run_checks(const struct preflight_facts *facts, const char *const *forced,
                          struct preflight_results *ret_results)
{
    memset(ret_results, 0, sizeof(*ret_results));
    for (const struct preflight_check *check = preflight_checks; check->name != NULL; check++) {
        struct preflight_result *result = &ret_results->items[ret_results->count++];

        result->check = check;
        check->run(facts, result);
        if (result->outcome == PREFLIGHT_REFUSED && check->is_judgement &&
            is_forced(check->name, forced)) {
            result->outcome = PREFLIGHT_WARNING;
            result->forced = true;
        }
    }
}

const struct preflight_result *preflight_refusal(const struct preflight_results *results)
{
    for (unsigned i = 0; i < results->count; i++) {
        if (results->items[i].outcome == PREFLIGHT_REFUSED)
            return &results->items[i];
    }
    return NULL;
}

bool preflight_may_force(const char *name)
{
    for (const struct preflight_check *check = preflight_checks; check->name != NULL; check++) {
        if (check->is_judgement && strcmp(check->name, name) == 0)
            return true;
    }
    return false;
}

char *preflight_forcible(void)
{
    char text[256] = "";
    size_t length = 0;

    for (const struct preflight_check *check = preflight_checks; check->name != NULL; check++) {
        if (check->is_judgement && length < sizeof(text))
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
                                       length > 0 ? ", " : "", check->name);
    }
    return memory_copy_string(text);
}

const char *preflight_outcome_name(enum preflight_outcome outcome)
{
    static const char *const names[] = {
        [PREFLIGHT_OK] = "ok",
        [PREFLIGHT_SKIPPED] = "skipped",
        [PREFLIGHT_WARNING] = "warning",
        [PREFLIGHT_REFUSED] = "refused",
    };

    return names[outcome];
}

cJSON *preflight_results_view(const struct preflight_results *results)
{
    cJSON *array = cJSON_CreateArray();

    for (unsigned i = 0; i < results->count; i++) {
        const struct preflight_result *result = &results->items[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "name", result->check->name);
        cJSON_AddStringToObject(object, "outcome", preflight_outcome_name(result->outcome));
        cJSON_AddStringToObject(object, "message", result->message);
        cJSON_AddBoolToObject(object, "forced", result->forced);
        cJSON_AddItemToArray(array, object);
    }
    return array;
}
