#include "world.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t world_random(struct world *world, uint64_t below)
{
    uint64_t z = (world->random += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below > 0 ? z % below : 0;
}

bool world_chance(struct world *world, uint32_t per_ten_thousand)
{
    return world_random(world, 10000) < per_ten_thousand;
}

void world_note(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->verbose)
        return;
    printf("%6llu ", (unsigned long long)world->now);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void world_fault(struct world *world, enum fault fault, int container)
{
    world->faults[fault]++;
    world_note(world, "fault: %s %s", fault_name(fault),
               container >= 0 ? world->containers[container].name : "");
}

bool world_engine_is_away(const struct world *world)
{
    return world->now < world->away_until;
}

/* A fault of this kind now? Rates differ per rollout; nothing new begins in the calm at the end. */
static bool strikes(struct world *world)
{
    return !world->is_clean && world->now < world->calm_at &&
           world_chance(world, world->fault_rate);
}

void world_changed(struct world *world, int container)
{
    struct sim_container *changed = &world->containers[container];
    uint64_t at = world->now + world_random(world, 2);

    if (strikes(world)) {
        world_fault(world, FAULT_EVENT_LATE, container);
        at += world_random(world, 20);
    }
    if (changed->fresh_at == 0 || at < changed->fresh_at)
        changed->fresh_at = at > 0 ? at : 1;
}

static void decide_fate(struct world *world, int index)
{
    struct sim_container *container = &world->containers[index];
    uint32_t rate = world->is_clean ? 0 : world->fault_rate * 4;

    container->healthy_at = world->now + 1 + world_random(world, 8);
    if (world->is_bad_version || world_chance(world, rate)) {
        world_fault(world, FAULT_HEALTH_NEVER, index);
        container->healthy_at = UINT64_MAX;
    } else if (world_chance(world, rate)) {
        world_fault(world, FAULT_HEALTH_SLOW, index);
        container->healthy_at = world->now + 10 + world_random(world, 60);
    }
    if (world_chance(world, rate)) {
        world_fault(world, FAULT_SICK_LATER, index);
        container->sick_from = world->now + 10 + world_random(world, 200);
        container->sick_until = container->sick_from + 1 + world_random(world, 60);
        if (world_chance(world, 3000))
            container->sick_until = UINT64_MAX;
    }
    if (world_chance(world, rate)) {
        world_fault(world, FAULT_EXIT, index);
        container->exit_at = world->now + 1 + world_random(world, 200);
        if (world_chance(world, 5000)) {
            world_fault(world, FAULT_FLAP, index);
            container->back_at = container->exit_at + 2 + world_random(world, 5);
        }
    }
    for (enum plan_action_kind kind = ACTION_START; kind <= ACTION_RENAME; kind++) {
        static const enum fault final[] = {[ACTION_START] = FAULT_FINAL_START,
                                           [ACTION_STOP] = FAULT_FINAL_STOP,
                                           [ACTION_REMOVE] = FAULT_FINAL_REMOVE,
                                           [ACTION_RENAME] = FAULT_FINAL_RENAME};

        if (kind != ACTION_START && kind < ACTION_STOP)
            continue;
        container->never[kind] = world_chance(world, rate / 4);
        if (container->never[kind])
            world_fault(world, final[kind], index);
    }
}

int world_add_container(struct world *world, bool is_new, uint16_t ordinal)
{
    int index = world->container_count;
    struct sim_container *container = &world->containers[index];

    if (index == CONTAINERS_MAX) {
        check_break(world, "%d containers were made: it never ends", index);
        return -1;
    }
    world->container_count++;
    memset(container, 0, sizeof(*container));
    container->exists = true;
    container->is_new = is_new;
    container->ordinal = ordinal;
    container->state = is_new ? CONTAINER_CREATED : CONTAINER_RUNNING;
    snprintf(container->final_name, sizeof(container->final_name), "web-%u", ordinal + 1u);
    if (is_new)
        snprintf(container->name, sizeof(container->name), "web-%u-new-%u", ordinal + 1u,
                 ++world->made);
    else
        memcpy(container->name, container->final_name, sizeof(container->name));
    decide_fate(world, index);
    return index;
}

static void add_old(struct world *world, uint16_t ordinal)
{
    bool is_bad = world->is_bad_version;
    int index;
    struct sim_container *container;

    world->is_bad_version = false;
    index = world_add_container(world, false, ordinal);
    world->is_bad_version = is_bad;
    check(index >= 0);
    container = &world->containers[index];
    container->healthy_at = 0;
    container->backend = BACKEND_READY;
    container->verdict = VERDICT_HEALTHY;
    container->seen = true;
    container->seen_state = CONTAINER_RUNNING;
    memcpy(container->seen_name, container->name, sizeof(container->name));
    if (!world->is_clean && world_chance(world, world->fault_rate * 2)) {
        world_fault(world, FAULT_OLD_SICK, index);
        container->verdict = VERDICT_UNHEALTHY;
        container->sick_until = world_chance(world, 5000) ? UINT64_MAX : world_random(world, 300);
    }
}

static struct config_analysis choose_analysis(struct world *world)
{
    return (struct config_analysis){
        .on = true,
        .success_rate = 9000,
        .compare = world_chance(world, 5000),
        .min_requests = 1 + (uint32_t)world_random(world, 10),
        .interval_ms = (uint32_t)(5 + world_random(world, 40)) * TICK_MS,
        .inconclusive = world_chance(world, 6000)   ? INCONCLUSIVE_WAIT
                        : world_chance(world, 8000) ? INCONCLUSIVE_PASS
                                                    : INCONCLUSIVE_FAIL,
    };
}

/* What may stand before a weight. */
static void choose_before(struct world *world, size_t *count)
{
    struct config_step *step = &world->steps[*count];

    if (world_chance(world, 1500)) {
        step->kind = STEP_REPLICAS;
        step->replicas = 1 + (uint32_t)world_random(world, 12);
        (*count)++;
    } else if (world_chance(world, 1500)) {
        step->kind = STEP_MATCH;
        step->match.kind = world_chance(world, 8000) ? MATCH_HEADER : MATCH_NONE;
        snprintf(step->match.name, sizeof(step->match.name), "x-%u", (unsigned)*count);
        (*count)++;
    } else if (world_chance(world, 1500)) {
        step->kind = STEP_MIRROR;
        step->mirror = (uint32_t)world_random(world, WEIGHT_MAX);
        (*count)++;
    }
}

/* What strategy blue_green comes to. */
static size_t choose_blue_green(struct world *world)
{
    size_t count = 0;

    world->steps[count++] =
        (struct config_step){.kind = STEP_REPLICAS, .replicas = world->spec.replicas};
    if (world_chance(world, 5000))
        world->steps[count++] = (struct config_step){.kind = STEP_PAUSE, .until_promoted = true};
    world->steps[count++] = (struct config_step){.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX};
    world->spec.monitor_ms = (uint32_t)world_random(world, 100) * TICK_MS;
    return count;
}

static void choose_steps(struct world *world)
{
    uint32_t weight = 0;
    size_t count = 0;

    if (world_chance(world, 1000)) {
        count = choose_blue_green(world);
        weight = WEIGHT_MAX;
    }
    while (weight < WEIGHT_MAX && count + 4 < STEPS_MAX) {
        choose_before(world, &count);
        weight += 1 + (uint32_t)world_random(world, WEIGHT_MAX * 2 / 3);
        if (weight > WEIGHT_MAX || count + 8 >= STEPS_MAX)
            weight = WEIGHT_MAX;
        if (weight == WEIGHT_MAX && world_chance(world, 2000))
            break; /* the last step is implied */
        world->steps[count++] = (struct config_step){.kind = STEP_SET_WEIGHT, .weight = weight};
        if (world_chance(world, 6000)) {
            world->steps[count].kind = STEP_PAUSE;
            world->steps[count].until_promoted = world_chance(world, 2000);
            world->steps[count++].pause_ms = (uint32_t)world_random(world, 15) * TICK_MS;
        } else if (weight < WEIGHT_MAX && world_chance(world, 4000)) {
            world->steps[count].kind = STEP_ANALYSIS;
            world->steps[count++].analysis = choose_analysis(world);
        }
    }
    world->spec.steps = world->steps;
    world->spec.step_count = count;
}

static void choose_drain(struct world *world, struct config_drain *drain)
{
    enum config_on_timeout common = world_chance(world, 7000)   ? ON_TIMEOUT_CLOSE
                                    : world_chance(world, 8000) ? ON_TIMEOUT_WAIT
                                                                : ON_TIMEOUT_FAIL;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t most = kind == KIND_WEBSOCKET || kind == KIND_TCP ? 80 : 40;

        drain->budgets[kind].timeout_ms = (uint32_t)(5 + world_random(world, most)) * TICK_MS;
        drain->budgets[kind].on_timeout =
            world_chance(world, 500) ? (enum config_on_timeout)world_random(world, 3) : common;
    }
}

