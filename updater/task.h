/* Carries out the hooks and verifications of a rollout: webhooks, commands, gates, requests to the
 * new containers. The planner says when one begins and judges its result; here it is tried, as
 * often as it says, each try with a limit of its own.
 *
 * At least once: what the journal has as begun is tried again by the next updater, under the same
 * delivery id ("ROLLOUT/NAME/STEP"). A result that stands in the journal is final.
 *
 * Owner: the rollout. Life: from its begin or load to its end. */
#ifndef UPDATER_TASK_H
#define UPDATER_TASK_H

#include "plan.h"

#include <stdbool.h>
#include <stdint.h>

#define TASK_MESSAGE_BYTES 1024u /* kept of what it said */

struct cJSON;
struct rollout;
struct task_try; /* in flight */
struct updater;

struct task {
    enum plan_task_state state;
    uint32_t step, attempts;
    uint64_t started_ms, ended_ms; /* wall clock */
    uint64_t next_ms;              /* clock_ms(): the next try; 0: none is due */
    struct task_try *try;
    char message[TASK_MESSAGE_BYTES];
    char *user; /* who said yes in its place */
};

/* At a rollout's load: what was begun is tried again. */
int tasks_load(struct rollout *rollout) __attribute__((warn_unused_result));
/* Ends what is in flight, untold. */
void tasks_stop(struct rollout *rollout);
/* Journals its begin, then tries it. */
void task_begin(struct rollout *rollout, unsigned index, uint32_t step);
/* Tries what is due; returns clock_ms() of the next one, 0: none. */
uint64_t tasks_turn(struct rollout *rollout);
void tasks_observe(const struct rollout *rollout, struct plan_observed *observed);
/* A gate is open to people, or a failed one waits for them. */
bool tasks_wait_for_people(const struct rollout *rollout);

/* Somebody says yes to the one that waits (by name, or NULL: the only one). Returns 0, or -ENOENT
 * with `why`, or -errno of the journal. */
int task_confirm(struct rollout *rollout, const char *name, const char *user,
                 char why[PLAN_WHY_BYTES]) __attribute__((warn_unused_result));

/* --- task_try.c ----------------------------------------------------------------------------- */

/* Starts a try; task_tried() follows, at once where it cannot even begin. */
void task_try_start(struct rollout *rollout, unsigned index);
void task_try_stop(struct task_try *try); /* untold; NULL is fine */

/* Whether verifications are sent to it: a new one, in rotation or about to be. */
struct container;
bool task_is_target(const struct rollout *rollout, const struct container *container);

/* Its end: `passed`, and what it said. */
void task_tried(struct rollout *rollout, unsigned index, bool passed, const char *message);

/* What a webhook or command gets to read; the caller owns it. */
struct cJSON *task_payload(const struct rollout *rollout, unsigned index);

#endif
