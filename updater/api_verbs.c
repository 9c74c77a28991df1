/* The admin API's requests that change something. */
#include "api.h"
#include "api_changes.h"
#include "api_first.h"
#include "api_views.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/value.h"
#include "events.h"
#include "preflight.h"
#include "preflight_parts.h"
#include "salt.h"
#include "turn.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool api_body_has_only(const cJSON *body, const char *const *keys, struct admin_answer *answer)
{
    const cJSON *item;

    if (!cJSON_IsObject(body)) {
        admin_error(answer, 400, "bad-request", "the body must be a JSON object");
        return false;
    }
    cJSON_ArrayForEach(item, body)
    {
        const char *const *key = keys;

        while (*key && strcmp(*key, item->string) != 0)
            key++;
        if (!*key) {
            admin_error(answer, 400, "bad-request", "unknown key \"%s\"", item->string);
            return false;
        }
    }
    return true;
}

/* Per cent with a resolution of 0.01. */
static int weight_read(const cJSON *item, uint32_t *ret_weight)
{
    double hundredths = cJSON_IsNumber(item) ? item->valuedouble * 100. : -1.;
    double whole;

    if (!(hundredths >= 0. && hundredths <= (double)WEIGHT_MAX))
        return -EINVAL;
    whole = (double)(uint32_t)(hundredths + 0.5);
    if (hundredths - whole > 1e-6 || whole - hundredths > 1e-6)
        return -EINVAL;
    *ret_weight = (uint32_t)whole;
    return 0;
}

static int weight_keep(struct service *service, uint32_t weight)
{
    struct journal *journal = service->updater->journal;
    struct journal_service saved = {0};
    int error = journal_service_load(journal, service_name(service), &saved);
    char *renewed = NULL;

    if (error && error != -ENOENT)
        return error;
    if (saved.weight == 0 && weight > 0) /* another set of users comes first each time */
        saved.options = renewed = salt_renew(saved.options);
    saved.name = service_name(service);
    saved.weight = weight;
    error = journal_service_save(journal, &saved);
    if (!error)
        table_set_salt(service->updater->table, service->row,
                       salt_of_options(service, saved.options));
    journal_service_done(&saved);
    free(renewed);
    return error;
}

void api_weight(struct service *service, const struct admin_request *request,
                struct admin_answer *ret_answer)
{
    static const char *const keys[] = {"weight", NULL};
    uint32_t weight;
    struct log_line line;

    if (!api_body_has_only(request->body, keys, ret_answer))
        return;
    if (weight_read(cJSON_GetObjectItemCaseSensitive(request->body, "weight"), &weight)) {
        admin_error(ret_answer, 400, "bad-request",
                    "weight is a number from 0 to 100, per cent, in steps of 0.01");
    } else if (!service->is_static) {
        admin_error(ret_answer, 409, "not-static",
                    "\"%s\" is made of containers: its weight is moved by `sluice rollout`",
                    service_name(service));
    } else if (service->config->canary_count == 0 && weight > 0) {
        admin_error(ret_answer, 409, "not-applicable",
                    "\"%s\" has no canary backends: add `canary: [ … ]` to its config",
                    service_name(service));
    } else if (weight_keep(service, weight)) {
        admin_error(ret_answer, 500, "journal", "%s", journal_error(service->updater->journal));
    } else {
        table_set_weight(service->updater->table, service->row, weight);
        turn_publish(service->updater);
        log_begin(&line, LOG_INFO, "weight-set");
        log_string(&line, "service", service_name(service));
        log_u64(&line, "hundredths", weight);
        log_u64(&line, "uid", request->uid);
        log_end(&line);
        ret_answer->status = 200;
        ret_answer->body = view_service(service);
    }
}

static enum plan_verb verb_of(const char *name)
{
    if (strcmp(name, "pause") == 0)
        return VERB_PAUSE;
    if (strcmp(name, "resume") == 0)
        return VERB_RESUME;
    return strcmp(name, "promote") == 0 ? VERB_PROMOTE : VERB_ABORT;
}

static void verb_wish(struct rollout *rollout, enum plan_verb verb)
{
    switch (verb) {
    case VERB_PAUSE:
        rollout->wish_pause = true;
        break;
    case VERB_RESUME:
        rollout->wish_pause = false;
        break;
    case VERB_PROMOTE:
        rollout->wish_promote = true;
        break;
    case VERB_ABORT:
        rollout->wish_abort = true;
        break;
    }
}

