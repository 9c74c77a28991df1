/* Replicas that make way in turn (rolling, stop-first): who may leave, start and be held for. */
#include "world.h"

bool check_is_in_turn(const struct world *world)
{
    return world->spec.strategy == STRATEGY_ROLLING || world->spec.order == ORDER_STOP_FIRST;
}

bool check_is_stop_first(const struct world *world)
{
    return world->spec.order == ORDER_STOP_FIRST;
}

/* The same for both groups together, where replicas make way in turn: one that was stopped to be
 * kept can serve again. */
static unsigned least_of_all(const struct world *world)
{
    unsigned wanted = world->spec.replicas > world->spec.max_unavailable
                          ? world->spec.replicas - world->spec.max_unavailable
                          : 1;
    unsigned possible = 0;

    for (unsigned ordinal = 0; ordinal < world->spec.replicas; ordinal++) {
        bool is_alive = false;

        for (int i = 0; i < world->container_count; i++) {
            const struct sim_container *container = &world->containers[i];
            bool is_kept = container->seen_state == CONTAINER_EXITED && container->stop_meant &&
                           (container->attempted != ACTION_START || container->attempts < 5);

            is_alive = is_alive || (container->ordinal == ordinal && container->seen &&
                                    !(container->is_new && world->progress.phase == PHASE_BACK) &&
                                    container->seen_state != CONTAINER_REMOVING &&
                                    (container->seen_state != CONTAINER_EXITED || is_kept));
        }
        possible += is_alive;
    }
    if (possible < wanted)
        wanted = possible;
    return wanted > 0 ? wanted : 1;
}

/* On the way back: some old one that there is does not serve yet. */
bool check_old_are_missing(const struct world *world)
{
    for (int i = 0; i < world->container_count; i++) {
        if (world->containers[i].seen && !world->containers[i].is_new &&
            !check_in_rotation(&world->containers[i]))
            return true;
    }
    return false;
}

static const struct sim_container *other_of(const struct world *world,
                                            const struct sim_container *container)
{
    const struct sim_container *best = NULL;

    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *other = &world->containers[i];

        if (other->seen && other->is_new != container->is_new &&
            other->ordinal == container->ordinal && (best == NULL || check_in_rotation(other)))
            best = other;
    }
    return best;
}

/* Where replicas make way in turn an old one leaves for its replacement, and is kept until the
 * promotion; a new one leaves forward only where it failed, to be made again. */
void check_turn(struct world *world, const struct sim_container *container,
                enum plan_action_kind kind)
{
    const struct sim_container *other = other_of(world, container);
    uint64_t failed = world->progress.failed[container->ordinal / 64];

    if (container->is_new) {
        if (world->progress.phase == PHASE_PROMOTED ||
            (world->progress.phase == PHASE_FORWARD && (failed >> container->ordinal & 1) == 0))
            check_break(world, "%s of %s, which has not failed", plan_action_name(kind),
                        container->name);
        return;
    }
    if (world->progress.phase == PHASE_BACK && container->stop_meant && kind != ACTION_REMOVE &&
        container->backend != BACKEND_READY)
        return; /* a stop that was under way is made certain */
    if (world->progress.phase != PHASE_FORWARD || kind == ACTION_REMOVE)
        check_break(world, "%s of %s in phase %s", plan_action_name(kind), container->name,
                    plan_phase_name(world->progress.phase));
    if (check_is_stop_first(world) && !tasks_allow_room(world))
        check_break(world, "%s of %s before its hooks", plan_action_name(kind), container->name);
    if (other == NULL ||
        (kind == ACTION_DRAIN && !check_is_stop_first(world) && !check_in_rotation(other)))
        check_break(world, "%s of %s, and its replacement is not there", plan_action_name(kind),
                    container->name);
}

/* Invariant 2 over both groups; its exception: stop-first the last one leaves while all is held. */
void check_turn_drain(struct world *world, const struct sim_container *container)
{
    unsigned left = check_healthy(world, false) + check_healthy(world, true);

    if (!check_in_rotation(container))
        return;
    left--;
    if (left >= least_of_all(world) ||
        (check_is_stop_first(world) && left == 0 && traffic_is_held(world)))
        return;
    if (world->progress.phase == PHASE_BACK && left > 0 && check_is_short_for_too_long(world))
        return;
    check_break(world, "drain of %s leaves %u healthy ones", container->name, left);
}

static bool seems_to_run(const struct sim_container *container)
{
    return container->seen && (container->seen_state == CONTAINER_RUNNING ||
                               container->seen_state == CONTAINER_PAUSED ||
                               container->seen_state == CONTAINER_RESTARTING);
}

/* Stop-first two of an ordinal never run at once; rolling, start-first, no more than max_surge come
 * on top. */
void check_turn_start(struct world *world, int index)
{
    const struct sim_container *container = &world->containers[index];
    const struct sim_container *other = other_of(world, container);
    unsigned running = 0;

    if (check_is_stop_first(world) && other != NULL && seems_to_run(other))
        check_break(world, "start of %s beside %s", container->name, other->name);
    for (int i = 0; i < world->container_count; i++)
        running +=
            seems_to_run(&world->containers[i]) && !check_is_surplus(world, &world->containers[i]);
    for (int i = 0; i < OPERATIONS_MAX; i++)
        running += world->operations[i].is_on && world->operations[i].kind == ACTION_START &&
                   world->operations[i].incarnation == world->incarnation &&
                   world->containers[world->operations[i].container].seen;
    if (world->spec.strategy == STRATEGY_ROLLING && !check_is_stop_first(world) &&
        running >= world->spec.replicas + world->spec.max_surge)
        check_break(world, "start of %s beside %u that run", container->name, running);
}
