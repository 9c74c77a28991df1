/* The invariants of DESIGN §5, computed from the world's own books and not with the planner's code.
 * Each is asked at every plan, every action and every end. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned healthy_before;

void check_break(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (world->broken[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(world->broken, sizeof(world->broken), format, arguments);
    va_end(arguments);
    world_note(world, "BROKEN: %s", world->broken);
}

bool check_in_rotation(const struct sim_container *container)
{
    return container->seen && container->seen_state == CONTAINER_RUNNING &&
           container->backend == BACKEND_READY && container->verdict == VERDICT_HEALTHY;
}

unsigned check_healthy(const struct world *world, bool is_new)
{
    unsigned count = 0;

    for (int i = 0; i < world->container_count; i++)
        count += world->containers[i].is_new == is_new && check_in_rotation(&world->containers[i]);
    return count;
}

/* Ordinals of a group that have a container which can (still) run. */
static unsigned alive(const struct world *world, bool is_new)
{
    unsigned count = 0;

    for (unsigned ordinal = 0; ordinal < check_ordinals(world); ordinal++) {
        bool is_alive = false;

        for (int i = 0; i < world->container_count; i++) {
            const struct sim_container *container = &world->containers[i];

            is_alive = is_alive || (container->is_new == is_new && container->ordinal == ordinal &&
                                    container->seen && container->seen_state != CONTAINER_EXITED &&
                                    container->seen_state != CONTAINER_REMOVING);
        }
        count += is_alive;
    }
    return count;
}

/* Invariant 2: so many must stay healthy while others leave. */
static unsigned least(const struct world *world, bool is_new)
{
    unsigned wanted = world->spec.replicas > world->spec.max_unavailable
                          ? world->spec.replicas - world->spec.max_unavailable
                          : 1;
    unsigned possible = alive(world, is_new);

    if (possible < wanted)
        wanted = possible;
    return wanted > 0 ? wanted : 1;
}

bool check_is_short_for_too_long(const struct world *world)
{
    return world->short_since != 0 &&
           (world->now - world->short_since) * TICK_MS >= world->spec.progress_deadline_ms;
}

bool check_is_surplus(const struct world *world, const struct sim_container *container)
{
    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *other = &world->containers[i];

        if (other != container && other->is_new && container->is_new && other->seen &&
            other->ordinal == container->ordinal)
            return true;
    }
    return false;
}

/* --- plans --------------------------------------------------------------------------------------
 */

static void check_step_end(struct world *world, const struct plan_observed *observed, uint32_t step)
{
    const struct config_step *left = &world->steps[step];
    uint64_t waited = world->now - world->next_step_since;

    if (observed->wish_pause || world->wish_pause)
        check_break(world, "step %u ended while an operator had paused the rollout", step);
    if (left->kind == STEP_SET_WEIGHT) {
        if (world->table.weight != left->weight)
            check_break(world, "step %u ended at weight %u", step, world->table.weight);
        if (!tasks_allow(world, POINT_ROLLOUT, step))
            check_break(world, "step %u ended before its hooks", step);
        for (unsigned i = 0; i < world->worker_count; i++) {
            if (world->workers[i].live && world->workers[i].view.weight != left->weight)
                check_break(world, "step %u ended before worker %u took its weight", step, i);
        }
    } else if (left->kind == STEP_ANALYSIS) {
        check_step_analysis(world, &left->analysis, waited * TICK_MS, step);
    } else if (left->kind == STEP_REPLICAS) {
        check_step_raised(world, left->replicas, step);
    } else if (left->kind == STEP_PAUSE &&
               (left->until_promoted || waited * TICK_MS < left->pause_ms)) {
        if (world->next_promotes == 0)
            check_break(world, "pause %u ended after %u ms, and nobody promoted", step,
                        (unsigned)(waited * TICK_MS));
        world->next_promotes = 0;
    }
    check_step_taken(world, step);
    world->next_step_since = world->now;
}

static void check_promotion(struct world *world, const struct plan_observed *observed)
{
    bool is_asked = observed->wish_promote && world->progress.step_entered &&
                    world->progress.step >= world->spec.step_count;

    if (check_is_scale(world))
        check_scale_promotion(world);
    else if (is_asked && world->full_since != 0)
        world->next_promotes = 0;
    else if (world->full_since == 0 ||
             (world->now - world->full_since) * TICK_MS < world->spec.monitor_ms)
        check_break(world, "promoted before it was watched for its time at full weight");
    if (!check_is_scale(world) && check_healthy(world, true) < world->spec.replicas)
        check_break(world, "promoted with %u of %u new ones healthy", check_healthy(world, true),
                    world->spec.replicas);
    if (world->wish_pause)
        check_break(world, "promoted while an operator had paused the rollout");
    if (!tasks_allow(world, POINT_VERIFY_SERVICE, (uint32_t)world->spec.step_count) ||
        !tasks_allow(world, POINT_CONFIRM_PROMOTION, (uint32_t)world->spec.step_count))
        check_break(world, "promoted before it was verified and confirmed");
}

