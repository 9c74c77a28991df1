#include "preflight.h"

#include "api.h"
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/value.h"
#include "container_changes.h"
#include "engine.h"
#include "fetch.h"
#include "image_names.h"
#include "own_container.h"
#include "preflight_gather.h"
#include "rollout.h"
#include "updater.h"
#include "view_plan.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct preflight {
    struct list node; /* of service->dry_runs */
    struct service *service;
    struct gather *gather;
    struct admin_deferred *deferred;
    char *image, *pinned, *reason, *user, *digest;
    struct config_step *steps; /* way.steps */
    struct rollout_way way;
    cJSON *template; /* of a first deployment of so many; NULL: of what runs */
    uint32_t replicas;
    cJSON *changes, *undo;           /* on purpose, and what takes them back; NULL: none */
    char beside_why[PLAN_WHY_BYTES]; /* why the order is stop-first; empty: it need not be */
    enum config_pull pull;
    struct fetch *fetch; /* the pull that is going on */
    char *pulled;        /* what it came to, for the record */
    char *pulled_id;
    char *aborted_by;
    bool dry_run;
    char *forced[PREFLIGHT_FORCED_MAX + 1];
    char own_id[65], in_progress[256];
    struct plan_spec spec;
    struct config_step room[PLAN_STEPS_MAX]; /* for steps of the spec */
    struct plan_preview preview;
    struct preflight_facts facts;
    struct preflight_results results;
};

static void preflight_free(struct preflight *preflight)
{
    list_remove(&preflight->node);
    if (preflight->service->preflight == preflight)
        preflight->service->preflight = NULL;
    for (size_t i = 0; preflight->forced[i]; i++)
        free(preflight->forced[i]);
    free(preflight->image);
    free(preflight->pinned);
    free(preflight->reason);
    free(preflight->user);
    free(preflight->digest);
    free(preflight->pulled);
    free(preflight->pulled_id);
    free(preflight->aborted_by);
    free(preflight->steps);
    cJSON_Delete(preflight->template);
    cJSON_Delete(preflight->changes);
    cJSON_Delete(preflight->undo);
    plan_preview_done(&preflight->preview);
    preflight_facts_done(&preflight->facts);
    free(preflight);
}

static const char *event_of(const struct preflight *preflight, unsigned status)
{
    if (preflight->dry_run)
        return "rollout-dry-run";
    return status == 201 ? "rollout-accepted" : "rollout-refused";
}

static void log_results(struct log_line *line, const struct preflight_results *results)
{
    for (unsigned i = 0; i < results->count; i++) {
        const struct preflight_result *result = &results->items[i];

        if (result->outcome >= PREFLIGHT_WARNING)
            log_string(line, result->check->name, result->message);
    }
}

static void finish(struct preflight *preflight, struct admin_answer *answer)
{
    struct log_line line;

    log_begin(&line, LOG_INFO, event_of(preflight, answer->status));
    log_string(&line, "service", service_name(preflight->service));
    log_string(&line, "image", preflight->image);
    log_string(&line, "user", preflight->user);
    log_u64(&line, "status", answer->status);
    log_results(&line, &preflight->results);
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

static struct rollout_request request_of(const struct preflight *preflight)
{
    return (struct rollout_request){
        .service = preflight->service,
        .image = preflight->image,
        .image_id = preflight->facts.image_id,
        .digest = preflight->digest,
        .reason = preflight->reason,
        .user = preflight->user,
        .way = preflight->way,
        .changes = preflight->changes,
        .undo = preflight->undo,
        .beside_why = preflight->beside_why[0] ? preflight->beside_why : NULL,
        .scale_to = preflight->replicas,
        .template = preflight->template,
    };
}

/* For the record. What was only warned of goes into the log too, which people read. */
static void keep(const struct preflight *preflight)
{
    struct rollout *rollout = preflight->service->rollout;
    struct journal *journal = preflight->service->updater->journal;
    const struct preflight_results *results = &preflight->results;
    struct journal_preflight rows[PREFLIGHT_CHECKS_MAX];

    for (unsigned i = 0; i < results->count; i++) {
        const struct preflight_result *result = &results->items[i];

        rows[i] = (struct journal_preflight){.name = result->check->name,
                                             .outcome = preflight_outcome_name(result->outcome),
                                             .message = result->message,
                                             .forced = result->forced};
        if (result->outcome == PREFLIGHT_WARNING)
            rollout_log(rollout, "preflight-warning", NULL, result->message);
    }
    if (journal_preflight_save(journal, rollout_id(rollout), rows, results->count))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
}

/* Those that are there, whether they run or not; what is swept is not counted. */
static unsigned count_containers(const struct service *service)
{
    unsigned count = 0;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next)
        count += !container_of(node, struct container, node)->leftover;
    return count;
}

