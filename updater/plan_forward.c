/* Forward: new containers come up, weight moves to them, step by step. */
#include "plan_parts.h"

#include <stdio.h>

static bool was_seen(const struct plan_progress *progress, unsigned ordinal)
{
    return ordinal < 128 && (progress->seen[ordinal / 64] >> (ordinal % 64) & 1) != 0;
}

static void note_seen(struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new && container->ordinal < 128)
            planner->out->progress.seen[container->ordinal / 64] |= 1ull
                                                                    << (container->ordinal % 64);
    }
}

/* Not in rotation yet: it must be healthy in time. That counts from its entry into the table, or
 * from its start where the entry fails; one that merely waits for it (everything was restarted, and
 * the table is new) is not late. */
static bool is_late(struct planner *planner, const struct plan_container *container)
{
    bool entry_fails = container->attempted == ACTION_PUBLISH && container->attempts > 0;
    uint64_t since_ms = container->published_ms > 0 ? container->published_ms
                        : entry_fails               ? container->started_ms
                                                    : 0;
    bool is_up = container->backend == BACKEND_READY ||
                 (container->backend == BACKEND_STARTING && container->verdict == VERDICT_HEALTHY);
    uint64_t at_ms = since_ms + planner->in->spec->health_timeout_ms;
    char limit[PLAN_DURATION_BYTES];

    if (is_up || since_ms == 0 || planner->in->spec->health_timeout_ms == 0 ||
        !planner->in->engine_reachable)
        return false;
    if (planner->in->now_ms < at_ms) {
        planner_look_at(planner, at_ms);
        return false;
    }
    planner_go_back(planner, "%s was not healthy within %s%s%s", container->name,
                    planner_duration(planner->in->spec->health_timeout_ms, limit),
                    container->reason[0] != '\0' ? ": " : "", container->reason);
    return true;
}

/* Turns back where this new container has failed. */
static bool has_failed(struct planner *planner, const struct plan_container *container)
{
    const char *name = container->name;

    if (container->end_unexplained) {
        planner_wait(planner, "for the engine to say that it lives: %s has exited", name);
        return false;
    }
    if (container->state == CONTAINER_EXITED && !container->ended_with_engine)
        planner_go_back(planner, "%s exited with code %d%s", name, container->exit_code,
                        container->oom_killed ? ": it was killed for want of memory" : "");
    else if (container->state == CONTAINER_RESTARTING)
        planner_go_back(planner, "%s keeps exiting and is being restarted", name);
    else if (container->restarts > 0) /* up again between two looks at it */
        planner_go_back(planner, "%s exited and was restarted by its restart policy", name);
    else if (container->state == CONTAINER_REMOVING)
        planner_go_back(planner, "%s is being removed by somebody", name);
    else if (container->backend != BACKEND_FREE && container->verdict == VERDICT_UNHEALTHY)
        planner_go_back(planner, "%s is unhealthy%s%s", name,
                        container->reason[0] != '\0' ? ": " : "", container->reason);
    else if (container_gave_up(container, ACTION_START))
        planner_go_back(planner, "%s could not be started%s%s", name,
                        container->reason[0] != '\0' ? ": " : "", container->reason);
    else if (container_gave_up(container, ACTION_PUBLISH))
        planner_go_back(planner, "%s has no address that Sluice could reach%s%s", name,
                        container->reason[0] != '\0' ? ": " : "", container->reason);
    else
        return is_late(planner, container);
    return true;
}

static bool find_failure(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    const struct plan_progress *progress = &planner->out->progress;

    if (in->create_error_final || in->create_attempts >= PLAN_ATTEMPTS_MAX) {
        planner_go_back(planner, "a new container could not be made: %s", in->create_error);
        return true;
    }
    for (unsigned ordinal = 0; ordinal < 128; ordinal++) {
        int index;

        if (!was_seen(progress, ordinal) || planner_is_failed(planner, ordinal))
            continue;
        index = planner_new_of(planner, ordinal);
        if (index >= 0 && has_failed(planner, &in->containers[index]) &&
            !planner_forgive(planner, ordinal))
            return true;
        if (index < 0 && in->engine_reachable) {
            planner_go_back(planner, "new container %u was removed by somebody", ordinal + 1);
            return true;
        }
    }
    return false;
}

/* Names what an ordinal lacks; true where it serves or could. */
static bool ordinal_is_up(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    if (planner_is_failed(planner, container->ordinal)) {
        planner_wait(planner, "for %s to be removed: it failed and is made again", container->name);
        return false;
    }
    if (container_is_healthy(container) || planner_awaits_verification(planner, container))
        return true;
    if (container->state == CONTAINER_CREATED && !planner_make_room(planner, container->ordinal))
        return false;
    planner_bring_up(planner, index);
    if (container->state == CONTAINER_PAUSED)
        planner_wait(planner, "for %s: somebody has paused it in the engine", container->name);
    else if (container->backend == BACKEND_FREE)
        planner_wait(planner, "for %s to be started%s%s", container->name,
                     container->reason[0] != '\0' ? ", after: " : "", container->reason);
    else
        planner_wait(planner, "for %s to become healthy%s%s", container->name,
                     container->reason[0] != '\0' ? ": " : "", container->reason);
    return false;
}

