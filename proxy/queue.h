/* Exchanges that wait for a backend, per service, first come first served. */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct worker;

bool queue_has_room(const struct worker *worker, uint16_t service);
/* Called by exchange_enter() only. */
void queue_add(struct exchange *exchange);
void queue_remove(struct exchange *exchange);
/* Tries to place what waits: after a new table, a new verdict, and each second. */
void queue_wake(struct worker *worker);
/* Writes the gauges anew, for a table may have moved services to other rows. */
void queue_publish(struct worker *worker);

#endif
