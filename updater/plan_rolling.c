/* Replicas that make way one by one: the rolling strategy, and stop-first of any strategy. An old
 * container is drained and stopped when its replacement serves (start-first), or before its
 * replacement is started (stop-first), and kept until the rollout is promoted: the way back starts
 * it again. */
#include "plan_parts.h"

#include <stdio.h>

#define RAMP_PARTS 4u /* of a batch's share of traffic, one after the other */

bool planner_replaces(const struct planner *planner)
{
    return planner->in->spec->strategy == STRATEGY_ROLLING ||
           planner->in->spec->order == ORDER_STOP_FIRST;
}

int planner_old_of(const struct planner *planner, unsigned ordinal)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!planner->in->containers[i].is_new && planner->in->containers[i].ordinal == ordinal)
            return (int)i;
    }
    return -1;
}

/* --- who may leave -------------------------------------------------------------------------- */

static bool can_serve_again(const struct plan_container *container)
{
    return container_can_run(container) ||
           (container->kept && container->state == CONTAINER_EXITED &&
            !container_gave_up(container, ACTION_START));
}

/* Of both groups together: replicas less max_unavailable, less ordinals that are gone for good; on
 * the way back those whose old one is. */
static unsigned floor_of_all(const struct planner *planner)
{
    const struct plan_spec *spec = planner->in->spec;
    unsigned wanted =
        spec->replicas > spec->max_unavailable ? spec->replicas - spec->max_unavailable : 1;
    unsigned possible = 0;

    for (unsigned ordinal = 0; ordinal < spec->replicas; ordinal++) {
        int old = planner_old_of(planner, ordinal), new = planner_new_of(planner, ordinal);

        possible += (old >= 0 && can_serve_again(&planner->in->containers[old])) ||
                    (new >= 0 && planner->out->progress.phase !=
                                     PHASE_BACK &&can_serve_again(&planner->in->containers[new]));
    }
    if (possible < wanted)
        wanted = possible;
    return wanted > 0 ? wanted : 1;
}

static unsigned count_serving(const struct planner *planner)
{
    unsigned count = planner_count_healthy(planner, false) + planner_count_healthy(planner, true);

    return count > planner->leaving ? count - planner->leaving : 0;
}

/* The last one that serves, which has to make room: what comes is held meanwhile. True once every
 * worker holds. */
static bool hold_for(struct planner *planner, const struct plan_container *container)
{
    planner->hold_wanted = true;
    if (planner->in->hold_left_ms > 0 && planner->in->hold_acknowledged)
        return true;
    planner_wait(planner, "for every worker to hold new exchanges, before %s makes room",
                 container->name);
    return false;
}

/* A new one that is about to serve: with a little patience nothing need be held. */
static bool another_comes(const struct planner *planner, const struct plan_container *leaving)
{
    if (planner->out->progress.phase != PHASE_FORWARD || leaving->is_new)
        return false;
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new && container->ordinal != leaving->ordinal &&
            container_runs(container) && container->backend != BACKEND_DRAINING &&
            !planner_is_failed(planner, container->ordinal) && !planner_is_surplus(planner, i))
            return true;
    }
    return false;
}

/* Invariant 2, with its exception for stop-first. */
static bool may_leave(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];
    unsigned serving = count_serving(planner), floor = floor_of_all(planner);

    if (!container_is_healthy(container) || container->busy)
        return true;
    if (serving > floor) {
        planner->leaving++;
        return true;
    }
    if (planner->in->spec->order == ORDER_STOP_FIRST && serving == 1 && floor == 1) {
        if (another_comes(planner, container)) {
            planner_wait(planner, "for another container to serve, before %s makes room",
                         container->name);
            return false;
        }
        return hold_for(planner, container);
    }
    planner_wait(planner, "for %u healthy containers beside %s before it goes, %u are", floor,
                 container->name, serving > 0 ? serving - 1 : 0);
    return false;
}

bool planner_is_held_up(const struct planner *planner)
{
    return planner->out->progress.holding && planner_count_healthy(planner, false) == 0 &&
           planner_count_healthy(planner, true) == 0;
}

