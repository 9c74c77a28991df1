/* What the planner is told: one plain struct from the engine's last word, the boards, the clock and
 * the operator's wishes. */
#ifndef UPDATER_OBSERVE_H
#define UPDATER_OBSERVE_H

#include "rollout.h"

/* `ret_ids[i]` is the container of observed->containers[i]. */
void observe(struct rollout *rollout, struct plan_observed *ret_observed,
             struct container *ret_containers[PLAN_CONTAINERS_MAX]);

/* Whether every live worker has seen this epoch. */
bool epoch_is_acknowledged(const struct scoreboard *scores, uint64_t epoch);

#endif