static void verb_live(struct rollout *rollout, const char *name, struct admin_answer *answer)
{
    struct updater *updater = rollout->service->updater;
    bool before[3] = {rollout->wish_pause, rollout->wish_promote, rollout->wish_abort};
    char why[PLAN_WHY_BYTES];

    if (plan_verb_applies(&rollout->progress, rollout->wish_pause, verb_of(name), why)) {
        admin_error(answer, 409, "not-applicable", "%s", why);
        return;
    }
    verb_wish(rollout, verb_of(name));
    if (journal_rollout_set_wishes(updater->journal, rollout_id(rollout), rollout->wish_pause,
                                   rollout->wish_promote, rollout->wish_abort)) {
        rollout->wish_pause = before[0];
        rollout->wish_promote = before[1];
        rollout->wish_abort = before[2];
        admin_error(answer, 500, "journal", "%s", journal_error(updater->journal));
        return;
    }
    rollout->paused_by_engine = rollout->paused_by_engine && rollout->wish_pause;
    rollout_log(rollout, name, NULL, "asked for by an operator");
    events_rollout(rollout, verb_of(name) == VERB_PAUSE ? "rollout_paused" : "rollout_updated");
    answer->status = 200;
    answer->body = view_rollout_live(rollout);
    updater_wake(updater);
}

void api_rollout_verb(struct updater *updater, const char *id, const char *verb,
                      struct admin_answer *ret_answer)
{
    struct journal_rollout record;
    char why[PLAN_WHY_BYTES] = "the rollout is not in progress";

    for (size_t i = 0; i < updater->service_count; i++) {
        struct rollout *rollout = updater->services[i].rollout;

        if (rollout && strcmp(rollout_id(rollout), id) == 0) {
            verb_live(rollout, verb, ret_answer);
            return;
        }
    }
    if (journal_rollout_find(updater->journal, id, &record) == 0) {
        if (plan_verb_applies(&record.progress, false, verb_of(verb), why) == 0)
            (void)slice_copy_string(SLICE("its service is not in the configuration any more"), why,
                                    sizeof(why));
        journal_rollout_done(&record);
    }
    admin_error(ret_answer, 409, "not-applicable", "%s", why);
}

/* By the config's own reader, so that a file and a request mean the same. */
static bool steps_read(const struct service *service, const cJSON *array,
                       struct config_step **ret_steps, size_t *ret_count,
                       struct admin_answer *answer)
{
    struct config_errors errors;
    char *text = cJSON_PrintUnformatted(array);
    int error = config_read_steps(text ? text : "", &service->config->rollout.analysis, &errors,
                                  ret_steps, ret_count);

    cJSON_free(text);
    if (error) {
        size_t length = strcspn(errors.text ? errors.text : "", "\n");

        admin_error(answer, 400, "bad-steps", "%.*s", (int)length, errors.text ? errors.text : "");
        config_errors_done(&errors);
        return false;
    }
    return true;
}

/* Where `preset` is given: its steps. */
static bool preset_read(const struct service *service, const cJSON *preset, struct rollout_way *way,
                        struct admin_answer *answer)
{
    const struct config *config = service->updater->config;
    const struct config_preset *found =
        cJSON_IsString(preset) ? config_find_preset(config, preset->valuestring) : NULL;
    char names[512];

    if (!found) {
        config_preset_names(config, names, sizeof(names));
        admin_error(answer, 400, "bad-preset", "preset is one of %s", names);
        return false;
    }
    way->steps = found->steps;
    way->step_count = found->step_count;
    return true;
}

/* One of the words, where the key is given; false (and refused) where it is none of them. */
static bool word_read(const cJSON *body, const char *key, const char *const *words, bool *ret_given,
                      unsigned *ret_word, struct admin_answer *answer)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, key);
    char list[80] = "";

    *ret_given = item != NULL;
    for (unsigned i = 0; words[i]; i++) {
        size_t length = strlen(list);

        if (!item || (cJSON_IsString(item) && strcmp(item->valuestring, words[i]) == 0)) {
            *ret_word = i;
            return true;
        }
        (void)snprintf(list + length, sizeof(list) - length, "%s%s", length ? ", " : "", words[i]);
    }
    admin_error(answer, 400, "bad-request", "%s is one of %s", key, list);
    return false;
}

static bool way_read(const cJSON *body, struct rollout_way *way, struct admin_answer *answer)
{
    unsigned strategy = 0, order = 0;

    if (!word_read(body, "strategy", strategy_words, &way->strategy_given, &strategy, answer) ||
        !word_read(body, "order", order_words, &way->order_given, &order, answer))
        return false;
    way->strategy = (enum config_strategy)strategy;
    way->order = (enum config_order)order;
    return true;
}

/* Left out: the config's. */
static bool pull_read(const cJSON *item, enum config_pull *pull, struct admin_answer *answer)
{
    if (!item || (cJSON_IsString(item) && config_parse_pull(item->valuestring, pull) == 0))
        return true;
    admin_error(answer, 400, "bad-request", "pull is \"missing\", \"always\" or \"never\"");
    return false;
}

