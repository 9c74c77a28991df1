/* Ends of exchanges that are not their own: an operator's, a drain budget's, the worker's.
 *
 * Each is spread: exchanges that are to end together get their turns one after the other. When its
 * turn comes an exchange is told goodbye as its protocol has it (exchange_protocol.on_farewell),
 * and where that has not ended it FAREWELL_MS later it is broken off. */
#ifndef PROXY_ENDS_H
#define PROXY_ENDS_H

#include "exchange.h"

struct worker;

void ends_init(struct worker *worker);
/* What the table wants ended: exchanges by name in `published`, and kinds of a draining backend.
 * Those whose turn has not come go on where it does not want it any more. */
void ends_take_table(struct worker *worker, const struct routing_table *published);
/* The same for what has become of such a kind since; each second. */
void ends_look_again(struct worker *worker);
/* Exchanges that have used up their service's budget since the worker was told to stop. */
void ends_of_worker(struct worker *worker);
/* It has ended: it has no turn any more. */
void ends_forget(struct exchange *x);

#endif
