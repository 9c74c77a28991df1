/* What the planner's files share: one run of plan_next(), and the small steps that every phase
 * takes. Pure, like all of the planner.
 *
 * Owner: plan_next(). Life: one call of it. */
#ifndef UPDATER_PLAN_PARTS_H
#define UPDATER_PLAN_PARTS_H

#include "plan.h"

#define PLAN_CREATES_AT_ONCE 2u /* more would only queue in the engine */
#define PLAN_ATTEMPTS_MAX    5u /* of one action on one container; the back-off is the caller's */

struct planner {
    const struct plan_observed *in;
    struct plan *out;
    bool on_schedule; /* a pause or the watch at the end runs: no progress is due */
    bool hold_wanted; /* the last one that serves is to make room */
    unsigned leaving; /* healthy ones that this plan takes out of rotation */
};

/* --- what is the case --------------------------------------------------------------------- */

bool container_runs(const struct plan_container *container);    /* a stop is needed */
bool container_can_run(const struct plan_container *container); /* it may (still) serve some time */
bool container_is_healthy(const struct plan_container *container); /* in rotation, that is */
bool container_gave_up(const struct plan_container *container, enum plan_action_kind kind);
unsigned planner_count(const struct planner *planner, bool is_new);
unsigned planner_count_healthy(const struct planner *planner, bool is_new);
/* How many of a group must be healthy before healthy ones of the other may go: replicas less
 * max_unavailable, less those that are gone for good, at least one. */
unsigned planner_floor(const struct planner *planner, bool is_new);
/* Index of the new container of an ordinal; -1: none. Of several (an updater that died may have
 * left one that it did not know) the one that has come furthest; the others are surplus. */
int planner_new_of(const struct planner *planner, unsigned ordinal);
bool planner_is_surplus(const struct planner *planner, unsigned index);

/* --- what is to be done -------------------------------------------------------------------- */

