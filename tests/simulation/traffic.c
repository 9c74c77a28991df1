/* Workers that take the table late and die, exchanges of every length, and health. */
#include "base/check.h"
#include "world.h"

#define RETRIES 3u

void traffic_publish(struct world *world)
{
    world->table.epoch++;
    for (int i = 0; i < world->container_count; i++) {
        struct sim_container *container = &world->containers[i];

        world->table.backend[i] = (uint8_t)container->backend;
        world->table.end_kinds[i] = container->end_kinds;
        if (container->backend == BACKEND_DRAINING && container->drain_epoch == 0)
            container->drain_epoch = world->table.epoch;
    }
    for (unsigned i = 0; i < world->worker_count; i++) {
        if (world->workers[i].take_at == 0)
            world->workers[i].take_at = world->now + world_random(world, 4);
    }
}

bool traffic_has_taken(const struct world *world, uint64_t epoch)
{
    for (unsigned i = 0; i < world->worker_count; i++) {
        if (world->workers[i].live && world->workers[i].view.epoch < epoch)
            return false;
    }
    return true;
}

uint32_t traffic_active(const struct sim_container *container)
{
    uint32_t active = 0;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        active += container->active[kind];
    return active;
}

bool traffic_is_held(const struct world *world)
{
    for (unsigned i = 0; i < world->worker_count; i++) {
        if (world->workers[i].live && world->now >= world->workers[i].view.held_until)
            return false;
    }
    return true;
}

bool traffic_is_drained(const struct world *world, int container)
{
    const struct sim_container *drained = &world->containers[container];

    return drained->backend == BACKEND_DRAINING && drained->drain_epoch != 0 &&
           traffic_has_taken(world, drained->drain_epoch) && traffic_active(drained) == 0;
}

static void end_exchange(struct world *world, struct sim_exchange *exchange)
{
    struct sim_container *container = &world->containers[exchange->container];

    check(container->active[exchange->kind] > 0);
    container->active[exchange->kind]--;
    if (exchange->kind == KIND_REQUEST) {
        container->requests++;
        container->failed +=
            container->is_new && world->is_failing_version && world_chance(world, 5000);
    }
    exchange->is_on = false;
    if (container->backend == BACKEND_DRAINING)
        world->is_awake = true; /* the bell */
}

void traffic_end_all(struct world *world, int container)
{
    for (int i = 0; i < EXCHANGES_MAX; i++) {
        if (world->exchanges[i].is_on && world->exchanges[i].container == container)
            end_exchange(world, &world->exchanges[i]);
    }
}

void traffic_lose_boards(struct world *world)
{
    for (int i = 0; i < world->container_count; i++) {
        struct sim_container *container = &world->containers[i];

        traffic_end_all(world, i);
        container->backend = BACKEND_FREE;
        container->verdict = VERDICT_UNKNOWN;
        container->failures = 0;
        container->published = container->drain_since = container->drain_epoch = 0;
        container->end_kinds = 0;
    }
    world->table.weight = world->table.mirror = 0;
    world->table.held_until = 0;
    world->table.match = (struct config_match){.kind = MATCH_NONE};
    traffic_publish(world);
    for (unsigned i = 0; i < world->worker_count; i++) {
        world->workers[i].live = true;
        world->workers[i].take_at = 0;
        world->workers[i].view = world->table;
    }
}

static bool can_take(const struct world *world, const struct sim_worker *worker, int container,
                     bool is_new)
{
    return (world->containers[container].is_new == is_new || check_is_scale(world)) &&
           worker->view.backend[container] == BACKEND_READY &&
           world->containers[container].verdict == VERDICT_HEALTHY;
}

/* Group first, then a backend in it; a group without a healthy one gets nothing. */
static int choose(struct world *world, const struct sim_worker *worker)
{
    bool is_new = world_random(world, WEIGHT_MAX) < worker->view.weight ||
                  (worker->view.match.kind != MATCH_NONE && world_chance(world, 1000));

    for (int turn = 0; turn < 2; turn++, is_new = !is_new) {
        int first = (int)world_random(world, (uint64_t)world->container_count);

        for (int i = 0; i < world->container_count; i++) {
            int index = (first + i) % world->container_count;

            if (can_take(world, worker, index, is_new))
                return index;
        }
    }
    return -1;
}

