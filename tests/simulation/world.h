/* A world in memory for one rollout: an engine with containers, workers with exchanges, health, an
 * operator, and an updater that may crash between any two of its steps. Everything follows from
 * the seed. Time goes in ticks.
 *
 * Owner: simulate.c. Life: one rollout. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "updater/plan.h"

#define TICK_MS        100u
#define CONTAINERS_MAX 64
#define WORKERS_MAX    4
#define EXCHANGES_MAX  96
#define OPERATIONS_MAX 64
#define INTENTS_MAX    32
#define STEPS_MAX      24 /* ten replicas one by one, with a delay between */
#define SIM_TASKS_MAX  5
#define TICKS_MAX      8000u
#define CREATE_TICKS_MAX                                                                           \
    12u /* the engine answers a create, or will never make it, in this time                        \
         */

enum fault {
    FAULT_CREATE_PASSING,
    FAULT_CREATE_FINAL,
    FAULT_START,
    FAULT_STOP,
    FAULT_REMOVE,
    FAULT_RENAME,
    FAULT_FINAL_START,
    FAULT_FINAL_STOP,
    FAULT_FINAL_REMOVE,
    FAULT_FINAL_RENAME,
    FAULT_EXIT,
    FAULT_FLAP,
    FAULT_STRANGER_REMOVES,
    FAULT_STRANGER_STOPS,
    FAULT_STRANGER_PAUSES,
    FAULT_ENGINE_AWAY,
    FAULT_ENGINE_RESTARTS,
    FAULT_ANSWER_LOST,
    FAULT_EVENT_LATE,
    FAULT_WORKER_DIES,
    FAULT_HEALTH_SLOW,
    FAULT_HEALTH_NEVER,
    FAULT_SICK_LATER,
    FAULT_OLD_SICK,
    FAULT_CRASH_BEFORE_JOURNAL,
    FAULT_CRASH_BETWEEN,
    FAULT_CRASH_AFTER,
    FAULT_CRASH_IDLE,
    FAULT_OVER_BUDGET,
    FAULT_PAUSE,
    FAULT_PROMOTE,
    FAULT_ABORT,
    FAULT_EXTEND,
    FAULT_END_KIND,
    FAULT_REMOVAL_HANGS,
    FAULT_BOARDS_LOST,
    FAULT_FAILING_VERSION,
    FAULT_TASK_FAILS,
    FAULT_ASKED_BACK,
    FAULT_COUNT,
};

enum mutation {
    MUTATION_NONE,
    MUTATION_STOP_BEFORE_DRAINED,
    MUTATION_WEIGHT_BEFORE_HEALTHY,
    MUTATION_PROMOTE_EARLY,
    MUTATION_FORGET_RENAME,
    MUTATION_DRAIN_BEFORE_WEIGHT_IS_TAKEN,
    MUTATION_DRAIN_WHATEVER_THE_HEALTH,
    MUTATION_FORGET_REMOVE,
    MUTATION_END_EXCHANGES_EARLY,
    MUTATION_IGNORE_PAUSE,
    MUTATION_MAKE_TWICE,
    MUTATION_NEVER_LOOK_AGAIN,
    MUTATION_FORGET_PHASE,
    MUTATION_ACT_WITHOUT_ENGINE,
    MUTATION_TAKE_WEIGHT_FROM_THE_LAST_HEALTHY,
    MUTATION_SKIP_PAUSES,
    MUTATION_PASS_WHATEVER_FAILS,
    MUTATION_HASTY_ANALYSIS,
    MUTATION_FAIL_WHAT_IS_GOOD,
    MUTATION_LEAVE_THE_MATCH,
    MUTATION_FORGET_EXTENSIONS,
    MUTATION_FORGET_ENDS,
    MUTATION_END_WHATEVER_THE_POLICY,
    MUTATION_HASTY_REMOVALS,
    MUTATION_START_BEFORE_ROOM,
    MUTATION_MAKE_ROOM_UNHELD,
    MUTATION_FORGET_RELEASE,
    MUTATION_FORGET_THE_WAY_BACK,
    MUTATION_REMOVE_THE_KEPT,
    MUTATION_FORGIVE_ALL,
    MUTATION_SKIP_TASKS,
    MUTATION_BEGIN_TASKS_AGAIN,
    MUTATION_PASS_WHAT_RUNS,
    MUTATION_VERIFY_ONCE,
    MUTATION_HOLD_FOR_VERIFICATIONS,
    MUTATION_SCALE_ONE_LESS,
    MUTATION_SCALE_WHATEVER_THE_HEALTH,
    MUTATION_COUNT,
};

struct sim_task { /* as the journal has it, and what will come of it */
    enum plan_task_state state;
    uint32_t step;
    uint64_t since, done_at;
    bool fails;
};