static void refuse_containers(const struct service *service, struct admin_answer *answer)
{
    struct container *olds[SERVICE_CONTAINERS_MAX];
    unsigned count = count_containers(service), running = rollout_olds(service, olds);

    admin_error(answer, 422, "has-containers",
                running > 0 ? "\"%s\" has %u containers already: `sluice scale %s=N` changes how "
                              "many, `sluice rollout %s` without --replicas what they run"
                            : "\"%s\" has %u containers already, but none of them runs: start "
                              "or remove them first",
                service_name(service), count, service_name(service), service_name(service));
}

static void refuse_so_many(const struct service *service, struct admin_answer *answer)
{
    admin_error(answer, 422, "too-many-containers",
                "more than %u containers of \"%s\" run: a rollout or a scale takes no more",
                PLAN_REPLICAS_MAX, service_name(service));
}

static void begin(struct preflight *preflight)
{
    struct service *service = preflight->service;
    const struct rollout_request request = request_of(preflight);
    struct admin_answer answer = {0};
    struct container *olds[SERVICE_CONTAINERS_MAX];
    int error = 0;

    if (preflight->replicas > 0 && count_containers(service) > 0) { /* they came while we looked */
        refuse_containers(service, &answer);
        finish(preflight, &answer);
        return;
    }
    if (rollout_olds(service, olds) > PLAN_REPLICAS_MAX) {
        refuse_so_many(service, &answer);
        finish(preflight, &answer);
        return;
    }
    if (preflight->replicas > 0 || rollout_olds(service, olds) > 0)
        error = rollout_begin(&request);
    else
        error = -ENOENT;
    if (error == -ENOENT) { /* the last one ended while we looked */
        admin_error(&answer, 422, "no-containers", "no container of \"%s\" runs any more",
                    service_name(service));
    } else if (error == -EEXIST) {
        admin_error(&answer, 409, "rollout-in-progress", "a rollout of \"%s\" is in progress",
                    service_name(service));
    } else if (error) {
        admin_error(&answer, 500, "journal", "%s", journal_error(service->updater->journal));
    } else {
        keep(preflight);
        if (preflight->pulled)
            rollout_log(service->rollout, "image-pulled", NULL, preflight->pulled);
        answer.status = 201;
        answer.body = view_rollout_live(service->rollout);
    }
    finish(preflight, &answer);
}

static void answer_plan(struct preflight *preflight)
{
    struct admin_answer answer = {.status = 200};

    answer.body = view_plan(&preflight->facts, &preflight->results);
    finish(preflight, &answer);
}

/* The first refusal in words; every check beside it. */
static void refuse(struct preflight *preflight, const struct preflight_result *refusal)
{
    struct admin_answer answer = {0};
    const char *how = refusal->check->is_judgement ? "; `--force " : "";

    admin_error(&answer, refusal->check->status, refusal->check->code, "%s%s%s%s", refusal->message,
                how, how[0] ? refusal->check->name : "", how[0] ? "` goes on" : "");
    cJSON_AddItemToObject(answer.body, "checks", preflight_results_view(&preflight->results));
    finish(preflight, &answer);
}

static void gather(struct preflight *preflight);

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
    else if (end->error == -EINVAL)
        admin_error(&answer, 400, "bad-request", "cannot pull \"%s\": %s; nothing was changed",
                    preflight->image, end->message);
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
    preflight->pulled_id = memory_copy_string(end->image_id);
    preflight->facts.its_name = preflight->pulled_id; /* the tag may move on */
    gather(preflight);                                /* what there is may have changed meanwhile */
}

/* The planner's own way, in a world where all goes well. */
static void preview(struct preflight *preflight)
{
    const struct preflight_facts *facts = &preflight->facts;
    size_t count = facts->old_count < PLAN_REPLICAS_MAX ? facts->old_count : PLAN_REPLICAS_MAX;
    struct plan_container *olds = memory_new_array(count + 1, sizeof(*olds));

    for (size_t i = 0; i < count; i++)
        (void)slice_copy_string(slice_from_string(facts->olds[i].name), olds[i].name,
                                sizeof(olds[i].name));
    preflight->beside_why[0] = '\0';
    if (preflight->replicas == 0)
        (void)preflight_beside(facts, preflight->beside_why);
    else
        count = 0; /* none runs */
    preflight->spec =
        rollout_spec(preflight->service->config, &preflight->way, (uint32_t)count,
                     preflight->beside_why[0] ? preflight->beside_why : NULL, preflight->room);
    if (preflight->replicas > 0)
        rollout_spec_scale(&preflight->spec, preflight->replicas);
    preflight->facts.strategy =
        preflight->replicas > 0 ? "first" : strategy_words[preflight->spec.strategy];
    plan_preview_done(&preflight->preview);
    if (count > 0 || preflight->replicas > 0)
        plan_preview(&preflight->spec, facts->service, olds, (unsigned)count, &preflight->preview);
    free(olds);
}

