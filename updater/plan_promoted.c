/* Promoted: no way back. Old containers are drained, stopped and removed; names are put right. */
#include "plan_parts.h"

#include <string.h>

static bool name_is_final(const struct plan_container *container)
{
    return container->final_name[0] == '\0' || strcmp(container->name, container->final_name) == 0;
}

/* By whom: an index; -1: nobody. */
static int name_owner(const struct planner *planner, const char *name)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (strcmp(planner->in->containers[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* In a scale somebody may have made one of that name meanwhile: it stays, and so does the other's
 * name. */
static bool name_stays_taken(const struct planner *planner, int owner)
{
    return owner >= 0 && planner->in->spec->scale_to > 0 &&
           !planner->in->containers[owner].is_new &&
           plan_stays(planner->in->spec, planner->in->containers[owner].ordinal);
}

static unsigned count_leaving(const struct planner *planner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++)
        count += !planner->in->containers[i].is_new || planner_is_surplus(planner, i);
    return count;
}

/* Returns how many names are still to be put right. */
static unsigned rename_new(struct planner *planner)
{
    unsigned left = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];
        int owner;

        if (!container->is_new || name_is_final(container) || planner_is_surplus(planner, i) ||
            container->state == CONTAINER_REMOVING)
            continue;
        owner = name_owner(planner, container->final_name);
        if (name_stays_taken(planner, owner))
            continue;
        left++;
        if (owner >= 0)
            continue;
        if (container_gave_up(container, ACTION_RENAME) && !container->busy) {
            planner_need_attention(planner, "%s could not be renamed to %s in %u tries",
                                   container->name, container->final_name,
                                   (unsigned)container->attempts);
            return left;
        }
        planner_act_on(planner, ACTION_RENAME, i,
                       planner->in->spec->scale_to > 0 ? "it stays"
                                                       : "the old one of this name is gone");
    }
    return left;
}

/* True when the old ones may go on leaving. */
static bool new_ones_carry(struct planner *planner, unsigned healthy, unsigned floor)
{
    if (planner_count(planner, false) == 0 || healthy >= floor) {
        (void)planner_deadline(planner, false);
        return true;
    }
    if (planner_deadline(planner, true)) {
        planner_need_attention(planner,
                               "%u of %u new containers are healthy: the old ones that are "
                               "left were kept",
                               healthy, (unsigned)planner->in->spec->replicas);
        return false;
    }
    if (healthy > 0)
        return true;
    planner_keep_serving(planner, false);
    planner_wait(planner, "for a new container to be healthy: none is, so the old ones stay");
    return false;
}

static bool take_weight(struct planner *planner)
{
    static const struct config_match none;

    return planner_route(planner, WEIGHT_MAX, 0, &none, "the new version is promoted");
}

static void retire_old(struct planner *planner, unsigned healthy, unsigned floor)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        const struct plan_container *container = &planner->in->containers[i];

        if (container->is_new && !planner_is_surplus(planner, i))
            continue;
        if (!container->is_new && healthy < floor && container_is_healthy(container))
            planner_wait(planner, "for %u new containers to be healthy, %u are, before %s goes",
                         floor, healthy, container->name);
        else
            planner_retire(planner, i);
    }
}

void planner_complete(struct planner *planner, unsigned leaving)
{
    const struct plan_observed *in = planner->in;
    bool old_stay = in->spec->scale_to > 0;
    unsigned left;

    if (planner->out->progress.phase == PHASE_ENDED)
        return;
    left = rename_new(planner);
    if (planner->out->progress.phase == PHASE_ENDED || planner->out->action_count > 0)
        return;
    if (in->creating > 0)
        planner_wait(planner, "for the engine to answer: a container may still be made");
    else if (left > 0)
        planner_wait(planner, "for the names to be put right");
    else if (planner_awaits_restart(planner, true) ||
             (old_stay && planner_awaits_restart(planner, false)))
        return;
    else if (leaving > 0 || !in->engine_reachable)
        planner_wait(planner, "for the engine to be reachable again");
    else if (planner_tasks(planner, POINT_POST_ROLLOUT, 0))
        planner_end(planner, OUTCOME_COMPLETED);
}

void plan_promoted(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    unsigned healthy = planner_count_healthy(planner, true);
    unsigned floor = planner_floor(planner, true);

    for (unsigned i = 0; i < in->container_count; i++) {
        if (in->containers[i].is_new && !planner_is_surplus(planner, i))
            planner_bring_up(planner, i);
    }
    if (!new_ones_carry(planner, healthy, floor) || !take_weight(planner))
        return;
    retire_old(planner, healthy, floor);
    planner_complete(planner, count_leaving(planner));
}