/* A class that holds it, is past its time, and whose policy is to fail. */
static bool fails(const struct world *world, const struct sim_container *container)
{
    uint64_t waited = (world->now - container->drain_since) * TICK_MS;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        const struct config_drain_budget *budget = &world->spec.drain.budgets[kind];

        if (budget->on_timeout == ON_TIMEOUT_FAIL && container->active[kind] > 0 &&
            waited >= budget->timeout_ms + world->orders.extend_ms[kind])
            return true;
    }
    return false;
}

static void check_attention(struct world *world)
{
    bool has_reason = check_is_short_for_too_long(world);
    bool some_old = world->spec.replicas == 0;

    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        some_old = some_old || (!container->is_new && container->seen);
        has_reason = has_reason || container->attempts >= 5 ||
                     (container->seen_state == CONTAINER_REMOVING &&
                      (world->now - container->removing_since) * TICK_MS >=
                          world->spec.progress_deadline_ms) ||
                     (container->backend == BACKEND_DRAINING && fails(world, container));
    }
    if (!has_reason && some_old)
        check_break(world, "it needs attention without a reason");
}

static void keep_books(struct world *world)
{
    enum plan_phase phase = world->progress.phase;
    bool stays = phase == PHASE_PROMOTED;
    bool is_short = phase != PHASE_FORWARD && check_healthy(world, stays) < least(world, stays);
    bool is_full = world->table.weight == WEIGHT_MAX;

    if (check_is_scale(world)) {
        is_short = check_scale_is_short(world);
        is_full = check_scale_is_full(world);
    }
    if (phase == PHASE_BACK && check_is_in_turn(world))
        is_short = check_old_are_missing(world) || check_healthy(world, false) == 0;

    for (unsigned i = 0; i < world->worker_count && !check_is_scale(world); i++)
        is_full =
            is_full && (!world->workers[i].live || world->workers[i].view.weight == WEIGHT_MAX);
    if (!is_full)
        world->full_since = 0;
    else if (world->full_since == 0)
        world->full_since = world->now;
    if (!is_short)
        world->short_since = 0;
    else if (world->short_since == 0)
        world->short_since = world->now;
}

/* Actions of a plan may be carried out in any order. */
static void check_independence(struct world *world, const struct plan_observed *observed,
                               const struct plan *plan)
{
    bool is_taken[PLAN_CONTAINERS_MAX] = {false};

    for (unsigned i = 0; i < plan->action_count; i++) {
        const struct plan_action *action = &plan->actions[i];

        if (!plan_action_has_container(action->kind))
            continue;
        if (is_taken[action->container])
            check_break(world, "%s of %s, and another action on it in one plan",
                        plan_action_name(action->kind),
                        observed->containers[action->container].name);
        is_taken[action->container] = true;
    }
}

void check_plan(struct world *world, const struct plan_observed *observed, const struct plan *plan)
{
    enum plan_phase from = world->progress.phase, to = plan->progress.phase;
    unsigned creates = observed->creating;

    keep_books(world);
    world->next_step_since = world->step_since;
    world->next_promotes = world->promotes;
    healthy_before = check_healthy(world, false) + check_healthy(world, true);
    if ((from == PHASE_BACK && to != PHASE_BACK && to != PHASE_ENDED) ||
        (from == PHASE_PROMOTED && to != PHASE_PROMOTED && to != PHASE_ENDED))
        check_break(world, "it went from %s to %s", plan_phase_name(from), plan_phase_name(to));
    if (plan->progress.step < world->progress.step)
        check_break(world, "it went back a step");
    for (uint32_t step = world->progress.step; step < plan->progress.step; step++)
        check_step_end(world, observed, step);
    if (from == PHASE_FORWARD &&
        (to == PHASE_PROMOTED || plan->progress.outcome == OUTCOME_COMPLETED))
        check_promotion(world, observed);
    if (plan->progress.outcome == OUTCOME_NEEDS_ATTENTION)
        check_attention(world);
    if (from == PHASE_FORWARD && to != from && !world->is_failing_version &&
        strncmp(plan->progress.why, "analysis:", 9) == 0)
        check_break(world, "a version that fails nothing failed its analysis: %.150s",
                    plan->progress.why);
    for (unsigned i = 0; i < plan->action_count; i++)
        creates += plan->actions[i].kind == ACTION_CREATE;
    if (creates > observed->creating && creates > 2)
        check_break(world, "%u creates at once", creates);
    check_independence(world, observed, plan);
    for (unsigned i = 0; i < plan->action_count && to == PHASE_ENDED; i++) {
        enum plan_action_kind kind = plan->actions[i].kind;
        bool keeps_serving =
            kind == ACTION_READY && plan->progress.outcome == OUTCOME_NEEDS_ATTENTION;

        if (kind != ACTION_RELEASE && !keeps_serving)
            check_break(world, "it has ended and still acts");
    }
    if (to == PHASE_FORWARD && plan->progress.failures > world->spec.max_failures &&
        !plan->progress.failure_pause)
        check_break(world, "%u new ones failed, %u may", plan->progress.failures,
                    world->spec.max_failures);
}

