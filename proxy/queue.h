/* Exchanges that wait for a backend, per service and group, first come first served.
 *
 * They wait for one that can serve (a table or a verdict brings it), or for room on one
 * (`max_connections`): then the end of an exchange on this worker wakes them in the same turn. What
 * ends on other workers rings no bell here; it is looked for each QUEUE_LOOK_MS while any wait.
 * Between workers the queue is fair within QUEUE_FAIR_MS: see queue_is_behind(). */
#ifndef PROXY_QUEUE_H
#define PROXY_QUEUE_H

#include "board/routing.h"

#include <stdbool.h>

struct exchange;
struct worker;

void queue_init(struct worker *worker);

bool queue_has_room(const struct worker *worker, uint16_t service);
/* Called by exchange_enter() only. */
void queue_add(struct exchange *exchange);
void queue_remove(struct exchange *exchange);

/* Tries to place what waits: after a new table, a new verdict, and each second. */
void queue_wake(struct worker *worker);
/* An exchange of the service has left this slot: what waits is placed when the turn ends. */
void queue_note_room(struct worker *worker, uint16_t service, uint32_t slot);
/* When a turn ends, before what is doomed is freed. */
void queue_turn(struct worker *worker);

/* Whether others were there before an exchange that comes now, for room in this group: on this
 * worker, or on another that has one waiting since long before. */
bool queue_is_behind(const struct worker *worker, uint16_t service, enum group group);

/* Writes the gauges anew, for a table may have moved services to other rows. */
void queue_publish(struct worker *worker);

#endif
