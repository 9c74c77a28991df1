/* What the stream of events tells: docs/admin-api.md has the list. */
#ifndef UPDATER_EVENTS_H
#define UPDATER_EVENTS_H

#include "rollout.h"
#include "updater.h"

/* Tells of services that changed, each at most 5 times a second. */
void events_flush(struct updater *updater);
/* Looks for verdicts that changed and tells of them. */
void events_verdicts(struct updater *updater);

/* "rollout_updated" and its kin. */
void events_rollout(struct rollout *rollout, const char *event);
/* "hold_began", "hold_ended"; `why` (NULL: not told): "released", "timeout" */
void events_hold(struct service *service, const char *event, const char *why);
/* "pull": takes over `pull` as fetch_view() gives it; NULL: it has ended. */
void events_pull(struct service *service, struct cJSON *pull);
/* "drain_started", "drain_completed" */
void events_drain(struct rollout *rollout, const char *event, const struct member *member);
/* "container_created" and its kin */
void events_container(struct rollout *rollout, const char *event, const struct member *member);

#endif
