#include "observe.h"

#include "base/clock.h"
#include "hold.h"
#include "start_time.h"
#include "steady.h"
#include "updater.h"

#include <stdatomic.h>
#include <string.h>

static uint64_t wall_of(uint64_t mono_ms, uint64_t now_ms, uint64_t wall_ms)
{
    uint64_t age_ms = now_ms > mono_ms ? now_ms - mono_ms : 0;

    return mono_ms && wall_ms > age_ms ? wall_ms - age_ms : 0;
}

static void observe_backend(const struct updater *updater, const struct container *container,
                            struct plan_container *ret)
{
    const struct routing_backend *backend = table_backend(updater->table, container->slot);
    const struct table_entry *entry = &updater->table->entries[container->slot];
    struct verdict verdict;
    struct score_sum sum;

    verdict_read(updater->verdicts, (uint32_t)container->slot, backend->generation, &verdict);
    scoreboard_sum(&updater->scores, (uint32_t)container->slot, backend->generation, &sum);
    ret->backend = (enum backend_state)backend->state;
    ret->verdict = verdict.state;
    ret->published_ms = entry->published_wall_ms;
    ret->drained = entry->drained;
    ret->drain_since_ms = entry->drain_wall_ms;
    ret->end_kinds = backend->end_kinds;
    memcpy(ret->active, sum.active, sizeof(ret->active));
    verdict.reason[sizeof(verdict.reason) - 1] = '\0';
    memcpy(ret->reason, verdict.reason, sizeof(verdict.reason));
}

static void text_set(char *buffer, size_t size, const char *text)
{
    (void)slice_copy_string(slice_from_string(text), buffer, size);
}

/* Of words that are too long the end: what went wrong in the engine's depths stands there. */
static void reason_set(char *buffer, size_t size, const char *words)
{
    size_t length = strlen(words);
    const char *from = words;
    const char *part;

    if (length >= size) {
        from = words + (length - size + 1);
        part = strstr(from, ": ");
        if (part)
            from = part + 2;
    }
    text_set(buffer, size, from);
}

/* An engine that is being stopped ends its containers first, and tells of it: dockerd takes up to
 * 15 s. */
#define ABSENCE_BEFORE_MS 20000u
#define ABSENCE_AFTER_MS  5000u

static bool has_ended_with_engine(const struct updater *updater, const struct container *container,
                                  const struct member *member)
{
    uint64_t ended_ms = start_time_wall_ms(container->facts.finished_at);

    return container->facts.state == CONTAINER_EXITED && !member->stop_meant &&
           updater->engine_back_ms != 0 &&
           ended_ms + ABSENCE_BEFORE_MS >= updater->engine_away_ms &&
           ended_ms <= updater->engine_back_ms + ABSENCE_AFTER_MS;
}

static void observe_container(struct rollout *rollout, struct container *container,
                              const struct member *member, struct plan_container *ret)
{
    const struct updater *updater = rollout->service->updater;
    uint64_t now_ms = clock_ms();

    if (container->facts.state != CONTAINER_REMOVING)
        container->removing_ms = 0;
    else if (container->removing_ms == 0)
        container->removing_ms = now_ms;
    memset(ret, 0, sizeof(*ret));
    text_set(ret->id, sizeof(ret->id), container->facts.id);
    text_set(ret->name, sizeof(ret->name), container->facts.name);
    text_set(ret->final_name, sizeof(ret->final_name), member->final_name);
    ret->ordinal = member->ordinal;
    ret->is_new = member->is_new;
    ret->kept = member->stop_meant;
    ret->stopping = now_ms < rollout_stop_lands_ms(rollout, container, member);
    ret->state = container->facts.state;
    ret->exit_code = container->facts.exit_code;
    ret->oom_killed = container->facts.oom_killed;
    ret->restarts = container->facts.restart_count;
    ret->ended_with_engine = has_ended_with_engine(updater, container, member);
    ret->end_unexplained = !ret->ended_with_engine && member->is_new &&
                           container->ended_seen_ms > updater->engine_lived_ms;
    /* What somebody else is stopping is not brought up again, nor stopped once more. */
    ret->busy = container->busy || now_ms < container->retry_ms ||
                (container->facts.state == CONTAINER_RUNNING && container_is_going(container));
    ret->attempts = container->attempts;
    ret->attempted = container->attempted;
    if (container->removing_ms != 0)
        ret->removing_since_ms = wall_of(container->removing_ms, now_ms, steady_wall_ms());
    ret->started_ms = wall_of(container->started_ms, now_ms, steady_wall_ms());
    if (container->slot != TABLE_NONE)
        observe_backend(updater, container, ret);
    /* One that does not run has no verdict that says anything, if it has its backend still. */
    if (container->attempts > 0 &&
        (container->slot == TABLE_NONE || ret->state != CONTAINER_RUNNING))
        reason_set(ret->reason, sizeof(ret->reason), container->error);
}