void check_saved(struct world *world)
{
    uint64_t failures;

    if (world->step_since != world->next_step_since)
        check_count_new(world, &world->step_requests, &failures);
    world->step_since = world->next_step_since;
    world->promotes = world->next_promotes;
    keep_books(world);
}

/* --- actions ------------------------------------------------------------------------------------
 */

static uint32_t weight_of_step(const struct world *world, uint32_t step)
{
    uint32_t weight = step >= world->spec.step_count ? WEIGHT_MAX : 0;

    for (uint32_t i = 0; i <= step && i < world->spec.step_count; i++) {
        if (world->steps[i].kind == STEP_SET_WEIGHT && step < world->spec.step_count)
            weight = world->steps[i].weight;
    }
    return weight;
}

/* The step's, or with the rolling strategy one on the way to it. */
static bool is_weight_of_step(const struct world *world, uint32_t weight)
{
    uint32_t step = world->progress.step;
    uint32_t before = step > 0 ? weight_of_step(world, step - 1) : 0;

    if (weight == weight_of_step(world, step))
        return true;
    return world->spec.strategy == STRATEGY_ROLLING && weight > before &&
           weight < weight_of_step(world, step) && weight > world->table.weight;
}

static void check_set_weight(struct world *world, uint32_t weight)
{
    unsigned new_ones = check_healthy(world, true);
    uint64_t needed = check_step_replicas(world, world->progress.step, weight);

    if (check_is_scale(world))
        check_break(world, "weight %u in a scale, which splits nothing", weight);
    if (world->progress.phase == PHASE_BACK) {
        if (weight != 0 && (!check_is_in_turn(world) || weight > world->table.weight))
            check_break(world, "weight %u on the way back", weight);
        if (check_healthy(world, false) == 0 && new_ones > 0 && weight != world->table.weight)
            check_break(world, "the weight went to a group without a healthy backend");
        return;
    }
    if (world->progress.phase == PHASE_FORWARD &&
        (!is_weight_of_step(world, weight) || world->wish_pause))
        check_break(world, "weight %u is not the step's, or it is paused", weight);
    if (world->progress.phase == PHASE_FORWARD && weight > world->table.weight &&
        !(tasks_allow(world, POINT_VERIFY_CANARY, world->progress.step) &&
          tasks_allow(world, POINT_PRE_ROLLOUT, 0) &&
          tasks_allow(world, POINT_CONFIRM_TRAFFIC_INCREASE, world->progress.step)))
        check_break(world, "weight %u before it was verified and confirmed", weight);
    if (world->progress.phase == PHASE_PROMOTED && weight != WEIGHT_MAX)
        check_break(world, "weight %u after the promotion", weight);
    if (world->progress.phase == PHASE_PROMOTED && alive(world, false) == 0)
        return; /* there is nobody else to send it to */
    if (weight > 0 &&
        (new_ones == 0 || (world->progress.phase == PHASE_FORWARD && new_ones < needed)))
        check_break(world, "weight %u with %u new ones healthy", weight, new_ones);
}

/* A new one serves only once a verification has passed that began when it was there. */
static void check_admission(struct world *world, const struct sim_container *container)
{
    if (world->progress.phase == PHASE_FORWARD && container->is_new &&
        !tasks_have_verified(world, container->published))
        check_break(world, "%s serves before it was verified", container->name);
}

/* Old ones leave after the promotion, new ones on the way back: nothing else. */
static void check_leaving(struct world *world, const struct sim_container *container,
                          enum plan_action_kind kind)
{
    enum plan_phase wanted = container->is_new ? PHASE_BACK : PHASE_PROMOTED;

