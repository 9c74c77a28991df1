/* Carries out one action of a plan, in two parts: first what changes the routing table, for all
 * actions of a plan, so that it is published before anything slower; then the rest. What touches
 * the engine is a chain of calls: the container is busy until the last of them has answered and it
 * has been inspected again. */
#ifndef UPDATER_ACT_H
#define UPDATER_ACT_H

#include "rollout.h"

struct engine_reply;

/* `container` is NULL for actions that have none. `action_id` is the journal's. */
void act_route(struct rollout *rollout, const struct plan_action *action,
               struct container *container);
void act(struct rollout *rollout, const struct plan_action *action, struct container *container,
         int64_t action_id);
/* create.c */
void act_create(struct rollout *rollout, const struct plan_action *action, int64_t action_id);

/* remove.c: removes what must not be there: half-made containers of this service's rollout, and
 * leftovers of one that ended without them. */
void act_sweep(struct service *service);

/* Writes down that a drain has begun, as the table has it. */
void act_record_drain(struct rollout *rollout, struct container *container);

/* What both need: the rollout of this service and id if it is still on, else NULL. */
struct rollout *act_rollout(const struct service *service, const char *id);
void act_journal_end(struct service *service, int64_t action_id, int error, const char *message,
                     const char *container);
enum failing {
    FAILING_FINAL,   /* trying again cannot help */
    FAILING_PASSING, /* it may, after a while */
    FAILING_AWAY,    /* nobody heard the question, so it was no attempt */
};
enum failing act_failing(const struct engine_reply *reply);
/* Back-off before the n-th try again: 1, 2, 4 ... 30 s. */
uint32_t act_backoff_ms(uint32_t attempts);

#endif
