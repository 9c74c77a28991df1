#include "image_choose.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static bool is_one(const char *id)
{
    return id != NULL && id[0] != '\0';
}

static bool same(const char *a, const char *b)
{
    return is_one(a) && is_one(b) && strcmp(a, b) == 0;
}

static bool has(const char *const *ids, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ids[i], id) == 0)
            return true;
    }
    return false;
}

/* Whether `id` is among the newest `keep` versions of the service, or in use by its rollout. */
static bool is_kept(const struct image_rollout *rollouts, size_t count, const char *service,
                    const char *id)
{
    const char **seen = memory_new_array(2 * count + 1, sizeof(*seen));
    size_t seen_count = 0;
    bool kept = false;

    for (size_t i = 0; i < count && !kept; i++) {
        const struct image_rollout *rollout = &rollouts[i];
        const char *const versions[] = {rollout->image_id, rollout->previous_image_id};

        if (strcmp(rollout->service, service) != 0)
            continue;
        for (size_t k = 0; k < 2; k++) {
            bool counts = rollout->completed && is_one(versions[k]);

            if (rollout->in_progress || (rollout->keep == IMAGE_KEEP_ALL && counts))
                kept = kept || same(versions[k], id);
            if (!counts || seen_count >= rollout->keep || has(seen, seen_count, versions[k]))
                continue;
            seen[seen_count++] = versions[k];
            kept = kept || strcmp(versions[k], id) == 0;
        }
    }
    free(seen);
    return kept;
}

/* By any service: each that knows it is asked. */
static bool is_wanted(const struct image_rollout *rollouts, size_t count, const char *id)
{
    const char *asked = NULL; /* mostly one service, or two in turn */

    for (size_t i = 0; i < count; i++) {
        const struct image_rollout *rollout = &rollouts[i];

        if (!same(rollout->image_id, id) && !same(rollout->previous_image_id, id))
            continue;
        if (asked != NULL && strcmp(asked, rollout->service) == 0)
            continue;
        if (is_kept(rollouts, count, rollout->service, id))
            return true;
        asked = rollout->service;
    }
    return false;
}

size_t image_choose(const struct image_rollout *rollouts, size_t count, const char *service,
                    const char **ret_ids)
{
    size_t chosen = 0;

    for (size_t i = 0; i < count; i++) {
        const struct image_rollout *rollout = &rollouts[i];
        const char *const versions[] = {rollout->image_id, rollout->previous_image_id};

        if (strcmp(rollout->service, service) != 0)
            continue;
        for (size_t k = 0; k < 2; k++) {
            if (is_one(versions[k]) && !has(ret_ids, chosen, versions[k]) &&
                !is_wanted(rollouts, count, versions[k]))
                ret_ids[chosen++] = versions[k];
        }
    }
    return chosen;
}
