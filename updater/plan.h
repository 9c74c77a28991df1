/* The planner: what is observed -> the next actions, and why. A pure function: no I/O, no clock,
 * no globals, no allocation, so it runs under a simulator (tests/simulation) with random faults.
 *
 * A rollout is level-triggered: observe, plan, act, and again after every event. The planner keeps
 * no memory of its own: what must survive a crash is `struct plan_progress`, which the updater
 * journals (in one transaction) before it acts on the answer.
 *
 * Words: "old" containers run the version from before, "new" ones the version being rolled out.
 * While a rollout is on, new ones are the canary group and old ones the stable group; when it is
 * promoted and finished, the new ones become stable. */
#ifndef UPDATER_PLAN_H
#define UPDATER_PLAN_H

#include "analysis.h"
#include "board/routing.h"
#include "board/verdicts.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

#define PLAN_CONTAINERS_MAX 256u
#define PLAN_REPLICAS_MAX   100u
#define PLAN_ACTIONS_MAX    64u
#define PLAN_STEPS_MAX      (2u * PLAN_REPLICAS_MAX) /* rolling: a batch and a delay for each */
#define PLAN_WHY_BYTES      384u                     /* engines explain at length */

enum plan_phase {
    PHASE_FORWARD,  /* new ones come up, weight moves to them */
    PHASE_PROMOTED, /* no way back: old ones are drained, stopped, removed; names put right */
    PHASE_BACK,     /* weight 0, new ones drained, stopped, removed */
    PHASE_ENDED,    /* outcome says how */
};

enum plan_outcome {
    OUTCOME_NONE,
    OUTCOME_COMPLETED,
    OUTCOME_ROLLED_BACK,
    OUTCOME_ABORTED,
    OUTCOME_NEEDS_ATTENTION
};

/* Journalled; everything else can be observed anew. */
struct plan_progress {
    enum plan_phase phase;
    enum plan_outcome outcome;
    uint32_t step;            /* index of the step that is being carried out */
    bool step_entered;        /* its weight is published / its pause has begun */
    uint64_t step_since_ms;   /* wall clock, since step_entered */
    uint64_t changed_ms;      /* wall clock of the last progress, for the progress deadline; 0: it
                                 does not run (paused, engine away), and starts anew after that */
    bool promote_wanted;      /* consumed by the pause it ends */
    bool aborted;             /* BACK was asked for by the operator: outcome aborted */
    uint64_t seen[2];         /* bit per ordinal: a new container of it was there, so that one
                                 that is missing later was removed by somebody */
    uint64_t failed[2];       /* bit per ordinal: its new container failed and is to go, to be made
                                 again (within max_failures, or after a promote) */
    uint32_t failures;        /* new containers that failed, since the last promote */
    bool failure_pause;       /* too many did: it waits for an operator (failure_action: pause) */
    bool holding;             /* new exchanges are held for a swap; ours to release */
    char why[PLAN_WHY_BYTES]; /* why BACK was entered, or what needs attention */
};

enum container_state { /* as the engine reports it */
                       CONTAINER_CREATED,
                       CONTAINER_RUNNING,
                       CONTAINER_PAUSED,
                       CONTAINER_RESTARTING,
                       CONTAINER_EXITED, /* also dead */
                       CONTAINER_REMOVING,
};

struct plan_container {
    char id[65];
    char name[128];   /* without the leading slash */
    uint16_t ordinal; /* 0-based; a new one takes over the configuration and the name of the old
                         one of the same ordinal */
    bool is_new;      /* label sluice.rollout is this rollout's */
    enum container_state state;
    int exit_code;          /* where EXITED */
    bool oom_killed;        /* where EXITED: it took more memory than it may */
    bool ended_with_engine; /* EXITED because the engine was restarted: nobody's failure */
    bool end_unexplained;   /* EXITED; whether the engine ends too is being asked */
    uint32_t restarts;      /* by its restart policy, since it was made */
    bool busy;              /* an action on it is in flight: nothing is planned for it */
    bool stopping;          /* the stop of an updater that died since may still be carried out */
    bool kept;              /* this rollout meant to stop it: it is kept for the way back */
    /* as routed: */
    enum backend_state backend; /* FREE: not in the table */
    enum verdict_state verdict; /* of its backend */
    uint64_t started_ms;        /* wall clock: when the engine started it; 0: not, not known */
    uint64_t published_ms;      /* wall clock: when its backend entered the table; 0: not */
    char reason[256];           /* the verdict's; the last failed action's where there is none */
    bool drained;               /* proven: scoreboard_is_drained() for the epoch of its drain */
    uint64_t drain_since_ms;    /* wall clock; 0: not draining */
    uint64_t removing_since_ms; /* wall clock: first seen as REMOVING; 0: it is not */
    uint32_t active[KIND_COUNT];
    uint8_t end_kinds;    /* already asked of the workers */
    uint32_t attempts;    /* failed tries in a row of the action `attempted` on it; while the caller
                             waits to try again (back-off), the container is busy */
    uint8_t attempted;    /* enum plan_action_kind */
    char final_name[128]; /* new: the name it is to get (its old one's); empty: keeps its own */
};

