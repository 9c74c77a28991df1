#include "preflight.h"

#include "api.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "engine.h"
#include "engine_json.h"
#include "fetch.h"
#include "image_names.h"
#include "own_container.h"
#include "rollout.h"
#include "updater.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct preflight {
    struct service *service;
    struct admin_deferred *deferred;
    char *image, *reason, *user, *image_id, *digest;
    struct config_step *steps; /* way.steps */
    struct rollout_way way;
    enum config_pull pull;
    struct fetch *fetch; /* the pull that is going on */
    char *pulled;        /* what it came to, for the record */
    char *aborted_by;
    char **ids; /* the old containers', to be tried one after the other */
    size_t id_count, tried;
    cJSON *inspect; /* of ids[tried] */
};

static void preflight_free(struct preflight *preflight)
{
    preflight->service->preflight = NULL;
    for (size_t i = 0; i < preflight->id_count; i++)
        free(preflight->ids[i]);
    free(preflight->ids);
    free(preflight->image);
    free(preflight->reason);
    free(preflight->user);
    free(preflight->image_id);
    free(preflight->digest);
    free(preflight->pulled);
    free(preflight->aborted_by);
    free(preflight->steps);
    cJSON_Delete(preflight->inspect);
    free(preflight);
}

static void finish(struct preflight *preflight, struct admin_answer *answer)
{
    struct log_line line;

    log_begin(&line, LOG_INFO, answer->status == 201 ? "rollout-accepted" : "rollout-refused");
    log_string(&line, "service", service_name(preflight->service));
    log_string(&line, "image", preflight->image);
    log_string(&line, "user", preflight->user);
    log_u64(&line, "status", answer->status);
    log_end(&line);
    admin_answer_deferred(preflight->deferred, answer);
    preflight_free(preflight);
}

static void refuse_engine(struct preflight *preflight, const struct engine_reply *reply)
{
    struct admin_answer answer = {0};

    if (reply->error == -ETIMEDOUT)
        admin_error(&answer, 504, "engine", "%s", reply->message);
    else if (reply->status == 0)
        admin_error(&answer, 503, "engine-unreachable", "the engine does not answer: %s",
                    reply->message);
    else
        admin_error(&answer, 502, "engine", "%s", reply->message);
    finish(preflight, &answer);
}

static void begin(struct preflight *preflight)
{
    struct service *service = preflight->service;
    const struct rollout_request request = {
        .service = service,
        .image = preflight->image,
        .image_id = preflight->image_id,
        .digest = preflight->digest,
        .reason = preflight->reason,
        .user = preflight->user,
        .way = preflight->way,
    };
    struct admin_answer answer = {0};
    int error = rollout_begin(&request);

    if (error == -EEXIST) {
        admin_error(&answer, 409, "rollout-in-progress", "a rollout of \"%s\" is in progress",
                    service_name(service));
    } else if (error) {
        admin_error(&answer, 500, "journal", "%s", journal_error(service->updater->journal));
    } else {
        if (preflight->pulled)
            rollout_log(service->rollout, "image-pulled", NULL, preflight->pulled);
        answer.status = 201;
        answer.body = view_rollout_live(service->rollout);
    }
    finish(preflight, &answer);
}

static void try_next(struct preflight *preflight);

/* Can each old container be made again with the new image? Tried without making anything. */
static void on_old_image(void *context, const struct engine_reply *reply)
{
    struct preflight *preflight = context;
    struct service *service = preflight->service;
    cJSON *create = NULL, *connects = NULL;
    struct admin_answer answer = {0};
    char why[256] = "";

    if (reply->error && reply->error != -ENOENT) {
        refuse_engine(preflight, reply);
        return;
    }
    if (container_recreate(preflight->inspect, reply->error ? NULL : reply->json, preflight->image,
                           NULL, engine_api_version(service->updater->engine), &create, &connects,
                           why)) {
        admin_error(&answer, 422, "cannot-recreate",
                    "a second container like %.12s cannot run beside it: %s",
                    preflight->ids[preflight->tried], why);
        finish(preflight, &answer);
        return;
    }
    cJSON_Delete(create);
    cJSON_Delete(connects);
    preflight->tried++;
    try_next(preflight);
}

