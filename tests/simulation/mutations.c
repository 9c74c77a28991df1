/* Planners with one thing wrong, made by lying to the true one or by altering its plan. They prove
 * that the checks can fail. */
#include "world.h"

#include <string.h>

static struct plan_spec spec;
static struct config_step steps[STEPS_MAX];
static struct plan_observed lied;

static void pretend_healthy(bool is_new)
{
    for (unsigned i = 0; i < lied.container_count; i++) {
        if (lied.containers[i].is_new != is_new)
            continue;
        lied.containers[i].state = CONTAINER_RUNNING;
        lied.containers[i].backend = BACKEND_READY;
        lied.containers[i].verdict = VERDICT_HEALTHY;
    }
}

/* Hides containers in this state, by making them strangers' old ones that are gone already. */
static void hide(enum container_state state, bool is_new)
{
    for (unsigned i = 0; i < lied.container_count; i++) {
        if (lied.containers[i].state != state || lied.containers[i].is_new != is_new)
            continue;
        lied.containers[i].busy = true; /* indexes must stay: it is there, but untouchable, */
        lied.containers[i].is_new = true;
        lied.containers[i].ordinal = 255; /* and of no ordinal that anybody asks for */
    }
}

static void pretend_staying_are_healthy(void)
{
    for (unsigned i = 0; i < lied.container_count; i++) {
        if (lied.spec->scale_to >= lied.spec->replicas || lied.progress.phase == PHASE_BACK ||
            lied.containers[i].ordinal >= lied.spec->scale_to)
            continue;
        lied.containers[i].state = CONTAINER_RUNNING;
        lied.containers[i].backend = BACKEND_READY;
        lied.containers[i].verdict = VERDICT_HEALTHY;
    }
}

static void change_spec(enum mutation mutation)
{
    spec = *lied.spec;
    memcpy(steps, spec.steps, spec.step_count * sizeof(steps[0]));
    spec.steps = steps;
    lied.spec = &spec;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (mutation == MUTATION_END_EXCHANGES_EARLY)
            spec.drain.budgets[kind].timeout_ms = 0;
        if (mutation == MUTATION_END_WHATEVER_THE_POLICY)
            spec.drain.budgets[kind].on_timeout = ON_TIMEOUT_CLOSE;
    }
    if (mutation == MUTATION_FORGIVE_ALL)
        spec.max_failures = 100;
    if (mutation == MUTATION_SCALE_ONE_LESS && spec.scale_to > 1)
        spec.scale_to--;
    if (mutation == MUTATION_SKIP_TASKS)
        spec.task_count = 0;
    for (size_t i = 0; mutation == MUTATION_SKIP_PAUSES && i < spec.step_count; i++) {
        steps[i].pause_ms = 0;
        steps[i].until_promoted = false;
    }
}

