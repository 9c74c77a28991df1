/* What has to be the case when a rollout has ended. */
#include "world.h"

#include <string.h>

/* Each ordinal has its one container, unless a stranger took it. */
static void check_ordinal(struct world *world, unsigned ordinal)
{
    unsigned there = 0, lost = 0;

    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        if (!container->is_new || container->ordinal != ordinal)
            continue;
        there += container->exists;
        lost += container->is_lost;
    }
    if (there != 1 && !(there == 0 && lost > 0))
        check_break(world, "completed with %u containers of ordinal %u", there, ordinal);
}

static void check_completed(struct world *world)
{
    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        if (!container->exists)
            continue;
        if (!container->is_new)
            check_break(world, "completed, and %s is left", container->name);
        if (strcmp(container->name, container->final_name) != 0)
            check_break(world, "completed, and a container is still named %s", container->name);
        if (container->is_new && container->we_stopped)
            check_break(world, "completed, and %s was stopped", container->name);
    }
    for (unsigned ordinal = 0; ordinal < world->spec.replicas; ordinal++)
        check_ordinal(world, ordinal);
    if (world->table.weight != WEIGHT_MAX)
        check_break(world, "completed at weight %u", world->table.weight);
}

static void check_gone_back(struct world *world)
{
    unsigned old = 0;

    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        if (container->is_new && container->exists)
            check_break(world, "back, and %s is left", container->name);
        if (!container->is_new && !container->exists && !container->is_lost)
            check_break(world, "back, and %s is lost", container->name);
        if (!container->is_new && container->exists &&
            (container->we_stopped || container->we_removed))
            check_break(world, "back, and %s was stopped", container->name);
        if (!container->is_new && strcmp(container->name, container->final_name) != 0)
            check_break(world, "back, and %s is misnamed", container->name);
        old += !container->is_new && container->exists;
    }
    if (old == 0 && world->spec.replicas > 0)
        check_break(world, "back, and no old container is there");
    if (world->table.weight != 0)
        check_break(world, "back at weight %u", world->table.weight);
    if (world->table.mirror != 0 || world->table.match.kind != MATCH_NONE)
        check_break(world, "back, and a match or mirror is left");
}

/* At the very end, before anything else happens: nobody is kept from serving who could. */
void check_serving(struct world *world)
{
    unsigned could = 0, serve = 0;

    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *container = &world->containers[i];

        serve += check_in_rotation(container); /* for all that it can know */
        could += container->exists && container->state == CONTAINER_RUNNING &&
                 container->verdict == VERDICT_HEALTHY && container->backend != BACKEND_FREE;
    }
    if (check_is_first(world) && world->progress.outcome != OUTCOME_COMPLETED)
        could = 0; /* it was to go again: before it nothing served */
    if (could > 0 && serve == 0)
        check_break(world, "ended (%s), and nothing serves, though %u could",
                    plan_outcome_name(world->progress.outcome), could);
    if (world->is_up && world->table.held_until > world->now)
        check_break(world, "ended, and exchanges are still held");
}

static bool may_fail(const struct world *world)
{
    bool may = false;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        may = may || world->spec.drain.budgets[kind].on_timeout == ON_TIMEOUT_FAIL;
    return may;
}

/* A drain that may not be ended when its budget has passed. */
static bool may_turn_back(const struct world *world)
{
    bool may = false;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        may = may || world->spec.drain.budgets[kind].on_timeout != ON_TIMEOUT_CLOSE;
    return may;
}

void check_end(struct world *world)
{
    enum plan_outcome outcome = world->progress.outcome;

    if (world->progress.phase != PHASE_ENDED) {
        check_break(world, "it never ended: phase %s, step %u",
                    plan_phase_name(world->progress.phase), world->progress.step);
        return;
    }
    if (world->table.held_until > world->now)
        check_break(world, "held for ever");
    if (world->is_clean && outcome != OUTCOME_COMPLETED &&
        strstr(world->progress.why, "stayed inconclusive") == NULL &&
        strstr(world->progress.why, "no yes within half of") == NULL &&
        !(check_is_in_turn(world) && may_turn_back(world)) &&
        !(outcome == OUTCOME_NEEDS_ATTENTION && may_fail(world)))
        check_break(world, "nothing went wrong, and yet: %s (%s)", plan_outcome_name(outcome),
                    world->progress.why);
    if (outcome != OUTCOME_NEEDS_ATTENTION && !tasks_allow(world, POINT_POST_ROLLOUT, 0))
        check_break(world, "ended (%s) before the hooks at its end", plan_outcome_name(outcome));
    if (outcome == OUTCOME_COMPLETED && check_is_scale(world))
        check_scaled(world);
    else if (outcome == OUTCOME_COMPLETED)
        check_completed(world);
    else if (outcome == OUTCOME_ROLLED_BACK || outcome == OUTCOME_ABORTED)
        check_gone_back(world);
}