/* Adds an action. NULL where it must wait: too many at once, or the engine is away. */
struct plan_action *planner_act(struct planner *planner, enum plan_action_kind kind,
                                const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for one container; nothing while it is busy, or where the plan acts on it already. */
void planner_act_on(struct planner *planner, enum plan_action_kind kind, unsigned index,
                    const char *why);
/* What it waits for; the first reason given stands. */
void planner_wait(struct planner *planner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sets weight, match and mirror; true where they are so in every worker. */
bool planner_route(struct planner *planner, uint32_t weight, uint32_t mirror,
                   const struct config_match *match, const char *why);
/* Time alone will change the answer at `at_ms`. */
void planner_look_at(struct planner *planner, uint64_t at_ms);
/* The progress deadline: counts while `runs`; true once it has passed. */
bool planner_deadline(struct planner *planner, bool runs);
/* Forgets the actions planned so far: another phase begins, and decides anew. */
void planner_clear_actions(struct planner *planner);
/* Forgets the actions planned so far and turns back, for this reason. */
void planner_go_back(struct planner *planner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the rollout as it stands: nothing more is touched until somebody has looked. Not yet where
 * nothing serves, but will in a moment. */
void planner_need_attention(struct planner *planner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void planner_end(struct planner *planner, enum plan_outcome outcome);

/* Start, publish, put into rotation: one container's next step up. */
void planner_bring_up(struct planner *planner, unsigned index);
/* Drain, stop, remove: one container's next step down. */
void planner_retire(struct planner *planner, unsigned index);
/* The same, for one that drains: ends what has used up its budget. */
void planner_await_drain(struct planner *planner, unsigned index);
/* Drain and stop, but keep: one container's next step aside. True once it does not run. */
bool planner_put_away(struct planner *planner, unsigned index, const char *why);
/* Promoted: names are put right, and once nothing of the `leaving` is left it is completed. */
void planner_complete(struct planner *planner, unsigned leaving);

/* Whether one of these ended with the engine and is being started again: then it is not the end
 * yet. */
bool planner_awaits_restart(struct planner *planner, bool is_new);
/* No healthy one stays while some of the leaving group could serve: puts those back in rotation. */
void planner_keep_serving(struct planner *planner, bool is_new);
/* It has ended as it stands, and nobody brings anything into rotation any more: old ones that were
 * on their way get there now, for health alone to judge; where nothing serves, whatever could. */
void planner_leave_serving(struct planner *planner);

/* Begins the hooks and verifications of this point, one after the other. True once all are done for
 * this step; else it says what it waits for, or has turned back. */
bool planner_tasks(struct planner *planner, enum config_task_point point, uint32_t step);
/* The same for all that stands before a rise of the weight, or any other traffic. */
bool planner_tasks_before_traffic(struct planner *planner, uint32_t step);
/* Stop-first: what is asked before an old one makes room. Once it has, requests may wait, and
 * nobody is asked any more. */
bool planner_tasks_before_room(struct planner *planner, uint32_t step);
/* A healthy new one that is not in rotation yet, because others have their say before. */
bool planner_awaits_verification(const struct planner *planner,
                                 const struct plan_container *container);
/* Verifies what awaits it of the first `needed` ordinals, and takes it into rotation: all together
 * (`all_up`: they are there); stop-first each as it comes, for the next one makes room only when it
 * serves. True once all are in rotation. */
bool planner_admit(struct planner *planner, uint32_t needed, bool all_up);
/* Turns back where a hook asks for it. */
bool planner_is_asked_back(struct planner *planner);

/* "30s", "1m30s", "500ms" */
#define PLAN_DURATION_BYTES 24
const char *planner_duration(uint64_t ms, char text[PLAN_DURATION_BYTES]);

/* --- the phases ---------------------------------------------------------------------------- */

/* Judges the window's figures. True where the new version has failed, and it turns back. */
bool planner_analyse(struct planner *planner);
/* True when the analysis that the present step is has been passed. */
bool planner_analysis_is_over(struct planner *planner);

void plan_forward(struct planner *planner);
void plan_back(struct planner *planner);
void plan_promoted(struct planner *planner);
void plan_scaled(struct planner *planner); /* PROMOTED, of a scale */

/* --- replicas that make way one by one: plan_rolling.c --------------------------------------- */

/* Old ones make way while it goes forward; else all of them run until it is promoted. */
bool planner_replaces(const struct planner *planner);
int planner_old_of(const struct planner *planner, unsigned ordinal); /* index; -1: none */
/* Start-first: whether one more may run, with those that make way in turn. */
bool planner_has_room(const struct planner *planner);
/* Stop-first: true once the old one of this ordinal has made room. */
bool planner_make_room(struct planner *planner, unsigned ordinal);
/* True once the old ones of the first `needed` ordinals, whose replacements serve, are stopped. */
bool planner_old_are_away(struct planner *planner, unsigned needed);
/* The weight that is to hold now, on the way from one step's to the next. */
uint32_t planner_ramp(struct planner *planner, uint32_t from, uint32_t to);
/* Whether its new container failed and is to be made again. */
bool planner_is_failed(const struct planner *planner, unsigned ordinal);
/* After it has turned back for this failure: goes on after all, where that many may fail, or where
 * an operator is to decide. */
bool planner_forgive(struct planner *planner, unsigned ordinal);
/* Failed ones go, to be made again. False while it waits for an operator, or has turned back. */
bool planner_redo_failed(struct planner *planner);
/* The way back. */
void plan_back_replaced(struct planner *planner);
/* Whether somebody has removed every old one: there is nothing to go back to, and what is left of
 * the new ones is the last that knows the configuration. They are kept then. */
bool planner_is_stranded(struct planner *planner);
/* New exchanges are held, and nothing serves: what is to make room must not take long. */
bool planner_is_held_up(const struct planner *planner);
/* After a phase has planned: asks for a hold, renews or releases it. */
void planner_hold(struct planner *planner);

#endif
