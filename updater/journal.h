/* The journal: what the updater must not forget, in SQLite (WAL, synchronous=FULL) in
 * STATE/journal.db. Rollouts in progress, intents before and results after every action, and the
 * history of rollouts that people look at.
 *
 * Owner: the updater; its only writer. The lock STATE/lock (flock, with the holder's pid inside)
 * keeps a second updater out. Life: journal_open() to journal_close(). Every write is durable when
 * its call returns. Times are wall clock milliseconds; 0: not yet.
 *
 * Every call returns 0 or -errno: -EIO for SQLite's errors, -ENOSPC for a full disk, -ENOENT where
 * a row is not there; journal_error() then has the words. Strings in a struct handed in are
 * borrowed and may be NULL (stored as such); those in a struct handed out live in its `text`. */
#ifndef UPDATER_JOURNAL_H
#define UPDATER_JOURNAL_H

#include "updater/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_SCHEMA      8          /* user_version */
#define JOURNAL_APPLICATION 0x534c4a31 /* application_id: "SLJ1" */
#define JOURNAL_WHY_BYTES   256u
#define JOURNAL_LOG_MAX     2000u /* log lines kept per rollout; the oldest go */
#define JOURNAL_NOTES_MAX   100u  /* notes of a rollout: people's, not programs' */

struct journal;

/* Opens or makes the journal in `directory`, which must exist. Returns 0, or with `why` filled in
 * for people: -EBUSY (another updater has it, named by pid), -ENOTSUP (made by a newer Sluice),
 * -EINVAL (not a journal), -EACCES, -EROFS, -ENOENT, -ENOSPC, -EIO. */
int journal_open(const char *directory, struct journal **ret_journal, char why[JOURNAL_WHY_BYTES])
    __attribute__((warn_unused_result));
void journal_close(struct journal *journal); /* NULL is fine */
/* The last failure's words; "" where there was none. Valid until the next call. */
const char *journal_error(const struct journal *journal);

/* --- rollouts ------------------------------------------------------------------------------ */

struct cJSON;

struct journal_rollout {
    const char *id; /* "20261123-051500-4f2a" */
    const char *service, *strategy;
    const char *spec; /* JSON: journal_spec_write() */
    const char *image, *image_id, *digest, *previous_image, *previous_image_id;
    const char *reason, *user;
    uint64_t created_ms, ended_ms;
    uint32_t replicas, weight;                 /* weight: as last saved with the plan */
    bool wish_pause, wish_promote, wish_abort; /* the operator's, until consumed */
    struct plan_progress progress;
    char *text; /* owns the strings of a struct handed out; NULL in one handed in */
};

/* A new row. -EEXIST: a rollout of this service is in progress already (or the id is taken). */
int journal_rollout_add(struct journal *journal, const struct journal_rollout *rollout)
    __attribute__((warn_unused_result));
struct journal_changes { /* of configuration, JSON as in container_changes.h */
    const char *wanted;
    const char *undo; /* NULL: not known */
    char *text;
};
/* journal_rollout_add() with its changes, both or none. */
int journal_rollout_add_changed(struct journal *journal, const struct journal_rollout *rollout,
                                const struct journal_changes *changes)
    __attribute__((warn_unused_result));
/* -ENOENT: it made none. */
int journal_changes_load(struct journal *journal, const char *rollout,
                         struct journal_changes *ret_changes) __attribute__((warn_unused_result));
void journal_changes_done(struct journal_changes *changes);

/* Images and digest, known only after the pull. NULL leaves a value as it is. */
int journal_rollout_set_images(struct journal *journal, const char *rollout, const char *image_id,
                               const char *digest) __attribute__((warn_unused_result));
/* The operator's wishes are kept before the request is answered. */
int journal_rollout_set_wishes(struct journal *journal, const char *rollout, bool wish_pause,
                               bool wish_promote, bool wish_abort)
    __attribute__((warn_unused_result));

/* The one in progress of a service (phase not ended). -ENOENT: none. */
int journal_rollout_in_progress(struct journal *journal, const char *service,
                                struct journal_rollout *ret_rollout)
    __attribute__((warn_unused_result));
/* By id or a unique beginning of one. -ENOENT: none; -EEXIST: several begin so. */
int journal_rollout_find(struct journal *journal, const char *prefix,
                         struct journal_rollout *ret_rollout) __attribute__((warn_unused_result));
