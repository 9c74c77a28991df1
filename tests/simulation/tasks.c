/* Hooks and verifications: what the journal has of them outlives the updater, which tries again
 * what it finds begun. People answer gates, mostly. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static bool may_go_wrong(struct world *world)
{
    return !world->is_clean && world->now < world->calm_at;
}

void tasks_init(struct world *world)
{
    size_t count = world_chance(world, 5000) ? 0 : 1 + world_random(world, SIM_TASKS_MAX);

    for (size_t i = 0; i < count; i++) {
        struct config_task *task = &world->config_tasks[i];

        (void)snprintf(world->task_names[i], sizeof(world->task_names[i]), "task-%zu", i);
        task->name = world->task_names[i];
        task->point = (enum config_task_point)world_random(world, POINT_EVENT);
        task->kind =
            config_task_is_gate(task) && world_chance(world, 5000) ? TASK_GATE : TASK_WEBHOOK;
        task->on_failure = task->point >= POINT_POST_ROLLOUT
                               ? ON_FAILURE_IGNORE
                               : (enum config_on_failure)world_random(world, 3);
        task->wait_ms = (uint32_t)(60 + world_random(world, 60)) * TICK_MS;
    }
    world->spec.tasks = world->config_tasks;
    world->spec.task_count = count;
}

/* A scale brings no other version: only what it adds is verified. */
static bool is_asked(const struct world *world, size_t index)
{
    enum config_task_point point = world->config_tasks[index].point;

    return !check_is_scale(world) || check_is_first(world) ||
           ((point == POINT_VERIFY_CANARY || point == POINT_VERIFY_SERVICE) &&
            world->spec.scale_to > world->spec.replicas);
}

/* When it will have an answer, and which. */
static void decide(struct world *world, size_t index)
{
    struct sim_task *task = &world->tasks[index];
    enum config_task_point point = world->config_tasks[index].point;

    task->done_at = world->now + 1;
    if (point != POINT_VERIFY_CANARY || !check_is_stop_first(world) || !world->is_clean)
        task->done_at += world_random(world, 20); /* exchanges may be held for it meanwhile */
    task->fails = may_go_wrong(world) && world_chance(world, 200 + world->fault_rate * 4);
    if (task->fails) {
        world_fault(world, FAULT_TASK_FAILS, -1);
        if (config_task_is_gate(&world->config_tasks[index]))
            task->done_at = UINT64_MAX; /* nobody says yes */
    }
    if (point == POINT_ROLLBACK) {
        task->done_at = UINT64_MAX;
        if (may_go_wrong(world) && world_chance(world, 500)) {
            world_fault(world, FAULT_ASKED_BACK, -1);
            task->done_at = world->now + 1 + world_random(world, 200);
        }
        task->fails = false;
    }
}

/* A verification before traffic, and another container has come since it began. */
static bool is_to_be_seen_again(const struct world *world, size_t index)
{
    const struct sim_task *task = &world->tasks[index];
    bool is_newer = false;

    for (int i = 0; i < world->container_count; i++)
        is_newer = is_newer || (world->containers[i].is_new && world->containers[i].seen &&
                                world->containers[i].backend == BACKEND_STARTING &&
                                world->containers[i].published > task->since);
    return is_newer && task->state != PLAN_TASK_RUNNING &&
           world->config_tasks[index].point == POINT_VERIFY_CANARY;
}

void tasks_begin(struct world *world, uint16_t index, uint32_t step)
{
    struct sim_task *task = &world->tasks[index];

    if (index >= world->spec.task_count) {
        check_break(world, "task %u is none", index);
        return;
    }
    if (!is_asked(world, index))
        check_break(world, "%s was begun in a scale", world->task_names[index]);
    if (task->state != PLAN_TASK_NONE && task->step == step && !is_to_be_seen_again(world, index))
        check_break(world, "%s was begun twice for step %u", world->task_names[index], step);
    *task = (struct sim_task){.state = PLAN_TASK_RUNNING, .step = step, .since = world->now};
    decide(world, index);
    world->is_awake = true;
}

void tasks_resume(struct world *world)
{
    for (size_t i = 0; i < world->spec.task_count; i++) {
        if (world->tasks[i].state == PLAN_TASK_RUNNING)
            decide(world, i);
    }
}

