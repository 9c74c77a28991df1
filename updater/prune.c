#include "prune.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine.h"
#include "engine_json.h"
#include "image_choose.h"
#include "image_names.h"
#include "journal.h"
#include "record.h"
#include "rollout.h"
#include "steady.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX 10000u /* rollouts of every service that are looked at */

struct prune {
    struct service *service;
    char rollout[32];
    struct journal_rollout *history; /* newest first; what ids point into */
    size_t history_count;
    const char **ids; /* that may go */
    size_t id_count, next;
    cJSON *image; /* the one that goes now */
    int name;     /* of its names, that goes now */
    bool recorded;
};

static void prune_free(struct prune *prune)
{
    prune->service->prune = NULL;
    journal_rollouts_free(prune->history, prune->history_count);
    free(prune->ids);
    cJSON_Delete(prune->image);
    free(prune);
}

static void record(struct prune *prune, const char *event, const char *message)
{
    struct journal *journal = prune->service->updater->journal;
    struct log_line line;

    prune->recorded = true;
    log_begin(&line, LOG_INFO, event);
    log_string(&line, "service", service_name(prune->service));
    log_string(&line, "rollout", prune->rollout);
    log_string(&line, "message", message);
    log_end(&line);
    if (journal_log(journal, prune->rollout, steady_wall_ms(), event, message))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
}

