/* Hooks and verifications: tasks at a point of the rollout, begun once for each step that comes to
 * it. Whoever carries them out tries them as often as they say; here only their result counts. */
#include "plan_parts.h"

#include <stdio.h>

static const char *word_of(const struct config_task *task)
{
    return config_task_is_verification(task) ? "verification" : "hook";
}

/* A scale brings no other version: there is nothing to say yes to, but what it adds is verified. A
 * first deployment does. */
static bool is_asked(const struct plan_spec *spec, const struct config_task *task)
{
    return spec->scale_to == 0 || spec->replicas == 0 ||
           (config_task_is_verification(task) && spec->scale_to > spec->replicas);
}

/* It will not say yes (any more). True where the rollout goes on all the same. While exchanges are
 * held nobody is waited for. */
static bool goes_on_without(struct planner *planner, const struct config_task *task,
                            const char *reason)
{
    if (planner->out->progress.phase != PHASE_FORWARD || task->on_failure == ON_FAILURE_IGNORE)
        return true;
    if (task->on_failure == ON_FAILURE_ROLLBACK || planner_is_held_up(planner)) {
        planner_go_back(planner, "%s %s failed: %s", word_of(task), task->name, reason);
        return false;
    }
    planner->on_schedule = true;
    planner_wait(planner,
                 "for an operator, for %s %s failed (%s): `sluice confirm` goes on all the same, "
                 "`sluice abort` goes back",
                 word_of(task), task->name, reason);
    return false;
}

/* Not where requests wait for what it verifies. */
static bool is_paused(const struct planner *planner, const struct config_task *task)
{
    bool none_serves =
        planner_count_healthy(planner, false) + planner_count_healthy(planner, true) == 0;

    return planner->in->wish_pause && planner->out->progress.phase == PHASE_FORWARD &&
           !(none_serves && task->point == POINT_VERIFY_CANARY);
}

static void begin(struct planner *planner, unsigned index, uint32_t step)
{
    const struct config_task *task = &planner->in->spec->tasks[index];
    struct plan_action *action;

    if (is_paused(planner, task)) {
        planner_wait(planner, "paused by an operator: `sluice resume` goes on");
        return;
    }
    for (unsigned i = 0; i < planner->out->action_count; i++) {
        if (planner->out->actions[i].kind == ACTION_TASK && planner->out->actions[i].task == index)
            return; /* several containers wait for it */
    }
    action = planner_act(planner, ACTION_TASK, "%s %s", word_of(task), task->name);
    if (action != NULL) {
        action->task = (uint16_t)index;
        action->step = step;
    }
}

/* All verifications of a container that exchanges are held for have half of the hold together: the
 * way back needs time too. */
static bool is_too_long_for_the_hold(struct planner *planner, unsigned index)
{
    const struct plan_spec *spec = planner->in->spec;
    const struct plan_task *seen = planner->in->tasks;
    uint64_t since_ms = seen[index].since_ms;

    if (spec->tasks[index].point != POINT_VERIFY_CANARY || !planner_is_held_up(planner))
        return false;
    for (unsigned i = 0; i < index; i++) {
        if (spec->tasks[i].point == POINT_VERIFY_CANARY && seen[i].step == seen[index].step &&
            seen[i].since_ms < since_ms)
            since_ms = seen[i].since_ms;
    }
    if (planner->in->now_ms >= since_ms + spec->hold_ms / 2)
        return true;
    planner_look_at(planner, since_ms + spec->hold_ms / 2);
    return false;
}

/* Tries have limits of their own, so the deadline for progress does not run. */
static bool await(struct planner *planner, unsigned index)
{
    const struct config_task *task = &planner->in->spec->tasks[index];
    const struct plan_task *seen = &planner->in->tasks[index];
    uint64_t at_ms = seen->since_ms + task->wait_ms;
    char limit[PLAN_DURATION_BYTES];

    if (config_task_is_gate(task) && planner->in->now_ms >= at_ms) {
        char reason[PLAN_DURATION_BYTES + 32];

        (void)snprintf(reason, sizeof(reason), "no yes within %s",
                       planner_duration(task->wait_ms, limit));
        return goes_on_without(planner, task, reason);
    }
    if (is_too_long_for_the_hold(planner, index))
        return goes_on_without(planner, task, "no yes within half of `hold.timeout`");
    planner->on_schedule = true;
    if (config_task_is_gate(task))
        planner_look_at(planner, at_ms);
    if (task->kind == TASK_GATE)
        planner_wait(planner, "for the gate %s: `sluice confirm` goes on, `sluice abort` goes back",
                     task->name);
    else
        planner_wait(planner, "for the %s %s%s%s", word_of(task), task->name,
                     seen->reason[0] != '\0' ? ": " : "", seen->reason);
    return false;
}

/* Of a verification before traffic: another container has come since it began. */
static bool is_outdated(const struct planner *planner, unsigned index)
{
    bool is_verification = planner->in->spec->tasks[index].point == POINT_VERIFY_CANARY;

    for (unsigned i = 0; i < planner->in->container_count && is_verification; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new && container->backend == BACKEND_STARTING &&
            container->published_ms > planner->in->tasks[index].since_ms &&
            !planner_is_surplus(planner, i) && !planner_is_failed(planner, container->ordinal))
            return true;
    }
    return false;
}

