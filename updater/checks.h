/* A rollout looked over once it has ended: is what was promised so? */
#ifndef UPDATER_CHECKS_H
#define UPDATER_CHECKS_H

#include "rollout.h"

struct cJSON;

/* After its last action and its last table. Journals the result; what is not as it should be is
 * logged and becomes a lesson. Not where it needs attention: there nothing was promised. */
void checks_run(struct rollout *rollout);
/* Then asks the engine what else was left: anonymous volumes that no container has, addresses that
 * are kept for containers that are gone. Added to the checks, and to the report, when it has
 * answered; an updater that dies meanwhile leaves them out. */
void checks_ask(struct rollout *rollout);
/* One that is not so: logged, and a lesson for the next time. */
void checks_tell(const struct service *service, const char *rollout,
                 const struct journal_check *check);
/* Adds "checks" to what is shown of a rollout. */
void checks_view(struct cJSON *object, struct journal *journal, const char *rollout);

#endif
