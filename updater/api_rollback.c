/* Back to an earlier version of the history: a rollout of the very image that served then, by its
 * id, so that no registry is needed while it is kept; with the changes made since taken back. */
#include "api.h"
#include "base/memory.h"
#include "changes.h"
#include "preflight.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX 10000u /* rollouts looked through; rollout.history keeps fewer */

struct version {   /* what is gone back to; its texts are owned */
    char *rollout; /* the one that brought it, or that it was the old one of */
    char *image, *image_id;
    bool before; /* it served before that rollout, not after it */
};

static void version_done(struct version *version)
{
    free(version->rollout);
    free(version->image);
    free(version->image_id);
}

static void version_set(struct version *version, const struct journal_rollout *rollout, bool before)
{
    const char *image = before ? rollout->previous_image : rollout->image;
    const char *image_id = before ? rollout->previous_image_id : rollout->image_id;

    version->rollout = memory_copy_string(rollout->id);
    version->image = memory_copy_string(image ? image : "");
    version->image_id = memory_copy_string(image_id ? image_id : "");
    version->before = before;
}

static bool is_text(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

/* The newest rollout whose id begins so, or whose image this is; of those that completed. Without
 * a word: what was before the last one. False (and refused) where there is none. */
static bool version_find(const struct service *service, const char *word,
                         const struct journal_rollout *rollouts, size_t count,
                         struct version *version, struct admin_answer *answer)
{
    size_t length = word ? strlen(word) : 0;

    for (size_t i = 0; i < count; i++) {
        const struct journal_rollout *rollout = &rollouts[i];
        bool is_named = word && strncmp(rollout->id, word, length) == 0;
        bool completed = rollout->progress.outcome == OUTCOME_COMPLETED;

        if (is_named && !completed) {
            admin_error(answer, 422, "not-a-version",
                        "rollout %s did not complete (%s): its version never had all traffic; "
                        "`sluice history %s` lists those that did",
                        rollout->id, plan_outcome_name(rollout->progress.outcome),
                        service_name(service));
            return false;
        }
        if (!completed || (!is_named && is_text(rollout->strategy, "scale")))
            continue; /* a scale changes no version */
        if (!is_named && !word && !rollout->previous_image_id)
            continue; /* the first one: there was none before it */
        if (is_named || (word && is_text(rollout->image, word)))
            version_set(version, rollout, false);
        else if (!word || is_text(rollout->previous_image, word))
            version_set(version, rollout, true);
        else
            continue;
        return true;
    }
    admin_error(answer, 422, "no-version",
                word ? "no rollout of \"%s\" that completed is called \"%s\" or was of that image; "
                       "`sluice history %s` lists them"
                     : "no rollout of \"%s\" that replaced a version has completed: there is no "
                       "earlier one",
                service_name(service), word, service_name(service));
    return false;
}

static bool rollouts_find(struct service *service, const char *word, struct version *version,
                          struct admin_answer *answer)
{
    struct journal *journal = service->updater->journal;
    struct journal_rollout *rollouts;
    size_t count;
    bool found;

    if (journal_rollout_list(journal, service_name(service), HISTORY_MAX, &rollouts, &count)) {
        admin_error(answer, 500, "journal", "%s", journal_error(journal));
        return false;
    }
    found = version_find(service, word, rollouts, count, version, answer);
    journal_rollouts_free(rollouts, count);
    return found;
}

/* Checked like any rollout; by default all at once, for this version has served before, and is
 * still watched for `monitor`. */
static void start(struct service *service, const struct version *version, const char *reason,
                  bool dry_run, const struct admin_request *request, struct admin_answer *answer)
{
    static const struct config_step at_once = {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX};
    struct journal *journal = service->updater->journal;
    char *words = memory_format("rollback to %s, which served %s rollout %s", version->image,
                                version->before ? "before" : "after", version->rollout);
    struct preflight_request wanted = {.service = service,
                                       .image = version->image,
                                       .image_id = version->image_id,
                                       .pull = PULL_NEVER,
                                       .reason = reason ? reason : words,
                                       .dry_run = dry_run,
                                       .uid = request->uid};
    cJSON *changes = NULL;

    wanted.way.strategy_given = true;
    wanted.way.strategy = STRATEGY_CANARY;
    wanted.way.steps = &at_once;
    wanted.way.step_count = 1;
    if (changes_back_to(journal, service_name(service), version->rollout, version->before,
                        &changes)) {
        admin_error(answer, 500, "journal", "%s", journal_error(journal));
    } else {
        wanted.changes = changes;
        preflight_start(&wanted, request, answer);
        cJSON_Delete(changes);
    }
    free(words);
}

void api_rollback(struct service *service, const struct admin_request *request,
                  struct admin_answer *ret_answer)
{
    static const char *const keys[] = {"id", "reason", "dry_run", NULL};
    const cJSON *id, *reason, *dry_run;
    struct version version = {0};

    if (request->body && !api_body_has_only(request->body, keys, ret_answer))
        return;
    id = cJSON_GetObjectItemCaseSensitive(request->body, "id");
    reason = cJSON_GetObjectItemCaseSensitive(request->body, "reason");
    dry_run = cJSON_GetObjectItemCaseSensitive(request->body, "dry_run");
    if ((id && (!cJSON_IsString(id) || id->valuestring[0] == '\0')) ||
        (reason && !cJSON_IsString(reason)) || (dry_run && !cJSON_IsBool(dry_run))) {
        admin_error(ret_answer, 400, "bad-request",
                    "id and reason are texts, dry_run is true or false");
        return;
    }
    if (rollouts_find(service, id ? id->valuestring : NULL, &version, ret_answer))
        start(service, &version, reason ? reason->valuestring : NULL, cJSON_IsTrue(dry_run),
              request, ret_answer);
    version_done(&version);
}
