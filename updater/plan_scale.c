/* A scale: as many as were asked for, of what runs.
 *
 * Up: new ones come up as in a rollout (plan_forward.c), but in the stable group: in rotation, with
 * slow start, once they are healthy. Where one fails, all of them go again (plan_back.c). Down:
 * those of the highest ordinals are drained, stopped and removed. A first deployment is a scale up
 * from none. */
#include "plan_parts.h"

static bool goes(const struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    return planner_is_surplus(planner, index) || !plan_stays(planner->in->spec, container->ordinal);
}

static unsigned count_going(const struct planner *planner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++)
        count += goes(planner, i);
    return count;
}

static unsigned count_healthy_staying(const struct planner *planner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->in->container_count; i++)
        count += !goes(planner, i) && container_is_healthy(&planner->in->containers[i]);
    return count;
}

/* It serves, or may in a moment. */
static bool is_useful(const struct plan_container *container)
{
    return container->state == CONTAINER_RUNNING &&
           (container->backend == BACKEND_FREE || container->verdict != VERDICT_UNHEALTHY);
}

/* Back into rotation, where it was on its way out. */
static void keep(struct planner *planner, unsigned index)
{
    const struct plan_container *container = &planner->in->containers[index];

    if (container->backend == BACKEND_DRAINING && container->verdict == VERDICT_HEALTHY &&
        !container->busy)
        planner_act_on(planner, ACTION_READY, index, "no other container serves");
    else
        planner_bring_up(planner, index);
    planner_wait(planner, "for one of those that stay to be healthy, before %s goes",
                 container->name);
}

/* The last that serve do not go before another does. */
static void retire(struct planner *planner)
{
    unsigned healthy = count_healthy_staying(planner);
    bool waits = false;

    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!goes(planner, i))
            continue;
        if (healthy == 0 && !planner_is_surplus(planner, i) &&
            is_useful(&planner->in->containers[i])) {
            waits = true;
            keep(planner, i);
        } else {
            planner_retire(planner, i);
        }
    }
    if (planner_deadline(planner, waits))
        planner_need_attention(planner, "none of those that were to stay is healthy: the others "
                                        "were kept");
}

void plan_scaled(struct planner *planner)
{
    for (unsigned i = 0; i < planner->in->container_count; i++) {
        if (!goes(planner, i))
            planner_bring_up(planner, i);
    }
    retire(planner);
    planner_complete(planner, count_going(planner));
}
