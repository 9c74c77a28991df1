/* A rollout's life: begun or taken up from the journal, what is recorded of it, its end. */
#include "rollout.h"

#include "api_views.h"
#include "attention.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "changes.h"
#include "config/value.h"
#include "crash.h"
#include "events.h"
#include "notify.h"
#include "salt.h"
#include "steady.h"
#include "updater.h"

#include <sys/random.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *rollout_id(const struct rollout *rollout)
{
    return rollout->record.id;
}

bool rollout_is_new(const struct rollout *rollout, const struct container *container)
{
    return container->facts.rollout_label &&
           strcmp(container->facts.rollout_label, rollout_id(rollout)) == 0;
}

enum group rollout_group(const struct rollout *rollout, const struct container *container)
{
    return rollout_is_new(rollout, container) && rollout->spec.scale_to == 0 ? GROUP_CANARY
                                                                             : GROUP_STABLE;
}

bool rollout_is_paused(const struct rollout *rollout)
{
    const struct plan_progress *progress = &rollout->progress;
    const struct plan_spec *spec = &rollout->spec;

    if (progress->phase != PHASE_FORWARD)
        return false;
    return rollout->wish_pause || progress->failure_pause || tasks_wait_for_people(rollout) ||
           (progress->step_entered && progress->step < spec->step_count &&
            spec->steps[progress->step].kind == STEP_PAUSE &&
            spec->steps[progress->step].until_promoted);
}

const char *rollout_state_name(const struct plan_progress *progress, bool is_paused)
{
    switch (progress->phase) {
    case PHASE_PROMOTED:
        return "finishing";
    case PHASE_BACK:
        return "rolling_back";
    case PHASE_ENDED:
        return plan_outcome_name(progress->outcome);
    case PHASE_FORWARD:
        break;
    }
    return is_paused ? "paused" : "running";
}

/* Also while it is being removed: that is our own doing, where its create was cut off. */
static bool has_never_run(const struct container_facts *facts)
{
    return facts->state == CONTAINER_CREATED ||
           (facts->state == CONTAINER_REMOVING && facts->started_at != NULL &&
            strncmp(facts->started_at, "0001-", 5) == 0);
}

/* One of the new ones that has never run; its ordinal, or -1. */
static int unstarted_ordinal(const struct rollout *rollout, const struct container *container)
{
    int ordinal = container->facts.ordinal;

    return rollout_is_new(rollout, container) && has_never_run(&container->facts) && ordinal >= 0 &&
                   ordinal < (int)PLAN_REPLICAS_MAX
               ? ordinal
               : -1;
}

bool rollout_is_half_made(const struct rollout *rollout, const struct container *container)
{
    int ordinal = unstarted_ordinal(rollout, container);

    return ordinal >= 0 && rollout->redo[ordinal];
}

bool rollout_is_being_made(const struct rollout *rollout, const struct container *container)
{
    int ordinal = unstarted_ordinal(rollout, container);

    return ordinal >= 0 && rollout->creating_ordinal[ordinal];
}

uint64_t rollout_stop_lands_ms(const struct rollout *rollout, const struct container *container,
                               const struct member *member)
{
    uint64_t grace_ms = rollout->service->config->rollout.stop_grace_period_ms;

    if (!member->stop_cut || container->facts.state != CONTAINER_RUNNING)
        return 0;
    if (grace_ms == 0)
        grace_ms = container->facts.stop_timeout_s * 1000ull;
    return rollout->loaded_ms + grace_ms + ROLLOUT_ORPHAN_MS;
}

static void on_look_again(struct timer *timer)
{
    struct rollout *rollout = container_of(timer, struct rollout, look_again);

    updater_wake(rollout->service->updater);
}

static struct rollout *rollout_new(struct service *service)
{
    struct rollout *rollout = memory_new(sizeof(*rollout));

    check(!service->rollout);
    rollout->service = service;
    timer_init(&rollout->look_again, on_look_again);
    rollout->window = window_new();
    return rollout;
}

