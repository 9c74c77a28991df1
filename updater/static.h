/* Static services: "host:port" lists from the config, with a weight set by hand. */
#ifndef UPDATER_STATIC_H
#define UPDATER_STATIC_H

#include "service.h"

/* Resolves and enters every backend of a static service, groups stable and canary. Names are
 * resolved once, at start. What cannot be resolved is left out and said in service->trouble. */
void static_enter(struct service *service);

#endif
