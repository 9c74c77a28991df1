#include "plan.h"

#include "plan_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

uint32_t plan_replicas_for(uint32_t replicas, uint32_t weight)
{
    uint64_t needed = ((uint64_t)replicas * weight + WEIGHT_MAX - 1) / WEIGHT_MAX;

    if (needed == 0 && weight > 0)
        needed = 1;
    return (uint32_t)needed;
}

uint32_t plan_weight_at(const struct plan_spec *spec, uint32_t step)
{
    uint32_t weight = 0;

    if (step >= spec->step_count)
        return WEIGHT_MAX;
    for (uint32_t i = 0; i <= step; i++) {
        if (spec->steps[i].kind == STEP_SET_WEIGHT)
            weight = spec->steps[i].weight;
    }
    return weight;
}

uint32_t plan_mirror_at(const struct plan_spec *spec, uint32_t step)
{
    uint32_t mirror = 0;

    if (plan_weight_at(spec, step) == WEIGHT_MAX)
        return 0;
    for (uint32_t i = 0; i <= step; i++) {
        if (spec->steps[i].kind == STEP_MIRROR)
            mirror = spec->steps[i].mirror;
    }
    return mirror;
}

struct config_match plan_match_at(const struct plan_spec *spec, uint32_t step)
{
    struct config_match match = {.kind = MATCH_NONE};

    if (plan_weight_at(spec, step) == WEIGHT_MAX)
        return match;
    for (uint32_t i = 0; i <= step; i++) {
        if (spec->steps[i].kind == STEP_MATCH)
            match = spec->steps[i].match;
    }
    return match;
}

uint32_t plan_replicas_at(const struct plan_spec *spec, uint32_t step)
{
    uint32_t weight = plan_weight_at(spec, step);
    uint32_t replicas = plan_replicas_for(spec->replicas, weight);

    if (weight == WEIGHT_MAX)
        return spec->replicas;
    if (replicas == 0 &&
        (plan_mirror_at(spec, step) > 0 || plan_match_at(spec, step).kind != MATCH_NONE))
        replicas = 1;
    for (uint32_t i = 0; i <= step; i++) {
        if (spec->steps[i].kind == STEP_REPLICAS)
            replicas = spec->steps[i].replicas;
    }
    return replicas < spec->replicas ? replicas : spec->replicas;
}

/* A phase that ends gives way to the next one at once: its progress is journalled before any
 * action of the next one starts. */
void plan_next(const struct plan_observed *observed, struct plan *ret_plan)
{
    struct planner planner = {.in = observed, .out = ret_plan};

    memset(ret_plan, 0, sizeof(*ret_plan));
    ret_plan->progress = observed->progress;
    if (ret_plan->progress.phase == PHASE_FORWARD)
        plan_forward(&planner);
    if (ret_plan->progress.phase == PHASE_BACK)
        plan_back(&planner);
    if (ret_plan->progress.phase == PHASE_PROMOTED && observed->spec->scale_to > 0)
        plan_scaled(&planner);
    else if (ret_plan->progress.phase == PHASE_PROMOTED)
        plan_promoted(&planner);
    if (ret_plan->progress.outcome == OUTCOME_NEEDS_ATTENTION)
        planner_leave_serving(&planner);
    planner_hold(&planner);
    if (ret_plan->action_count > 0 || ret_plan->progress.phase == PHASE_ENDED)
        ret_plan->waiting[0] = '\0';
}

static int refuse(char why[PLAN_WHY_BYTES], const char *text)
{
    snprintf(why, PLAN_WHY_BYTES, "%s", text);
    return -EPERM;
}

static int refuse_ended(const struct plan_progress *progress, char why[PLAN_WHY_BYTES])
{
    snprintf(why, PLAN_WHY_BYTES,
             "the rollout has ended (%s); start another with `sluice rollout`%s",
             plan_outcome_name(progress->outcome),
             progress->outcome == OUTCOME_COMPLETED ? ", or go back by `sluice rollback`" : "");
    return -EPERM;
}

static int verb_applies_forward(bool paused, enum plan_verb verb, char why[PLAN_WHY_BYTES])
{
    switch (verb) {
    case VERB_PAUSE:
        return paused ? refuse(why, "the rollout is paused already; `sluice resume` lets it go on")
                      : 0;
    case VERB_RESUME:
        return paused
                   ? 0
                   : refuse(why, "the rollout is not paused by an operator; `sluice promote` ends "
                                 "a pause of its plan");
    case VERB_PROMOTE:
        return paused ? refuse(why, "the rollout is paused by an operator; `sluice resume` first")
                      : 0;
    case VERB_ABORT:
        return 0;
    }
    return refuse(why, "there is no such verb");
}

int plan_verb_applies(const struct plan_progress *progress, bool paused_by_operator,
                      enum plan_verb verb, char why[PLAN_WHY_BYTES])
{
    switch (progress->phase) {
    case PHASE_FORWARD:
        return verb_applies_forward(paused_by_operator, verb, why);
    case PHASE_PROMOTED:
        return refuse(why,
                      verb == VERB_ABORT
                          ? "the new version is promoted and the old one is going; wait for the "
                            "end, then go back by `sluice rollback`"
                          : "the new version is promoted; nothing holds the rollout up any more");
    case PHASE_BACK:
        return refuse(why, "the rollout is on its way back already; wait for its end, then start "
                           "another with `sluice rollout`");
    case PHASE_ENDED:
        return refuse_ended(progress, why);
    }
    return refuse(why, "the rollout is in no known phase");
}

const char *plan_phase_name(enum plan_phase phase)
{
    static const char *const names[] = {
        [PHASE_FORWARD] = "forward",
        [PHASE_PROMOTED] = "promoted",
        [PHASE_BACK] = "back",
        [PHASE_ENDED] = "ended",
    };

    return (size_t)phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "unknown";
}

const char *plan_outcome_name(enum plan_outcome outcome)
{
    static const char *const names[] = {
        [OUTCOME_NONE] = "none",
        [OUTCOME_COMPLETED] = "completed",
        [OUTCOME_ROLLED_BACK] = "rolled_back",
        [OUTCOME_ABORTED] = "aborted",
        [OUTCOME_NEEDS_ATTENTION] = "needs_attention",
    };

    return (size_t)outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "unknown";
}

const char *plan_action_name(enum plan_action_kind kind)
{
    static const char *const names[] = {
        [ACTION_CREATE] = "create",
        [ACTION_START] = "start",
        [ACTION_PUBLISH] = "publish",
        [ACTION_READY] = "ready",
        [ACTION_SET_WEIGHT] = "set_weight",
        [ACTION_DRAIN] = "drain",
        [ACTION_END_KINDS] = "end_kinds",
        [ACTION_STOP] = "stop",
        [ACTION_REMOVE] = "remove",
        [ACTION_RENAME] = "rename",
        [ACTION_HOLD] = "hold",
        [ACTION_RELEASE] = "release",
        [ACTION_TASK] = "task",
    };

    return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}
