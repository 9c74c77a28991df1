/* Holding a service: new exchanges wait in the workers until it is released or its time is over.
 *
 * What lasts is in the routing table alone, which outlives the updater; workers look at the time
 * themselves, so a hold ends even where no updater does. */
#ifndef UPDATER_HOLD_H
#define UPDATER_HOLD_H

#include "service.h"

/* At start: takes up what the table says. */
void hold_load(struct service *service);
/* For `ms` from now on, whatever was before. */
void hold_begin(struct service *service, uint64_t ms, uint64_t uid);
/* Returns whether it was held. */
bool hold_release(struct service *service, uint64_t uid);
/* For the swap of a rollout: new exchanges wait for `ms` from now on at least; asked for again
 * before that is over, it goes on. An operator's hold that is longer stays as it is. */
void hold_for_swap(struct service *service, uint64_t ms);
/* They go on, unless an operator holds them. */
void hold_end_swap(struct service *service);
void hold_stop(struct service *service); /* the watcher only: we end, the hold goes on */

/* What is left of it; 0: not held. */
uint64_t hold_left_ms(const struct service *service);

#endif
