#include "act.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "crash.h"
#include "discovery.h"
#include "engine.h"
#include "events.h"
#include "hold.h"
#include "record.h"
#include "steady.h"
#include "task.h"
#include "updater.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MAX_MS 30000u
#define ATTEMPTS_FINAL 100u /* more than the planner tries: it cannot help */

struct act { /* one action on the engine, in flight */
    struct service *service;
    char rollout[32];
    char container[65];
    enum plan_action_kind kind;
    enum plan_phase phase; /* in which it was planned */
    int64_t action_id;
};

struct rollout *act_rollout(const struct service *service, const char *id)
{
    return service->rollout && strcmp(rollout_id(service->rollout), id) == 0 ? service->rollout
                                                                             : NULL;
}

uint32_t act_backoff_ms(uint32_t attempts)
{
    uint32_t wait_ms = attempts > 5 ? BACKOFF_MAX_MS : 1000u << (attempts > 0 ? attempts - 1 : 0);

    return wait_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait_ms;
}

enum failing act_failing(const struct engine_reply *reply)
{
    if (reply->status == 0 && (reply->error == -ECONNREFUSED || reply->error == -ENOTCONN))
        return FAILING_AWAY;
    return engine_error_is_passing(reply) ? FAILING_PASSING : FAILING_FINAL;
}

/* A start that the engine refuses is refused again; what stands in the way of the others (a name
 * still taken, a device busy) may go. */
static enum failing failing_of(enum plan_action_kind kind, const struct engine_reply *reply)
{
    enum failing failing = act_failing(reply);

    return failing == FAILING_FINAL && kind != ACTION_START ? FAILING_PASSING : failing;
}

void act_journal_end(struct service *service, int64_t action_id, int error, const char *message,
                     const char *container)
{
    struct journal *journal = service->updater->journal;

    if (journal_action_end(journal, action_id, steady_wall_ms(), error, message, container))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
}

static void on_retry_due(int revents, void *argument)
{
    (void)revents;
    updater_wake(argument);
}

static void failed(struct container *container, enum plan_action_kind kind, const char *message,
                   enum failing failing)
{
    struct updater *updater = container->service->updater;
    struct log_line line;

    if (container->attempted != kind)
        container->attempts = 0;
    container->attempted = (uint8_t)kind;
    container->attempts += failing == FAILING_FINAL ? ATTEMPTS_FINAL : failing == FAILING_PASSING;
    container->retry_ms =
        failing == FAILING_FINAL ? 0 : clock_ms() + act_backoff_ms(container->attempts);
    (void)slice_copy_string(slice_from_string(message), container->error, sizeof(container->error));
    ev_once(updater->loop, -1, 0, (double)act_backoff_ms(container->attempts) / 1000. + 0.002,
            on_retry_due, updater);
    log_begin(&line, LOG_WARNING, "action-failed");
    log_string(&line, "service", service_name(container->service));
    log_string(&line, "rollout",
               container->service->rollout ? rollout_id(container->service->rollout) : NULL);
    log_string(&line, "action", plan_action_name(kind));
    log_string(&line, "container", container->facts.id);
    log_string(&line, "image", container->facts.image_id);
    log_u64(&line, "attempts", container->attempts);
    log_string(&line, "reason", message);
    log_end(&line);
}

static void note_done(struct rollout *rollout, const struct act *act)
{
    struct member *member = rollout_member_of_id(rollout, act->container);
    uint64_t wall_ms = steady_wall_ms();
    const char *event = NULL;

    if (!member)
        return;
    switch (act->kind) {
    case ACTION_START:
        member->started_ms = wall_ms;
        event = "container_started";
        break;
    case ACTION_STOP:
        member->stopped_ms = wall_ms;
        event = "container_stopped";
        break;
    case ACTION_REMOVE:
        member->removed_ms = wall_ms;
        event = "container_removed";
        break;
    case ACTION_RENAME:
        (void)slice_copy_string(slice_from_string(member->final_name), member->name,
                                sizeof(member->name));
        break;
    case ACTION_CREATE:
    case ACTION_PUBLISH:
    case ACTION_READY:
    case ACTION_SET_WEIGHT:
    case ACTION_DRAIN:
    case ACTION_END_KINDS:
    case ACTION_HOLD:
    case ACTION_RELEASE:
    case ACTION_TASK:
        check(act->kind == ACTION_START); /* none of these is an action on the engine */
    }
    member_save(rollout, member);
    member_drain_save(rollout, member);
    rollout_log(rollout, event ? event : "container_renamed", member, member->name);
    if (event)
        events_container(rollout, event, member);
}

