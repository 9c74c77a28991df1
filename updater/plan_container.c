/* One container's next step: up (start, publish, into rotation) or down (drain, stop, remove). */
#include "plan_parts.h"

/* Stop-first: the other of its ordinal has its place. */
static bool is_taken(const struct planner *planner, const struct plan_container *container)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *other = &planner->in->containers[i];

        if (planner->in->spec->order == ORDER_STOP_FIRST && other->is_new != container->is_new &&
            other->ordinal == container->ordinal && container_runs(other))
            return true;
    }
    return false;
}

void planner_bring_up(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    if (container->state == CONTAINER_CREATED && container->is_new) {
        if (planner_has_room(planner))
            planner_act_on(planner, ACTION_START, index, "it is made");
        else
            planner_wait(planner, "for one that makes way to be stopped, before %s is started",
                         container->name);
        return;
    }
    if (container->ended_with_engine) {
        if (!container_gave_up(container, ACTION_START) && !is_taken(planner, container) &&
            planner_has_room(planner))
            planner_act_on(planner, ACTION_START, index, "it ended with the engine");
        return;
    }
    if (container->state != CONTAINER_RUNNING)
        return;
    if (container->backend == BACKEND_FREE) {
        if (!container_gave_up(container, ACTION_PUBLISH))
            planner_act_on(planner, ACTION_PUBLISH, index, "it runs: to be probed");
    } else if (container->backend == BACKEND_STARTING && container->verdict == VERDICT_HEALTHY) {
        planner_act_on(planner, ACTION_READY, index, "it is healthy");
    }
}

bool planner_awaits_restart(struct planner *planner, bool is_new)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new != is_new || !container->ended_with_engine ||
            container_gave_up(container, ACTION_START))
            continue;
        planner_wait(planner, "for %s, which ended with the engine, to be started again",
                     container->name);
        return true;
    }
    return false;
}

void planner_keep_serving(struct planner *planner, bool is_new)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new != is_new || container->state != CONTAINER_RUNNING || container->busy)
            continue;
        if (container->backend == BACKEND_FREE)
            planner_bring_up(planner, i);
        else if (container->verdict == VERDICT_HEALTHY && container->backend != BACKEND_READY)
            planner_act_on(planner, ACTION_READY, i, "no other container serves");
    }
}

void planner_leave_serving(struct planner *planner)
{
    bool some_serve =
        planner_count_healthy(planner, false) + planner_count_healthy(planner, true) > 0;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new || container->state != CONTAINER_RUNNING || container->busy ||
            container->backend != BACKEND_STARTING)
            continue;
        planner_act_on(planner, ACTION_READY, i, "nothing more is done: its health decides");
        some_serve = some_serve || container->verdict == VERDICT_HEALTHY;
    }
    /* Those without a backend get one from discovery, in rotation, now that no rollout is on. */
    for (unsigned i = 0; i < planner->in->container_count && !some_serve; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->state == CONTAINER_RUNNING && !container->busy &&
            container->backend != BACKEND_FREE && container->verdict == VERDICT_HEALTHY)
            planner_act_on(planner, ACTION_READY, i, "no other container serves");
    }
}

/* The engine is at it, though perhaps for ever: a device that is busy, a storage driver that hangs.
 */
static void await_removal(struct planner *planner, const struct plan_container *container)
{
    uint32_t deadline_ms = planner->in->spec->progress_deadline_ms;
    uint64_t at_ms = container->removing_since_ms + deadline_ms;
    char duration[PLAN_DURATION_BYTES];

    planner_wait(planner, "for the engine to have removed %s", container->name);
    if (container->removing_since_ms == 0 || deadline_ms == 0 || !planner->in->engine_reachable)
        return;
    if (planner->in->now_ms < at_ms)
        planner_look_at(planner, at_ms);
    else
        planner_need_attention(planner,
                               "the engine has been removing %s for %s and is not done; nothing "
                               "more is removed",
                               container->name, planner_duration(deadline_ms, duration));
}

bool planner_put_away(struct planner *planner, unsigned index, const char *why)
{
    const struct plan_container *container = &planner->in->containers[index];
    const char *reason = container->reason;

    if (!container_runs(container) && container->state != CONTAINER_REMOVING)
        return true;
    if (container_gave_up(container, ACTION_STOP) && !container->busy &&
        planner->out->progress.phase == PHASE_BACK) {
        if (container->backend == BACKEND_DRAINING && container->verdict == VERDICT_HEALTHY)
            planner_act_on(planner, ACTION_READY, index, "it cannot be stopped: it serves on");
        else
            planner_need_attention(planner,
                                   "%s could not be stopped in %u tries; nothing was removed",
                                   container->name, (unsigned)container->attempts);
    } else if (container->backend == BACKEND_STARTING || container->backend == BACKEND_READY) {
        planner_act_on(planner, ACTION_DRAIN, index, why);
    } else if (container->backend == BACKEND_DRAINING && !container->drained) {
        planner->on_schedule = true; /* its budget bounds it */
        planner_await_drain(planner, index);
    } else if (container->state == CONTAINER_REMOVING) {
        await_removal(planner, container);
    } else if (!container_gave_up(container, ACTION_STOP) || container->busy) {
        planner_act_on(planner, ACTION_STOP, index, why);
    } else {
        planner_go_back(planner, "%s could not be stopped%s%s", container->name,
                        reason[0] != '\0' ? ": " : "", reason);
    }
    return false;
}

void planner_retire(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];
    enum plan_action_kind kind = container_runs(container) ? ACTION_STOP : ACTION_REMOVE;

    if (planner->out->progress.phase == PHASE_ENDED)
        return;
    if (container->backend == BACKEND_STARTING || container->backend == BACKEND_READY) {
        planner_act_on(planner, ACTION_DRAIN, index, container->is_new ? "it goes" : "it is old");
        return;
    }
    if (container->backend == BACKEND_DRAINING && !container->drained) {
        planner_await_drain(planner, index);
        return;
    }
    if (container->state == CONTAINER_REMOVING) {
        await_removal(planner, container);
        return;
    }
    if (container_gave_up(container, kind) && !container->busy) {
        planner_need_attention(planner, "%s could not be %s in %u tries; nothing more is removed",
                               container->name, kind == ACTION_STOP ? "stopped" : "removed",
                               (unsigned)container->attempts);
        return;
    }
    planner_act_on(planner, kind, index,
                   kind == ACTION_REMOVE                ? "it does not run any more"
                   : container->backend == BACKEND_FREE ? "it had no traffic"
                                                        : "it is drained");
}