void planner_hold(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    struct plan_progress *progress = &planner->out->progress;
    bool none_serves =
        planner_count_healthy(planner, false) + planner_count_healthy(planner, true) == 0;
    bool wanted = progress->phase != PHASE_ENDED &&
                  (planner->hold_wanted || (progress->holding && none_serves));

    if (wanted && in->hold_left_ms <= in->spec->hold_ms / 2) {
        if (planner_act(planner, ACTION_HOLD, "nothing else serves while one makes room"))
            progress->holding = true;
    } else if (wanted) {
        planner_look_at(planner, in->now_ms + in->hold_left_ms - in->spec->hold_ms / 2);
    } else if (progress->holding && in->hold_left_ms > 0 && !in->hold_by_operator) {
        (void)planner_act(planner, ACTION_RELEASE, "%s",
                          progress->phase == PHASE_ENDED ? "it has ended" : "one serves again");
    } else {
        progress->holding = false;
    }
}

/* --- forward -------------------------------------------------------------------------------- */

/* An old one that nobody has judged yet (everything was restarted): it may be the one that serves.
 */
static bool is_to_be_judged(const struct plan_container *container)
{
    return !container->kept && container->state == CONTAINER_RUNNING &&
           ((container->backend == BACKEND_FREE && !container_gave_up(container, ACTION_PUBLISH)) ||
            (container->backend == BACKEND_STARTING && container->verdict != VERDICT_UNHEALTHY));
}

bool planner_make_room(struct planner *planner, unsigned ordinal)
{
    int old = planner_old_of(planner, ordinal);
    const struct plan_container *container;

    if (planner->in->spec->order != ORDER_STOP_FIRST || old < 0)
        return true;
    container = &planner->in->containers[old];
    if (!container_runs(container) && !container->busy)
        return true;
    if (is_to_be_judged(container)) {
        planner_wait(planner, "for %s to be judged, before it makes room", container->name);
        return false;
    }
    if (container->backend == BACKEND_DRAINING && container->verdict == VERDICT_HEALTHY &&
        !container->stopping && !planner->out->progress.holding && count_serving(planner) == 0) {
        planner_act_on(planner, ACTION_READY, (unsigned)old, "no other container serves");
        return false;
    }
    if (planner->in->wish_pause && container->backend == BACKEND_READY) {
        planner_wait(planner, "paused by an operator: `sluice resume` goes on");
        return false;
    }
    if (!planner_tasks_before_room(planner, planner->out->progress.step))
        return false;
    if (container->backend != BACKEND_READY || may_leave(planner, (unsigned)old))
        return planner_put_away(planner, (unsigned)old, "it makes room");
    return false;
}

bool planner_old_are_away(struct planner *planner, unsigned needed)
{
    bool all_away = true;

    if (!planner_replaces(planner))
        return true;
    for (unsigned ordinal = 0; ordinal < needed && planner->out->progress.phase == PHASE_FORWARD;
         ordinal++) {
        int old = planner_old_of(planner, ordinal);
        const struct plan_container *container = &planner->in->containers[old >= 0 ? old : 0];

        if (old < 0)
            continue;
        if (container->backend == BACKEND_READY && container_runs(container) &&
            !may_leave(planner, (unsigned)old))
            all_away = false;
        else
            all_away =
                planner_put_away(planner, (unsigned)old, "its replacement serves") && all_away;
    }
    return all_away;
}

uint32_t planner_ramp(struct planner *planner, uint32_t from, uint32_t to)
{
    const struct plan_observed *in = planner->in;
    const struct plan_progress *progress = &planner->out->progress;
    uint64_t part_ms = in->spec->ramp_ms / RAMP_PARTS;
    uint64_t parts = 1;

    if (in->spec->strategy != STRATEGY_ROLLING || part_ms == 0 || in->weight >= to ||
        planner_count_healthy(planner, false) == 0)
        return to;
    if (progress->step_entered)
        parts += (in->now_ms - progress->step_since_ms) / part_ms;
    if (parts >= RAMP_PARTS)
        return to;
    planner->on_schedule = true;
    planner_look_at(planner, (progress->step_entered ? progress->step_since_ms : in->now_ms) +
                                 parts * part_ms);
    return from + (uint32_t)((uint64_t)(to - from) * parts / RAMP_PARTS);
}

/* --- an old one comes back ------------------------------------------------------------------- */

/* With those that are being started. */
static unsigned count_running(const struct planner *planner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];
        bool may_come = container->state == CONTAINER_CREATED ||
                        ((container->kept || container->ended_with_engine) &&
                         container->state == CONTAINER_EXITED);

        count += container_runs(container) || (container->busy && may_come);
    }
    for (unsigned i = 0; i < planner->out->action_count; i++)
        count += planner->out->actions[i].kind == ACTION_START;
    return count;
}

