/* Drains: noticed as they are proven, on every ring of the updater's bell. */
#ifndef UPDATER_DRAIN_H
#define UPDATER_DRAIN_H

#include "updater.h"

/* Asks the scoreboard about every draining slot; records and tells what is drained now. */
void drain_sweep(struct updater *updater);

/* The budget of a service: its rollout's while one is on, else the config's. */
const struct config_drain *service_drain_budget(const struct service *service);
/* Of it, so long for this class, extensions included. */
uint64_t service_drain_ms(const struct service *service, enum exchange_kind kind);

#endif
