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

/* When it will have an answer, and which. */
static void decide(struct world *world, size_t index)
{
    struct sim_task *task = &world->tasks[index];
    enum config_task_point point = world->config_tasks[index].point;

    task->done_at = world->now + 1 + world_random(world, 20);
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

void tasks_begin(struct world *world, uint16_t index, uint32_t step)
{
    struct sim_task *task = &world->tasks[index];

    if (index >= world->spec.task_count) {
        check_break(world, "task %u is none", index);
        return;
    }
    if (task->state != PLAN_TASK_NONE && task->step == step)
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

bool tasks_allow(const struct world *world, enum config_task_point point, uint32_t step)
{
    for (size_t i = 0; i < world->spec.task_count; i++) {
        const struct config_task *config = &world->config_tasks[i];
        const struct sim_task *task = &world->tasks[i];
        bool is_ignored = config->on_failure == ON_FAILURE_IGNORE;
        bool is_over =
            config_task_is_gate(config) && (world->now - task->since) * TICK_MS >= config->wait_ms;

        if (config->point != point)
            continue;
        if (task->state == PLAN_TASK_NONE || task->step != step)
            return false;
        if (task->state == PLAN_TASK_RUNNING && !(is_ignored && is_over))
            return false;
        if (task->state == PLAN_TASK_FAILED && !is_ignored)
            return false;
    }
    return true;
}