static bool is_done(struct planner *planner, unsigned index, uint32_t step)
{
    const struct plan_task *seen = &planner->in->tasks[index];

    if (seen->state == PLAN_TASK_RUNNING && seen->step == step)
        return await(planner, index);
    if (seen->state == PLAN_TASK_NONE || seen->step != step || is_outdated(planner, index)) {
        begin(planner, index, step);
        return false;
    }
    return seen->state == PLAN_TASK_PASSED ||
           goes_on_without(planner, &planner->in->spec->tasks[index], seen->reason);
}

bool planner_tasks(struct planner *planner, enum config_task_point point, uint32_t step)
{
    const struct plan_spec *spec = planner->in->spec;

    for (unsigned i = 0; i < spec->task_count; i++) {
        if (spec->tasks[i].point == point && is_asked(spec, &spec->tasks[i]) &&
            !is_done(planner, i, step))
            return false;
    }
    return true;
}

bool planner_tasks_before_room(struct planner *planner, uint32_t step)
{
    return planner_tasks(planner, POINT_PRE_ROLLOUT, 0) &&
           planner_tasks(planner, POINT_CONFIRM_TRAFFIC_INCREASE, step);
}

bool planner_tasks_before_traffic(struct planner *planner, uint32_t step)
{
    return planner_tasks(planner, POINT_VERIFY_CANARY, step) &&
           planner_tasks_before_room(planner, step);
}

/* --- before a new one serves ------------------------------------------------------------------ */

bool planner_awaits_verification(const struct planner *planner,
                                 const struct plan_container *container)
{
    const struct plan_spec *spec = planner->in->spec;
    bool is_asked_first = false;

    for (unsigned i = 0; i < spec->task_count; i++)
        is_asked_first = is_asked_first || spec->tasks[i].point == POINT_VERIFY_CANARY ||
                         (spec->replicas == 0 && spec->tasks[i].point == POINT_PRE_ROLLOUT);
    return is_asked_first && container->state == CONTAINER_RUNNING &&
           container->backend == BACKEND_STARTING && container->verdict == VERDICT_HEALTHY;
}

/* A verification that exchanges have waited for long enough, whatever else is waited for. True:
 * turned back. */
static bool is_held_for_too_long(struct planner *planner)
{
    const struct plan_spec *spec = planner->in->spec;

    for (unsigned i = 0; i < spec->task_count && planner->out->progress.phase == PHASE_FORWARD;
         i++) {
        if (planner->in->tasks[i].state == PLAN_TASK_RUNNING &&
            planner->in->tasks[i].step == planner->out->progress.step &&
            is_asked(spec, &spec->tasks[i]) && is_too_long_for_the_hold(planner, i) &&
            !goes_on_without(planner, &spec->tasks[i], "no yes within half of `hold.timeout`"))
            return true;
    }
    return false;
}

bool planner_admit(struct planner *planner, uint32_t needed, bool all_up)
{
    const struct plan_observed *in = planner->in;
    bool waits[PLAN_CONTAINERS_MAX] = {false};
    bool some_wait = false;

    if (is_held_for_too_long(planner))
        return false;
    for (unsigned i = 0; i < in->container_count; i++) {
        const struct plan_container *container = &in->containers[i];

        if (!container->is_new || container->ordinal >= needed || !container_runs(container) ||
            container_is_healthy(container) || planner_is_surplus(planner, i) ||
            planner_is_failed(planner, container->ordinal))
            continue;
        waits[i] = planner_awaits_verification(planner, container);
        if (!waits[i])
            return false; /* it is yet to be healthy, and is verified with the others */
        some_wait = true;
    }
    if (!some_wait || planner->out->progress.phase != PHASE_FORWARD)
        return all_up;
    if (!all_up && in->spec->order != ORDER_STOP_FIRST)
        return false;
    if (!planner_tasks(planner, POINT_VERIFY_CANARY, planner->out->progress.step) ||
        (in->spec->replicas == 0 && !planner_tasks(planner, POINT_PRE_ROLLOUT, 0)))
        return false; /* the first ones have traffic at once: there is no weight to wait for */
    for (unsigned i = 0; i < in->container_count; i++) {
        if (waits[i])
            planner_bring_up(planner, i);
    }
    return false;
}

bool planner_is_asked_back(struct planner *planner)
{
    const struct plan_spec *spec = planner->in->spec;

    for (unsigned i = 0; i < spec->task_count; i++) {
        if (spec->tasks[i].point != POINT_ROLLBACK || !is_asked(spec, &spec->tasks[i]))
            continue;
        if (planner->in->tasks[i].state == PLAN_TASK_PASSED) {
            planner_go_back(planner, "hook %s asked for it", spec->tasks[i].name);
            return true;
        }
        if (planner->in->tasks[i].state == PLAN_TASK_NONE)
            begin(planner, i, 0);
    }
    return false;
}
