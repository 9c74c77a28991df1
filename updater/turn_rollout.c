/* One turn of a rollout: what is journalled and told between planning and acting. */
#include "act.h"
#include "attention.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "checks.h"
#include "crash.h"
#include "discovery.h"
#include "events.h"
#include "observe.h"
#include "prune.h"
#include "record.h"
#include "rollout.h"
#include "steady.h"
#include "turn.h"
#include "updater.h"

#include <stdlib.h>
#include <string.h>

#define JOURNAL_RETRY_MS 1000u

static void step_save(struct rollout *rollout, uint32_t index, uint64_t started_ms,
                      uint64_t ended_ms)
{
    const struct journal_step step = {
        .index = index, .started_ms = started_ms, .ended_ms = ended_ms};
    struct journal *journal = rollout->service->updater->journal;

    if (index < rollout->spec.step_count && journal_step_save(journal, rollout_id(rollout), &step))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
}

static void tell_steps(struct rollout *rollout, const struct plan_progress *before)
{
    const struct plan_progress *now = &rollout->progress;
    uint64_t wall_ms = steady_wall_ms();

    for (uint32_t step = before->step; step < now->step; step++) {
        step_save(rollout, step, 0, wall_ms);
        events_rollout(rollout, "rollout_step_completed");
    }
    if (now->step_entered && (!before->step_entered || before->step != now->step))
        step_save(rollout, now->step, now->step_since_ms, 0);
}

static const char *end_event(enum plan_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_COMPLETED:
        return "rollout_completed";
    case OUTCOME_ROLLED_BACK:
        return "rollout_rolled_back";
    case OUTCOME_ABORTED:
        return "rollout_aborted";
    case OUTCOME_NONE:
    case OUTCOME_NEEDS_ATTENTION:
        break;
    }
    return "rollout_needs_attention";
}

/* The new ones are the stable group from now on, with no weight to split: one table. */
static void complete(struct rollout *rollout)
{
    struct service *service = rollout->service;
    struct updater *updater = service->updater;
    struct journal_service saved = {.name = service_name(service)};

    saved.stable_rollout = rollout_id(rollout);
    if (journal_service_save(updater->journal, &saved))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(updater->journal));
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);

        if (container->slot != TABLE_NONE)
            table_set_group(updater->table, container->slot, GROUP_STABLE);
    }
    table_set_weight(updater->table, service->row, 0);
}

static void end(struct rollout *rollout)
{
    struct service *service = rollout->service;

    rollout->record.ended_ms = steady_wall_ms();
    rollout->waiting[0] = '\0';
    rollout_log(rollout, end_event(rollout->progress.outcome), NULL, rollout->progress.why);
    /* Told with the weight that it ended with; then there is nothing to split any more. */
    events_rollout(rollout, end_event(rollout->progress.outcome));
    if (rollout->progress.outcome == OUTCOME_COMPLETED)
        complete(rollout);
    crash_at("end", "done");
    checks_run(rollout);
    checks_ask(rollout);
    if (rollout->progress.outcome != OUTCOME_COMPLETED)
        record_lesson(rollout, "%s: %s", plan_outcome_name(rollout->progress.outcome),
                      rollout->progress.why);
    record_keep(service->updater, rollout_id(rollout));
    if (rollout->progress.outcome == OUTCOME_COMPLETED)
        prune_start(service, rollout_id(rollout)); /* before what it goes by is forgotten */
    if (journal_prune(service->updater->journal, service_name(service),
                      service->config->rollout.history, record_forget, service->updater))
        log_event(LOG_ERROR, "journal-write-failed", "reason",
                  journal_error(service->updater->journal));
    attention_look(service);
    rollout->ended = true;
}

static void tell(struct rollout *rollout, const struct plan_progress *before, const char *waiting)
{
    const struct plan_progress *now = &rollout->progress;
    bool changed = before->phase != now->phase || strcmp(waiting, rollout->waiting) != 0;

    (void)slice_copy_string(slice_from_string(waiting), rollout->waiting, sizeof(rollout->waiting));
    tell_steps(rollout, before);
    if (before->phase != now->phase && now->phase != PHASE_ENDED)
        rollout_log(rollout, plan_phase_name(now->phase), NULL, now->why);
    rollout->told_paused = rollout->told_paused && rollout_is_paused(rollout);
    if (now->phase == PHASE_ENDED)
        end(rollout);
    else if (rollout_is_paused(rollout) && !rollout->told_paused)
        events_rollout(rollout, "rollout_paused");
    else if (changed)
        events_rollout(rollout, "rollout_updated");
}

