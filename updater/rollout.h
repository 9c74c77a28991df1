/* One rollout in progress: observe, plan, journal, act, and again after every event.
 *
 * Owner: its service, from rollout_begin() or rollout_load() until it has ended; ended ones live in
 * the journal only. What the planner must not forget is journalled before it is acted upon. */
#ifndef UPDATER_ROLLOUT_H
#define UPDATER_ROLLOUT_H

#include "base/timer.h"
#include "journal.h"
#include "plan.h"
#include "rollout_spec.h"
#include "service.h"
#include "task.h"
#include "window.h"

#include <stdbool.h>
#include <stdint.h>

#define MEMBER_IMAGE_BYTES 80
#define ROLLOUT_ORPHAN_MS  5000u /* a create that was cut off is carried out by then or never */

struct member_drain { /* of one container; kept by the journal */
    bool begun, forced;
    char name[128]; /* the container's when it began */
    uint32_t slot, generation;
    uint64_t epoch, started_ms, drained_ms, duration_ms;
    int64_t notice_us; /* -1: it was idle */
    char *proof;       /* JSON, as is: */
    char *ends;        /* how its exchanges ended, by class */
};

struct member { /* a container that takes part, found or once found */
    char id[65];
    char name[128];
    char final_name[128]; /* new: the name it is to get */
    char image_id[MEMBER_IMAGE_BYTES];
    uint16_t ordinal;
    bool is_new;
    bool stop_meant; /* its stop was begun: follows from the journal's actions */
    bool stop_cut;   /* by an updater that died: the engine may still be at it */
    uint32_t slot, generation;
    uint64_t created_ms, started_ms, published_ms, stopped_ms, removed_ms; /* wall clock */
    char *attached; /* container_facts.attached, when it was first seen; NULL: not known */
    struct member_drain drain;
};

struct member_list { /* owns the texts */
    struct member items[PLAN_CONTAINERS_MAX];
    unsigned count;
};
/* Reads them from the journal; returns 0 or -errno. Ended by member_list_done(). */
int member_list_load(struct journal *journal, const char *rollout, struct member_list *ret_list)
    __attribute__((warn_unused_result));
void member_list_done(struct member_list *list);

struct rollout {
    struct service *service;
    struct journal_rollout record; /* owns its strings */
    struct plan_spec spec;
    struct config_step *steps;     /* spec.steps */
    struct plan_progress progress; /* as journalled */
    struct cJSON *changes;         /* container_changes.h; NULL: none */
    struct cJSON *template;        /* container_template.h, of a first deployment; NULL: none */
    bool wish_pause, wish_promote, wish_abort;
    struct plan_drain_orders drain_orders;
    struct member_list members;
    struct task tasks[CONFIG_TASKS_MAX]; /* of spec.tasks, index by index */
    uint32_t creating;                   /* creates in flight */
    bool creating_ordinal[PLAN_REPLICAS_MAX];
    uint32_t create_attempts;
    uint64_t create_retry_ms; /* clock_ms() */
    char create_error[PLAN_WHY_BYTES];
    bool create_error_final;
    bool redo[PLAN_REPLICAS_MAX]; /* the create was cut off: what is there may lack a network */
    uint64_t loaded_ms;           /* clock_ms(): when it was taken up; 0: it was begun here */
    uint64_t orphans_until_ms;    /* clock_ms(): creates of an updater that died may come so long */
    uint32_t name_suffix;         /* rises when a name is taken by a stranger */
    bool olds_noted;              /* as members: see rollout_note_olds() */
    bool ended;                   /* told and recorded; freed at the end of the turn */
    bool paused_by_engine;        /* wish_pause is not an operator's */
    bool told_paused;             /* that it waits for people; told anew by the next updater */
    uint64_t engine_pause_ms; /* updater's engine_back_ms for which it was paused; 0: it was not */
    char waiting[PLAN_WHY_BYTES];
    char logged[PLAN_WHY_BYTES]; /* the journal trouble last logged */
    struct timer look_again;
    struct window *window; /* on the new version's requests; see window.h */
};

/* At start: takes up the one in progress from the journal, if there is one. Returns 0, or -errno of
 * the journal: then what is new cannot be told from what is old, and nothing may be done. */
int rollout_load(struct service *service) __attribute__((warn_unused_result));

struct rollout_request { /* what was asked for, checked by preflight */
    struct service *service;
    const char *image, *image_id, *digest, *reason, *user;
    struct rollout_way way;
    const struct cJSON *changes, *undo; /* container_changes.h; NULL: none */
    const char *beside_why; /* why no new one can run beside its old one; NULL: it can */
    uint32_t scale_to;      /* a scale to so many, of the image given; 0: a rollout */
    const struct cJSON
        *template; /* container_template.h: a scale from none; NULL: there are some */
};
/* The old ones: those that run now, in order; the others are not ours to replace. */
unsigned rollout_olds(const struct service *service,
                      struct container *ret_old[SERVICE_CONTAINERS_MAX]);
/* Makes members of those, in that order: it says who is replaced by whom, and ends with whose name.
 * Once, and again by an updater that takes it up: the one before may have died in the middle. */
void rollout_note_olds(struct rollout *rollout);
/* Journals a new rollout and starts it. Returns 0 or -errno of the journal. */
int rollout_begin(const struct rollout_request *request) __attribute__((warn_unused_result));

/* One turn: plans and starts what is to be done now. */
void rollout_turn(struct rollout *rollout);
/* Stops its timer and frees it. NULL is fine. */
void rollout_free(struct rollout *rollout);

const char *rollout_id(const struct rollout *rollout);
/* "running", "paused", "rolling_back", ... of docs/admin-api.md */
const char *rollout_state_name(const struct plan_progress *progress, bool is_paused);
bool rollout_is_paused(const struct rollout *rollout);
/* The group that it serves in while the rollout is on. */
enum group rollout_group(const struct rollout *rollout, const struct container *container);
/* Whether this container is of this rollout's new ones. */
bool rollout_is_new(const struct rollout *rollout, const struct container *container);

/* The name that the new container of an ordinal gets in the end. */
void rollout_final_name(const struct rollout *rollout, unsigned ordinal, char *name, size_t size);
/* The member of this container; a new one where it is not known yet. NULL where all are in use. */
struct member *rollout_member(struct rollout *rollout, const struct container *container);
struct member *rollout_member_of_id(struct rollout *rollout, const char *id);
void member_save(struct rollout *rollout, const struct member *member);
void member_drain_save(struct rollout *rollout, const struct member *member);
/* A line of its log, in the journal and on stderr. */
void rollout_log(struct rollout *rollout, const char *event, const struct member *member,
                 const char *message);
/* A drain is proven. */
void rollout_drained(struct rollout *rollout, int slot, const struct drain_proof *proof,
                     uint64_t noticed_us);
/* Whether this one was made by an updater that died before it was complete. */
bool rollout_is_half_made(const struct rollout *rollout, const struct container *container);
/* Whether this one is being made now: events may tell of it before its networks are connected. */
bool rollout_is_being_made(const struct rollout *rollout, const struct container *container);
/* Until when a stop that was cut off may still be carried out, as clock_ms(); 0: none may. */
uint64_t rollout_stop_lands_ms(const struct rollout *rollout, const struct container *container,
                               const struct member *member);
/* Records the split of the weight in force with the step that set it. */
void rollout_record_split(struct rollout *rollout);

#endif