bool planner_has_room(const struct planner *planner)
{
    const struct plan_spec *spec = planner->in->spec;

    return spec->strategy != STRATEGY_ROLLING || spec->order == ORDER_STOP_FIRST ||
           count_running(planner) < spec->replicas + (spec->max_surge > 0 ? spec->max_surge : 1);
}

/* Beside what runs, or where the new one of its ordinal has made room. */
static bool may_start_again(struct planner *planner, const struct plan_container *container)
{
    const struct plan_spec *spec = planner->in->spec;
    int new = planner_new_of(planner, container->ordinal);

    if (spec->order == ORDER_STOP_FIRST)
        return new < 0 || (!container_runs(&planner->in->containers[new]) &&
                           !planner->in->containers[new].busy);
    return planner_has_room(planner);
}

/* One old container's next step back into rotation. */
static void bring_back(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    if (container->stopping && container->state == CONTAINER_RUNNING) {
        /* It may end at any moment: stopped for certain, it can be started again. */
        if (container->backend != BACKEND_READY)
            (void)planner_put_away(planner, index, "its stop was under way");
    } else if (container->state == CONTAINER_RUNNING && container->backend == BACKEND_DRAINING) {
        if (!container->busy)
            planner_act_on(planner, ACTION_READY, index, "it stays");
    } else if (container->state == CONTAINER_EXITED && container->kept) {
        if (!container_gave_up(container, ACTION_START) && may_start_again(planner, container))
            planner_act_on(planner, ACTION_START, index, "it was kept for the way back");
    } else {
        planner_bring_up(planner, index);
    }
}

/* --- failures ------------------------------------------------------------------------------- */

/* Health's word counts: what the engine told of a pause or a restart may be over by now. */
static bool is_all_that_serves(const struct planner *planner,
                               const struct plan_container *container)
{
    return !container_is_healthy(container) && container_runs(container) &&
           container->backend != BACKEND_FREE && container->verdict == VERDICT_HEALTHY &&
           count_serving(planner) == 0 && !planner->out->progress.holding;
}

static bool has_bit(const uint64_t bits[2], unsigned ordinal)
{
    return ordinal < 128 && (bits[ordinal / 64] >> (ordinal % 64) & 1) != 0;
}

bool planner_is_failed(const struct planner *planner, unsigned ordinal)
{
    return has_bit(planner->out->progress.failed, ordinal);
}

bool planner_forgive(struct planner *planner, unsigned ordinal)
{
    const struct plan_spec *spec = planner->in->spec;
    struct plan_progress *progress = &planner->out->progress;
    bool is_too_many = progress->failures >= spec->max_failures;

    if (spec->strategy != STRATEGY_ROLLING || count_serving(planner) == 0 ||
        (is_too_many && spec->failure_action == FAILURE_ROLLBACK))
        return false;
    progress->phase = PHASE_FORWARD;
    progress->failures++;
    progress->failure_pause = is_too_many;
    progress->failed[ordinal / 64] |= 1ull << (ordinal % 64);
    return true;
}

static void redo(struct planner *planner, unsigned ordinal)
{
    struct plan_progress *progress = &planner->out->progress;
    uint64_t bit = 1ull << (ordinal % 64);
    int index = planner_new_of(planner, ordinal), old = planner_old_of(planner, ordinal);
    bool is_well = index >= 0 && container_is_healthy(&planner->in->containers[index]);
    bool is_there = false;

    if (is_well && planner->in->containers[index].restarts == 0) {
        progress->failed[ordinal / 64] &= ~bit; /* it has come to itself */
        return;
    }
    if (index >= 0 && is_all_that_serves(planner, &planner->in->containers[index])) {
        if (planner->in->containers[index].state == CONTAINER_RUNNING)
            planner_act_on(planner, ACTION_READY, (unsigned)index, "nothing else serves");
        else
            planner_wait(planner, "for another one than %s to be healthy: nothing else serves",
                         planner->in->containers[index].name);
        return;
    }
    if (planner->in->spec->order == ORDER_STOP_FIRST && count_serving(planner) == 0)
        planner->hold_wanted = true; /* its old one is stopped */
    else if (old >= 0 && (is_well || container_runs(&planner->in->containers[old])) &&
             planner->in->spec->order != ORDER_STOP_FIRST)
        bring_back(planner, (unsigned)old);
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!planner->in->containers[i].is_new || planner->in->containers[i].ordinal != ordinal)
            continue;
        is_there = true;
        if (may_leave(planner, i)) /* it serves again, after an end of it */
            planner_retire(planner, i);
    }
    if (is_there || !planner->in->engine_reachable || progress->phase != PHASE_FORWARD)
        return;
    progress->failed[ordinal / 64] &= ~bit;
    progress->seen[ordinal / 64] &= ~bit;
}

