/* A service's salt: which of its users come to a canary first. The same as long as a weight rises,
 * another one the next time, so that it is not always the same users. */
#ifndef UPDATER_SALT_H
#define UPDATER_SALT_H

#include "service.h"

/* Follows from the rollout's id, so nothing need be remembered. */
uint64_t salt_of_rollout(const struct updater *updater, const char *rollout);

/* Of a static service, from what the journal keeps of it (`options`; NULL: nothing yet). */
uint64_t salt_of_options(const struct service *service, const char *options);
/* `options` with a new salt; the caller frees it. */
char *salt_renew(const char *options);

#endif
