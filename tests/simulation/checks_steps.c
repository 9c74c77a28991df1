/* The invariants of a plan's steps, computed from the world's own books: what each needs before it
 * ends, and what it routes. */
#include "world.h"

#include <string.h>

/* What the new version's requests came to since the simulation began. */
void check_count_new(const struct world *world, uint64_t *ret_requests, uint64_t *ret_failures)
{
    *ret_requests = *ret_failures = 0;
    for (int i = 0; i < world->container_count; i++) {
        if (!world->containers[i].is_new)
            continue;
        *ret_requests += world->containers[i].requests;
        *ret_failures += world->containers[i].failed;
    }
}

/* The same in the updater's window: one that died since opened another. */
static void count_in_window(const struct world *world, uint64_t *ret_requests,
                            uint64_t *ret_failures)
{
    check_count_new(world, ret_requests, ret_failures);
    for (int i = 0; i < world->container_count; i++) {
        if (!world->containers[i].is_new)
            continue;
        *ret_requests -= world->containers[i].base_requests;
        *ret_failures -= world->containers[i].base_failed;
    }
}

/* An analysis takes its time, sees enough, and lets nothing through that plainly fails: where most
 * of many do, no look at it is in doubt. */
void check_step_analysis(struct world *world, const struct config_analysis *rules,
                         uint64_t waited_ms, uint32_t step)
{
    uint64_t requests, failures;

    check_count_new(world, &requests, &failures);
    requests -= world->step_requests;
    if (world->next_promotes > 0) {
        world->next_promotes = 0;
        return;
    }
    if (waited_ms < rules->interval_ms)
        check_break(world, "analysis %u ended after %u of %u ms", step, (unsigned)waited_ms,
                    rules->interval_ms);
    if (requests < rules->min_requests && rules->inconclusive != INCONCLUSIVE_PASS)
        check_break(world, "analysis %u passed with %u of %u requests", step, (unsigned)requests,
                    rules->min_requests);
    count_in_window(world, &requests, &failures);
    if (requests > 30 && requests >= rules->min_requests && failures * 2 > requests)
        check_break(world, "analysis %u passed with %u of %u requests failed", step,
                    (unsigned)failures, (unsigned)requests);
}

static uint32_t route_of_step(const struct world *world, uint32_t step, struct config_match *match)
{
    uint32_t mirror = 0;
    bool is_full = step >= world->spec.step_count;

    memset(match, 0, sizeof(*match));
    for (uint32_t i = 0; i <= step && i < world->spec.step_count; i++) {
        is_full = is_full ||
                  (world->steps[i].kind == STEP_SET_WEIGHT && world->steps[i].weight == WEIGHT_MAX);
        if (world->steps[i].kind == STEP_MIRROR)
            mirror = world->steps[i].mirror;
        if (world->steps[i].kind == STEP_MATCH)
            *match = world->steps[i].match;
    }
    if (is_full)
        memset(match, 0, sizeof(*match));
    return is_full ? 0 : mirror;
}

/* Match and mirror of the step are in every worker when it ends. */
void check_step_taken(struct world *world, uint32_t step)
{
    struct config_match match;
    uint32_t mirror = route_of_step(world, step, &match);

    for (unsigned i = 0; i < world->worker_count; i++) {
        const struct sim_view *view = &world->workers[i].view;

        if (world->workers[i].live &&
            (view->mirror != mirror || !config_match_equals(&view->match, &match)))
            check_break(world, "step %u ended before worker %u took its match or mirror", step, i);
    }
}

void check_step_raised(struct world *world, uint32_t wanted, uint32_t step)
{
    if (wanted > world->spec.replicas)
        wanted = world->spec.replicas;
    if (check_healthy(world, true) < wanted)
        check_break(world, "step %u ended with %u of %u new ones healthy", step,
                    check_healthy(world, true), wanted);
}

/* As the weight needs, or the last `replicas` step says; all for the full weight. */
uint64_t check_step_replicas(const struct world *world, uint32_t step, uint32_t weight)
{
    uint64_t needed = ((uint64_t)weight * world->spec.replicas + WEIGHT_MAX - 1) / WEIGHT_MAX;

    for (uint32_t i = 0; i <= step && i < world->spec.step_count && weight < WEIGHT_MAX; i++) {
        if (world->steps[i].kind == STEP_REPLICAS)
            needed = world->steps[i].replicas;
    }
    return needed < world->spec.replicas ? needed : world->spec.replicas;
}

void check_step_route(struct world *world, const struct plan_action *action)
{
    struct config_match match = {.kind = MATCH_NONE};
    uint32_t mirror = 0;

    if (world->progress.phase == PHASE_FORWARD)
        mirror = route_of_step(world, world->progress.step, &match);
    if (action->mirror != mirror || !config_match_equals(&action->match, &match))
        check_break(world, "match or mirror are not those of the step or phase");
    if ((mirror > 0 || match.kind != MATCH_NONE) && check_healthy(world, true) == 0)
        check_break(world, "match or mirror lead to a group without a healthy backend");
}
