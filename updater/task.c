#include "task.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "crash.h"
#include "events.h"
#include "record.h"
#include "rollout.h"
#include "steady.h"
#include "updater.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
    [PLAN_TASK_NONE] = "none",
    [PLAN_TASK_RUNNING] = "running",
    [PLAN_TASK_PASSED] = "passed",
    [PLAN_TASK_FAILED] = "failed",
};

static enum plan_task_state state_of(const char *name)
{
    for (enum plan_task_state state = PLAN_TASK_RUNNING; state <= PLAN_TASK_FAILED; state++) {
        if (strcmp(state_names[state], name) == 0)
            return state;
    }
    return PLAN_TASK_NONE;
}

static int task_save(const struct rollout *rollout, unsigned index)
{
    const struct config_task *config = &rollout->spec.tasks[index];
    const struct task *task = &rollout->tasks[index];
    struct journal *journal = rollout->service->updater->journal;
    const struct journal_task row = {
        .position = index,
        .step = task->step,
        .name = config->name,
        .point = config_task_point_name(config->point),
        .kind = config_task_kind_name(config->kind),
        .state = state_names[task->state],
        .attempts = task->attempts,
        .started_ms = task->started_ms,
        .ended_ms = task->ended_ms,
        .user = task->user,
        .message = task->message,
    };
    int error = journal_task_save(journal, rollout_id(rollout), &row);

    if (error)
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
    return error;
}

/* Rows are in the order of their begin, so the last one of a task is the one that counts. */
int tasks_load(struct rollout *rollout)
{
    struct journal_task *rows;
    size_t count;
    int error =
        journal_task_list(rollout->service->updater->journal, rollout_id(rollout), &rows, &count);

    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        struct task *task;

        if (rows[i].position >= rollout->spec.task_count)
            continue;
        task = &rollout->tasks[rows[i].position];
        task->state = state_of(rows[i].state);
        task->step = rows[i].step;
        task->attempts = rows[i].attempts;
        task->started_ms = rows[i].started_ms;
        task->ended_ms = rows[i].ended_ms;
        task->next_ms = task->state == PLAN_TASK_RUNNING ? clock_ms() : 0;
        (void)slice_copy_string(slice_from_string(rows[i].message ? rows[i].message : ""),
                                task->message, sizeof(task->message));
        free(task->user);
        task->user = memory_copy_string(rows[i].user);
    }
    journal_tasks_free(rows, count);
    return 0;
}

void tasks_stop(struct rollout *rollout)
{
    for (size_t i = 0; i < CONFIG_TASKS_MAX; i++) {
        task_try_stop(rollout->tasks[i].try);
        rollout->tasks[i].try = NULL;
        free(rollout->tasks[i].user);
        rollout->tasks[i].user = NULL;
    }
}

static void task_log(struct rollout *rollout, const char *event, unsigned index)
{
    const struct task *task = &rollout->tasks[index];
    char *text = memory_format("%s%s%s", rollout->spec.tasks[index].name,
                               task->message[0] ? ": " : "", task->message);

    rollout_log(rollout, event, NULL, text);
    free(text);
}

void task_begin(struct rollout *rollout, unsigned index, uint32_t step)
{
    struct task *task = &rollout->tasks[index];

    check(index < rollout->spec.task_count);
    task_try_stop(task->try); /* of another step, that nobody waited for any more */
    free(task->user);
    *task = (struct task){.state = PLAN_TASK_RUNNING,
                          .step = step,
                          .started_ms = steady_wall_ms(),
                          .next_ms = clock_ms()};
    if (task_save(rollout, index)) {
        *task = (struct task){0}; /* not begun: the planner wants it again */
        return;
    }
    task_log(rollout, "task-begun", index);
    crash_at("task", "begun");
}

static bool asks_on(const struct config_task *config)
{
    return config_task_is_gate(config) || config->point == POINT_ROLLBACK;
}

static void task_end(struct rollout *rollout, unsigned index, enum plan_task_state state)
{
    const struct config_task *config = &rollout->spec.tasks[index];
    struct task *task = &rollout->tasks[index];

    task->state = state;
    task->ended_ms = steady_wall_ms();
    task->next_ms = 0;
    crash_at("task", "answered");
    if (task_save(rollout, index)) { /* tried again: at least once */
        task->state = PLAN_TASK_RUNNING;
        task->next_ms = clock_ms() + config->interval_ms;
        return;
    }
    crash_at("task", "kept");
    task_log(rollout, state == PLAN_TASK_PASSED ? "task-passed" : "task-failed", index);
    if (state == PLAN_TASK_PASSED && !asks_on(config) && task->attempts > 1)
        record_lesson(rollout, "%s passed at try %u only", config->name, task->attempts);
    events_rollout(rollout, "rollout_updated");
}

void task_tried(struct rollout *rollout, unsigned index, bool passed, const char *message)
{
    const struct config_task *config = &rollout->spec.tasks[index];
    struct task *task = &rollout->tasks[index];

    task->try = NULL;
    (void)slice_copy_string(slice_from_string(message), task->message, sizeof(task->message));
    if (passed)
        task_end(rollout, index, PLAN_TASK_PASSED);
    else if (!asks_on(config) && task->attempts > config->retries)
        task_end(rollout, index, PLAN_TASK_FAILED);
    else
        task->next_ms = clock_ms() + config->interval_ms;
    updater_wake(rollout->service->updater);
}