/* Newest first. service NULL: of every service. The caller frees by journal_rollouts_free(). */
int journal_rollout_list(struct journal *journal, const char *service, uint32_t limit,
                         struct journal_rollout **ret_rollouts, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_rollout_done(struct journal_rollout *rollout);
void journal_rollouts_free(struct journal_rollout *rollouts, size_t count);
/* Deletes all but the newest `keep` ended rollouts of a service, with all that hangs on them.
 * `going` (may be NULL) is told each before it goes, and again where a crash kept it. */
int journal_prune(struct journal *journal, const char *service, uint32_t keep,
                  void (*going)(void *context, const char *rollout), void *context)
    __attribute__((warn_unused_result));

/* The spec as JSON (the caller frees it) and back. `ret_steps` is what ret_spec->steps points to;
 * the caller frees it, and what ret_spec->tasks points to by journal_spec_done(). -EINVAL where the
 * text is not a spec. `template`: of a first deployment (container_template.h), else NULL;
 * journal_spec_template() gives it back, the caller frees it. */
char *journal_spec_write(const struct plan_spec *spec, const struct cJSON *template)
    __attribute__((warn_unused_result));
struct cJSON *journal_spec_template(const char *json) __attribute__((warn_unused_result));
int journal_spec_read(const char *json, struct plan_spec *ret_spec, struct config_step **ret_steps)
    __attribute__((warn_unused_result));
void journal_spec_done(struct plan_spec *spec);

/* --- plans and actions --------------------------------------------------------------------- */

/* In one transaction: the plan's progress (with `now_ms` as ended where it ended just now), the
 * weight published now, consumed wishes (promote where wish_promote was observed; abort where it
 * is on its way back), and an intent for each of its actions. ret_action_ids[i] is for
 * journal_action_end(). Writes nothing where nothing changed. */
int journal_save_plan(struct journal *journal, const char *rollout,
                      const struct plan_observed *observed, const struct plan *plan,
                      int64_t ret_action_ids[PLAN_ACTIONS_MAX]) __attribute__((warn_unused_result));

struct journal_action {
    int64_t id;
    const char *rollout;
    const char *kind;      /* plan_action_name(), or the updater's own ("pull") */
    const char *container; /* id; NULL: none (yet) */
    int ordinal;           /* -1: none */
    const char *detail;    /* why, or what more is to be known after a crash */
    uint64_t started_ms, ended_ms;
    int error; /* 0 or -errno */
    const char *message;
    char *text;
};
/* An intent outside of a plan; `id`, `ended_ms`, `error` and `message` are ignored. */
int journal_action_begin(struct journal *journal, const struct journal_action *action,
                         int64_t *ret_id) __attribute__((warn_unused_result));
/* The result. `container`: the id that a create got; NULL leaves it. */
int journal_action_end(struct journal *journal, int64_t id, uint64_t ended_ms, int error,
                       const char *message, const char *container)
    __attribute__((warn_unused_result));
/* Oldest first. `open_only`: intents without a result: what a crash interrupted. */
int journal_action_list(struct journal *journal, const char *rollout, bool open_only,
                        struct journal_action **ret_actions, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_actions_free(struct journal_action *actions, size_t count);

/* --- what belongs to a rollout -------------------------------------------------------------- */

struct journal_step {
    uint32_t index;
    uint64_t started_ms, ended_ms;
    const char *figures;  /* JSON, "split" of docs/admin-api.md; NULL: none */
    const char *analysis; /* JSON, "analysis" of docs/admin-api.md; NULL: none */
    char *text;
};
/* Adds or replaces; values that are 0 or NULL leave what is there. */
int journal_step_save(struct journal *journal, const char *rollout, const struct journal_step *step)
    __attribute__((warn_unused_result));
int journal_step_list(struct journal *journal, const char *rollout, struct journal_step **ret_steps,
                      size_t *ret_count) __attribute__((warn_unused_result));
void journal_steps_free(struct journal_step *steps, size_t count);

struct journal_container {
    const char *id, *name, *final_name, *image_id;
    uint16_t ordinal;
    bool is_new;
    uint32_t slot, generation; /* of its backend; generation 0: none */
    uint64_t created_ms, started_ms, published_ms, stopped_ms, removed_ms;
    const char *attached; /* JSON: volumes and networks that are to go with it; NULL: not known */
    char *text;
};
/* Adds or replaces the row of (rollout, id). */
int journal_container_save(struct journal *journal, const char *rollout,
                           const struct journal_container *container)
    __attribute__((warn_unused_result));
int journal_container_list(struct journal *journal, const char *rollout,
                           struct journal_container **ret_containers, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_containers_free(struct journal_container *containers, size_t count);

struct journal_drain {     /* fields of rollout.drains in docs/admin-api.md */
    const char *id;        /* the container's */
    const char *container; /* its name when the drain began */
    uint32_t slot, generation;
    bool is_new, forced;
    uint64_t epoch;
    uint64_t started_ms, drained_ms, duration_ms, stopped_ms, removed_ms;
    int64_t notice_us; /* last exchange's end to its being noticed; -1: it was idle */
    const char *proof; /* JSON; NULL: not drained yet */
    const char *ends;  /* JSON: how its exchanges ended, by class; NULL: not drained yet */
    char *text;
};
/* Adds or replaces the row of (rollout, id). */
int journal_drain_save(struct journal *journal, const char *rollout,
                       const struct journal_drain *drain) __attribute__((warn_unused_result));
int journal_drain_list(struct journal *journal, const char *rollout,
                       struct journal_drain **ret_drains, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_drains_free(struct journal_drain *drains, size_t count);

/* journal_drains.c: what operators ordered for the drains of a rollout. */
int journal_drain_orders_save(struct journal *journal, const char *rollout,
                              const struct plan_drain_orders *orders)
    __attribute__((warn_unused_result));
/* All zero where nothing was ordered. */
int journal_drain_orders_load(struct journal *journal, const char *rollout,
                              struct plan_drain_orders *ret_orders)
    __attribute__((warn_unused_result));

struct journal_line {
    uint64_t time_ms;
    const char *event, *message;
    char *text;
};
int journal_log(struct journal *journal, const char *rollout, uint64_t time_ms, const char *event,
                const char *message) __attribute__((warn_unused_result));
int journal_log_list(struct journal *journal, const char *rollout, struct journal_line **ret_lines,
                     size_t *ret_count) __attribute__((warn_unused_result));
void journal_lines_free(struct journal_line *lines, size_t count);

struct journal_note { /* what somebody noted of a rollout */
    uint64_t time_ms;
    const char *user, *message;
    bool is_lesson; /* to be read at the next rollout of the service */
    const char *rollout;
    char *text;
};
/* Only JOURNAL_NOTES_MAX of a rollout: -EDQUOT beyond. */
int journal_note_add(struct journal *journal, const char *rollout, const struct journal_note *note)
    __attribute__((warn_unused_result));
/* Oldest first. */
int journal_note_list(struct journal *journal, const char *rollout, struct journal_note **ret_notes,
                      size_t *ret_count) __attribute__((warn_unused_result));
/* Lessons of the service's rollouts that began before, newest first, at most `limit`. */
int journal_lesson_list(struct journal *journal, const char *service, uint64_t before_ms,
                        uint32_t limit, struct journal_note **ret_notes, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_notes_free(struct journal_note *notes, size_t count);

struct journal_preflight { /* a check before it began */
    const char *name, *outcome, *message;
    bool forced;
    char *text;
};
/* All of them at once, in order. */
int journal_preflight_save(struct journal *journal, const char *rollout,
                           const struct journal_preflight *checks, size_t count)
    __attribute__((warn_unused_result));
int journal_preflight_list(struct journal *journal, const char *rollout,
                           struct journal_preflight **ret_checks, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_preflights_free(struct journal_preflight *checks, size_t count);

struct journal_task { /* a hook or verification, at one step */
    uint32_t position, step;
    const char *name, *point, *kind;
    const char *state; /* "running", "passed", "failed" */
    uint32_t attempts;
    uint64_t started_ms, ended_ms;
    const char *user;    /* who confirmed it; NULL: nobody */
    const char *message; /* what it said */
    char *text;
};
/* Adds or replaces the row of (rollout, position, step). */
int journal_task_save(struct journal *journal, const char *rollout, const struct journal_task *task)
    __attribute__((warn_unused_result));
/* In the order of their begin. */
int journal_task_list(struct journal *journal, const char *rollout, struct journal_task **ret_tasks,
                      size_t *ret_count) __attribute__((warn_unused_result));
void journal_tasks_free(struct journal_task *tasks, size_t count);

struct journal_check { /* looked up at the end */
    const char *name;
    bool passed;
    const char *message;
    char *text;
};
/* Replaces all of the rollout. */
int journal_checks_save(struct journal *journal, const char *rollout,
                        const struct journal_check *checks, size_t count)
    __attribute__((warn_unused_result));
/* One more, after those. */
int journal_check_add(struct journal *journal, const char *rollout,
                      const struct journal_check *check) __attribute__((warn_unused_result));
int journal_check_list(struct journal *journal, const char *rollout,
                       struct journal_check **ret_checks, size_t *ret_count)
    __attribute__((warn_unused_result));
void journal_checks_free(struct journal_check *checks, size_t count);

/* --- services ------------------------------------------------------------------------------ */

struct journal_service {
    const char *name;
    const char *stable_rollout; /* the last one completed; NULL: none yet */
    const char *options;        /* JSON of the updater's own; NULL: none */
    uint32_t weight;            /* static services: set by hand */
    char *text;
};
int journal_service_save(struct journal *journal, const struct journal_service *service)
    __attribute__((warn_unused_result));
/* -ENOENT: nothing was saved for it. */
int journal_service_load(struct journal *journal, const char *name,
                         struct journal_service *ret_service) __attribute__((warn_unused_result));
void journal_service_done(struct journal_service *service);

#endif
