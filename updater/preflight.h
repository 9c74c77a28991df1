/* What is checked before a rollout changes anything: whatever fails here is refused, and nothing
 * was touched. Asynchronous: the answer is deferred until the engine has said what it has. */
#ifndef UPDATER_PREFLIGHT_H
#define UPDATER_PREFLIGHT_H

#include "admin.h"
#include "rollout_spec.h"
#include "service.h"

#include <sys/types.h>

struct preflight_request { /* borrowed; copied */
    struct service *service;
    const char *image, *reason; /* reason may be NULL */
    struct rollout_way way;
    uid_t uid;
};

/* Refuses at once, or defers the answer and begins the rollout when all checks have passed. */
void preflight_start(const struct preflight_request *wanted, const struct admin_request *request,
                     struct admin_answer *ret_answer);

#endif
