/* The end of each round of the loop: drains swept, rollouts planned, the table published once, so
 * that what changed together is seen together. Owner: main.c. */
#ifndef UPDATER_TURN_H
#define UPDATER_TURN_H

#include "updater.h"

/* Before anything calls updater_wake(). */
void turn_init(struct updater *updater);
void turn_start(struct updater *updater);
void turn_stop(struct updater *updater);
/* Publishes the draft if it differs, and rings every bell. */
void turn_publish(struct updater *updater);

#endif