static void start_exchange(struct world *world, unsigned worker)
{
    struct sim_exchange *exchange = &world->exchanges[world_random(world, EXCHANGES_MAX)];
    int container = choose(world, &world->workers[worker]);
    struct sim_container *chosen;

    if (container < 0 || exchange->is_on || world->now < world->workers[worker].view.held_until)
        return;
    chosen = &world->containers[container];
    if (!chosen->exists || chosen->state != CONTAINER_RUNNING)
        return; /* the connect fails */
    exchange->is_on = true;
    exchange->worker = (uint8_t)worker;
    exchange->container = container;
    exchange->kind = (uint8_t)(world_chance(world, 8500) ? KIND_REQUEST
                                                         : 1 + world_random(world, KIND_COUNT - 1));
    exchange->end_at =
        world->now + 1 + world_random(world, exchange->kind == KIND_REQUEST ? 8 : 60);
    if (world_chance(world, 100)) {
        world->faults[FAULT_OVER_BUDGET]++;
        exchange->end_at += 60 + world_random(world, 250);
    }
    chosen->active[exchange->kind]++;
}

static void worker_tick(struct world *world, unsigned index)
{
    struct sim_worker *worker = &world->workers[index];

    if (!worker->live) {
        if (world->now < worker->back_at)
            return;
        worker->live = true;
        worker->take_at = 0;
        worker->view = world->table; /* before it serves */
        world->is_awake = true;
    }
    if (!world->is_clean && world->now < world->calm_at &&
        world_chance(world, world->fault_rate / 4 + 1)) {
        world_fault(world, FAULT_WORKER_DIES, -1);
        worker->live = false;
        worker->back_at = world->now + world_random(world, 20);
        for (int i = 0; i < EXCHANGES_MAX; i++) {
            if (world->exchanges[i].is_on && world->exchanges[i].worker == index)
                end_exchange(world, &world->exchanges[i]);
        }
        world->is_awake = true;
        return;
    }
    if (worker->take_at != 0 && world->now >= worker->take_at) {
        worker->view = world->table;
        worker->take_at = 0;
        world->is_awake = true;
    }
    if (world_chance(world, 5000))
        start_exchange(world, index);
}

static bool is_well(const struct world *world, const struct sim_container *container)
{
    return container->exists && container->state == CONTAINER_RUNNING &&
           world->now >= container->healthy_at &&
           !(world->now >= container->sick_from && world->now < container->sick_until);
}

static void health_tick(struct world *world, int index)
{
    struct sim_container *container = &world->containers[index];
    enum verdict_state before = container->verdict;

    if (container->backend == BACKEND_FREE)
        return;
    if (is_well(world, container)) {
        container->failures = 0;
        container->verdict = VERDICT_HEALTHY;
    } else if (++container->failures >= RETRIES &&
               (before == VERDICT_HEALTHY || before == VERDICT_UNHEALTHY ||
                world->now > container->published + 20)) {
        container->verdict = VERDICT_UNHEALTHY;
    } else if (before == VERDICT_UNKNOWN) {
        container->verdict = VERDICT_STARTING;
    }
    if (container->verdict != before)
        world->is_awake = true;
}

static void change_kind(struct world *world, struct sim_exchange *exchange, enum exchange_kind kind)
{
    struct sim_container *container = &world->containers[exchange->container];

    container->active[exchange->kind]--;
    container->active[kind]++;
    exchange->kind = (uint8_t)kind;
    if (kind == KIND_STREAM)
        exchange->end_at += world_random(world, 60);
    if (container->backend == BACKEND_DRAINING)
        world->is_awake = true; /* what holds it is told each second */
}

/* Spread: each tick some of those that are to end. */
static bool is_ended(struct world *world, const struct sim_exchange *exchange)
{
    const struct sim_view *view = &world->workers[exchange->worker].view;

    return (view->end_kinds[exchange->container] >> exchange->kind & 1) != 0 &&
           world_chance(world, 3000);
}

void traffic_tick(struct world *world)
{
    for (int i = 0; i < EXCHANGES_MAX; i++) {
        struct sim_exchange *exchange = &world->exchanges[i];

        if (!exchange->is_on)
            continue;
        if (world->now >= exchange->end_at || is_ended(world, exchange))
            end_exchange(world, exchange);
        else if (exchange->kind == KIND_UPLOAD && world_chance(world, 1000))
            change_kind(world, exchange, KIND_REQUEST); /* its body is there */
        else if (exchange->kind == KIND_REQUEST && world_chance(world, 100))
            change_kind(world, exchange, KIND_STREAM); /* its answer's head says so */
    }
    for (unsigned i = 0; i < world->worker_count; i++)
        worker_tick(world, i);
    for (int i = 0; i < world->container_count; i++)
        health_tick(world, i);
}