/* Batch by batch; the weight of each gives that very number of new ones. */
static void choose_batches(struct world *world, uint32_t at_once)
{
    struct plan_spec *spec = &world->spec;
    bool delays = world_chance(world, 5000);

    spec->step_count = 0;
    for (uint32_t done = 0; done < spec->replicas;) {
        if (done > 0 && delays)
            world->steps[spec->step_count++] = (struct config_step){
                .kind = STEP_PAUSE, .pause_ms = (uint32_t)world_random(world, 15) * TICK_MS};
        done = done + at_once < spec->replicas ? done + at_once : spec->replicas;
        world->steps[spec->step_count++] = (struct config_step){
            .kind = STEP_SET_WEIGHT, .weight = done * WEIGHT_MAX / spec->replicas};
    }
}

/* How replicas are replaced: in half of the worlds all old ones run to the end. */
static void choose_way(struct world *world)
{
    struct plan_spec *spec = &world->spec;

    spec->order = world_chance(world, 3000) ? ORDER_STOP_FIRST : ORDER_START_FIRST;
    spec->strategy = world_chance(world, 4000) ? STRATEGY_ROLLING : STRATEGY_CANARY;
    spec->hold_ms = (uint32_t)(10 + world_random(world, 20)) * TICK_MS;
    spec->max_surge = 1 + (uint32_t)world_random(world, 3);
    if (spec->order == ORDER_STOP_FIRST)
        spec->max_unavailable = 1 + (uint32_t)world_random(world, 3);
    if (spec->strategy == STRATEGY_ROLLING) {
        spec->ramp_ms = (uint32_t)world_random(world, 20) * TICK_MS;
        spec->max_failures = (uint32_t)world_random(world, 3);
        spec->failure_action = world_chance(world, 3000) ? FAILURE_PAUSE : FAILURE_ROLLBACK;
        choose_batches(world,
                       spec->order == ORDER_STOP_FIRST ? spec->max_unavailable : spec->max_surge);
    }
}