    if (container->is_new && check_is_surplus(world, container))
        return;
    if (check_is_scale(world)) {
        check_scale_leaving(world, container, kind);
        return;
    }
    if (check_is_in_turn(world) && world->progress.phase != PHASE_PROMOTED) {
        check_turn(world, container, kind);
        return;
    }
    if (world->progress.phase != wanted)
        check_break(world, "%s of %s in phase %s", plan_action_name(kind), container->name,
                    plan_phase_name(world->progress.phase));
    if (kind == ACTION_DRAIN) {
        uint32_t weight = container->is_new ? 0 : WEIGHT_MAX;

        for (unsigned i = 0; i < world->worker_count; i++) {
            const struct sim_view *view = &world->workers[i].view;

            if (world->workers[i].live &&
                (view->weight != weight || view->mirror > 0 || view->match.kind != MATCH_NONE))
                check_break(world, "drain of %s while worker %u has weight %u, mirror %u, match %u",
                            container->name, i, view->weight, view->mirror, view->match.kind);
        }
    }
}

static void check_drain(struct world *world, const struct sim_container *container)
{
    bool stays = !container->is_new;
    unsigned left = check_healthy(world, stays);

    check_leaving(world, container, ACTION_DRAIN);
    if (!check_in_rotation(container) || check_is_surplus(world, container))
        return;
    if (check_is_scale(world)) {
        check_scale_drain(world, container);
        return;
    }
    if (check_is_in_turn(world) && world->progress.phase != PHASE_PROMOTED) {
        check_turn_drain(world, container);
        return;
    }
    if (left < least(world, stays) &&
        !(world->progress.phase == PHASE_BACK && left > 0 && check_is_short_for_too_long(world)))
        check_break(world, "drain of %s leaves %u healthy ones", container->name, left);
}

static void check_stop(struct world *world, int index)
{
    const struct sim_container *container = &world->containers[index];
    uint32_t active = traffic_active(container);

    check_leaving(world, container, ACTION_STOP);
    if (active > 0)
        check_break(world, "stop of %s with %u exchanges active", container->name, active);
    if (container->backend == BACKEND_READY || container->backend == BACKEND_STARTING)
        check_break(world, "stop of %s in rotation", container->name);
    for (unsigned i = 0; i < world->worker_count; i++) {
        if (world->workers[i].live && container->exists &&
            world->workers[i].view.backend[index] == BACKEND_READY)
            check_break(world, "stop of %s, and worker %u may still send to it", container->name,
                        i);
    }
    if (check_is_scale(world))
        return; /* asked at the drain */
    if (check_is_in_turn(world) &&
        (check_healthy(world, container->is_new) > 0 || world->progress.holding ||
         container->verdict != VERDICT_HEALTHY))
        return;
    if (check_healthy(world, !container->is_new) == 0 && !check_is_surplus(world, container) &&
        (!container->is_new || container->verdict == VERDICT_HEALTHY) &&
        alive(world, !container->is_new) > 0)
        check_break(world, "stop of %s while none of the others is healthy", container->name);
}

static void check_remove(struct world *world, const struct sim_container *container)
{
    check_leaving(world, container, ACTION_REMOVE);
    if (container->seen_state == CONTAINER_RUNNING || container->seen_state == CONTAINER_PAUSED ||
        container->seen_state == CONTAINER_RESTARTING)
        check_break(world, "remove of %s, which runs", container->name);
}

static void check_end_kinds(struct world *world, const struct sim_container *container,
                            uint8_t kinds)
{
    uint64_t waited = (world->now - container->drain_since) * TICK_MS;
    bool is_held = world->progress.holding; /* then nothing takes longer than half of the hold */

    if (container->backend != BACKEND_DRAINING)
        check_break(world, "exchanges of %s ended, and it does not drain", container->name);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        const struct config_drain_budget *budget = &world->spec.drain.budgets[kind];
        uint64_t given = budget->timeout_ms + world->orders.extend_ms[kind];
        bool is_ordered = world->orders.ended_ms[kind] >= container->drain_since * TICK_MS;

        if ((kinds >> kind & 1) == 0 && is_ordered)
            check_break(world, "exchanges of %s were to be ended, and go on", container->name);
        if ((kinds >> kind & 1) == 0 || is_ordered)
            continue;
        if (is_held && given > world->spec.hold_ms / 2)
            given = world->spec.hold_ms / 2;
        if (budget->on_timeout != ON_TIMEOUT_CLOSE &&
            !(is_held && world->progress.phase == PHASE_BACK))
            check_break(world, "exchanges of %s ended without leave", container->name);
        if (waited < given)
            check_break(world, "exchanges of %s ended after %u of %u ms", container->name,
                        (unsigned)waited, (unsigned)given);
    }
}

