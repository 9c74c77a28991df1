/* The copy of a client's request that a rollout sends to the canary too: its answer is compared
 * with the client's and thrown away.
 *
 * The client's exchange is never the later or the worse for it: a copy begins at the end of the
 * turn in which the request went out, does not wait, is not tried again, and there are no more than
 * a bound of them. It is an exchange of its own, counted as active on its backend, so that a drain
 * is proven with it; but it ends as soon as its backend drains, for nobody waits for it.
 *
 * Owner: the worker, on worker->mirrors until its own exchange is over; then the relay whose answer
 * it is to be compared with. */
#ifndef PROXY_MIRROR_H
#define PROXY_MIRROR_H

#include "worker.h"

struct relay;

/* The client's request is about to go out: a copy is made of it, where one is due. */
void mirror_offer(struct relay *relay);
static inline void mirror_consider(struct relay *relay, struct worker *worker)
{
    if (worker->table.mirror_count > 0)
        mirror_offer(relay);
}
/* A piece of the client's answer. Only while relay->mirror is there. */
void mirror_original_data(struct relay *relay, struct slice data);
/* The client's exchange is over; `whole`: with its answer complete. relay->mirror is NULL then. */
void mirror_original_ends(struct relay *relay, bool whole);

/* Once per turn: sends those that are due. */
void mirror_send_due(struct worker *worker);
static inline void mirror_turn(struct worker *worker)
{
    if (!list_is_empty(&worker->mirrors_due))
        mirror_send_due(worker);
}
/* A table was adopted: copies on backends that are not in rotation any more end. */
void mirror_end_leaving(struct worker *worker);
/* The worker stops: all of them end. */
void mirror_end_all(struct worker *worker);

#endif