/* What of the new image is known now; of one that is to be pulled anew, nothing. */
static void image_note(struct preflight *preflight)
{
    struct preflight_facts *facts = &preflight->facts;

    if (preflight->pull == PULL_ALWAYS && !preflight->pulled && !facts->keeps_image &&
        !image_is_id(preflight->image)) {
        cJSON_Delete(facts->its_image);
        free(facts->image_id);
        facts->its_image = NULL;
        facts->image_id = NULL;
    }
    free(preflight->digest);
    preflight->digest = memory_copy_string(image_repo_digest(facts->its_image, preflight->image));
    facts->digest = preflight->digest;
}

/* What the first one is now is what a way back leads to. */
static void undo_note(struct preflight *preflight)
{
    const struct preflight_facts *facts = &preflight->facts;

    cJSON_Delete(preflight->undo);
    preflight->undo = NULL;
    if (preflight->replicas > 0)
        return;
    for (size_t i = 0; i < facts->old_count && preflight->changes && !preflight->undo; i++) {
        if (facts->olds[i].inspect)
            preflight->undo = container_changes_undo(facts->olds[i].inspect,
                                                     facts->olds[i].its_image, preflight->changes);
    }
}

static void refuse_gone(struct preflight *preflight)
{
    struct admin_answer answer = {0};

    admin_error(&answer, 422, "no-such-image",
                "%s was pulled, and removed by somebody since; nothing was changed",
                preflight->image);
    finish(preflight, &answer);
}

static void decide(struct preflight *preflight)
{
    const struct preflight_result *refusal;

    image_note(preflight);
    undo_note(preflight);
    preview(preflight);
    preflight_run_checks(&preflight->facts, (const char *const *)preflight->forced,
                         &preflight->results);
    refusal = preflight_refusal(&preflight->results);
    if (preflight->dry_run)
        answer_plan(preflight);
    else if (refusal)
        refuse(preflight, refusal);
    else if (!preflight->facts.its_image && preflight->pulled)
        refuse_gone(preflight);
    else if (!preflight->facts.its_image)
        preflight->fetch = fetch_start(preflight->service, preflight->image, on_fetched, preflight);
    else
        begin(preflight);
}

static void refuse_reference(struct preflight *preflight, const char *why)
{
    struct admin_answer answer = {0};

    admin_error(&answer, 400, "bad-request", "\"%s\" is no image: %s; nothing was changed",
                preflight->image, why);
    finish(preflight, &answer);
}

static void on_gathered(void *context, const struct engine_reply *failure)
{
    ((struct preflight *)context)->gather = NULL;
    if (failure && failure->error == -EINVAL)
        refuse_reference(context, failure->message);
    else if (failure)
        refuse_engine(context, failure);
    else
        decide(context);
}

static void gather(struct preflight *preflight)
{
    const struct service *service = preflight->service;
    struct preflight_facts *facts = &preflight->facts;

    preflight->in_progress[0] = '\0';
    if (service->rollout)
        (void)snprintf(preflight->in_progress, sizeof(preflight->in_progress),
                       "rollout %s of \"%s\" is in progress; wait for its end or `sluice abort %s`",
                       rollout_id(service->rollout), service_name(service), service_name(service));
    else if (service->preflight && service->preflight != preflight)
        (void)snprintf(preflight->in_progress, sizeof(preflight->in_progress),
                       "a rollout of \"%s\" is being checked", service_name(service));
    facts->in_progress = preflight->in_progress[0] ? preflight->in_progress : NULL;
    facts->attention = service->attention;
    facts->own_id = own_container(preflight->own_id) ? preflight->own_id : NULL;
    facts->api_version = engine_api_version(service->updater->engine);
    preflight->gather = preflight_gather(preflight->service, facts, on_gathered, preflight);
}

/* What can be said without asking the engine, and what a dry run cannot plan for either. */
bool preflight_refuses_at_once(const struct service *service, bool dry_run, bool first,
                               struct admin_answer *answer)
{
    const struct updater *updater = service->updater;
    struct container *olds[SERVICE_CONTAINERS_MAX];

