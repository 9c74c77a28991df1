/* Removing the images of versions that nobody would go back to, after a rollout has completed
 * (`images.keep`; image_choose.h says which). Left alone whatever the history says: what any
 * container uses, running or not; what carries a name of another repository; and what no registry
 * has, for it could not be had again. Nothing that goes wrong here is a fault of the rollout: it is
 * recorded, and tried again after the next one. */
#ifndef UPDATER_PRUNE_H
#define UPDATER_PRUNE_H

#include "service.h"

/* `rollout`: in whose log it is recorded; copied. */
void prune_start(struct service *service, const char *rollout);

#endif
