/* One container's next step: up (start, publish, into rotation) or down (drain, stop, remove). */
#include "plan_parts.h"

#include <stdio.h>
#include <string.h>

void planner_bring_up(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    if (container->state == CONTAINER_CREATED && container->is_new) {
        planner_act_on(planner, ACTION_START, index, "it is made");
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

static uint64_t budget_of(const struct config_drain *drain, unsigned kind)
{
    switch ((enum exchange_kind)kind) {
    case KIND_REQUEST:
        return drain->requests_ms;
    case KIND_WEBSOCKET:
        return drain->websockets_ms;
    case KIND_TCP:
    case KIND_COUNT:
        break;
    }
    return drain->tcp_ms;
}

/* "2 requests, 1 websocket" */
static void describe_active(const struct plan_container *container, char *text, size_t size)
{
    size_t length = 0;

    snprintf(text, size, "its idle connections to close");
    for (unsigned kind = 0; kind < KIND_COUNT && length < size; kind++) {
        static const char *const names[KIND_COUNT] = {"request", "websocket", "TCP connection"};
        uint32_t count = container->active[kind];

        if (count > 0)
            length +=
                (size_t)snprintf(text + length, size - length, "%s%u %s%s", length > 0 ? ", " : "",
                                 (unsigned)count, names[kind], count > 1 ? "s" : "");
    }
}

/* Kinds whose budget has passed with exchanges left; sets when the next one passes. */
static uint8_t overdue_kinds(struct planner *planner, const struct plan_container *container)
{
    uint8_t overdue = 0;

    if (container->drain_since_ms == 0)
        return 0;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t at_ms = container->drain_since_ms + budget_of(&planner->in->spec->drain, kind);

        if (container->active[kind] == 0)
            continue;
        if (planner->in->now_ms >= at_ms)
            overdue |= (uint8_t)(1u << kind);
        else
            planner_look_at(planner, at_ms);
    }
    return overdue;
}

static void await_drain(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];
    uint8_t overdue = overdue_kinds(planner, container);
    char active[80];

    describe_active(container, active, sizeof(active));
    if (overdue != 0 && planner->in->spec->drain.on_timeout == ON_TIMEOUT_FAIL) {
        planner_need_attention(planner,
                               "the drain of %s ran past its budget with %s left; it was "
                               "not stopped (on_timeout: fail)",
                               container->name, active);
        return;
    }
    if ((overdue & ~container->end_kinds) != 0 &&
        planner->in->spec->drain.on_timeout == ON_TIMEOUT_CLOSE && !container->busy) {
        struct plan_action *action = planner_act(
            planner, ACTION_END_KINDS, "its drain ran past the budget with %s left", active);

        if (action != NULL) {
            action->container = index;
            action->kinds = overdue | container->end_kinds;
        }
        return;
    }
    planner_wait(planner, "for %s to be drained: %s%s", container->name, active,
                 overdue == 0 ? ""
                 : planner->in->spec->drain.on_timeout == ON_TIMEOUT_WAIT
                     ? ", past its budget (on_timeout: wait)"
                     : ", being ended");
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
        await_drain(planner, index);
        return;
    }
    if (container->state == CONTAINER_REMOVING) {
        planner_wait(planner, "for the engine to have removed %s", container->name);
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
