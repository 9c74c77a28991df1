/* Checks: what there is of the service just now. */
#include "preflight_parts.h"

#include <string.h>

void check_in_progress(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->in_progress != NULL)
        preflight_say(result, PREFLIGHT_REFUSED, "%s", facts->in_progress);
    else
        preflight_say(result, PREFLIGHT_OK, "no other rollout of \"%s\" is in progress",
                      facts->service);
}

void check_containers(const struct preflight_facts *facts, struct preflight_result *result)
{
    size_t unreached = 0;

    for (size_t i = 0; i < facts->old_count; i++) {
        if (facts->olds[i].why[0] == '\0')
            continue;
        unreached++;
        preflight_say(result, PREFLIGHT_WARNING,
                      "%s is not reached: %s; a new one like it will not be either",
                      facts->olds[i].name, facts->olds[i].why);
    }
    if (facts->first > 0)
        preflight_say(result, PREFLIGHT_OK, "none is there: the first %u are made",
                      (unsigned)facts->first);
    else if (facts->old_count == 0)
        preflight_say(result, PREFLIGHT_REFUSED, "no container of \"%s\" runs any more",
                      facts->service);
    else if (facts->old_count > PLAN_REPLICAS_MAX)
        preflight_say(result, PREFLIGHT_REFUSED, "\"%s\" has more than %u containers",
                      facts->service, PLAN_REPLICAS_MAX);
    else if (unreached == 0)
        preflight_say(result, PREFLIGHT_OK, "%zu run and can be reached", facts->old_count);
}

void check_versions(const struct preflight_facts *facts, struct preflight_result *result)
{
    for (size_t i = 1; i < facts->old_count; i++) {
        const struct preflight_old *first = &facts->olds[0], *other = &facts->olds[i];

        if (strcmp(first->image_id, other->image_id) != 0)
            preflight_say(result, PREFLIGHT_WARNING,
                          "%s runs %s (%.19s), %s runs %s (%.19s): the way back leads to both",
                          first->name, first->image, first->image_id, other->name, other->image,
                          other->image_id);
    }
    preflight_say(result, PREFLIGHT_OK,
                  facts->first > 0 ? "none runs: there is no way back but to none"
                                   : "all run one version");
}

void check_attention(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->attention != NULL && facts->attention[0] != '\0')
        preflight_say(result, PREFLIGHT_WARNING, "%s", facts->attention);
    else if (facts->leftover_count > 0)
        preflight_say(result, PREFLIGHT_WARNING,
                      "%u containers are left of a rollout that ended without them",
                      facts->leftover_count);
    else
        preflight_say(result, PREFLIGHT_OK, "nothing is left of an earlier rollout");
}