/* Somebody had stopped it before, and keeps it: it is no part of this. One that starts meanwhile
 * is. */
static bool is_bystander(struct rollout *rollout, const struct container *container)
{
    enum container_state state = container->facts.state;

    return (state == CONTAINER_CREATED || state == CONTAINER_EXITED ||
            state == CONTAINER_REMOVING) &&
           !rollout_is_new(rollout, container) &&
           !rollout_member_of_id(rollout, container->facts.id);
}

/* One whose create was cut off by the end of an updater is waited for; one that waits to be tried
 * again is under way too. */
static uint32_t creates_expected(const struct rollout *rollout)
{
    uint64_t now_ms = clock_ms();

    return rollout->creating + (now_ms < rollout->orphans_until_ms) +
           (now_ms < rollout->create_retry_ms);
}

void observe(struct rollout *rollout, struct plan_observed *ret_observed,
             struct container *ret_containers[PLAN_CONTAINERS_MAX])
{
    struct service *service = rollout->service;
    struct updater *updater = service->updater;

    memset(ret_observed, 0, offsetof(struct plan_observed, containers));
    ret_observed->now_ms = steady_wall_ms();
    ret_observed->spec = &rollout->spec;
    ret_observed->progress = rollout->progress;
    ret_observed->weight = updater->table->draft.services[service->row].weight;
    ret_observed->mirror = updater->table->draft.services[service->row].mirror;
    ret_observed->match = updater->table->draft.services[service->row].match;
    ret_observed->weight_acknowledged =
        updater->table->draft.epoch >= updater->table->weight_epochs[service->row] &&
        scoreboard_has_seen(&updater->scores, updater->table->weight_epochs[service->row]);
    ret_observed->engine_reachable =
        updater->engine_reachable && service->listed && !service->stale;
    ret_observed->image_ready = true; /* preflight has seen it; a create says if it went since */
    ret_observed->creating = creates_expected(rollout);
    ret_observed->create_attempts = rollout->create_attempts;
    text_set(ret_observed->create_error, sizeof(ret_observed->create_error), rollout->create_error);
    ret_observed->create_error_final = rollout->create_error_final;
    ret_observed->drain_orders = rollout->drain_orders;
    ret_observed->hold_left_ms = hold_left_ms(service);
    ret_observed->hold_by_operator = service->held_by_operator;
    ret_observed->hold_acknowledged =
        updater->table->draft.epoch >= updater->table->hold_epochs[service->row] &&
        scoreboard_has_seen(&updater->scores, updater->table->hold_epochs[service->row]);
    ret_observed->wish_pause = rollout->wish_pause;
    ret_observed->paused_by_engine = rollout->paused_by_engine;
    ret_observed->wish_promote = rollout->wish_promote;
    ret_observed->wish_abort = rollout->wish_abort;
    window_observe(rollout->window, rollout, ret_observed);
    tasks_observe(rollout, ret_observed);
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);
        struct member *member;
        unsigned index = ret_observed->container_count;

        if (container->leftover || index == PLAN_CONTAINERS_MAX)
            continue;
        if (rollout_is_being_made(rollout, container)) /* counted by creating */
            continue;
        if (rollout_is_half_made(rollout, container)) {
            ret_observed->creating++;
            continue;
        }
        if (is_bystander(rollout, container))
            continue;
        member = rollout_member(rollout, container);
        if (!member)
            continue;
        observe_container(rollout, container, member, &ret_observed->containers[index]);
        ret_containers[index] = container;
        ret_observed->container_count++;
    }
}