struct sim_container {
    /* the engine's truth */
    bool exists, is_new, is_lost /* taken by a stranger */, has_died;
    bool we_stopped, we_removed;
    uint64_t stop_lands;    /* a stop that the engine was asked for is carried out by then */
    bool stop_meant;        /* the journal has an intent to stop it */
    bool ended_with_engine; /* until it is started again */
    uint16_t ordinal;
    char name[40], final_name[40];
    enum container_state state;
    uint64_t removing_since, gone_at; /* while the engine removes it */
    uint64_t started, seen_started, healthy_at, sick_from, sick_until, exit_at, back_at, unpause_at;
    bool never[ACTION_RENAME + 1]; /* this action on it fails for ever */
    /* the boards' */
    enum backend_state backend;
    enum verdict_state verdict;
    unsigned failures;
    uint64_t published, drain_since, drain_epoch;
    uint8_t end_kinds;
    uint32_t active[KIND_COUNT];
    uint64_t requests, failed;           /* ended */
    uint64_t base_requests, base_failed; /* when the updater's window was opened */
    /* what the updater has seen of it; `fresh_at`: when the next event of it arrives */
    bool seen, seen_ended_with_engine;
    enum container_state seen_state;
    uint32_t restarts, seen_restarts; /* by its policy */
    char seen_name[40];
    uint64_t fresh_at;
    /* the updater's memory */
    uint32_t attempts;
    uint8_t attempted;
    uint64_t retry_at;
};

struct sim_view { /* the table as a worker has taken it */
    uint64_t epoch;
    uint64_t held_until; /* new exchanges wait; 0: they do not */
    uint32_t weight, mirror;
    struct config_match match;
    uint8_t backend[CONTAINERS_MAX];
    uint8_t end_kinds[CONTAINERS_MAX];
};

struct sim_worker {
    bool live;
    uint64_t back_at, take_at; /* take_at: when it looks at the table next; 0: it is up to date */
    struct sim_view view;
};

struct sim_exchange {
    bool is_on;
    uint8_t worker, kind;
    int container;
    uint64_t end_at;
};

struct sim_operation { /* the engine is at it, whether the updater lives or not */
    bool is_on, fails, is_final, answer_lost;
    enum plan_action_kind kind;
    int container;
    uint16_t ordinal;
    uint64_t done_at;
    unsigned incarnation;
};

struct sim_intent { /* a create in the journal without a result */
    bool is_open;
    uint16_t ordinal;
    uint64_t at;
    unsigned incarnation;
};

struct world {
    uint64_t seed, random;
    uint64_t now;
    uint64_t calm_at; /* no fault begins after this */
    bool is_clean, verbose;
    enum mutation mutation;
    /* the rollout */
    struct plan_spec spec;
    struct config_step steps[STEPS_MAX];
    uint32_t fault_rate;     /* per 10,000 ticks and kind */
    bool is_bad_version;     /* never healthy */
    bool is_failing_version; /* healthy, and every other request fails */
    struct config_task config_tasks[SIM_TASKS_MAX];
    char task_names[SIM_TASKS_MAX][32];
    struct sim_task tasks[SIM_TASKS_MAX];
    /* engine */
    int container_count;
    struct sim_container containers[CONTAINERS_MAX];
    struct sim_operation operations[OPERATIONS_MAX];
    uint64_t away_until, image_at;
    bool create_never;
    bool has_restarted; /* the engine, since the updater last looked */
    unsigned made;
    /* data plane */
    unsigned worker_count;
    struct sim_worker workers[WORKERS_MAX];
    struct sim_exchange exchanges[EXCHANGES_MAX];
    struct sim_view table;
    uint64_t hold_epoch;
    /* journal */
    struct plan_progress progress;
    struct sim_intent intents[INTENTS_MAX];
    bool wish_pause, wish_promote, wish_abort;
    struct plan_drain_orders orders;
    /* updater */
    bool is_up, has_listed, is_awake;
    unsigned incarnation;
    uint64_t up_at, listed_at, look_again_at;
    uint32_t create_attempts;
    uint64_t create_retry_at;
    bool create_error_final;
    struct plan_window window;
    bool window_done;
    /* operator */
    uint64_t resume_at, promote_at;
    /* checks: own bookkeeping */
    uint64_t step_since, full_since, short_since;
    uint64_t step_requests; /* of new ones, when the step began */
    unsigned promotes;
    uint64_t next_step_since; /* these two once the plan is journalled */
    unsigned next_promotes;
    char broken[256]; /* what was violated; empty: nothing */
    uint64_t faults[FAULT_COUNT];
};