/* Another phase wants other actions, which have not failed yet. */
static void backoff_end(struct service *service)
{
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next)
        container_of(node, struct container, node)->retry_ms = 0;
    updater_wake(service->updater);
}

/* Consumed wishes are the journal's to forget in the same transaction; here they follow. */
static void adopt(struct rollout *rollout, const struct plan_observed *observed,
                  const struct plan *plan)
{
    struct plan_progress before = rollout->progress;

    if (before.phase == PHASE_FORWARD &&
        (plan->progress.phase != PHASE_FORWARD || plan->progress.step != before.step))
        rollout_record_split(rollout);
    rollout->progress = plan->progress;
    if (before.phase != plan->progress.phase)
        backoff_end(rollout->service);
    if (observed->wish_promote)
        rollout->wish_promote = false;
    if (plan->progress.phase == PHASE_BACK || plan->progress.phase == PHASE_ENDED)
        rollout->wish_abort = false;
    tell(rollout, &before, plan->waiting);
}

/* The next time at which a stop that was cut off cannot land any more; 0: there is none. */
static uint64_t stops_land_ms(const struct rollout *rollout)
{
    uint64_t now_ms = clock_ms(), next_ms = 0;

    for (unsigned i = 0; i < rollout->members.count; i++) {
        const struct member *member = &rollout->members.items[i];
        const struct container *container = service_container(rollout->service, member->id);
        uint64_t lands_ms = container ? rollout_stop_lands_ms(rollout, container, member) : 0;

        if (lands_ms > now_ms && (next_ms == 0 || lands_ms < next_ms))
            next_ms = lands_ms;
    }
    return next_ms;
}

static void look_again(struct rollout *rollout, const struct plan *plan)
{
    struct updater *updater = rollout->service->updater;
    uint64_t wall_ms = steady_wall_ms();
    uint64_t after_ms = UINT64_MAX, now_ms = clock_ms();
    const uint64_t others[] = {rollout->create_retry_ms, rollout->orphans_until_ms,
                               stops_land_ms(rollout), tasks_turn(rollout)};

    if (plan->look_again_ms)
        after_ms = plan->look_again_ms > wall_ms ? plan->look_again_ms - wall_ms : 0;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i] > now_ms && others[i] - now_ms < after_ms)
            after_ms = others[i] - now_ms;
    }
    if (after_ms == UINT64_MAX)
        timer_stop(updater->loop, &rollout->look_again);
    else
        timer_start(updater->loop, &rollout->look_again, after_ms + 1);
}

static int save(struct rollout *rollout, const struct plan_observed *observed,
                const struct plan *plan, int64_t ret_ids[PLAN_ACTIONS_MAX])
{
    struct updater *updater = rollout->service->updater;
    int error = journal_save_plan(updater->journal, rollout_id(rollout), observed, plan, ret_ids);
    struct log_line line;

    if (!error)
        return 0;
    timer_start(updater->loop, &rollout->look_again, JOURNAL_RETRY_MS);
    (void)slice_copy_string(SLICE("for the journal to be writable again"), rollout->waiting,
                            sizeof(rollout->waiting));
    if (strcmp(rollout->logged, journal_error(updater->journal)) == 0)
        return error;
    (void)slice_copy_string(slice_from_string(journal_error(updater->journal)), rollout->logged,
                            sizeof(rollout->logged));
    log_begin(&line, LOG_ERROR, "rollout-held");
    log_string(&line, "service", service_name(rollout->service));
    log_string(&line, "rollout", rollout_id(rollout));
    log_string(&line, "reason", journal_error(updater->journal));
    log_end(&line);
    return error;
}

struct round { /* large, so not on the stack */
    struct plan_observed observed;
    struct plan plan;
    struct container *containers[PLAN_CONTAINERS_MAX];
    int64_t action_ids[PLAN_ACTIONS_MAX];
};

static struct container *container_for(const struct round *round, unsigned index)
{
    const struct plan_action *action = &round->plan.actions[index];

    return plan_action_has_container(action->kind) ? round->containers[action->container] : NULL;
}

/* A set_weight step begins with its weight, which may be long after the step before it ended: new
 * containers had to come up. */
static void step_begin(struct rollout *rollout, const struct plan_action *action)
{
    uint32_t step = rollout->progress.step;

    if (action->kind == ACTION_SET_WEIGHT && rollout->progress.phase == PHASE_FORWARD &&
        !rollout->progress.step_entered && /* rolling: the share grows within the step */
        step < rollout->spec.step_count && rollout->spec.steps[step].kind == STEP_SET_WEIGHT)
        step_save(rollout, step, steady_wall_ms(), 0);
}