static void wait_for_resume(struct planner *planner)
{
    planner_wait(planner, planner->in->paused_by_engine
                              ? "paused: the engine was restarted, and containers ended with it; "
                                "`sluice resume` goes on, `sluice abort` goes back"
                              : "paused by an operator: `sluice resume` goes on");
}

/* May another container be made now? */
static bool may_create(struct planner *planner)
{
    const struct plan_observed *in = planner->in;

    if (in->wish_pause)
        wait_for_resume(planner);
    else if (!in->image_ready)
        planner_wait(planner, "for the new image to be on the engine");
    else if (in->creating > 0)
        planner_wait(planner, "for the engine to make a container%s%s",
                     in->create_error[0] != '\0' ? ", after: " : "", in->create_error);
    else
        return true;
    return false;
}

/* True when the first `needed` ordinals are all in rotation, healthy and verified. */
static bool raise_to(struct planner *planner, uint32_t needed)
{
    uint32_t first = planner->in->spec->scale_to > 0 ? planner->in->spec->replicas : 0;
    bool all_up = true;
    bool may_make = true;
    unsigned made = 0;

    for (unsigned ordinal = first;
         ordinal < needed && planner->out->progress.phase == PHASE_FORWARD; ordinal++) {
        int index = planner_new_of(planner, ordinal);
        struct plan_action *action;

        if (index >= 0) {
            all_up = ordinal_is_up(planner, (unsigned)index) && all_up;
            continue;
        }
        all_up = false;
        if (made == PLAN_CREATES_AT_ONCE || !may_make || !(may_make = may_create(planner)))
            continue;
        action = planner_act(planner, ACTION_CREATE, "%u of %u new containers needed",
                             ordinal + 1 - first, (unsigned)(needed - first));
        if (action != NULL)
            action->ordinal = (uint16_t)ordinal;
        made++;
    }
    return planner_admit(planner, needed, all_up);
}

static void enter_step(struct planner *planner)
{
    struct plan_progress *progress = &planner->out->progress;

    if (progress->step_entered)
        return;
    progress->step_entered = true;
    progress->step_since_ms = planner->in->now_ms;
    progress->changed_ms = planner->in->now_ms;
}

/* True when the wait is over. */
static bool pause_is_over(struct planner *planner, const struct config_step *step)
{
    struct plan_progress *progress = &planner->out->progress;
    uint64_t at_ms = progress->step_since_ms + step->pause_ms;

    if (progress->promote_wanted) {
        progress->promote_wanted = false;
        return true;
    }
    if (!step->until_promoted && planner->in->now_ms >= at_ms)
        return true;
    planner->on_schedule = true;
    if (step->until_promoted) {
        planner_wait(planner,
                     "for an operator: `sluice promote` goes on, `sluice abort` goes back");
        return false;
    }
    planner_look_at(planner, at_ms);
    planner_wait(planner, "for the pause of step %u to end", (unsigned)progress->step + 1);
    return false;
}

static bool watch_is_over(struct planner *planner)
{
    struct plan_progress *progress = &planner->out->progress;
    uint64_t at_ms = progress->step_since_ms + planner->in->spec->monitor_ms;
    bool was_watching =
        planner->in->progress.step == progress->step && planner->in->progress.step_entered;
    char length[PLAN_DURATION_BYTES];

    /* A promote of before was for a pause: this one must be asked for in the watch itself. */
    progress->promote_wanted = false;
    if (planner->in->now_ms >= at_ms || (planner->in->wish_promote && was_watching))
        return true;
    planner->on_schedule = true;
    planner_look_at(planner, at_ms);
    planner_wait(planner,
                 planner->in->spec->scale_to > 0
                     ? "watching the new containers for %s; `sluice abort` removes them again"
                     : "watching the new version at full weight for %s; the old one still runs: "
                       "`sluice abort` goes back at once, `sluice promote` lets it go",
                 planner_duration(planner->in->spec->monitor_ms, length));
    return false;
}

/* A batch's share moves in parts, where the step is the one that sets it. */
static uint32_t ramped(struct planner *planner, uint32_t step, uint32_t weight)
{
    const struct plan_spec *spec = planner->in->spec;

    if (step >= spec->step_count || spec->steps[step].kind != STEP_SET_WEIGHT)
        return weight;
    return planner_ramp(planner, step > 0 ? plan_weight_at(spec, step - 1) : 0, weight);
}

/* More of the clients' requests would meet the new version. */
static bool brings_traffic(const struct planner *planner, uint32_t weight, uint32_t mirror,
                           const struct config_match *match)
{
    const struct plan_observed *in = planner->in;

    return weight > in->weight || mirror > in->mirror ||
           (match->kind != MATCH_NONE && !config_match_equals(match, &in->match));
}

/* True when all that the step needs is healthy, every worker has its weight, and the old ones that
 * make way for it are gone. */
