/* The worker's own end: what is in flight finishes, nothing new begins. */
#ifndef PROXY_DRAIN_H
#define PROXY_DRAIN_H

#include <stdint.h>

struct worker;

/* SIGQUIT, at a reload: requests finish, tunnels live as long as they would have. */
void drain_retire(struct worker *worker);
/* SIGTERM, also behind a SIGQUIT: from now on drain budgets count. */
void drain_stop(struct worker *worker);
/* Ends the exchanges that have used up their service's budget. */
void drain_end_overdue(struct worker *worker);

#endif