bool planner_redo_failed(struct planner *planner)
{
    struct plan_progress *progress = &planner->out->progress;

    if (progress->failure_pause && progress->promote_wanted) {
        progress->failure_pause = progress->promote_wanted = false;
        progress->failures = 0;
    }
    if (progress->failure_pause) {
        planner->on_schedule = true;
        planner_wait(planner,
                     "for an operator: %s; `sluice promote` makes it again, `sluice abort` goes "
                     "back",
                     progress->why);
        return false;
    }
    for (unsigned ordinal = 0; ordinal < 128 && progress->phase == PHASE_FORWARD; ordinal++) {
        if (planner_is_failed(planner, ordinal))
            redo(planner, ordinal);
    }
    if ((progress->failed[0] | progress->failed[1]) == 0 && progress->phase == PHASE_FORWARD)
        progress->why[0] = '\0';
    return progress->phase == PHASE_FORWARD;
}

/* --- back ----------------------------------------------------------------------------------- */

static void bring_back_old(struct planner *planner)
{
    for (unsigned i = planner->in->container_count; i-- > 0;) {
        if (!planner->in->containers[i].is_new)
            bring_back(planner, i);
    }
}

/* May serve, but does not yet. */
static bool is_coming(const struct plan_container *old)
{
    return (!container_is_healthy(old) || old->stopping) && can_serve_again(old) &&
           (old->kept ||
            (old->state == CONTAINER_RUNNING && !container_gave_up(old, ACTION_PUBLISH) &&
             old->verdict != VERDICT_UNHEALTHY));
}

/* `ret_lost`: one that cannot be started again, or -1. */
static unsigned count_coming(const struct planner *planner, int *ret_lost)
{
    unsigned count = 0;

    *ret_lost = -1;
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new)
            continue;
        count += is_coming(container);
        if (container->kept && container->state == CONTAINER_EXITED && !can_serve_again(container))
            *ret_lost = (int)i;
    }
    return count;
}

/* The share of the new ones falls as old ones come back. True once it is where it is to be. */
static bool weight_falls(struct planner *planner, unsigned old_healthy, unsigned coming)
{
    const struct plan_observed *in = planner->in;
    unsigned replicas = in->spec->replicas;
    uint32_t wanted = in->weight;
    const struct config_match none = {.kind = MATCH_NONE};
    char why[PLAN_WHY_BYTES];

    if (coming == 0 && (old_healthy > 0 || planner_count_healthy(planner, true) == 0))
        wanted = 0;
    else if (old_healthy > 0 && old_healthy < replicas)
        wanted = (uint32_t)((uint64_t)(replicas - old_healthy) * WEIGHT_MAX / replicas);
    snprintf(why, sizeof(why), "back: %.360s", planner->out->progress.why);
    return planner_route(planner, wanted < in->weight ? wanted : in->weight, 0, &none, why);
}

/* May this new one go now? One that does not serve may at once. `is_over`: old ones were waited for
 * long enough. */
static bool new_may_go(struct planner *planner, unsigned index, bool weight_fits, bool is_over)
{
    const struct plan_container *container = &planner->in->containers[index];
    int old = planner_old_of(planner, container->ordinal);
    const struct plan_container *other = old >= 0 ? &planner->in->containers[old] : NULL;

    if (!container_is_healthy(container))
        return true;
    if (planner->in->spec->order == ORDER_STOP_FIRST && other != NULL && !container_runs(other) &&
        can_serve_again(other))
        return is_over || may_leave(planner, index);
    if (other != NULL && is_coming(other) && !is_over) {
        planner_wait(planner, "for %s to be healthy, before %s goes", other->name, container->name);
        return false;
    }
    return weight_fits && (is_over || may_leave(planner, index));
}

/* Stop-first, a new one that made room is removed only when its old one serves: it may be all that
 * is left. */
static bool is_needed_no_more(const struct planner *planner, const struct plan_container *container)
{
    int old = planner_old_of(planner, container->ordinal);

    return planner->in->spec->order != ORDER_STOP_FIRST || old < 0 ||
           container_is_healthy(&planner->in->containers[old]) ||
           !planner->in->containers[old].kept;
}