static void crash_planned(const struct round *round, const char *when)
{
    for (unsigned i = 0; i < round->plan.action_count; i++)
        crash_at(plan_action_name(round->plan.actions[i].kind), when);
    if (round->plan.progress.phase == PHASE_ENDED)
        crash_at("end", when);
}

static void carry_out(struct rollout *rollout, const struct round *round)
{
    for (unsigned i = 0; i < round->plan.action_count; i++)
        act_route(rollout, &round->plan.actions[i], container_for(round, i));
    turn_publish(rollout->service->updater);
    crash_planned(round, "published");
    for (unsigned i = 0; i < round->plan.action_count; i++) {
        step_begin(rollout, &round->plan.actions[i]);
        act(rollout, &round->plan.actions[i], container_for(round, i), round->action_ids[i]);
    }
}

/* The end of a new container turns a rollout back only where the engine itself lives on. */
static void ask_for_ends(struct updater *updater, const struct plan_observed *observed)
{
    for (unsigned i = 0; i < observed->container_count && updater->engine_reachable; i++) {
        if (observed->containers[i].end_unexplained)
            discovery_ask_whether_it_lives(updater);
    }
}

/* Containers that ended with the engine are no failure of the rollout: they are started again, and
 * it waits for an operator to look. Once for each restart of the engine. */
static void pause_for_engine(struct rollout *rollout, struct plan_observed *observed)
{
    struct updater *updater = rollout->service->updater;
    bool has_ended = false;

    for (unsigned i = 0; i < observed->container_count; i++)
        has_ended = has_ended || observed->containers[i].ended_with_engine;
    if (!has_ended || !observed->engine_reachable || observed->progress.phase != PHASE_FORWARD ||
        rollout->engine_pause_ms == updater->engine_back_ms)
        return;
    if (!rollout->wish_pause &&
        journal_rollout_set_wishes(updater->journal, rollout_id(rollout), true,
                                   rollout->wish_promote, rollout->wish_abort))
        return; /* the next turn tries again: nothing is saved in this one either */
    rollout->engine_pause_ms = updater->engine_back_ms;
    if (rollout->wish_pause)
        return;
    rollout->wish_pause = observed->wish_pause = true;
    rollout->paused_by_engine = observed->paused_by_engine = true;
    rollout_log(rollout, "paused", NULL, "the engine was restarted, and containers ended with it");
    events_rollout(rollout, "rollout_paused");
}

/* No rollout: nobody brings anything into rotation any more. What is on its way gets there now, for
 * health alone to judge; what has no backend gets one as it is looked at. */
static void leave_to_health(struct service *service)
{
    struct table *table = service->updater->table;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        const struct container *container = container_of(node, struct container, node);

        if (container->slot != TABLE_NONE &&
            table_backend(table, container->slot)->state == BACKEND_STARTING)
            table_set_state(table, container->slot, BACKEND_READY, steady_wall_ms());
    }
    discovery_list(service);
}

void rollout_turn(struct rollout *rollout)
{
    struct service *service = rollout->service;
    struct round *round;

    if (!service->listed) { /* taken up just now: what there is is not known yet */
        (void)slice_copy_string(SLICE("for the engine to list the service's containers"),
                                rollout->waiting, sizeof(rollout->waiting));
        return;
    }
    if (!rollout->olds_noted)
        rollout_note_olds(rollout);
    round = memory_new(sizeof(*round));
    observe(rollout, &round->observed, round->containers);
    pause_for_engine(rollout, &round->observed);
    ask_for_ends(service->updater, &round->observed);
    plan_next(&round->observed, &round->plan);
    crash_planned(round, "before");
    if (save(rollout, &round->observed, &round->plan, round->action_ids) == 0) {
        crash_planned(round, "journalled");
        look_again(rollout, &round->plan);
        window_judged(rollout->window, rollout, &round->observed, &round->plan);
        adopt(rollout, &round->observed, &round->plan);
        carry_out(rollout, round);
        if (round->plan.action_count > 0)
            updater_wake(service->updater);
    }
    free(round);
    if (rollout->ended) {
        bool is_left_so = rollout->progress.outcome == OUTCOME_NEEDS_ATTENTION;

        service->rollout = NULL;
        if (is_left_so)
            leave_to_health(service);
        rollout_free(rollout);
        updater_wake(service->updater);
    }
}