void api_abort(struct service *service, const struct admin_request *request,
               struct admin_answer *ret_answer)
{
    preflight_abort(service, request->uid, ret_answer);
    if (ret_answer->status == 200)
        ret_answer->body = view_service(service);
}

/* Names of checks that an operator may force. */
static bool force_read(const cJSON *array, struct preflight_request *wanted,
                       struct admin_answer *answer)
{
    size_t count = 0;
    const cJSON *item;
    char *names;

    if (array && !cJSON_IsArray(array)) {
        admin_error(answer, 400, "bad-request", "force is a list of checks");
        return false;
    }
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsString(item) && preflight_may_force(item->valuestring) &&
            count < PREFLIGHT_FORCED_MAX) {
            wanted->forced[count++] = item->valuestring;
            continue;
        }
        names = preflight_forcible();
        admin_error(answer, 400, "bad-request",
                    "\"%s\" is no check that can be forced; those are: %s",
                    cJSON_IsString(item) ? item->valuestring : "?", names);
        free(names);
        return false;
    }
    return true;
}

static void start_changed(struct preflight_request *wanted, const cJSON *changes,
                          const struct admin_request *request, struct admin_answer *answer)
{
    char why[API_CHANGES_WHY_BYTES];
    cJSON *read = NULL;

    if (changes && api_changes_read(wanted->service, changes, &read, why)) {
        admin_error(answer, 400, "bad-request", "%s", why);
        return;
    }
    wanted->changes = read;
    preflight_start(wanted, request, answer);
    cJSON_Delete(read);
}

/* Everything but the way: image, reason, pull, and what concerns the checks. */
static bool wanted_read(const cJSON *body, struct preflight_request *wanted,
                        struct admin_answer *answer)
{
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(body, "image");
    const cJSON *reason = cJSON_GetObjectItemCaseSensitive(body, "reason");
    const cJSON *dry_run = cJSON_GetObjectItemCaseSensitive(body, "dry_run");

    if ((image || !cJSON_GetObjectItemCaseSensitive(body, "changes")) &&
        (!cJSON_IsString(image) || image->valuestring[0] == '\0')) {
        admin_error(answer, 400, "bad-request", "image is missing: {\"image\": \"web:v2\"}");
        return false;
    }
    if (reason && !cJSON_IsString(reason)) {
        admin_error(answer, 400, "bad-request", "reason is a text");
        return false;
    }
    if (dry_run && !cJSON_IsBool(dry_run)) {
        admin_error(answer, 400, "bad-request", "dry_run is true or false");
        return false;
    }
    wanted->image = image ? image->valuestring : NULL; /* what runs */
    wanted->reason = reason ? reason->valuestring : NULL;
    wanted->dry_run = cJSON_IsTrue(dry_run);
    return force_read(cJSON_GetObjectItemCaseSensitive(body, "force"), wanted, answer) &&
           pull_read(cJSON_GetObjectItemCaseSensitive(body, "pull"), &wanted->pull, answer);
}

void api_rollout_start(struct service *service, const struct admin_request *request,
                       struct admin_answer *ret_answer)
{
    static const char *const keys[] = {"image",    "steps",  "preset",  "reason", "strategy",
                                       "order",    "pull",   "dry_run", "force",  "changes",
                                       "replicas", "create", NULL};
    const cJSON *body = request->body;
    const cJSON *steps, *preset;
    struct preflight_request wanted = {
        .service = service, .pull = service->config->rollout.images.pull, .uid = request->uid};
    struct config_step *read = NULL;
    cJSON *template = NULL;

    if (!api_body_has_only(body, keys, ret_answer) || !wanted_read(body, &wanted, ret_answer) ||
        !way_read(body, &wanted.way, ret_answer))
        return;
    steps = cJSON_GetObjectItemCaseSensitive(body, "steps");
    preset = cJSON_GetObjectItemCaseSensitive(body, "preset");
    if (steps && preset) {
        admin_error(ret_answer, 400, "bad-request", "give steps or a preset, not both");
        return;
    }
    if ((steps || preset) &&
        rollout_strategy(&service->config->rollout, &wanted.way) != STRATEGY_CANARY) {
        admin_error(ret_answer, 400, "bad-steps",
                    "steps are for the strategy canary; the others have their own");
        return;
    }
    if (preset && !preset_read(service, preset, &wanted.way, ret_answer))
        return;
    if (steps && !steps_read(service, steps, &read, &wanted.way.step_count, ret_answer))
        return;
    if (steps)
        wanted.way.steps = read;
    if (api_first_read(service, body, &wanted.replicas, &template, ret_answer)) {
        wanted.template = template;
        start_changed(&wanted, cJSON_GetObjectItemCaseSensitive(body, "changes"), request,
                      ret_answer);
    }
    cJSON_Delete(template);
    free(read);
}
