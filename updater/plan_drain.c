/* A drain that is under way: whose budget has passed, and what then. */
#include "plan_parts.h"

#include <stdio.h>

/* "2 requests, 1 websocket" */
static void describe_active(const struct plan_container *container, char *text, size_t size)
{
    static const char *const names[KIND_COUNT] = {
        [KIND_REQUEST] = "request",     [KIND_UPLOAD] = "upload",      [KIND_STREAM] = "stream",
        [KIND_WEBSOCKET] = "websocket", [KIND_TCP] = "TCP connection",
    };
    size_t length = 0;

    snprintf(text, size, "its idle connections to close");
    for (unsigned kind = 0; kind < KIND_COUNT && length < size; kind++) {
        uint32_t count = container->active[kind];

        if (count > 0)
            length +=
                (size_t)snprintf(text + length, size - length, "%s%u %s%s", length > 0 ? ", " : "",
                                 (unsigned)count, names[kind], count > 1 ? "s" : "");
    }
}

/* While new exchanges are held, what an old one still has cannot take all of their time. */
static uint64_t budget_ms(const struct planner *planner, unsigned kind)
{
    uint64_t given_ms = (uint64_t)planner->in->spec->drain.budgets[kind].timeout_ms +
                        planner->in->drain_orders.extend_ms[kind];
    uint64_t bound_ms = planner->in->spec->hold_ms / 2;

    return planner_is_held_up(planner) && given_ms > bound_ms ? bound_ms : given_ms;
}

/* Kinds whose budget has passed with exchanges left, or with their ends asked for already: an end
 * takes its time. Sets when the next one passes. */
static uint8_t overdue_kinds(struct planner *planner, const struct plan_container *container)
{
    uint8_t overdue = 0;

    if (container->drain_since_ms == 0)
        return 0;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t at_ms = container->drain_since_ms + budget_ms(planner, kind);

        if (container->active[kind] == 0 && (container->end_kinds & 1u << kind) == 0)
            continue;
        if (planner->in->now_ms >= at_ms)
            overdue |= (uint8_t)(1u << kind);
        else
            planner_look_at(planner, at_ms);
    }
    return overdue;
}

/* Of those, the kinds with this policy. */
static uint8_t with_policy(const struct planner *planner, uint8_t kinds,
                           enum config_on_timeout on_timeout)
{
    uint8_t with = 0;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (planner->in->spec->drain.budgets[kind].on_timeout == on_timeout)
            with |= (uint8_t)(kinds & 1u << kind);
    }
    return with;
}

/* Kinds that an operator has ended since this drain began. */
static uint8_t ordered_kinds(const struct planner *planner, const struct plan_container *container)
{
    uint8_t ordered = 0;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (container->drain_since_ms != 0 &&
            planner->in->drain_orders.ended_ms[kind] >= container->drain_since_ms)
            ordered |= (uint8_t)(1u << kind);
    }
    return ordered;
}

static bool holds(const struct plan_container *container, uint8_t kinds)
{
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if ((kinds & 1u << kind) != 0 && container->active[kind] > 0)
            return true;
    }
    return false;
}

/* Exactly these are to be ended: an extension takes back what had been asked for. */
static void end_kinds(struct planner *planner, unsigned index, uint8_t kinds, const char *active)
{
    const struct plan_container *container = &planner->in->containers[index];
    bool more = (kinds | container->end_kinds) != container->end_kinds;
    struct plan_action *action =
        planner_act(planner, ACTION_END_KINDS,
                    more ? "its drain ran past the budget, or was ended, with %s left"
                         : "its drain was extended with %s left",
                    active);

    if (action != NULL) {
        action->container = index;
        action->kinds = kinds;
    }
}

/* Forward nothing has been given up yet: where the policy forbids to end what is left, and with
 * requests held in the meantime also where it says to wait, the old one goes on serving. */
static bool turns_back(struct planner *planner, const struct plan_container *container,
                       uint8_t overdue, const char *active)
{
    uint8_t kinds = with_policy(planner, overdue, ON_TIMEOUT_FAIL);

    if (planner_is_held_up(planner))
        kinds |= with_policy(planner, overdue, ON_TIMEOUT_WAIT);
    if (planner->out->progress.phase != PHASE_FORWARD || !planner_replaces(planner) ||
        !holds(container, kinds))
        return false;
    planner_go_back(planner,
                    "the drain of %s ran past its budget with %s left; it was not stopped "
                    "(on_timeout)",
                    container->name, active);
    return true;
}

void planner_await_drain(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];
    uint8_t overdue = overdue_kinds(planner, container);
    uint8_t ordered = ordered_kinds(planner, container);
    uint8_t failing = with_policy(planner, overdue & (uint8_t)~ordered, ON_TIMEOUT_FAIL);
    uint8_t ending = with_policy(planner, overdue, ON_TIMEOUT_CLOSE) | ordered;
    char active[160];

    describe_active(container, active, sizeof(active));
    if (turns_back(planner, container, overdue & (uint8_t)~ordered, active))
        return;
    if (planner->out->progress.phase == PHASE_BACK && planner_is_held_up(planner)) {
        ending |= overdue; /* nobody is held for ever, whatever the policy */
        failing = 0;
    }
    if (holds(container, failing)) {
        planner_need_attention(planner,
                               "the drain of %s ran past its budget with %s left; it was "
                               "not stopped (on_timeout: fail)",
                               container->name, active);
        return;
    }
    if (ending != container->end_kinds && !container->busy) {
        end_kinds(planner, index, ending, active);
        return;
    }
    planner_wait(planner, "for %s to be drained: %s%s", container->name, active,
                 holds(container, ending)    ? ", being ended"
                 : holds(container, overdue) ? ", past its budget (on_timeout: wait)"
                                             : "");
}