static void on_old_inspect(void *context, const struct engine_reply *reply)
{
    struct preflight *preflight = context;
    struct updater *updater = preflight->service->updater;
    const cJSON *image;

    if (reply->error == -ENOENT) { /* gone meanwhile: nothing to be made again */
        preflight->tried++;
        try_next(preflight);
        return;
    }
    if (reply->error) {
        refuse_engine(preflight, reply);
        return;
    }
    cJSON_Delete(preflight->inspect);
    preflight->inspect = cJSON_Duplicate(reply->json, true);
    image = cJSON_GetObjectItemCaseSensitive(preflight->inspect, "Image");
    engine_image_inspect(updater->engine, cJSON_IsString(image) ? image->valuestring : "",
                         on_old_image, preflight);
}

static void try_next(struct preflight *preflight)
{
    struct updater *updater = preflight->service->updater;

    if (preflight->tried == preflight->id_count)
        begin(preflight);
    else
        engine_inspect(updater->engine, preflight->ids[preflight->tried], on_old_inspect,
                       preflight);
}

/* It would be stopped in the middle of its own rollout. */
static bool has_own(const struct preflight *preflight)
{
    char own[65];

    if (!own_container(own))
        return false;
    for (size_t i = 0; i < preflight->id_count; i++) {
        if (strcmp(preflight->ids[i], own) == 0)
            return true;
    }
    return false;
}

/* Lists the old ones; false (and refused) where all of them run this very image already. */
static bool olds_collect(struct preflight *preflight)
{
    const struct service *service = preflight->service;
    struct admin_answer answer = {0};
    size_t same = 0;

    preflight->ids = memory_new_array(service->container_count + 1, sizeof(char *));
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        const struct container *container = container_of(node, struct container, node);

        if (container->facts.state != CONTAINER_RUNNING || container->leftover)
            continue;
        same += strcmp(container->facts.image_id, preflight->image_id) == 0;
        preflight->ids[preflight->id_count++] = memory_copy_string(container->facts.id);
    }
    if (preflight->id_count == 0)
        admin_error(&answer, 422, "no-containers", "no container of \"%s\" runs any more",
                    service_name(service));
    else if (preflight->id_count > PLAN_REPLICAS_MAX)
        admin_error(&answer, 422, "cannot-recreate", "\"%s\" has more than %u containers",
                    service_name(service), PLAN_REPLICAS_MAX);
    else if (has_own(preflight))
        admin_error(
            &answer, 422, "cannot-recreate",
            "Sluice itself runs in one of the containers of \"%s\": it cannot replace itself",
            service_name(service));
    else if (same == preflight->id_count)
        admin_error(&answer, 422, "same-image",
                    "every container of \"%s\" runs %s (%.19s) already; nothing was changed",
                    service_name(service), preflight->image, preflight->image_id);
    else
        return true;
    finish(preflight, &answer);
    return false;
}

static void image_note(struct preflight *preflight, const char *id, const char *digest)
{
    preflight->image_id = memory_copy_string(id ? id : "");
    preflight->digest = memory_copy_string(digest);
    if (olds_collect(preflight))
        try_next(preflight);
}

/* Nothing was changed: it is refused like any other check that fails. */
static void refuse_pull(struct preflight *preflight, const struct fetch_end *end)
{
    struct admin_answer answer = {0};

    if (end->error == -ECANCELED && preflight->aborted_by)
        admin_error(&answer, 409, "aborted",
                    "the pull of %s was aborted by %s; nothing was changed", preflight->image,
                    preflight->aborted_by);
    else if (end->error == -ECANCELED)
        admin_error(&answer, 503, "restarting",
                    "Sluice is restarting; the pull of %s ended, nothing was changed: ask again",
                    preflight->image);
    else
        admin_error(&answer, 422, end->error == -ENOENT ? "no-such-image" : "pull-failed",
                    "cannot pull %s: %s; nothing was changed", preflight->image, end->message);
    finish(preflight, &answer);
}

static void on_fetched(void *context, const struct fetch_end *end)
{
    struct preflight *preflight = context;

    preflight->fetch = NULL;
    if (end->error) {
        refuse_pull(preflight, end);
        return;
    }
    preflight->pulled = memory_copy_string(end->summary);
    image_note(preflight, end->image_id, end->digest);
}