void rollout_free(struct rollout *rollout)
{
    if (!rollout)
        return;
    timer_stop(rollout->service->updater->loop, &rollout->look_again);
    tasks_stop(rollout);
    journal_spec_done(&rollout->spec);
    member_list_done(&rollout->members);
    journal_rollout_done(&rollout->record);
    window_free(rollout->window);
    cJSON_Delete(rollout->changes);
    cJSON_Delete(rollout->template);
    free(rollout->steps);
    free(rollout);
}

/* Creates that were begun and not ended by an updater that died may still be carried out. What the
 * last create of an ordinal left behind is not whole unless that create ended well, whichever
 * updater began it. */
static int orphans_note(struct rollout *rollout)
{
    struct journal *journal = rollout->service->updater->journal;
    struct journal_action *actions;
    size_t count;
    int error = journal_action_list(journal, rollout_id(rollout), false, &actions, &count);

    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        bool is_open = actions[i].ended_ms == 0;
        struct member *member =
            actions[i].container ? rollout_member_of_id(rollout, actions[i].container) : NULL;

        if (member && strcmp(actions[i].kind, plan_action_name(ACTION_STOP)) == 0)
            member->stop_meant = member->stop_cut = true;
        if (member && !is_open)
            member->stop_cut = false;

        if (strcmp(actions[i].kind, plan_action_name(ACTION_CREATE)) == 0) {
            if (is_open)
                rollout->orphans_until_ms = clock_ms() + ROLLOUT_ORPHAN_MS;
            if (actions[i].ordinal >= 0 && actions[i].ordinal < (int)PLAN_REPLICAS_MAX)
                rollout->redo[actions[i].ordinal] = is_open || actions[i].error != 0;
        }
        if (is_open && journal_action_end(journal, actions[i].id, steady_wall_ms(), -EINTR,
                                          "the updater ended before it heard the result", NULL))
            break;
    }
    journal_actions_free(actions, count);
    return 0;
}

/* The table does not say since when a backend drains: an updater that starts anew must not give its
 * exchanges their budgets once more. */
static void drains_date(struct rollout *rollout)
{
    struct table *table = rollout->service->updater->table;

    for (unsigned i = 0; i < rollout->members.count; i++) {
        const struct member_drain *drain = &rollout->members.items[i].drain;

        if (drain->begun)
            table_date_drain(table, drain->slot, drain->generation, drain->started_ms);
    }
}

static int rollout_take(struct service *service)
{
    struct journal *journal = service->updater->journal;
    struct rollout *rollout = rollout_new(service);
    int error = journal_rollout_in_progress(journal, service_name(service), &rollout->record);

    if (!error)
        error = journal_spec_read(rollout->record.spec, &rollout->spec, &rollout->steps);
    if (!error)
        rollout->template = journal_spec_template(rollout->record.spec);
    if (!error)
        error = changes_load(journal, rollout_id(rollout), &rollout->changes);
    if (!error)
        error = member_list_load(journal, rollout_id(rollout), &rollout->members);
    if (!error)
        error = journal_drain_orders_load(journal, rollout_id(rollout), &rollout->drain_orders);
    if (!error)
        error = tasks_load(rollout);
    if (error) {
        rollout_free(rollout);
        return error;
    }
    drains_date(rollout);
    rollout->progress = rollout->record.progress;
    rollout->wish_pause = rollout->record.wish_pause;
    rollout->wish_promote = rollout->record.wish_promote;
    rollout->wish_abort = rollout->record.wish_abort;
    service->rollout = rollout;
    table_set_salt(service->updater->table, service->row,
                   salt_of_rollout(service->updater, rollout_id(rollout)));
    return 0;
}

/* No rollout: what serves is stable, all in one table. An updater that died between the end of a
 * rollout and its last table is made up for by this. */
static void settle(struct service *service)
{
    static const struct config_match none;
    struct table *table = service->updater->table;

    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        if (table->draft.backends[slot].state != BACKEND_FREE &&
            table->draft.backends[slot].service == service->row)
            table_set_group(table, (int)slot, GROUP_STABLE);
    }
    table_set_weight(table, service->row, 0);
    table_set_match(table, service->row, &none);
    table_set_mirror(table, service->row, 0);
}

