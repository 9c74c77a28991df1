/* Tells people of rollouts: webhooks and commands of `notify`, and hooks at `event`. Never in the
 * way of a rollout: each target has a queue of its own, is sent one at a time, tried again further
 * and further apart, and what does not fit is dropped and counted.
 *
 * Not journalled: what was queued when the updater dies is lost (the record has it all).
 *
 * Owner: the updater. Life: notify_open() to notify_close(). */
#ifndef UPDATER_NOTIFY_H
#define UPDATER_NOTIFY_H

#include "rollout.h"

#define NOTIFY_QUEUE_MAX 64u /* per target: a night's rollouts; older ones are news to nobody */

struct notify;

void notify_open(struct updater *updater);
void notify_close(struct updater *updater);
/* "rollout_updated" (its start) and its kin. */
void notify_rollout(struct rollout *rollout, const char *event);
/* "rollout_not_as_promised": what was found at the end, or later. */
void notify_finding(const struct service *service, const char *rollout, const char *check,
                    const char *found);
/* All that were dropped since the start. */
uint64_t notify_dropped(const struct updater *updater);

#endif
