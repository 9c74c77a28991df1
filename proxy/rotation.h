/* Which of a group's members get exchanges: those that are healthy and not ejected. A list per
 * service and group, made anew when a table, a verdict or an ejection changes it, so that a choice
 * draws from it at the same cost whatever share of the members is down.
 *
 * No choice goes by lists that are older than the verdicts: the board says when one has changed. */
#ifndef PROXY_ROTATION_H
#define PROXY_ROTATION_H

#include "worker.h"

/* Whether a verdict has changed since. One load. */
static inline bool rotation_is_stale(const struct worker *worker)
{
    return verdicts_changes(worker->verdicts) != worker->verdict_changes;
}

/* Of every service. */
void rotation_renew_all(struct worker *worker);
/* Of one service of the table. */
void rotation_renew(struct worker *worker, uint32_t service);
/* Each second: ends ejections whose time is over, and renews. */
void rotation_tick(struct worker *worker);

/* A member's weight times how far it is in its slow start (balance.h). */
uint32_t rotation_share(const struct worker *worker, uint32_t slot);

/* An exchange's outcome counts for or against the backend it is on. */
void rotation_judge(const struct exchange *x, bool failed);

#endif