static void lie(enum mutation mutation)
{
    switch (mutation) {
    case MUTATION_STOP_BEFORE_DRAINED:
        for (unsigned i = 0; i < lied.container_count; i++)
            lied.containers[i].drained = lied.containers[i].backend == BACKEND_DRAINING;
        break;
    case MUTATION_WEIGHT_BEFORE_HEALTHY:
        if (lied.progress.phase == PHASE_FORWARD)
            pretend_healthy(true);
        break;
    case MUTATION_PROMOTE_EARLY:
        if (lied.progress.phase == PHASE_FORWARD && lied.weight > 0)
            lied.progress.phase = PHASE_PROMOTED;
        break;
    case MUTATION_FORGET_RENAME:
        for (unsigned i = 0; i < lied.container_count; i++)
            lied.containers[i].final_name[0] = '\0';
        break;
    case MUTATION_DRAIN_BEFORE_WEIGHT_IS_TAKEN:
        lied.weight_acknowledged = true;
        break;
    case MUTATION_DRAIN_WHATEVER_THE_HEALTH:
        if (lied.progress.phase == PHASE_PROMOTED)
            pretend_healthy(true);
        break;
    case MUTATION_FORGET_REMOVE:
        break;
    case MUTATION_IGNORE_PAUSE:
        lied.wish_pause = false;
        break;
    case MUTATION_MAKE_TWICE:
        hide(CONTAINER_CREATED, true);
        break;
    case MUTATION_ACT_WITHOUT_ENGINE:
        lied.engine_reachable = true;
        break;
    case MUTATION_TAKE_WEIGHT_FROM_THE_LAST_HEALTHY:
        if (lied.progress.phase == PHASE_BACK)
            pretend_healthy(false);
        break;
    case MUTATION_START_BEFORE_ROOM:
        for (unsigned i = 0; i < lied.container_count; i++) {
            if (!lied.containers[i].is_new && lied.progress.phase == PHASE_FORWARD)
                lied.containers[i].state = CONTAINER_EXITED;
        }
        break;
    case MUTATION_MAKE_ROOM_UNHELD:
        lied.hold_acknowledged = true;
        break;
    case MUTATION_FORGET_THE_WAY_BACK:
        for (unsigned i = 0; i < lied.container_count; i++)
            lied.containers[i].kept = lied.containers[i].kept && lied.progress.phase != PHASE_BACK;
        break;
    case MUTATION_FORGET_RELEASE:
    case MUTATION_REMOVE_THE_KEPT:
        break;
    case MUTATION_BEGIN_TASKS_AGAIN:
    case MUTATION_PASS_WHAT_RUNS:
        for (size_t i = 0; i < lied.spec->task_count; i++) {
            if (lied.tasks[i].state == PLAN_TASK_RUNNING)
                lied.tasks[i].state =
                    mutation == MUTATION_PASS_WHAT_RUNS ? PLAN_TASK_PASSED : PLAN_TASK_NONE;
        }
        break;
    case MUTATION_VERIFY_ONCE:
    case MUTATION_HOLD_FOR_VERIFICATIONS:
        for (size_t i = 0; i < lied.spec->task_count; i++) {
            if ((lied.tasks[i].state == PLAN_TASK_RUNNING) ==
                (mutation == MUTATION_HOLD_FOR_VERIFICATIONS))
                lied.tasks[i].since_ms = lied.now_ms;
        }
        break;
    case MUTATION_SCALE_WHATEVER_THE_HEALTH:
        pretend_staying_are_healthy();
        break;
    case MUTATION_SCALE_ONE_LESS:
    case MUTATION_FORGIVE_ALL:
    case MUTATION_END_EXCHANGES_EARLY:
    case MUTATION_SKIP_TASKS:
    case MUTATION_SKIP_PAUSES:
    case MUTATION_END_WHATEVER_THE_POLICY:
        change_spec(mutation);
        break;
    case MUTATION_PASS_WHATEVER_FAILS:
        lied.window.canary.failures = 0;
        break;
    case MUTATION_HASTY_ANALYSIS:
        if (lied.window.since_ms > 2000)
            lied.window.since_ms -= 2000;
        break;
    case MUTATION_FAIL_WHAT_IS_GOOD:
        lied.window.canary.failures = lied.window.canary.requests;
        break;
    case MUTATION_LEAVE_THE_MATCH:
        lied.match.kind = MATCH_NONE;
        lied.match.name[0] = '\0';
        break;
    case MUTATION_FORGET_EXTENSIONS:
        memset(lied.drain_orders.extend_ms, 0, sizeof(lied.drain_orders.extend_ms));
        break;
    case MUTATION_HASTY_REMOVALS:
        for (unsigned i = 0; i < lied.container_count; i++) {
            if (lied.containers[i].removing_since_ms != 0)
                lied.containers[i].removing_since_ms = 1;
        }
        break;
    case MUTATION_FORGET_ENDS:
        memset(lied.drain_orders.ended_ms, 0, sizeof(lied.drain_orders.ended_ms));
        break;
    case MUTATION_NONE:
    case MUTATION_NEVER_LOOK_AGAIN:
    case MUTATION_FORGET_PHASE:
    case MUTATION_COUNT:
        break;
    }
}

/* Drops every remove; where nothing else is left to be done, it calls that the end. */
static void forget_removes(struct plan *plan)
{
    unsigned kept = 0, dropped = 0;

    for (unsigned i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].kind == ACTION_REMOVE)
            dropped++;
        else
            plan->actions[kept++] = plan->actions[i];
    }
    plan->action_count = kept;
    if (kept == 0 && dropped > 0) {
        plan->progress.outcome =
            plan->progress.phase == PHASE_PROMOTED ? OUTCOME_COMPLETED : OUTCOME_ROLLED_BACK;
        plan->progress.phase = PHASE_ENDED;
    }
}