int rollout_load(struct service *service)
{
    int error = rollout_take(service);
    struct log_line line;

    if (error == -ENOENT) {
        settle(service);
        attention_look(service);
        return 0;
    }
    if (!error)
        error = orphans_note(service->rollout);
    if (error) {
        log_begin(&line, LOG_ERROR, "rollout-not-loaded");
        log_string(&line, "service", service_name(service));
        log_string(&line, "reason",
                   error == -EINVAL ? "its plan is not one that this version writes"
                                    : journal_error(service->updater->journal));
        log_errno(&line, error);
        log_end(&line);
        return error == -EINVAL ? 0 : error; /* then it would be no other the next time */
    }
    service->rollout->loaded_ms = clock_ms();
    rollout_log(service->rollout, "rollout-taken-up", NULL,
                plan_phase_name(service->rollout->progress.phase));
    return 0;
}

static void id_make(char id[32])
{
    uint64_t wall_ms = steady_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    uint16_t random = (uint16_t)wall_ms;
    struct tm utc;
    char stamp[20];

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint16_t)(wall_ms * 40503u);
    check(gmtime_r(&seconds, &utc) != NULL);
    check(strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &utc) > 0);
    (void)snprintf(id, 32, "%s-%04x", stamp, random);
}

static int by_ordinal(const void *a, const void *b)
{
    const struct container *const *first = a, *const *second = b;
    int apart = (*first)->facts.ordinal - (*second)->facts.ordinal;

    return apart ? apart : strcmp((*first)->facts.name, (*second)->facts.name);
}

unsigned rollout_olds(const struct service *service,
                      struct container *ret_old[SERVICE_CONTAINERS_MAX])
{
    unsigned count = 0;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);

        if (container->facts.state == CONTAINER_RUNNING && !container->leftover)
            ret_old[count++] = container;
    }
    qsort(ret_old, count, sizeof(struct container *), by_ordinal);
    return count;
}

void rollout_note_olds(struct rollout *rollout)
{
    struct container *old[SERVICE_CONTAINERS_MAX];
    unsigned count = rollout_olds(rollout->service, old);

    for (unsigned i = 0; i < count; i++) {
        if (!rollout_is_new(rollout, old[i]))
            (void)rollout_member(rollout, old[i]);
    }
    rollout->olds_noted = true;
}

int rollout_begin(const struct rollout_request *request)
{
    struct service *service = request->service;
    struct journal *journal = service->updater->journal;
    struct container *old[SERVICE_CONTAINERS_MAX];
    unsigned count = rollout_olds(service, old);
    struct config_step room[PLAN_STEPS_MAX];
    struct plan_spec spec =
        rollout_spec(service->config, &request->way, count, request->beside_why, room);
    char *spec_text;
    char id[32];
    int error;

    check(count > 0 || (request->template && request->scale_to > 0));
    if (request->scale_to > 0)
        rollout_spec_scale(&spec, request->scale_to);
    spec_text = journal_spec_write(&spec, request->template);
    id_make(id);
    const struct journal_rollout record = {
        .id = id,
        .service = service_name(service),
        .strategy = request->template   ? "first"
                    : spec.scale_to > 0 ? "scale"
                                        : strategy_words[spec.strategy],
        .spec = spec_text,
        .image = request->image,
        .image_id = request->image_id,
        .digest = request->digest,
        .previous_image = count > 0 ? old[0]->facts.image : NULL,
        .previous_image_id = count > 0 ? old[0]->facts.image_id : NULL,
        .reason = request->reason,
        .user = request->user,
        .created_ms = steady_wall_ms(),
        .replicas = count > 0 ? count : spec.scale_to,
        .progress = {.phase = PHASE_FORWARD},
    };
    crash_at("begin", "before");
    error = changes_rollout_add(journal, &record, request->changes, request->undo);
    crash_at("begin", "after");
    free(spec_text);
    if (!error)
        error = rollout_take(service);
    if (error)
        return error;
    settle(service);
    rollout_note_olds(service->rollout);
    attention_look(service);
    rollout_log(service->rollout, "rollout-started", NULL, request->image);
    if (spec.order_why[0])
        rollout_log(service->rollout, order_words[spec.order], NULL, spec.order_why);
    events_rollout(service->rollout, "rollout_updated");
    notify_rollout(service->rollout, "rollout_updated");
    updater_wake(service->updater);
    return 0;
}

