/* A service whose last rollout ended in "needs attention" says so until another one begins: the
 * operator who looks at 3 a.m. looks at the status, not at the history. The journal knows which. */
#ifndef UPDATER_ATTENTION_H
#define UPDATER_ATTENTION_H

#include "service.h"

/* Sets service->attention from the newest rollout in the journal: what is wrong and where to read
 * more, or empty. At start, and whenever a rollout has begun or ended. */
void attention_look(struct service *service);

#endif