static void put_new_away(struct planner *planner, bool weight_fits, bool is_over)
{
    for (unsigned i = planner->in->container_count; i-- > 0;) {
        const struct plan_container *container = &planner->in->containers[i];
        bool is_gone = !container_runs(container);

        if (!container->is_new || planner->out->progress.phase == PHASE_ENDED)
            continue;
        if (!is_over && is_all_that_serves(planner, container))
            planner_wait(planner, "for the old one of %s to be healthy: nothing else serves",
                         container->name);
        else if (!is_gone && (container->backend == BACKEND_DRAINING ||
                              new_may_go(planner, i, weight_fits, is_over)))
            (void)planner_put_away(planner, i, "it goes");
        else if (is_gone && (container->state == CONTAINER_CREATED || is_over ||
                             is_needed_no_more(planner, container)))
            planner_retire(planner, i);
        else if (is_gone)
            planner_wait(planner, "for the old one of %s to be healthy, before it is removed",
                         container->name);
    }
}

static bool old_has_its_place(const struct planner *planner, const struct plan_container *container)
{
    int old = planner_old_of(planner, container->ordinal);

    return planner->in->spec->order == ORDER_STOP_FIRST && old >= 0 &&
           (container_runs(&planner->in->containers[old]) || planner->in->containers[old].busy);
}

/* An old one cannot be started again: whoever is healthy serves, nothing is removed. */
static void give_up(struct planner *planner, unsigned lost)
{
    const struct plan_container *container = &planner->in->containers[lost];
    bool is_over = planner_deadline(planner, true);

    for (unsigned i = 0; i < planner->in->container_count && count_serving(planner) == 0; i++) {
        const struct plan_container *other = &planner->in->containers[i];

        if (other->is_new && other->state == CONTAINER_EXITED && other->kept &&
            !container_gave_up(other, ACTION_START) && !old_has_its_place(planner, other))
            planner_act_on(planner, ACTION_START, i, "its old one cannot be started again");
    }
    planner_keep_serving(planner, true);
    if (count_serving(planner) > 0 || is_over)
        planner_need_attention(planner, "%s could not be started again%s%s; nothing was removed",
                               container->name, container->reason[0] != '\0' ? ": " : "",
                               container->reason);
    else
        planner_wait(planner, "for any container to be healthy: %s cannot be started again",
                     container->name);
}

/* Old ones that are to be started yet: nothing ends before that. */
static bool some_are_stopped(const struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (!container->is_new && container->kept && container->state == CONTAINER_EXITED)
            return true;
    }
    return false;
}

void plan_back_replaced(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    const struct plan_progress *progress = &planner->out->progress;
    unsigned old_healthy = planner_count_healthy(planner, false);
    int lost;
    unsigned coming = count_coming(planner, &lost);
    bool is_over;

    if (planner_is_stranded(planner))
        return;
    bring_back_old(planner);
    if (lost >= 0) {
        give_up(planner, (unsigned)lost);
        return;
    }
    is_over = planner_deadline(planner, coming > 0 || old_healthy < planner_floor(planner, false));
    if (is_over && old_healthy == 0 &&
        planner_count(planner, false) + planner_count_healthy(planner, true) > 0) {
        planner_need_attention(planner, "no old container is healthy: what serves was left");
        return;
    }
    if (count_serving(planner) == 0 && !progress->holding) {
        unsigned before = planner->out->action_count;

        planner_keep_serving(planner, true);
        if (planner->out->action_count > before)
            return;
    }
    put_new_away(planner, weight_falls(planner, old_healthy, is_over ? 0 : coming), is_over);
    if (progress->phase == PHASE_ENDED || planner->out->action_count > 0)
        return;
    if (in->creating > 0)
        planner_wait(planner, "for the engine to answer: a container may still be made");
    else if (coming > 0 && (!is_over || some_are_stopped(planner)))
        planner_wait(planner, "for %u old containers to be healthy again", coming);
    else if (!in->engine_reachable)
        planner_wait(planner, "for the engine to be reachable again");
    else if (planner_awaits_restart(planner, false))
        return;
    else if (planner_count(planner, true) > 0 || in->weight > 0)
        planner_wait(planner, "for the new containers to be gone");
    else if (planner_tasks(planner, POINT_POST_ROLLOUT, 0))
        planner_end(planner, progress->aborted ? OUTCOME_ABORTED : OUTCOME_ROLLED_BACK);
}