/* Inspected again: what comes next is planned from what is, not from what was meant. */
static void on_looked(void *context)
{
    struct act *act = context;
    struct container *container = service_container(act->service, act->container);

    if (container)
        container->busy = false;
    updater_wake(act->service->updater);
    free(act);
}

static void on_done(void *context, const struct engine_reply *reply)
{
    struct act *act = context;
    struct service *service = act->service;
    struct container *container = service_container(service, act->container);
    struct rollout *rollout = act_rollout(service, act->rollout);

    if (reply->error == -ECANCELED) { /* we are ending; the intent stays open */
        free(act);
        return;
    }
    crash_at(plan_action_name(act->kind), "done");
    act_journal_end(service, act->action_id, reply->error, reply->message, NULL);
    crash_at(plan_action_name(act->kind), "after");
    if (reply->error && container)
        failed(container, act->kind, reply->message, failing_of(act->kind, reply));
    if (!reply->error && container)
        container->attempts = 0;
    /* Another phase wants other actions, which have not failed yet. */
    if (container && (!rollout || rollout->progress.phase != act->phase))
        container->retry_ms = 0;
    if (!reply->error && rollout)
        note_done(rollout, act);
    if (!reply->error && act->kind == ACTION_REMOVE && container)
        container_forget(container);
    service->changed = true;
    discovery_look(service, act->container, on_looked, act);
}

static int grace_s(const struct rollout *rollout)
{
    uint32_t grace_ms = rollout->service->config->rollout.stop_grace_period_ms;

    return grace_ms ? (int)((grace_ms + 999) / 1000) : -1;
}

static void act_engine(struct rollout *rollout, const struct plan_action *action,
                       struct container *container, int64_t action_id)
{
    struct service *service = rollout->service;
    struct engine *engine = service->updater->engine;
    struct member *member = rollout_member_of_id(rollout, container->facts.id);
    struct act *act = memory_new(sizeof(*act));
    const char *id = container->facts.id;

    check(member != NULL && !container->busy);
    act->service = service;
    act->kind = action->kind;
    act->phase = rollout->progress.phase;
    act->action_id = action_id;
    (void)slice_copy_string(slice_from_string(rollout_id(rollout)), act->rollout,
                            sizeof(act->rollout));
    (void)slice_copy_string(slice_from_string(id), act->container, sizeof(act->container));
    container->busy = true;
    if (action->kind == ACTION_STOP)
        member->stop_meant = true;
    if (action->kind == ACTION_START)
        engine_start(engine, id, on_done, act);
    else if (action->kind == ACTION_STOP)
        engine_stop(engine, id, grace_s(rollout), on_done, act);
    else if (action->kind == ACTION_REMOVE) /* carried-over volumes are bound by name: v=1 keeps */
        engine_remove(engine, id, false, member->is_new, on_done, act);
    else
        engine_rename(engine, id, member->final_name, on_done, act);
}

static void route_publish(struct rollout *rollout, struct container *container)
{
    enum group group = rollout_group(rollout, container);

    if (container->slot == TABLE_NONE && container->address.family != 0)
        (void)container_give_slot(container, group, BACKEND_STARTING);
}

static void record_publish(struct rollout *rollout, struct container *container)
{
    struct member *member = rollout_member(rollout, container);

    if (!member || container->slot == TABLE_NONE) {
        failed(container, ACTION_PUBLISH,
               container->why[0] ? container->why : "no slot left in the routing table",
               FAILING_PASSING);
        return;
    }
    member->slot = (uint32_t)container->slot;
    member->generation =
        table_backend(rollout->service->updater->table, container->slot)->generation;
    member->published_ms = steady_wall_ms();
    member_save(rollout, member);
    rollout_log(rollout, "published", member, member->name);
}

void act_record_drain(struct rollout *rollout, struct container *container)
{
    struct table *table = rollout->service->updater->table;
    struct member *member = rollout_member(rollout, container);

    if (!member)
        return;
    free(member->drain.proof);
    free(member->drain.ends);
    member->drain = (struct member_drain){
        .begun = true,
        .slot = (uint32_t)container->slot,
        .generation = table_backend(table, container->slot)->generation,
        .epoch = table->entries[container->slot].drain_epoch,
        .started_ms = table->entries[container->slot].drain_wall_ms,
        .notice_us = -1,
    };
    memcpy(member->drain.name, member->name, sizeof(member->drain.name));
    member_drain_save(rollout, member);
    rollout_log(rollout, "draining", member, member->name);
    events_drain(rollout, "drain_started", member);
}