static void choose_spec(struct world *world)
{
    struct plan_spec *spec = &world->spec;

    spec->replicas = world_chance(world, 2000) ? 1 : 1 + (uint32_t)world_random(world, 10);
    spec->max_unavailable = world_chance(world, 2000) ? (uint32_t)world_random(world, 3) : 0;
    choose_drain(world, &spec->drain);
    spec->health_timeout_ms = (uint32_t)(25 + world_random(world, 30)) * TICK_MS;
    spec->progress_deadline_ms = (uint32_t)(150 + world_random(world, 150)) * TICK_MS;
    spec->monitor_ms = (uint32_t)world_random(world, 10) * TICK_MS;
    if (world_chance(world, 3000))
        spec->analysis = choose_analysis(world);
    choose_steps(world);
    choose_way(world);
    tasks_init(world);
}

/* More or fewer of what runs, or the first ones. What rollout_spec_scale() does. */
static void choose_scale(struct world *world)
{
    struct plan_spec *spec = &world->spec;

    if (world_chance(world, 3000))
        spec->replicas = 0;
    do
        spec->scale_to = 1 + (uint32_t)world_random(world, 10);
    while (spec->scale_to == spec->replicas);
    spec->strategy = STRATEGY_CANARY;
    spec->order = ORDER_START_FIRST;
    spec->step_count = 0;
    spec->analysis.on = false;
    if (spec->scale_to < spec->replicas)
        spec->monitor_ms = 0;
}

void world_init(struct world *world, uint64_t seed)
{
    bool verbose = world->verbose;
    enum mutation mutation = world->mutation;

    memset(world, 0, sizeof(*world));
    world->seed = world->random = seed;
    world->verbose = verbose;
    world->mutation = mutation;
    world->now = 1;
    world->is_clean = world_chance(world, 2500);
    world->fault_rate = 1 + (uint32_t)world_random(world, 100);
    if (world_chance(world, 500))
        world->fault_rate = 400;
    world->calm_at = 50 + world_random(world, 800);
    world->is_bad_version = !world->is_clean && world_chance(world, 1000);
    world->is_failing_version = !world->is_clean && world_chance(world, 1500);
    if (world->is_failing_version)
        world_fault(world, FAULT_FAILING_VERSION, -1);
    world->create_never = !world->is_clean && world_chance(world, 200);
    world->image_at = world_random(world, 20);
    choose_spec(world);
    if (seed % 6 == 5)
        choose_scale(world);
    world->worker_count = 1 + (unsigned)world_random(world, WORKERS_MAX);
    for (uint32_t i = 0; i < world->spec.replicas; i++)
        add_old(world, (uint16_t)i);
    for (unsigned i = 0; i < world->worker_count; i++)
        world->workers[i].live = true;
    traffic_publish(world);
    for (unsigned i = 0; i < world->worker_count; i++)
        world->workers[i].view = world->table;
    world->is_up = world->has_listed = world->is_awake = true;
}

