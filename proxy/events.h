/* A stream of events (text/event-stream) on its way to a client, followed to where an event ends: a
 * blank line. There it may be ended, and the client has lost no part of one.
 *
 * Pure. Owner: the relay. */
#ifndef PROXY_EVENTS_H
#define PROXY_EVENTS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS_TAIL_BYTES 4u /* the longest blank line with the end of the line before it */

struct events {
    char tail[EVENTS_TAIL_BYTES]; /* the last bytes that went by */
    uint8_t tail_length;
    bool opaque; /* compressed: each piece that the backend flushed counts as whole */
};

void events_init(struct events *events, bool opaque);
/* No event has begun that has not ended. */
bool events_are_at_end(const struct events *events);
void events_follow(struct events *events, struct slice data);
/* How much of `data` goes up to the end of its last event; 0: none ends in it. */
size_t events_find_end(const struct events *events, struct slice data);

#endif