static void record_end_kinds(struct rollout *rollout, const struct plan_action *action,
                             struct container *container)
{
    struct member *member = rollout_member(rollout, container);

    if (!member)
        return;
    member->drain.forced = true;
    member_drain_save(rollout, member);
    rollout_log(rollout, "drain-forced", member, action->why);
    record_lesson(rollout, "%s: %s", member->drain.name, action->why);
}

/* How long it took to be healthy is told where it came close to the limit. */
static void record_ready(struct rollout *rollout, const struct container *container)
{
    const struct member *member = rollout_member_of_id(rollout, container->facts.id);
    uint64_t limit_ms = rollout->spec.health_timeout_ms, wall_ms = steady_wall_ms();
    uint64_t took_ms;

    if (!member || !member->is_new || !member->published_ms || wall_ms < member->published_ms)
        return;
    took_ms = wall_ms - member->published_ms;
    if (limit_ms > 0 && took_ms <= limit_ms && took_ms * 100 >= limit_ms * RECORD_LESSON_RATIO)
        record_lesson(rollout, "health of a new container took %.0f s of %.0f s allowed",
                      (double)took_ms / 1000., (double)limit_ms / 1000.);
}

static void record_weight(struct rollout *rollout, const struct plan_action *action)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%u.%02u percent", action->weight / 100,
                   action->weight % 100);
    rollout_log(rollout, "weight", NULL, text);
    events_rollout(rollout, "rollout_updated");
}

void act_route(struct rollout *rollout, const struct plan_action *action,
               struct container *container)
{
    struct table *table = rollout->service->updater->table;
    bool has_slot = container && container->slot != TABLE_NONE;

    if (action->kind == ACTION_PUBLISH && container)
        route_publish(rollout, container);
    else if (action->kind == ACTION_READY && has_slot)
        table_set_state(table, container->slot, BACKEND_READY, steady_wall_ms());
    else if (action->kind == ACTION_DRAIN && has_slot)
        table_set_state(table, container->slot, BACKEND_DRAINING, steady_wall_ms());
    else if (action->kind == ACTION_END_KINDS && has_slot)
        table_set_end_kinds(table, container->slot, action->kinds,
                            rollout->spec.drain.close_spread_ms);
    else if (action->kind == ACTION_SET_WEIGHT) {
        rollout_record_split(rollout);
        table_set_weight(table, rollout->service->row, action->weight);
        table_set_match(table, rollout->service->row, &action->match);
        table_set_mirror(table, rollout->service->row, action->mirror);
    } else if (action->kind == ACTION_HOLD)
        hold_for_swap(rollout->service, rollout->spec.hold_ms);
    else if (action->kind == ACTION_RELEASE)
        hold_end_swap(rollout->service);
}

void act(struct rollout *rollout, const struct plan_action *action, struct container *container,
         int64_t action_id)
{
    bool has_slot = container && container->slot != TABLE_NONE;

    check(container || !plan_action_has_container(action->kind));
    switch (action->kind) {
    case ACTION_CREATE:
        act_create(rollout, action, action_id);
        return;
    case ACTION_START:
    case ACTION_STOP:
    case ACTION_REMOVE:
    case ACTION_RENAME:
        act_engine(rollout, action, container, action_id);
        return;
    case ACTION_PUBLISH:
        record_publish(rollout, container);
        break;
    case ACTION_READY:
        record_ready(rollout, container);
        break;
    case ACTION_HOLD:
    case ACTION_RELEASE:
        rollout_log(rollout, action->kind == ACTION_HOLD ? "held" : "released", NULL, action->why);
        break;
    case ACTION_SET_WEIGHT:
        record_weight(rollout, action);
        break;
    case ACTION_DRAIN:
        if (has_slot)
            act_record_drain(rollout, container);
        break;
    case ACTION_END_KINDS:
        if (has_slot)
            record_end_kinds(rollout, action, container);
        break;
    case ACTION_TASK:
        task_begin(rollout, action->task, action->step);
        break;
    }
    crash_at(plan_action_name(action->kind), "done");
    act_journal_end(rollout->service, action_id, 0, "", NULL);
    crash_at(plan_action_name(action->kind), "after");
}
