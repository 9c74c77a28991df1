/* What the admin API shows of rollouts: one form for those in progress and those in the journal.
 * The caller owns what is returned. */
#ifndef UPDATER_VIEW_ROLLOUT_H
#define UPDATER_VIEW_ROLLOUT_H

#include "rollout.h"

struct cJSON;

/* `live`: the one in progress if this is it, for what only it knows; else NULL. */
struct cJSON *view_rollout(struct updater *updater, const struct journal_rollout *record,
                           const struct rollout *live);
struct cJSON *view_rollout_live(const struct rollout *rollout);
/* The same with only the end of its log: events are many, and a log may be long. */
#define VIEW_EVENT_LINES 16u
struct cJSON *view_rollout_event(const struct rollout *rollout);
/* Its head alone, with its weight and step: what hooks are told. */
struct cJSON *view_rollout_brief(const struct rollout *rollout);
/* An entry of rollout.drains. */
struct cJSON *view_member_drain(const struct member *member);

#endif