static bool weight_holds(struct planner *planner, uint32_t step)
{
    const struct plan_observed *in = planner->in;
    uint32_t weight = plan_weight_at(in->spec, step);
    const struct config_match match = plan_match_at(in->spec, step);
    bool is_whole;
    char why[64];

    if (!raise_to(planner,
                  in->spec->scale_to > 0 ? in->spec->scale_to : plan_replicas_at(in->spec, step)))
        return false;
    if (in->wish_pause) {
        wait_for_resume(planner);
        return false;
    }
    if (in->spec->scale_to > 0)
        return true; /* they are stable ones: there is nothing to split */
    weight = ramped(planner, step, weight);
    is_whole = weight == plan_weight_at(in->spec, step);
    if (brings_traffic(planner, weight, plan_mirror_at(in->spec, step), &match) &&
        !planner_tasks_before_traffic(planner, step))
        return false;
    snprintf(why, sizeof(why), "step %u: all it needs are healthy", (unsigned)step + 1);
    if (planner_route(planner, weight, plan_mirror_at(in->spec, step), &match, why)) {
        if (is_whole)
            return planner_old_are_away(planner, plan_replicas_at(in->spec, step));
        planner_wait(planner, "for the share of the new ones to grow from %u percent",
                     (unsigned)weight / 100);
    }
    if ((in->weight == weight || !is_whole) && step < in->spec->step_count &&
        in->spec->steps[step].kind == STEP_SET_WEIGHT)
        enter_step(planner);
    return false;
}

/* Those that are watched, in the end. */
static bool all_are_up(const struct planner *planner)
{
    const struct plan_spec *spec = planner->in->spec;
    uint32_t wanted = spec->scale_to == 0               ? spec->replicas
                      : spec->scale_to > spec->replicas ? spec->scale_to - spec->replicas
                                                        : 0;

    return planner_count_healthy(planner, true) >= wanted;
}

/* True when the present step is done. */
static bool step_is_done(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    uint32_t step = planner->out->progress.step;
    bool is_watch = step >= in->spec->step_count;

    if (!weight_holds(planner, step)) {
        if (is_watch && (!in->wish_pause || !all_are_up(planner)))
            planner->out->progress.step_entered = false; /* the watch starts anew */
        return false;
    }
    if (is_watch && !planner_tasks(planner, POINT_VERIFY_SERVICE, step))
        return false;
    enter_step(planner);
    if (is_watch)
        return watch_is_over(planner) && planner_tasks(planner, POINT_CONFIRM_PROMOTION, step);
    switch (in->spec->steps[step].kind) {
    case STEP_PAUSE:
        return pause_is_over(planner, &in->spec->steps[step]);
    case STEP_ANALYSIS:
        return planner_analysis_is_over(planner);
    case STEP_SET_WEIGHT:
        return planner_tasks(planner, POINT_ROLLOUT, step);
    case STEP_REPLICAS:
    case STEP_MATCH:
    case STEP_MIRROR:
        break;
    }
    return true;
}

static void retire_surplus(struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (planner_is_surplus(planner, i))
            planner_retire(planner, i);
    }
}

static void bring_up_old(struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!planner->in->containers[i].is_new && !planner->in->containers[i].kept)
            planner_bring_up(planner, i);
    }
}

static void promote(struct planner *planner)
{
    struct plan_progress *progress = &planner->out->progress;

    planner_clear_actions(planner); /* what was to come up may be what goes now */
    progress->phase = PHASE_PROMOTED;
    progress->changed_ms = 0;
    progress->promote_wanted = false;
}

void plan_forward(struct planner *planner)
{
    struct plan_progress *progress = &planner->out->progress;
    const struct plan_observed *in = planner->in;

    note_seen(planner);
    progress->promote_wanted = progress->promote_wanted || in->wish_promote;
    if (in->wish_abort) {
        planner_go_back(planner, "aborted by an operator");
        progress->aborted = true;
        return;
    }
    if (find_failure(planner) || planner_analyse(planner) || planner_is_asked_back(planner))
        return;
    bring_up_old(planner);
    if (!planner_redo_failed(planner))
        return;
    retire_surplus(planner);
    if (!planner_tasks(planner, POINT_CONFIRM_ROLLOUT, 0)) {
        (void)planner_deadline(planner, false);
        return;
    }
    while (progress->phase == PHASE_FORWARD && step_is_done(planner)) {
        if (progress->step >= in->spec->step_count) {
            promote(planner);
            return;
        }
        progress->step++;
        progress->step_entered = false;
        progress->step_since_ms = in->now_ms;
        progress->changed_ms = in->now_ms;
    }
    if (progress->phase == PHASE_FORWARD &&
        planner_deadline(planner, !in->wish_pause && !planner->on_schedule)) {
        char waited[PLAN_DURATION_BYTES], waiting[PLAN_WHY_BYTES];

        snprintf(waiting, sizeof(waiting), "%s", planner->out->waiting);
        planner_go_back(planner, "no progress for %s%s%s",
                        planner_duration(in->spec->progress_deadline_ms, waited),
                        waiting[0] != '\0' ? "; it waited " : "", waiting);
    }
}
