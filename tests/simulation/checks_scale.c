/* Scales, and first deployments, which are scales up from none: who comes, who goes, who stays. */
#include "world.h"

#include <string.h>

bool check_is_scale(const struct world *world)
{
    return world->spec.scale_to > 0;
}

bool check_is_first(const struct world *world)
{
    return world->spec.replicas == 0;
}

unsigned check_ordinals(const struct world *world)
{
    return world->spec.scale_to > world->spec.replicas ? world->spec.scale_to
                                                       : world->spec.replicas;
}

/* Of those that are to be there in the end. */
unsigned check_healthy_staying(const struct world *world)
{
    unsigned count = 0;

    for (int i = 0; i < world->container_count; i++)
        count += world->containers[i].ordinal < world->spec.scale_to &&
                 check_in_rotation(&world->containers[i]);
    return count;
}

void check_scale_create(struct world *world, uint16_t ordinal)
{
    if (ordinal < world->spec.replicas || ordinal >= world->spec.scale_to)
        check_break(world, "create of ordinal %u in a scale from %u to %u", ordinal,
                    world->spec.replicas, world->spec.scale_to);
}

void check_scale_promotion(struct world *world)
{
    unsigned came = check_healthy(world, true);
    unsigned wanted = world->spec.scale_to > world->spec.replicas
                          ? world->spec.scale_to - world->spec.replicas
                          : 0;
    bool was_watched =
        wanted == 0 || (world->full_since != 0 &&
                        (world->now - world->full_since) * TICK_MS >= world->spec.monitor_ms);

    if (came < wanted)
        check_break(world, "scaled with %u of %u new ones healthy", came, wanted);
    if (!was_watched && world->next_promotes == 0)
        check_break(world, "the new ones were not watched for their time");
    world->next_promotes = 0;
}

/* Down: those beyond the number go, once it is settled. Up: the new ones, on the way back. */
void check_scale_leaving(struct world *world, const struct sim_container *container,
                         enum plan_action_kind kind)
{
    bool is_beyond = container->ordinal >= world->spec.scale_to;
    bool may = world->progress.phase == PHASE_BACK
                   ? container->is_new
                   : world->progress.phase == PHASE_PROMOTED && is_beyond;

    if (!may)
        check_break(world, "%s of %s in phase %s of a scale to %u", plan_action_name(kind),
                    container->name, plan_phase_name(world->progress.phase), world->spec.scale_to);
}

/* Invariant 2: what stays serves, before the others go. Back to nothing there is none to stay. */
void check_scale_drain(struct world *world, const struct sim_container *container)
{
    bool is_back = world->progress.phase == PHASE_BACK;
    unsigned left = is_back ? check_healthy(world, false) : check_healthy_staying(world);

    if (!check_in_rotation(container) || (is_back && check_is_first(world)))
        return;
    if (left == 0)
        check_break(world, "drain of %s leaves nothing that serves", container->name);
}

/* All that are to come are in rotation, and can be watched; ill ones are the planner's to see. */
bool check_scale_is_full(const struct world *world)
{
    unsigned count = 0;

    for (int i = 0; i < world->container_count; i++)
        count += world->containers[i].is_new && world->containers[i].backend == BACKEND_READY;
    return count + world->spec.replicas >= world->spec.scale_to;
}

bool check_scale_is_short(const struct world *world)
{
    if (world->progress.phase == PHASE_BACK)
        return !check_is_first(world) && check_healthy(world, false) == 0;
    return world->progress.phase == PHASE_PROMOTED && check_healthy_staying(world) == 0;
}

static void check_ordinal(struct world *world, unsigned ordinal)
{
    bool is_new = ordinal >= world->spec.replicas;
    unsigned there = 0, lost = 0;

    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        if (container->ordinal != ordinal || container->is_new != is_new)
            continue;
        there += container->exists;
        lost += container->is_lost;
        if (container->exists && container->we_stopped)
            check_break(world, "scaled, and %s was stopped", container->name);
    }
    if (there != 1 && !(there == 0 && lost > 0))
        check_break(world, "scaled to %u, with %u containers of ordinal %u", world->spec.scale_to,
                    there, ordinal);
}

void check_scaled(struct world *world)
{
    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        if (container->exists && container->ordinal >= world->spec.scale_to)
            check_break(world, "scaled to %u, and %s is left", world->spec.scale_to,
                        container->name);
        if (container->exists && strcmp(container->name, container->final_name) != 0)
            check_break(world, "scaled, and a container is still named %s", container->name);
    }
    for (unsigned ordinal = 0; ordinal < world->spec.scale_to; ordinal++)
        check_ordinal(world, ordinal);
    if (world->table.weight != 0)
        check_break(world, "scaled, at weight %u", world->table.weight);
}
