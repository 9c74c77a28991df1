/* Checks: what hangs on the containers that go, and what those hang on. A container that shares
 * another's network or processes keeps sharing what is gone, until it is made anew: that is not
 * ours to do with a container of somebody else. */
#include "engine_json.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <string.h>

#define SHARES "container:"

static const struct {
    const char *key, *what;
} modes[] = {{"NetworkMode", "network"}, {"IpcMode", "IPC namespace"}, {"PidMode", "processes"}};

/* Of whom, by id, the beginning of one, or name; NULL: of nobody. */
static const char *shared(const cJSON *inspect, const char *key)
{
    const char *mode = engine_json_string(engine_json_get(inspect, "HostConfig"), key);

    return mode != NULL && strncmp(mode, SHARES, strlen(SHARES)) == 0 ? mode + strlen(SHARES)
                                                                      : NULL;
}

static bool is_meant(const char *target, const char *id, const char *name)
{
    size_t length = strlen(target);

    if (strcmp(target, name[0] == '/' ? name + 1 : name) == 0)
        return true;
    return length >= 12 && strncmp(id, target, length) == 0;
}

static const struct preflight_old *old_of(const struct preflight_facts *facts, const char *target)
{
    for (size_t i = 0; target != NULL && i < facts->old_count; i++) {
        if (is_meant(target, facts->olds[i].id, facts->olds[i].name))
            return &facts->olds[i];
    }
    return NULL;
}

static bool is_there(const struct preflight_facts *facts, const char *target)
{
    const cJSON *other;

    cJSON_ArrayForEach(other, facts->others)
    {
        const char *id = engine_json_string(other, "Id"), *name = engine_json_string(other, "Name");
        if (id != NULL && name != NULL && is_meant(target, id, name))
            return true;
    }
    return false;
}

/* One of ours that shares something: of another that stays is fine. */
static void check_shares(const struct preflight_facts *facts, const struct preflight_old *old,
                         struct preflight_result *result)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        const char *target = shared(old->inspect, modes[i].key);
        const struct preflight_old *other = old_of(facts, target);

        if (other != NULL)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "%s shares the %s of %s, and both would be replaced: they cannot be made "
                          "again one by one",
                          old->name, modes[i].what, other->name);
        else if (target != NULL && !is_there(facts, target))
            preflight_say(result, PREFLIGHT_REFUSED,
                          "%s shares the %s of a container (%.12s) that is not there any more: "
                          "make it anew by hand first",
                          old->name, modes[i].what, target);
    }
}

/* Somebody else's that shares something of ours. */
static void check_dependent(const struct preflight_facts *facts, const cJSON *other,
                            struct preflight_result *result)
{
    const char *name = engine_json_string(other, "Name");

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        const struct preflight_old *old = old_of(facts, shared(other, modes[i].key));

        if (old != NULL)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "%s shares the %s of %s and would lose it: it has to be made anew after "
                          "the rollout",
                          name != NULL && name[0] == '/' ? name + 1 : "a container", modes[i].what,
                          old->name);
    }
}

void check_dependents(const struct preflight_facts *facts, struct preflight_result *result)
{
    const cJSON *other;

    if (facts->others == NULL) {
        preflight_say(result, PREFLIGHT_SKIPPED, "the engine's other containers are not known");
        return;
    }
    for (size_t i = 0; i < facts->old_count; i++)
        check_shares(facts, &facts->olds[i], result);
    cJSON_ArrayForEach(other, facts->others) check_dependent(facts, other, result);
    preflight_say(result, PREFLIGHT_OK, "no other container hangs on them");
}