/* What turned the rollout leaves nothing of the way forward to be asked. */
static bool is_wanted(const struct rollout *rollout, const struct config_task *config)
{
    return rollout->progress.phase == PHASE_FORWARD || config->point == POINT_POST_ROLLOUT;
}

uint64_t tasks_turn(struct rollout *rollout)
{
    uint64_t now_ms = clock_ms(), soonest_ms = 0;

    for (unsigned i = 0; i < rollout->spec.task_count; i++) {
        const struct config_task *config = &rollout->spec.tasks[i];
        struct task *task = &rollout->tasks[i];

        if (task->state != PLAN_TASK_RUNNING || config->kind == TASK_GATE)
            continue;
        if (!is_wanted(rollout, config)) {
            task_try_stop(task->try);
            task->try = NULL;
        } else if (!task->try && task->next_ms > 0 && now_ms >= task->next_ms) {
            task->next_ms = 0;
            task->attempts++;
            task_try_start(rollout, i);
        } else if (task->next_ms > 0 && (soonest_ms == 0 || task->next_ms < soonest_ms)) {
            soonest_ms = task->next_ms;
        }
    }
    return soonest_ms;
}

void tasks_observe(const struct rollout *rollout, struct plan_observed *observed)
{
    for (size_t i = 0; i < rollout->spec.task_count; i++) {
        const struct task *task = &rollout->tasks[i];
        struct plan_task *seen = &observed->tasks[i];

        seen->state = task->state;
        seen->step = task->step;
        seen->since_ms = task->started_ms;
        (void)slice_copy_string(slice_from_string(task->message), seen->reason,
                                sizeof(seen->reason));
    }
}

/* --- people --------------------------------------------------------------------------------- */

static bool waits_for_people(const struct rollout *rollout, unsigned index)
{
    const struct config_task *config = &rollout->spec.tasks[index];
    const struct task *task = &rollout->tasks[index];

    if (rollout->progress.phase != PHASE_FORWARD)
        return false;
    if (task->state == PLAN_TASK_FAILED)
        return config->on_failure == ON_FAILURE_PAUSE;
    return task->state == PLAN_TASK_RUNNING && config_task_is_gate(config);
}

bool tasks_wait_for_people(const struct rollout *rollout)
{
    for (unsigned i = 0; i < rollout->spec.task_count; i++) {
        if (waits_for_people(rollout, i) && (rollout->spec.tasks[i].kind == TASK_GATE ||
                                             rollout->tasks[i].state == PLAN_TASK_FAILED))
            return true;
    }
    return false;
}

/* The one that is meant; -1 and `why`: none, or several. */
static int find_waiting(const struct rollout *rollout, const char *name, char why[PLAN_WHY_BYTES])
{
    int found = -1;
    size_t used = 0;
    unsigned count = 0;
    char names[PLAN_WHY_BYTES / 2] = "";

    for (unsigned i = 0; i < rollout->spec.task_count; i++) {
        const char *its = rollout->spec.tasks[i].name;

        if (!waits_for_people(rollout, i))
            continue;
        if (used < sizeof(names))
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                     count > 0 ? ", " : "", its);
        count++;
        if (!name || strcmp(name, its) == 0)
            found = (int)i;
    }
    if (count == 0)
        (void)snprintf(why, PLAN_WHY_BYTES,
                       "nothing waits for a yes; `sluice status` says what "
                       "the rollout waits for");
    else if (found < 0)
        (void)snprintf(why, PLAN_WHY_BYTES, "%s does not wait for a yes; %s", name, names);
    else if (!name && count > 1)
        (void)snprintf(why, PLAN_WHY_BYTES, "several wait for a yes, say which: %s", names);
    return count == 0 || (!name && count > 1) ? -1 : found;
}

int task_confirm(struct rollout *rollout, const char *name, const char *user,
                 char why[PLAN_WHY_BYTES])
{
    int index = find_waiting(rollout, name, why);
    struct task *task;
    struct task before;
    char *said;
    int error;

    if (index < 0)
        return -ENOENT;
    task = &rollout->tasks[index];
    before = *task;
    task->user = memory_copy_string(user);
    task->ended_ms = steady_wall_ms();
    said = before.state == PLAN_TASK_FAILED
               ? memory_format("confirmed in spite of: %s", before.message)
               : memory_copy_string("confirmed");
    (void)slice_copy_string(slice_from_string(said), task->message, sizeof(task->message));
    free(said);
    task->state = PLAN_TASK_PASSED;
    error = task_save(rollout, (unsigned)index);
    if (error) {
        free(task->user);
        *task = before;
        return error;
    }
    task_try_stop(task->try);
    task->try = NULL;
    task->next_ms = 0;
    free(before.user);
    task_log(rollout, "task-passed", (unsigned)index);
    updater_wake(rollout->service->updater);
    return 0;
}
