/* What the checks look at, asked of the engine and of this host. Nothing is changed by it.
 *
 * Owner: preflight.c. The facts are the caller's; what was gathered into them is freed by
 * preflight_facts_done(). */
#ifndef UPDATER_PREFLIGHT_GATHER_H
#define UPDATER_PREFLIGHT_GATHER_H

#include "engine.h"
#include "preflight_parts.h"
#include "service.h"

/* Collects the service's containers anew, then asks the engine about each and about the image, all
 * at once. `done` is called once, never before this returns; `failure` is NULL where all went well
 * (that something is not there is no failure). What it returns is there until then. */
struct gather *preflight_gather(struct service *service, struct preflight_facts *facts,
                                void (*done)(void *context, const struct engine_reply *failure),
                                void *context);
struct gather;
/* At the end of the process: what is asked of a credential helper is answered now. NULL is fine. */
void preflight_gather_stop(struct gather *gather);
void preflight_facts_done(struct preflight_facts *facts);

#endif