enum plan_task_state { PLAN_TASK_NONE, PLAN_TASK_RUNNING, PLAN_TASK_PASSED, PLAN_TASK_FAILED };

struct plan_task { /* a hook or verification; its result is kept by the journal */
    enum plan_task_state state;
    uint32_t step;     /* that it was begun for; another step wants it anew */
    uint64_t since_ms; /* wall clock: when it was begun */
    char reason[160];  /* what it said last, where it did not pass */
};

struct plan_spec {     /* fixed when the rollout starts; journalled with it */
    uint32_t replicas; /* old ones found at the start; 0: none, a first deployment */
    uint32_t scale_to; /* so many are wanted, of what runs: nothing is replaced (plan_scale.c); 0:
                          a rollout */
    uint32_t max_unavailable; /* that may be missing of them */
    enum config_strategy strategy;
    enum config_order order;        /* settled: never auto */
    char order_why[PLAN_WHY_BYTES]; /* why it is stop-first; empty where nobody need be told */
    uint32_t max_surge;             /* rolling: containers beyond the replicas */
    uint32_t ramp_ms;               /* rolling: a batch's share of traffic moves in so long */
    uint32_t max_failures;          /* new containers that may fail before failure_action */
    enum config_failure_action failure_action;
    uint32_t hold_ms; /* a hold is asked for this long at a time; no exchange is held for longer */
    const struct config_step *steps;
    size_t step_count;
    struct config_analysis analysis; /* `on`: judged through the whole rollout */
    const struct config_task *tasks; /* hooks and verifications */
    size_t task_count;
    struct config_drain drain;
    uint32_t health_timeout_ms, progress_deadline_ms, monitor_ms;
};

/* What is known of the requests since a window began; gathered for whom plan_analysis() says. */
struct plan_window {
    uint64_t since_ms; /* wall clock; 0: none is open */
    uint32_t step;     /* the one that it was opened for */
    bool is_own;       /* by the rules of that step, which is an analysis */
    uint32_t look;     /* from 1, at each distance of analysis_look_ms(); 0: too early */
    struct analysis_figures canary, stable; /* as of that look */
};

/* What operators ordered for the drains of this rollout; journalled. */
struct plan_drain_orders {
    uint64_t extend_ms[KIND_COUNT]; /* added to the budget of each of them */
    uint64_t ended_ms[KIND_COUNT]; /* wall clock: drains that began by then end this kind at once */
};

struct plan_observed {
    uint64_t now_ms; /* wall clock */
    const struct plan_spec *spec;
    struct plan_progress progress;
    uint32_t weight;           /* as published now */
    uint32_t mirror;           /* the same: share of requests that is copied to the new version, */
    struct config_match match; /* and the requests that are its own */
    bool weight_acknowledged;  /* every live worker has seen the epoch that published all three */
    bool engine_reachable; /* false: container states are those of the last list; no action on the
                              engine is planned, and no deadline runs out on it */
    bool image_ready;      /* the new image is on the engine (pulled and resolved) */
    uint32_t creating;     /* creates in flight, also those that an updater began that died since,
                              until their container is seen or cannot come any more */
    uint32_t create_attempts;          /* failed in a row */
    char create_error[PLAN_WHY_BYTES]; /* the last failure's words; empty: none */
    bool create_error_final;           /* trying again cannot help (4xx of the engine) */
    struct plan_window window;
    struct plan_drain_orders drain_orders;
    uint64_t hold_left_ms;  /* new exchanges are held for so long, whoever wanted it; 0: not held */
    bool hold_by_operator;  /* an operator wanted it (too) */
    bool hold_acknowledged; /* every live worker has seen the epoch that published it */
    /* the operator's wishes, each consumed through progress */
    bool wish_pause, wish_promote, wish_abort;
    bool paused_by_engine; /* wish_pause is ours: containers ended with the engine */
    struct plan_task tasks[CONFIG_TASKS_MAX]; /* of spec->tasks, index by index */
    unsigned container_count;
    struct plan_container containers[PLAN_CONTAINERS_MAX]; /* this service's, old and new: a whole
                            list (until the first one, engine_reachable is false). One that is gone
                            from the engine is left out; the caller frees its slot by itself */
};