static void answer(struct world *world, size_t index)
{
    struct sim_task *task = &world->tasks[index];

    if (task->state == PLAN_TASK_RUNNING && world->now >= task->done_at) {
        task->state = task->fails ? PLAN_TASK_FAILED : PLAN_TASK_PASSED;
        task->done_at = world->now + 1 + world_random(world, 60);
        world->is_awake = true;
        world_note(world, "%s %s", world->task_names[index], task->fails ? "fails" : "passes");
    } else if (task->state == PLAN_TASK_FAILED && world->now >= task->done_at &&
               world->config_tasks[index].on_failure == ON_FAILURE_PAUSE) {
        task->state = PLAN_TASK_PASSED; /* `sluice confirm`, all the same */
        world->is_awake = true;
    } else if (task->state == PLAN_TASK_RUNNING && task->fails &&
               world->config_tasks[index].on_failure == ON_FAILURE_PAUSE &&
               (world->now - task->since) * TICK_MS > world->config_tasks[index].wait_ms * 2ull) {
        task->state = PLAN_TASK_PASSED; /* a gate whose time was over, confirmed at last */
        world->is_awake = true;
    }
}

void tasks_tick(struct world *world)
{
    for (size_t i = 0; i < world->spec.task_count; i++)
        answer(world, i);
}

void tasks_observe(const struct world *world, struct plan_observed *observed)
{
    for (size_t i = 0; i < world->spec.task_count; i++) {
        const struct sim_task *task = &world->tasks[i];

        observed->tasks[i] = (struct plan_task){
            .state = task->state, .step = task->step, .since_ms = task->since * TICK_MS};
        (void)snprintf(observed->tasks[i].reason, sizeof(observed->tasks[i].reason), "no");
    }
}

/* It runs, but nobody waits for its answer any more. */
static bool is_ignored_now(const struct world *world, size_t index)
{
    const struct config_task *config = &world->config_tasks[index];
    uint64_t waited_ms = (world->now - world->tasks[index].since) * TICK_MS;

    if (config->on_failure != ON_FAILURE_IGNORE)
        return false;
    return config_task_is_gate(config)
               ? waited_ms >= config->wait_ms
               : config->point == POINT_VERIFY_CANARY && world->progress.holding;
}

bool tasks_allow(const struct world *world, enum config_task_point point, uint32_t step)
{
    for (size_t i = 0; i < world->spec.task_count; i++) {
        const struct config_task *config = &world->config_tasks[i];
        const struct sim_task *task = &world->tasks[i];
        if (config->point != point || !is_asked(world, i))
            continue;
        if (task->state == PLAN_TASK_NONE || task->step != step)
            return false;
        if (task->state == PLAN_TASK_RUNNING && !is_ignored_now(world, i))
            return false;
        if (task->state == PLAN_TASK_FAILED && config->on_failure != ON_FAILURE_IGNORE)
            return false;
    }
    return true;
}

bool tasks_have_verified(const struct world *world, uint64_t published)
{
    for (size_t i = 0; i < world->spec.task_count; i++) {
        if (world->config_tasks[i].point == POINT_VERIFY_CANARY && is_asked(world, i) &&
            world->tasks[i].since <= published && !is_ignored_now(world, i))
            return false;
    }
    return tasks_allow(world, POINT_VERIFY_CANARY, world->progress.step);
}

bool tasks_allow_room(const struct world *world)
{
    return world->progress.phase != PHASE_FORWARD ||
           (tasks_allow(world, POINT_PRE_ROLLOUT, 0) &&
            tasks_allow(world, POINT_CONFIRM_TRAFFIC_INCREASE, world->progress.step));
}

uint64_t tasks_held_for(const struct world *world)
{
    uint64_t since = world->now;
    bool waits = false;

    for (int i = 0; i < world->container_count; i++)
        waits = waits ||
                (world->containers[i].is_new && world->containers[i].backend == BACKEND_STARTING &&
                 world->containers[i].verdict == VERDICT_HEALTHY);
    if (!waits || !world->progress.holding || world->progress.phase != PHASE_FORWARD ||
        check_healthy(world, false) + check_healthy(world, true) > 0)
        return 0;
    for (size_t i = 0; i < world->spec.task_count; i++) {
        const struct sim_task *task = &world->tasks[i];

        if (world->config_tasks[i].point == POINT_VERIFY_CANARY &&
            task->state == PLAN_TASK_RUNNING && task->step == world->progress.step &&
            task->since < since && !is_ignored_now(world, i))
            since = task->since;
    }
    return world->now - since;
}
