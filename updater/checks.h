/* A rollout looked over once it has ended: is what was promised so? */
#ifndef UPDATER_CHECKS_H
#define UPDATER_CHECKS_H

#include "rollout.h"

struct cJSON;

/* After its last action and its last table. Journals the result; what is not as it should be is
 * logged and becomes a lesson. Not where it needs attention: there nothing was promised. */
void checks_run(struct rollout *rollout);
/* Adds "checks" to what is shown of a rollout. */
void checks_view(struct cJSON *object, struct journal *journal, const char *rollout);

#endif