enum plan_action_kind {
    ACTION_CREATE,     /* ordinal: create and label a new container from the old one's config */
    ACTION_START,      /* container */
    ACTION_PUBLISH,    /* container: into the table, state STARTING (probed, no traffic) */
    ACTION_READY,      /* container: state READY (in rotation while healthy). May take back a drain
                          where nothing else serves: its proof and end_kinds are void then */
    ACTION_SET_WEIGHT, /* weight, with match and mirror */
    ACTION_DRAIN,      /* container: state DRAINING */
    ACTION_END_KINDS,  /* container, kinds: these are to be ended from now on, and no others: their
                          budget has passed and the policy is close, or an operator said so */
    ACTION_STOP,       /* container; its proof of drain goes into the record */
    ACTION_REMOVE,     /* container; the slot is freed */
    ACTION_RENAME,     /* container to its final_name */
    ACTION_HOLD,       /* new exchanges wait for spec->hold_ms from now */
    ACTION_RELEASE,    /* they go on */
    ACTION_TASK,       /* task, step: begin this hook or verification */
};

struct plan_action {
    enum plan_action_kind kind;
    unsigned container; /* index into observed->containers, where it has one */
    uint16_t ordinal;   /* CREATE */
    uint32_t weight;    /* SET_WEIGHT */
    uint32_t mirror;
    struct config_match match;
    uint8_t kinds; /* END_KINDS: bit per enum exchange_kind */
    uint16_t task; /* TASK: index into spec->tasks */
    uint32_t step; /* TASK */
    char why[PLAN_WHY_BYTES];
};

struct plan {
    struct plan_progress progress; /* to be journalled before the actions are started */
    unsigned action_count;
    struct plan_action actions[PLAN_ACTIONS_MAX]; /* independent of one another: any order */
    uint64_t look_again_ms; /* wall clock at which time alone changes the answer; 0: events only */
    char waiting[PLAN_WHY_BYTES];  /* for people: what it is waiting for; empty where it acts */
    enum analysis_verdict verdict; /* on the window's figures */
    char verdict_why[ANALYSIS_WHY_BYTES];
    bool window_done; /* it has said all that it can: another one begins */
};

/* The rules that the new version's requests are judged by now, and in ret_is_own whether they are
 * the present step's own; NULL: they are not judged. Figures are gathered anew for each step. */
const struct config_analysis *plan_analysis(const struct plan_spec *spec,
                                            const struct plan_progress *progress, uint32_t weight,
                                            bool *ret_is_own);
/* Whether an action of this kind is on a container of the list: the others name none. */
static inline bool plan_action_has_container(enum plan_action_kind kind)
{
    return kind != ACTION_CREATE && kind != ACTION_SET_WEIGHT && kind != ACTION_HOLD &&
           kind != ACTION_RELEASE && kind != ACTION_TASK;
}

void plan_next(const struct plan_observed *observed, struct plan *ret_plan);

/* Whether a container of this ordinal is there after a scale. */
static inline bool plan_stays(const struct plan_spec *spec, unsigned ordinal)
{
    return ordinal < spec->scale_to;
}

/* How many new containers a weight needs: in proportion, rounded up, at least 1 for weight > 0. */
uint32_t plan_replicas_for(uint32_t replicas, uint32_t weight);
/* How many a step needs: as its weight does, at least one for a match or a mirror, or as many as
 * the last `replicas` step says; but all of them for the full weight. */
uint32_t plan_replicas_at(const struct plan_spec *spec, uint32_t step);
/* What holds at a step: its own, or that of the last one before it. With the full weight there is
 * nothing left to match or to mirror. */
uint32_t plan_weight_at(const struct plan_spec *spec, uint32_t step);
uint32_t plan_mirror_at(const struct plan_spec *spec, uint32_t step);
struct config_match plan_match_at(const struct plan_spec *spec, uint32_t step);

/* What an operator may ask for. */
enum plan_verb { VERB_PAUSE, VERB_RESUME, VERB_PROMOTE, VERB_ABORT };

/* Whether the verb applies now. Returns 0, or -EPERM with `why` for people: what is the case and
 * what to do instead. promote ends the present pause, or else the next one. */
int plan_verb_applies(const struct plan_progress *progress, bool paused_by_operator,
                      enum plan_verb verb, char why[PLAN_WHY_BYTES])
    __attribute__((warn_unused_result));

const char *plan_phase_name(enum plan_phase phase);       /* "forward", ... */
const char *plan_outcome_name(enum plan_outcome outcome); /* "completed", "rolled_back", ... */
const char *plan_action_name(enum plan_action_kind kind); /* "create", "set_weight", ... */

#endif