/* --- operations ---------------------------------------------------------------------------- */

static bool fails_now(struct world *world, enum plan_action_kind kind, int container)
{
    static const enum fault passing[] = {[ACTION_CREATE] = FAULT_CREATE_PASSING,
                                         [ACTION_START] = FAULT_START,
                                         [ACTION_STOP] = FAULT_STOP,
                                         [ACTION_REMOVE] = FAULT_REMOVE,
                                         [ACTION_RENAME] = FAULT_RENAME};

    if (container >= 0 && world->containers[container].never[kind])
        return true;
    if (world->is_clean || world->now >= world->calm_at ||
        !world_chance(world, world->fault_rate * 5))
        return false;
    world_fault(world, passing[kind], container);
    return true;
}

void world_operate(struct world *world, enum plan_action_kind kind, int container, uint16_t ordinal)
{
    struct sim_operation *operation = NULL;

    for (int i = 0; operation == NULL && i < OPERATIONS_MAX; i++) {
        if (!world->operations[i].is_on)
            operation = &world->operations[i];
    }
    check(operation != NULL);
    memset(operation, 0, sizeof(*operation));
    operation->is_on = true;
    operation->kind = kind;
    operation->container = container;
    operation->ordinal = ordinal;
    operation->incarnation = world->incarnation;
    operation->done_at = world->now + 1 +
                         world_random(world, kind == ACTION_STOP     ? 10
                                             : kind == ACTION_CREATE ? 5
                                                                     : 2);
    operation->fails = fails_now(world, kind, container);
    if (kind == ACTION_CREATE && world->create_never) {
        world_fault(world, FAULT_CREATE_FINAL, -1);
        operation->fails = operation->is_final = true;
    }
    if (strikes(world)) {
        world_fault(world, FAULT_ANSWER_LOST, container);
        operation->answer_lost = true;
    }
}

/* Stop-first: the other one of its ordinal has the port, the address, the volume. */
static bool is_in_the_way(const struct world *world, const struct sim_container *container)
{
    for (int i = 0; i < world->container_count; i++) {
        const struct sim_container *other = &world->containers[i];

        if (other->exists && other->is_new != container->is_new &&
            other->ordinal == container->ordinal && other->state == CONTAINER_RUNNING)
            return world->spec.order == ORDER_STOP_FIRST;
    }
    return false;
}

/* It goes on by itself, for a while or for ever. */
static bool removal_hangs(struct world *world, int index)
{
    struct sim_container *container = &world->containers[index];

    if (world->is_clean || world->now >= world->calm_at ||
        !world_chance(world, world->fault_rate * 3))
        return false;
    world_fault(world, FAULT_REMOVAL_HANGS, index);
    container->state = CONTAINER_REMOVING;
    container->removing_since = world->now;
    container->gone_at =
        world_chance(world, 1000) ? UINT64_MAX : world->now + world_random(world, 80);
    world_changed(world, index);
    return true;
}

/* False: the engine says no. */
static bool carry_out(struct world *world, struct sim_operation *operation)
{
    struct sim_container *container =
        operation->container >= 0 ? &world->containers[operation->container] : NULL;

    if (operation->fails)
        return false;
    if (operation->kind == ACTION_CREATE) {
        operation->container = world_add_container(world, true, operation->ordinal);
        return operation->container >= 0;
    }
    if (container == NULL || !container->exists)
        return operation->kind == ACTION_REMOVE || operation->kind == ACTION_STOP;
    if (operation->kind == ACTION_START) {
        if (is_in_the_way(world, container))
            return false;
        if (container->state == CONTAINER_EXITED && container->healthy_at != UINT64_MAX)
            container->healthy_at = world->now + 1 + world_random(world, 8);
        container->state = CONTAINER_RUNNING;
        container->started = world->now;
        container->we_stopped = false;
        container->ended_with_engine = false;
    } else if (operation->kind == ACTION_STOP && container->state != CONTAINER_CREATED) {
        container->state = CONTAINER_EXITED;
        container->back_at = container->exit_at = 0;
        container->we_stopped = true;
        traffic_end_all(world, operation->container);
    } else if (operation->kind == ACTION_REMOVE) {
        if (container->state == CONTAINER_RUNNING || container->state == CONTAINER_PAUSED)
            return false;
        if (container->state == CONTAINER_REMOVING || removal_hangs(world, operation->container))
            return false;
        container->exists = false;
        container->we_removed = true;
    } else if (operation->kind == ACTION_RENAME) {
        for (int i = 0; i < world->container_count; i++) {
            if (world->containers[i].exists &&
                strcmp(world->containers[i].name, container->final_name) == 0)
                return false;
        }
        memcpy(container->name, container->final_name, sizeof(container->name));
    }
    return true;
}

