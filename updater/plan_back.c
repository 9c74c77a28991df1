/* Back: the weight goes to what still runs, then the new ones are drained, stopped and removed. */
#include "plan_parts.h"

#include <stdio.h>

/* New ones that serve, or could: health's word counts, for what the engine told of a pause or a
 * restart may be over by now. */
static unsigned count_useful_new(const struct planner *planner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        count += container->is_new && container_runs(container) &&
                 container->backend != BACKEND_FREE && container->verdict == VERDICT_HEALTHY;
    }
    return count;
}

/* Old ones that nobody has judged yet: they may serve in a moment. */
static bool old_ones_are_coming(const struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (!container->is_new && container->state == CONTAINER_RUNNING &&
            !container_gave_up(container, ACTION_PUBLISH) &&
            (container->backend == BACKEND_FREE || container->verdict == VERDICT_UNKNOWN ||
             container->verdict == VERDICT_STARTING))
            return true;
    }
    return false;
}

/* The way back leads nowhere: whoever is healthy goes on serving. */
static void hold(struct planner *planner)
{
    planner_keep_serving(planner, true);
    planner_wait(planner,
                 "for an old container to be healthy: only new ones serve now, so they stay");
    if (planner_deadline(planner, true))
        planner_need_attention(planner,
                               "no old container is healthy: the new ones were left serving");
}

bool planner_is_stranded(struct planner *planner)
{
    if (planner->in->spec->replicas == 0 || planner_count(planner, false) > 0 ||
        !planner->in->engine_reachable)
        return false;
    if (count_useful_new(planner) > 0)
        hold(planner); /* old ones may be made anew by somebody */
    else
        planner_need_attention(planner, planner_count(planner, true) > 0
                                            ? "somebody has removed every old container: the new "
                                              "ones were kept"
                                            : "somebody has removed every container");
    return true;
}

static bool take_weight(struct planner *planner)
{
    static const struct config_match none;
    char why[PLAN_WHY_BYTES];

    snprintf(why, sizeof(why), "back: %.370s", planner->out->progress.why);
    return planner_route(planner, 0, 0, &none, why);
}

/* Too few old ones serve, but they may recover: healthy new ones stay meanwhile, not for ever. */
static void retire_new(struct planner *planner, unsigned old_healthy)
{
    const struct plan_observed *in = planner->in;
    unsigned floor = planner_floor(planner, false);
    bool is_coming = old_healthy == 0 && old_ones_are_coming(planner);
    bool is_short =
        in->spec->replicas > 0 && old_healthy < floor && planner_count_healthy(planner, true) > 0;

    if (planner_deadline(planner, is_short || is_coming))
        is_short = is_coming = false;
    for (unsigned i = 0; i < in->container_count; i++) {
        if (!in->containers[i].is_new)
            continue;
        if (is_coming)
            planner_wait(planner, "for an old container to be healthy, before %s goes",
                         in->containers[i].name);
        else if (is_short && container_is_healthy(&in->containers[i]))
            planner_wait(planner, "for %u old containers to be healthy, %u are, before %s goes",
                         floor, old_healthy, in->containers[i].name);
        else
            planner_retire(planner, i);
    }
}

static void bring_up_old(struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!planner->in->containers[i].is_new)
            planner_bring_up(planner, i);
    }
}

void plan_back(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    const struct plan_progress *progress = &planner->out->progress;
    unsigned old_healthy = planner_count_healthy(planner, false);

    /* Of a first deployment nothing was there before: back is to nothing. */
    if (planner_replaces(planner)) {
        plan_back_replaced(planner);
        return;
    }
    if (planner_is_stranded(planner))
        return;
    bring_up_old(planner);
    if (in->spec->replicas > 0 && old_healthy == 0 && count_useful_new(planner) > 0) {
        hold(planner);
        return;
    }
    if (!take_weight(planner))
        return;
    retire_new(planner, old_healthy);
    if (progress->phase == PHASE_ENDED || planner->out->action_count > 0)
        return;
    if (in->creating > 0)
        planner_wait(planner, "for the engine to answer: a container may still be made");
    else if (planner_awaits_restart(planner, false))
        return;
    else if (planner_count(planner, true) > 0 || !in->engine_reachable)
        planner_wait(planner, "for the engine to be reachable again");
    else if (planner_tasks(planner, POINT_POST_ROLLOUT, 0))
        planner_end(planner, progress->aborted ? OUTCOME_ABORTED : OUTCOME_ROLLED_BACK);
}