static void __attribute__((format(printf, 3, 4)))
recordf(struct prune *prune, const char *event, const char *format, ...)
{
    char message[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    record(prune, event, message);
}

/* What was recorded belongs into the report too. */
static void finish(struct prune *prune)
{
    if (prune->recorded)
        record_keep(prune->service->updater, prune->rollout);
    prune_free(prune);
}

/* --- one image after the other -------------------------------------------------------------- */

static bool is_about(const struct rollout *rollout, const char *id)
{
    return (rollout->record.image_id && strcmp(rollout->record.image_id, id) == 0) ||
           (rollout->record.previous_image_id &&
            strcmp(rollout->record.previous_image_id, id) == 0);
}

/* A rollout may have begun since the history was read, and one that is being checked may be about
 * any image. */
static bool is_free(const struct prune *prune, const char *id)
{
    const struct updater *updater = prune->service->updater;

    for (size_t i = 0; i < updater->service_count; i++) {
        const struct service *service = &updater->services[i];

        if (service->preflight || (service->rollout && is_about(service->rollout, id)))
            return false;
    }
    return updater->engine_reachable;
}

static void on_inspect(void *context, const struct engine_reply *reply);

static void next_image(struct prune *prune)
{
    cJSON_Delete(prune->image);
    prune->image = NULL;
    while (prune->next < prune->id_count && !is_free(prune, prune->ids[prune->next]))
        prune->next++;
    if (prune->next == prune->id_count)
        finish(prune);
    else
        engine_image_inspect(prune->service->updater->engine, prune->ids[prune->next++], on_inspect,
                             prune);
}

/* Its names are its tags; one without any is known by its digests. */
static const cJSON *names_of(const cJSON *image)
{
    const cJSON *tags = engine_json_get(image, "RepoTags");

    return cJSON_GetArraySize(tags) > 0 ? tags : engine_json_get(image, "RepoDigests");
}

static const char *name_at(const cJSON *image, int index)
{
    const cJSON *name = cJSON_GetArrayItem(names_of(image), index);

    return cJSON_IsString(name) ? name->valuestring : NULL;
}

static void next_name(struct prune *prune);

static void on_removed(void *context, const struct engine_reply *reply)
{
    struct prune *prune = context;
    const char *name = name_at(prune->image, prune->name);

    if (reply->error == -ECANCELED) {
        prune_free(prune);
    } else if (reply->error) {
        recordf(prune, "image-kept", "%s: %s", name, reply->message);
        next_image(prune);
    } else {
        recordf(prune, "image-removed", "%s (%.19s)", name, prune->ids[prune->next - 1]);
        prune->name++;
        next_name(prune);
    }
}

static void next_name(struct prune *prune)
{
    const char *name = name_at(prune->image, prune->name);

    if (name == NULL || !is_free(prune, prune->ids[prune->next - 1]))
        next_image(prune);
    else
        engine_image_remove(prune->service->updater->engine, name, on_removed, prune);
}

static bool is_of(const char *reference, const char *repository)
{
    char *own = reference ? image_repository(reference) : NULL;
    bool is = own != NULL && strcmp(own, repository) == 0;

    free(own);
    return is;
}

/* Whether the service has ever had an image of this repository. */
static bool is_our_repository(const struct prune *prune, const char *name)
{
    char *repository = image_repository(name);
    bool ours = false;

    for (size_t i = 0; i < prune->history_count && repository && !ours; i++) {
        const struct journal_rollout *rollout = &prune->history[i];

        ours = strcmp(rollout->service, service_name(prune->service)) == 0 &&
               (is_of(rollout->image, repository) || is_of(rollout->previous_image, repository));
    }
    free(repository);
    return ours;
}

/* NULL: it may go. */
static const char *why_kept(const struct prune *prune, const cJSON *image)
{
    const cJSON *name;

    if (cJSON_GetArraySize(engine_json_get(image, "RepoDigests")) == 0)
        return "no registry has it";
    cJSON_ArrayForEach(name, names_of(image))
    {
        if (!cJSON_IsString(name) || !is_our_repository(prune, name->valuestring))
            return "it has a name of another repository";
    }
    return NULL;
}

static void on_inspect(void *context, const struct engine_reply *reply)
{
    struct prune *prune = context;
    const char *why;

    if (reply->error == -ECANCELED) {
        prune_free(prune);
        return;
    }
    why = reply->error ? NULL : why_kept(prune, reply->json);
    if (reply->error || why) { /* gone already, mostly */
        if (why)
            log_event(LOG_DEBUG, "image-kept", "reason", why);
        next_image(prune);
        return;
    }
    prune->image = cJSON_Duplicate(reply->json, true);
    prune->name = 0;
    next_name(prune);
}

/* --- which ---------------------------------------------------------------------------------- */

static bool is_used(const cJSON *containers, const char *id)
{
    const cJSON *container;

    cJSON_ArrayForEach(container, containers)
    {
        const char *its = engine_json_string(container, "ImageID");

        if (its && strcmp(its, id) == 0)
            return true;
    }
    return false;
}

static void on_containers(void *context, const struct engine_reply *reply)
{
    struct prune *prune = context;
    size_t left = 0;

    if (reply->error) {
        if (reply->error != -ECANCELED)
            recordf(prune, "prune-failed", "old images were not looked for: %s", reply->message);
        finish(prune);
        return;
    }
    for (size_t i = 0; i < prune->id_count; i++) {
        if (!is_used(reply->json, prune->ids[i]))
            prune->ids[left++] = prune->ids[i];
    }
    prune->id_count = left;
    next_image(prune);
}

/* A service that is not in the configuration any more may come back: all of it stays. */
static uint32_t keep_of(const struct updater *updater, const char *name)
{
    const struct service *service = updater_service(updater, name);
    uint32_t keep = service ? service->config->rollout.images.keep : 0;

    return keep > 0 ? keep : IMAGE_KEEP_ALL;
}

static void choose(struct prune *prune)
{
    const struct updater *updater = prune->service->updater;
    struct image_rollout *rollouts = memory_new_array(prune->history_count + 1, sizeof(*rollouts));

    prune->ids = memory_new_array(2 * prune->history_count + 1, sizeof(*prune->ids));
    for (size_t i = 0; i < prune->history_count; i++) {
        const struct journal_rollout *rollout = &prune->history[i];

        rollouts[i] = (struct image_rollout){
            .service = rollout->service,
            .image_id = rollout->image_id,
            .previous_image_id = rollout->previous_image_id,
            .keep = keep_of(updater, rollout->service),
            .in_progress = rollout->progress.phase != PHASE_ENDED,
            .completed = rollout->progress.outcome == OUTCOME_COMPLETED,
        };
    }
    prune->id_count =
        image_choose(rollouts, prune->history_count, service_name(prune->service), prune->ids);
    free(rollouts);
}

void prune_start(struct service *service, const char *rollout)
{
    static const char *const every[] = {NULL};
    struct updater *updater = service->updater;
    struct prune *prune;

    if (service->config->rollout.images.keep == 0 || service->prune || !updater->engine)
        return;
    prune = memory_new(sizeof(*prune));
    prune->service = service;
    service->prune = prune;
    (void)slice_copy_string(slice_from_string(rollout), prune->rollout, sizeof(prune->rollout));
    if (journal_rollout_list(updater->journal, NULL, HISTORY_MAX, &prune->history,
                             &prune->history_count)) {
        log_event(LOG_ERROR, "prune-failed", "reason", journal_error(updater->journal));
        prune->history = NULL;
        prune->history_count = 0;
        prune_free(prune);
        return;
    }
    choose(prune);
    if (prune->id_count == 0)
        prune_free(prune);
    else
        engine_list(updater->engine, every, on_containers, prune);
}