static void pull(struct preflight *preflight)
{
    struct admin_answer answer = {0};

    if (preflight->pull == PULL_NEVER)
        admin_error(&answer, 422, "no-such-image",
                    "the engine has no image %s, and is not to pull it; nothing was changed",
                    preflight->image);
    else if (image_is_id(preflight->image))
        admin_error(&answer, 422, "no-such-image",
                    "the engine has no image %s, and no registry knows one by its id; nothing was "
                    "changed",
                    preflight->image);
    if (answer.status)
        finish(preflight, &answer);
    else
        preflight->fetch = fetch_start(preflight->service, preflight->image, on_fetched, preflight);
}

static void on_image(void *context, const struct engine_reply *reply)
{
    struct preflight *preflight = context;

    if (reply->error == -ENOENT)
        pull(preflight);
    else if (reply->error)
        refuse_engine(preflight, reply);
    else
        image_note(preflight, engine_json_string(reply->json, "Id"),
                   image_repo_digest(reply->json, preflight->image));
}

const struct fetch *preflight_fetch(const struct service *service)
{
    return service->preflight ? service->preflight->fetch : NULL;
}

/* What can be said without asking the engine. */
static bool refuse_at_once(const struct service *service, struct admin_answer *answer)
{
    const struct updater *updater = service->updater;
    unsigned running = 0;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        const struct container *container = container_of(node, struct container, node);

        running += container->facts.state == CONTAINER_RUNNING && !container->leftover;
    }
    if (service->is_static)
        admin_error(answer, 409, "not-discovered",
                    "\"%s\" has static backends and no containers to update; `sluice weight %s N` "
                    "shifts its traffic",
                    service_name(service), service_name(service));
    else if (service->rollout)
        admin_error(answer, 409, "rollout-in-progress",
                    "rollout %s of \"%s\" is in progress; wait for its end or `sluice abort %s`",
                    rollout_id(service->rollout), service_name(service), service_name(service));
    else if (service->preflight)
        admin_error(answer, 409, "rollout-in-progress", "a rollout of \"%s\" is being checked",
                    service_name(service));
    else if (!updater->engine_reachable)
        admin_error(answer, 503, "engine-unreachable", "the engine at %s does not answer: %s",
                    updater->config->engine_host, updater->engine_message);
    else if (!service->listed)
        admin_error(answer, 503, "engine-unreachable",
                    "the containers of \"%s\" are still being looked for; try again",
                    service_name(service));
    else if (running == 0)
        admin_error(answer, 422, "no-containers",
                    "no container of \"%s\" runs (label %s%s%s): there is nothing to update",
                    service_name(service), service->config->label_key,
                    service->config->label_value ? "=" : "",
                    service->config->label_value ? service->config->label_value : "");
    else
        return false;
    return true;
}

void preflight_start(const struct preflight_request *wanted, const struct admin_request *request,
                     struct admin_answer *ret_answer)
{
    struct service *service = wanted->service;
    struct preflight *preflight;

    if (refuse_at_once(service, ret_answer))
        return;
    preflight = memory_new(sizeof(*preflight));
    preflight->service = service;
    preflight->image = memory_copy_string(wanted->image);
    preflight->reason = memory_copy_string(wanted->reason);
    preflight->user = api_user_name(wanted->uid);
    preflight->way = wanted->way;
    if (wanted->way.steps) {
        preflight->steps = memory_new_array(wanted->way.step_count, sizeof(*preflight->steps));
        memcpy(preflight->steps, wanted->way.steps,
               wanted->way.step_count * sizeof(*preflight->steps));
        preflight->way.steps = preflight->steps;
    }
    preflight->pull = wanted->pull;
    service->preflight = preflight;
    preflight->deferred = admin_defer(request);
    if (preflight->pull == PULL_ALWAYS && !image_is_id(preflight->image))
        pull(preflight);
    else
        engine_image_inspect(service->updater->engine, preflight->image, on_image, preflight);
}

void preflight_abort(struct service *service, uid_t uid, struct admin_answer *ret_answer)
{
    struct preflight *preflight = service->preflight;

    if (!preflight || !preflight->fetch) {
        admin_error(ret_answer, 409, "not-applicable", "no image is being pulled for \"%s\"",
                    service_name(service));
        return;
    }
    preflight->aborted_by = api_user_name(uid);
    ret_answer->status = 200;
    fetch_abort(preflight->fetch);
}

void preflight_stop(struct service *service)
{
    if (preflight_fetch(service))
        fetch_abort(service->preflight->fetch);
}