/* --- world.c: chance and the engine --------------------------------------------------------- */
uint64_t world_random(struct world *world, uint64_t below);
bool world_chance(struct world *world, uint32_t per_ten_thousand);
void world_init(struct world *world, uint64_t seed);
void world_tick(struct world *world); /* all but the updater */
bool world_engine_is_away(const struct world *world);
int world_add_container(struct world *world, bool is_new, uint16_t ordinal);
/* The engine starts on it. False: no room (a bug of the simulator). */
void world_operate(struct world *world, enum plan_action_kind kind, int container,
                   uint16_t ordinal);
void world_changed(struct world *world, int container); /* an event of it is on its way */
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_fault(struct world *world, enum fault fault, int container);

/* --- traffic.c: workers, exchanges, health --------------------------------------------------- */
void traffic_tick(struct world *world);
void traffic_publish(struct world *world); /* the table changed: a new epoch */
bool traffic_has_taken(const struct world *world, uint64_t epoch); /* every live worker */
uint32_t traffic_active(const struct sim_container *container);    /* exchanges of any kind */
bool traffic_is_held(const struct world *world); /* by every live worker, for now */
bool traffic_is_drained(const struct world *world, int container);
void traffic_lose_boards(struct world *world); /* everything of Sluice was restarted */
void traffic_end_all(struct world *world, int container);

/* --- tasks.c: hooks and verifications --------------------------------------------------------- */
void tasks_init(struct world *world);
void tasks_tick(struct world *world);
void tasks_begin(struct world *world, uint16_t index, uint32_t step);
void tasks_resume(struct world *world); /* by the next updater */
void tasks_observe(const struct world *world, struct plan_observed *observed);
/* Whether all of this point have been done for this step, or are not waited for. */
bool tasks_allow(const struct world *world, enum config_task_point point, uint32_t step);
/* Verifications before traffic are done that began after `published`. */
bool tasks_have_verified(const struct world *world, uint64_t published);
/* Stop-first, of the present step: an old one may make room. */
bool tasks_allow_room(const struct world *world);
/* How long exchanges that are held have waited for a verification; 0: they do not. */
uint64_t tasks_held_for(const struct world *world);

/* --- updater_model.c: observe, journal, act -------------------------------------------------- */
void updater_tick(struct world *world);
void updater_answer(struct world *world, const struct sim_operation *operation, bool failed);

/* --- checks.c: the invariants ----------------------------------------------------------------- */
void check_plan(struct world *world, const struct plan_observed *observed, const struct plan *plan);
void check_action(struct world *world, const struct plan_observed *observed,
                  const struct plan_action *action);
void check_saved(struct world *world); /* the plan was journalled */
void check_applied(struct world *world);
void check_serving(struct world *world); /* as soon as it has ended */
void check_end(struct world *world);     /* when all that was under way has landed */
void check_break(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- checks_steps.c --------------------------------------------------------------------------- */
unsigned check_healthy(const struct world *world, bool is_new); /* in checks.c */
/* What the new version's requests came to since the simulation began. */
void check_count_new(const struct world *world, uint64_t *ret_requests, uint64_t *ret_failures);
void check_step_analysis(struct world *world, const struct config_analysis *rules,
                         uint64_t waited_ms, uint32_t step);
void check_step_taken(struct world *world, uint32_t step);
void check_step_raised(struct world *world, uint32_t wanted, uint32_t step);
uint64_t check_step_replicas(const struct world *world, uint32_t step, uint32_t weight);
void check_step_route(struct world *world, const struct plan_action *action);
bool check_in_rotation(const struct sim_container *container);
bool check_is_surplus(const struct world *world, const struct sim_container *container);
bool check_is_short_for_too_long(const struct world *world);
/* in checks_scale.c */
bool check_is_scale(const struct world *world);
bool check_is_first(const struct world *world);
unsigned check_ordinals(const struct world *world); /* so many there are at any time */
unsigned check_healthy_staying(const struct world *world);
void check_scale_create(struct world *world, uint16_t ordinal);
void check_scale_promotion(struct world *world);
void check_scale_leaving(struct world *world, const struct sim_container *container,
                         enum plan_action_kind kind);
void check_scale_drain(struct world *world, const struct sim_container *container);
bool check_scale_is_full(const struct world *world);
bool check_scale_is_short(const struct world *world);
void check_scaled(struct world *world);
/* in checks_turn.c */
bool check_is_in_turn(const struct world *world);
bool check_is_stop_first(const struct world *world);
bool check_old_are_missing(const struct world *world);
void check_turn(struct world *world, const struct sim_container *container,
                enum plan_action_kind kind);
void check_turn_drain(struct world *world, const struct sim_container *container);
void check_turn_start(struct world *world, int index);

/* --- mutations.c ------------------------------------------------------------------------------ */
void mutation_plan(enum mutation mutation, struct plan_observed *observed, struct plan *ret_plan);
const char *mutation_name(enum mutation mutation);
const char *fault_name(enum fault fault);

#endif