static char *proof_write(const struct drain_proof *proof)
{
    cJSON *array = cJSON_CreateArray();
    char *text;

    for (unsigned i = 0; i < proof->row_count; i++) {
        const struct drain_proof_row *row = &proof->rows[i];
        cJSON *entry;

        if (!row->live && row->pid == 0)
            continue;
        entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "row", row->row);
        cJSON_AddBoolToObject(entry, "live", row->live);
        cJSON_AddNumberToObject(entry, "pid", row->pid);
        cJSON_AddNumberToObject(entry, "seen_epoch", (double)row->seen_epoch);
        cJSON_AddNumberToObject(entry, "active", row->active);
        cJSON_AddNumberToObject(entry, "connecting", row->connecting);
        cJSON_AddNumberToObject(entry, "idle", row->idle);
        cJSON_AddItemToArray(array, entry);
    }
    text = cJSON_PrintUnformatted(array);
    cJSON_Delete(array);
    return text;
}

/* Of the backend's whole life as one that drains: a drain that was taken back counts too. */
static char *ends_write(const struct drain_proof *proof)
{
    static const char *const names[LEFT_COUNT] = {
        [LEFT_BY_ITSELF] = "finished", [LEFT_POLITELY] = "told", [LEFT_FORCED] = "forced"};
    cJSON *object = cJSON_CreateObject();
    char *text;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        cJSON *its = cJSON_AddObjectToObject(object, exchange_kind_name((enum exchange_kind)kind));

        for (unsigned how = 0; how < LEFT_COUNT; how++)
            cJSON_AddNumberToObject(its, names[how], proof->left[how][kind]);
    }
    text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

void rollout_drained(struct rollout *rollout, int slot, const struct drain_proof *proof,
                     uint64_t noticed_us)
{
    const struct container *container = service_container_of_slot(rollout->service, slot);
    struct member *member = container ? rollout_member_of_id(rollout, container->facts.id) : NULL;
    uint64_t wall_ms = steady_wall_ms();
    struct member_drain *drain;

    if (!member || !member->drain.begun)
        return;
    drain = &member->drain;
    drain->drained_ms = wall_ms;
    drain->duration_ms = wall_ms > drain->started_ms ? wall_ms - drain->started_ms : 0;
    /* Where the last exchange ended before the drain began, there was nothing to notice. */
    drain->notice_us = -1;
    if (proof->last_end_us && noticed_us >= proof->last_end_us &&
        noticed_us - proof->last_end_us <= drain->duration_ms * 1000)
        drain->notice_us = (int64_t)(noticed_us - proof->last_end_us);
    free(drain->proof);
    drain->proof = proof_write(proof);
    free(drain->ends);
    drain->ends = ends_write(proof);
    member_drain_save(rollout, member);
    rollout_log(rollout, "drained", member, member->name);
    events_drain(rollout, "drain_completed", member);
}

void rollout_record_split(struct rollout *rollout)
{
    struct updater *updater = rollout->service->updater;
    uint32_t weight = updater->table->draft.services[rollout->service->row].weight;
    uint32_t last = rollout->progress.step;
    cJSON *split;
    char *figures;

    if (rollout->spec.step_count == 0)
        return;
    if (last >= rollout->spec.step_count)
        last = (uint32_t)rollout->spec.step_count - 1;
    /* Weights rise from step to step, so one step at most has set this one. */
    while (last > 0 && (rollout->spec.steps[last].kind != STEP_SET_WEIGHT ||
                        rollout->spec.steps[last].weight != weight))
        last--;
    if (rollout->spec.steps[last].kind != STEP_SET_WEIGHT ||
        rollout->spec.steps[last].weight != weight)
        return;
    split = view_split(updater, rollout->service->row, weight);
    figures = cJSON_PrintUnformatted(split);
    cJSON_Delete(split);
    const struct journal_step step = {.index = last, .figures = figures};

    if (journal_step_save(updater->journal, rollout_id(rollout), &step))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(updater->journal));
    free(figures);
}