static void forget_release(struct plan *plan)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].kind != ACTION_RELEASE)
            plan->actions[kept++] = plan->actions[i];
    }
    plan->action_count = kept;
}

static void remove_kept(struct plan *plan)
{
    for (unsigned i = 0; i < lied.container_count; i++) {
        if (!lied.containers[i].kept || lied.containers[i].state != CONTAINER_EXITED ||
            lied.containers[i].busy || plan->progress.phase != PHASE_FORWARD ||
            !lied.engine_reachable || plan->action_count == PLAN_ACTIONS_MAX)
            continue;
        plan->actions[plan->action_count++] =
            (struct plan_action){.kind = ACTION_REMOVE, .container = i};
    }
}

void mutation_plan(enum mutation mutation, struct plan_observed *observed, struct plan *ret_plan)
{
    if (mutation == MUTATION_NONE) {
        plan_next(observed, ret_plan);
        return;
    }
    lied = *observed;
    lie(mutation);
    plan_next(&lied, ret_plan);
    if (mutation == MUTATION_NEVER_LOOK_AGAIN)
        ret_plan->look_again_ms = 0;
    if (mutation == MUTATION_FORGET_PHASE && ret_plan->progress.phase == PHASE_BACK)
        ret_plan->progress.phase = observed->progress.phase;
    if (mutation == MUTATION_FORGET_REMOVE)
        forget_removes(ret_plan);
    if (mutation == MUTATION_FORGET_RELEASE)
        forget_release(ret_plan);
    if (mutation == MUTATION_REMOVE_THE_KEPT)
        remove_kept(ret_plan);
}

const char *mutation_name(enum mutation mutation)
{
    static const char *const names[MUTATION_COUNT] = {"none",
                                                      "stop before drained",
                                                      "weight before healthy",
                                                      "promote early",
                                                      "forget rename",
                                                      "drain before the weight is taken",
                                                      "drain whatever the health",
                                                      "forget remove",
                                                      "end exchanges early",
                                                      "ignore pause",
                                                      "make twice",
                                                      "never look again",
                                                      "forget phase",
                                                      "act without engine",
                                                      "take the weight from the last healthy",
                                                      "skip pauses",
                                                      "pass whatever fails",
                                                      "hasty analysis",
                                                      "fail what is good",
                                                      "leave the match",
                                                      "forget extensions",
                                                      "forget ends",
                                                      "end whatever the policy",
                                                      "hasty removals",
                                                      "start before there is room",
                                                      "make room unheld",
                                                      "forget to release",
                                                      "forget the way back",
                                                      "remove the kept",
                                                      "forgive all failures",
                                                      "skip tasks",
                                                      "begin tasks again",
                                                      "pass what runs",
                                                      "verify once for all",
                                                      "hold for verifications",
                                                      "scale to one less",
                                                      "scale whatever the health"};

    return names[mutation];
}

const char *fault_name(enum fault fault)
{
    static const char *const names[FAULT_COUNT] = {"create fails",
                                                   "create is refused",
                                                   "start fails",
                                                   "stop fails",
                                                   "remove fails",
                                                   "rename fails",
                                                   "start never works",
                                                   "stop never works",
                                                   "remove never works",
                                                   "rename never works",
                                                   "container exits",
                                                   "container flaps",
                                                   "removed by a stranger",
                                                   "stopped by a stranger",
                                                   "paused by a stranger",
                                                   "engine away",
                                                   "engine restarted",
                                                   "answer lost",
                                                   "event late",
                                                   "worker dies",
                                                   "health slow",
                                                   "never healthy",
                                                   "sick later",
                                                   "old one sick",
                                                   "crash before journal",
                                                   "crash between actions",
                                                   "crash after actions",
                                                   "crash while idle",
                                                   "exchange over its budget",
                                                   "operator pauses",
                                                   "operator promotes",
                                                   "operator aborts",
                                                   "drains extended",
                                                   "a class ended",
                                                   "removal hangs",
                                                   "everything restarted",
                                                   "new version fails requests",
                                                   "hook fails",
                                                   "hook asks for the way back"};

    return names[fault];
}
