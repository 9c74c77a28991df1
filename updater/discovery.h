/* Finding a service's containers: listed by label, each inspected, then followed by events, with a
 * list again whenever events may have been missed and every 30 s. The engine's word is taken over
 * whole; nothing is concluded from an event but that one must look, and that a container which is
 * being stopped gets no new exchange from now on. */
#ifndef UPDATER_DISCOVERY_H
#define UPDATER_DISCOVERY_H

#include "updater.h"

/* Opens the engine and follows it, if some service is discovered. */
void discovery_start(struct updater *updater);
/* Calls in flight get -ECANCELED. */
/* Once a second: whether the engine's socket is still there. */
void discovery_tick(struct updater *updater);
void discovery_stop(struct updater *updater);

/* Inspects a container and takes over what is found; then calls `done` (may be NULL), whatever
 * came of it. `done` runs exactly once, never before this returns. */
void discovery_look(struct service *service, const char *id, void (*done)(void *context),
                    void *context);
/* Lists a service's containers again. */
void discovery_list(struct service *service);

/* Asks on a new connection, unless that is under way: what is learned is updater->engine_lived_ms,
 * or that it is away. */
void discovery_ask_whether_it_lives(struct updater *updater);

/* discovery_place.c: takes over what inspect says. Returns 0, or -EPROTO where that describes no
 * container. */
int discovery_apply(struct service *service, const struct cJSON *inspect, uint64_t sequence)
    __attribute__((warn_unused_result));
/* An event said that it is being stopped: out of rotation at once. */
void discovery_going(struct container *container);

#endif