    if (service->is_static)
        admin_error(answer, 409, "not-discovered",
                    "\"%s\" has static backends and no containers to update; `sluice weight %s N` "
                    "shifts its traffic",
                    service_name(service), service_name(service));
    else if (service->rollout && !dry_run)
        admin_error(answer, 409, "rollout-in-progress",
                    "rollout %s of \"%s\" is in progress; wait for its end or `sluice abort %s`",
                    rollout_id(service->rollout), service_name(service), service_name(service));
    else if (service->preflight && !dry_run)
        admin_error(answer, 409, "rollout-in-progress", "a rollout of \"%s\" is being checked",
                    service_name(service));
    else if (!updater->engine_reachable)
        admin_error(answer, 503, "engine-unreachable", "the engine at %s does not answer: %s",
                    updater->config->engine_host, updater->engine_message);
    else if (!service->listed)
        admin_error(answer, 503, "engine-unreachable",
                    "the containers of \"%s\" are still being looked for; try again",
                    service_name(service));
    else if (first && count_containers(service) > 0)
        refuse_containers(service, answer);
    else if (!first && rollout_olds(service, olds) == 0)
        admin_error(answer, 422, "no-containers",
                    "no container of \"%s\" runs (label %s%s%s): there is nothing to update; "
                    "`sluice rollout %s --image IMAGE --replicas N` makes the first ones",
                    service_name(service), service->config->label_key,
                    service->config->label_value ? "=" : "",
                    service->config->label_value ? service->config->label_value : "",
                    service_name(service));
    else if (rollout_olds(service, olds) > PLAN_REPLICAS_MAX)
        refuse_so_many(service, answer);
    else
        return false;
    return true;
}

/* Without an image they keep the one that they have, under the name that they know it by. */
static char *image_of(const struct preflight_request *wanted)
{
    struct container *olds[SERVICE_CONTAINERS_MAX];

    if (wanted->image)
        return memory_copy_string(wanted->image);
    check(rollout_olds(wanted->service, olds) > 0);
    return memory_copy_string(olds[0]->facts.image);
}

static struct preflight *preflight_new(const struct preflight_request *wanted)
{
    struct preflight *preflight = memory_new(sizeof(*preflight));
    struct service *service = wanted->service;

    list_init(&preflight->node);
    preflight->service = service;
    preflight->image = image_of(wanted);
    preflight->pinned = memory_copy_string(wanted->image_id);
    preflight->changes = wanted->changes ? cJSON_Duplicate(wanted->changes, true) : NULL;
    preflight->template = wanted->template ? cJSON_Duplicate(wanted->template, true) : NULL;
    preflight->replicas = wanted->replicas;
    preflight->reason = memory_copy_string(wanted->reason);
    preflight->user = api_user_name(wanted->uid);
    preflight->dry_run = wanted->dry_run;
    preflight->pull = wanted->image ? wanted->pull : PULL_NEVER;
    for (size_t i = 0; i < PREFLIGHT_FORCED_MAX && wanted->forced[i]; i++)
        preflight->forced[i] = memory_copy_string(wanted->forced[i]);
    preflight->way = wanted->way;
    if (wanted->way.steps) {
        preflight->steps = memory_new_array(wanted->way.step_count, sizeof(*preflight->steps));
        memcpy(preflight->steps, wanted->way.steps,
               wanted->way.step_count * sizeof(*preflight->steps));
        preflight->way.steps = preflight->steps;
    }
    preflight->facts = (struct preflight_facts){
        .service = service_name(service),
        .config = service->config,
        .first = preflight->replicas,
        .template = preflight->template,
        .changes = preflight->changes,
        .keeps_image = !wanted->image,
        .image = preflight->image,
        .pinned = preflight->pinned,
        .pull = preflight->pull,
        .dry_run = wanted->dry_run,
        .spec = &preflight->spec,
        .preview = &preflight->preview,
    };
    return preflight;
}

void preflight_start(const struct preflight_request *wanted, const struct admin_request *request,
                     struct admin_answer *ret_answer)
{
    struct preflight *preflight;

    if (preflight_refuses_at_once(wanted->service, wanted->dry_run, wanted->replicas > 0,
                                  ret_answer))
        return;
    preflight = preflight_new(wanted);
    if (wanted->dry_run) /* of which there may be as many as like */
        list_append(&wanted->service->dry_runs, &preflight->node);
    else
        wanted->service->preflight = preflight;
    preflight->deferred = admin_defer(request);
    gather(preflight);
}

const struct fetch *preflight_fetch(const struct service *service)
{
    return service->preflight ? service->preflight->fetch : NULL;
}

void preflight_abort(struct service *service, uid_t uid, struct admin_answer *ret_answer)
{
    struct preflight *preflight = service->preflight;

    if (!preflight || !preflight->fetch) {
        admin_error(ret_answer, 409, "not-applicable", "no image is being pulled for \"%s\"",
                    service_name(service));
        return;
    }
    free(preflight->aborted_by); /* asked for twice */
    preflight->aborted_by = api_user_name(uid);
    ret_answer->status = 200;
    fetch_abort(preflight->fetch);
}

void preflight_stop(struct service *service)
{
    if (preflight_fetch(service))
        fetch_abort(service->preflight->fetch);
    for (struct list *node = service->dry_runs.next, *next; node != &service->dry_runs;
         node = next) {
        next = node->next; /* the answer may end it */
        preflight_gather_stop(container_of(node, struct preflight, node)->gather);
    }
}
