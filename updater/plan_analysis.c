/* Analysis: the new version's requests are judged, all the way or in a step of its own. */
#include "plan_parts.h"

#include <stdio.h>

static bool step_is_analysis(const struct plan_spec *spec, uint32_t step)
{
    return step < spec->step_count && spec->steps[step].kind == STEP_ANALYSIS;
}

const struct config_analysis *plan_analysis(const struct plan_spec *spec,
                                            const struct plan_progress *progress, uint32_t weight,
                                            bool *ret_is_own)
{
    bool is_asked = plan_match_at(spec, progress->step).kind != MATCH_NONE ||
                    plan_mirror_at(spec, progress->step) > 0;

    *ret_is_own = false;
    if (progress->phase != PHASE_FORWARD)
        return NULL;
    if (progress->step_entered && step_is_analysis(spec, progress->step)) {
        *ret_is_own = true;
        return &spec->steps[progress->step].analysis;
    }
    return spec->analysis.on && (weight > 0 || is_asked) ? &spec->analysis : NULL;
}

/* The window observed is of the step and the rules that hold now. */
static bool window_fits(const struct plan_observed *in, bool is_own)
{
    return in->window.since_ms != 0 && in->window.step == in->progress.step &&
           in->window.is_own == is_own;
}

bool planner_analyse(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    struct plan *out = planner->out;
    bool is_own;
    const struct config_analysis *rules =
        plan_analysis(in->spec, &in->progress, in->weight, &is_own);

    if (rules == NULL || !window_fits(in, is_own))
        return false;
    out->verdict = analysis_judge(rules, &in->window.canary, &in->window.stable, in->window.look,
                                  out->verdict_why);
    if (out->verdict == ANALYSIS_FAIL) {
        planner_go_back(planner, "analysis: %s", out->verdict_why);
        return true;
    }
    /* A long window would hide what begins to fail late. */
    out->window_done = !is_own && out->verdict == ANALYSIS_PASS &&
                       in->now_ms >= in->window.since_ms + rules->interval_ms;
    planner_look_at(planner, out->window_done ? in->now_ms
                                              : in->window.since_ms + (in->window.look + 1ull) *
                                                                          analysis_look_ms(rules));
    return false;
}

/* What it comes to where the time is over and nothing is sure. */
static bool settle(struct planner *planner, const struct config_analysis *rules)
{
    const struct plan *out = planner->out;
    unsigned step = (unsigned)out->progress.step + 1;

    switch (rules->inconclusive) {
    case INCONCLUSIVE_PASS:
        return true;
    case INCONCLUSIVE_FAIL:
        planner_go_back(planner, "the analysis of step %u stayed inconclusive: %s", step,
                        out->verdict_why);
        return false;
    case INCONCLUSIVE_WAIT:
        break;
    }
    planner_wait(planner, "for the analysis of step %u to be sure: %s; `sluice promote` goes on",
                 step, out->verdict_why);
    return false;
}

bool planner_analysis_is_over(struct planner *planner)
{
    const struct plan_observed *in = planner->in;
    struct plan_progress *progress = &planner->out->progress;
    const struct config_analysis *rules = &in->spec->steps[progress->step].analysis;
    uint64_t end_ms = in->window.since_ms + rules->interval_ms;

    if (progress->promote_wanted) {
        progress->promote_wanted = false;
        return true;
    }
    planner->on_schedule = true;
    if (in->progress.step != progress->step || !in->progress.step_entered ||
        !window_fits(in, true)) {
        planner_look_at(planner, in->now_ms); /* it is entered just now: its window comes */
        planner_wait(planner, "for the analysis of step %u to begin", (unsigned)progress->step + 1);
        return false;
    }
    if (in->now_ms < end_ms) {
        planner_look_at(planner, end_ms);
        planner_wait(planner, "for the analysis of step %u: %s", (unsigned)progress->step + 1,
                     planner->out->verdict_why);
        return false;
    }
    planner->on_schedule = false;
    return planner->out->verdict == ANALYSIS_PASS || settle(planner, rules);
}