static void engine_tick(struct world *world)
{
    for (int i = 0; i < OPERATIONS_MAX; i++) {
        struct sim_operation *operation = &world->operations[i];
        bool is_done;

        if (!operation->is_on || world->now < operation->done_at)
            continue;
        is_done = carry_out(world, operation);
        operation->is_on = false;
        world_note(world, "engine: %s %s %s%s", plan_action_name(operation->kind),
                   operation->container >= 0 ? world->containers[operation->container].name : "-",
                   is_done ? "done" : "failed", operation->answer_lost ? ", answer lost" : "");
        if (is_done && operation->container >= 0)
            world_changed(world, operation->container);
        updater_answer(world, operation, !is_done);
    }
}

/* --- what happens by itself ------------------------------------------------------------------ */

static void leave(struct world *world, int index, enum container_state state)
{
    world->containers[index].state = state;
    world->containers[index].has_died = true;
    traffic_end_all(world, index);
    world_changed(world, index);
}

static void stranger_tick(struct world *world, int index)
{
    struct sim_container *container = &world->containers[index];

    if (world->is_clean || !world_chance(world, world->fault_rate / 20 + 1) ||
        world->now >= world->calm_at)
        return;
    switch (world_random(world, 12)) {
    case 0:
        world_fault(world, FAULT_STRANGER_REMOVES, index);
        container->exists = false;
        container->is_lost = true;
        leave(world, index, CONTAINER_EXITED);
        break;
    case 1:
        world_fault(world, FAULT_STRANGER_STOPS, index);
        leave(world, index, CONTAINER_EXITED);
        container->back_at = 0;
        break;
    case 2:
        if (container->state == CONTAINER_RUNNING) {
            world_fault(world, FAULT_STRANGER_PAUSES, index);
            container->state = CONTAINER_PAUSED;
            container->unpause_at = world->now + world_random(world, 40);
            world_changed(world, index);
        }
        break;
    default:
        break;
    }
}

static void container_tick(struct world *world, int index)
{
    struct sim_container *container = &world->containers[index];

    if (!container->exists)
        return;
    if (container->state == CONTAINER_REMOVING) {
        if (world->now >= container->gone_at) {
            container->exists = false;
            container->we_removed = true;
            world_changed(world, index);
        }
        return;
    }
    if (container->state == CONTAINER_RUNNING && container->exit_at != 0 &&
        world->now >= container->exit_at) {
        container->exit_at = 0;
        leave(world, index, container->back_at != 0 ? CONTAINER_RESTARTING : CONTAINER_EXITED);
    }
    if (container->state == CONTAINER_RESTARTING && world->now >= container->back_at) {
        container->state = CONTAINER_RUNNING;
        container->back_at = 0;
        container->restarts++;
        world_changed(world, index);
    }
    if (container->state == CONTAINER_PAUSED && world->now >= container->unpause_at) {
        container->state = CONTAINER_RUNNING;
        world_changed(world, index);
    }
    if (container->state != CONTAINER_CREATED)
        stranger_tick(world, index);
}

/* Without live-restore everything ends with it. */
static void engine_restart(struct world *world)
{
    world_fault(world, FAULT_ENGINE_RESTARTS, -1);
    world->has_restarted = true;
    for (int i = 0; i < world->container_count; i++) {
        struct sim_container *container = &world->containers[i];

        if (!container->exists ||
            (container->state != CONTAINER_RUNNING && container->state != CONTAINER_PAUSED &&
             container->state != CONTAINER_RESTARTING))
            continue;
        container->exit_at = container->back_at = 0;
        container->ended_with_engine = true;
        leave(world, i, CONTAINER_EXITED);
    }
}

void world_tick(struct world *world)
{
    world->now++;
    if (strikes(world) && world_chance(world, 500)) {
        world_fault(world, FAULT_ENGINE_AWAY, -1);
        world->away_until = world->now + 5 + world_random(world, 60);
        if (world_chance(world, 3000))
            engine_restart(world);
    }
    engine_tick(world);
    for (int i = 0; i < world->container_count; i++)
        container_tick(world, i);
    traffic_tick(world);
}