static void check_engine_action(struct world *world, const struct plan_action *action, int index)
{
    if (!world->has_listed || world_engine_is_away(world))
        check_break(world, "%s while the engine is away", plan_action_name(action->kind));
    if (action->kind == ACTION_CREATE &&
        (world->progress.phase != PHASE_FORWARD || world->now < world->image_at ||
         world->wish_pause || action->ordinal >= check_ordinals(world)))
        check_break(world, "create of %u in phase %s, paused %d", action->ordinal,
                    plan_phase_name(world->progress.phase), world->wish_pause);
    if (action->kind == ACTION_CREATE && check_is_scale(world))
        check_scale_create(world, action->ordinal);
    if (action->kind == ACTION_CREATE && !tasks_allow(world, POINT_CONFIRM_ROLLOUT, 0))
        check_break(world, "create of %u before the rollout was confirmed", action->ordinal);
    if (action->kind == ACTION_RENAME && world->progress.phase != PHASE_PROMOTED)
        check_break(world, "rename before the promotion");
    for (int i = 0; i < OPERATIONS_MAX && index >= 0; i++) {
        if (world->operations[i].is_on && world->operations[i].container == index &&
            world->operations[i].incarnation == world->incarnation)
            check_break(world, "%s of %s while %s is under way", plan_action_name(action->kind),
                        world->containers[index].name, plan_action_name(world->operations[i].kind));
    }
}

static int index_of(const struct world *world, const char *seen_name)
{
    for (int i = 0; i < world->container_count; i++) {
        if (world->containers[i].seen && strcmp(world->containers[i].seen_name, seen_name) == 0)
            return i;
    }
    return -1;
}

void check_action(struct world *world, const struct plan_observed *observed,
                  const struct plan_action *action)
{
    bool has_container = plan_action_has_container(action->kind);
    int index = has_container ? index_of(world, observed->containers[action->container].name) : -1;

    if (has_container && index < 0) {
        check_break(world, "%s of a container that is not there", plan_action_name(action->kind));
        return;
    }
    switch (action->kind) {
    case ACTION_SET_WEIGHT:
        check_set_weight(world, action->weight);
        check_step_route(world, action);
        return;
    case ACTION_DRAIN:
        check_drain(world, &world->containers[index]);
        return;
    case ACTION_END_KINDS:
        check_end_kinds(world, &world->containers[index], action->kinds);
        return;
    case ACTION_HOLD:
        if (!check_is_stop_first(world))
            check_break(world, "exchanges are held, and the order is start-first");
        return;
    case ACTION_READY:
        check_admission(world, &world->containers[index]);
        return;
    case ACTION_PUBLISH:
    case ACTION_RELEASE:
    case ACTION_TASK:
        return;
    case ACTION_STOP:
        check_stop(world, index);
        break;
    case ACTION_REMOVE:
        check_remove(world, &world->containers[index]);
        break;
    case ACTION_START:
        check_turn_start(world, index);
        break;
    case ACTION_CREATE:
    case ACTION_RENAME:
        break;
    }
    check_engine_action(world, action, index);
}

/* After a whole plan: somebody serves, where anybody can. */
void check_applied(struct world *world)
{
    unsigned left = check_healthy(world, false) + check_healthy(world, true);

    if (tasks_held_for(world) * TICK_MS > world->spec.hold_ms / 2 + TICK_MS)
        check_break(world, "exchanges wait for a verification since %llu ticks",
                    (unsigned long long)tasks_held_for(world));
    if (world->table.held_until > world->now && !world->progress.holding)
        check_break(world, "exchanges are held, and the journal does not say so");
    if (left > 0 || (check_is_first(world) && world->progress.phase == PHASE_BACK))
        return;
    if (check_is_stop_first(world) && world->progress.holding)
        return; /* asked at the drain: every worker holds */
    if (healthy_before > 0)
        check_break(world, "the last healthy backend was taken out of rotation");
    if (world->progress.phase != PHASE_BACK && world->progress.phase != PHASE_PROMOTED)
        return;
    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];
        bool is_busy = world->now < container->retry_at;

        for (int k = 0; k < OPERATIONS_MAX; k++)
            is_busy =
                is_busy || (world->operations[k].is_on && world->operations[k].container == i);
        if (container->seen && container->seen_state == CONTAINER_RUNNING && !is_busy &&
            container->backend != BACKEND_FREE && container->verdict == VERDICT_HEALTHY &&
            !check_is_surplus(world, container))
            check_break(world, "nothing serves, though %s could", container->name);
    }
}
