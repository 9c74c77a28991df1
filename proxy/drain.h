/* The worker's own end: what is in flight finishes, nothing new begins. */
#ifndef PROXY_DRAIN_H
#define PROXY_DRAIN_H

#include <stdint.h>

struct worker;

void drain_start(struct worker *worker);
/* Ends the exchanges that have used up their service's budget. */
void drain_end_overdue(struct worker *worker);

#endif
