/* What is checked before a rollout changes anything: whatever fails here is refused, and nothing
 * was touched. Asynchronous: the answer is deferred until the engine has said what it has. A dry
 * run is the same, but answers with the plan and every check, and begins nothing.
 *
 * A pull of an image that the engine does not have is the only thing that it does; a dry run does
 * not even do that. */
#ifndef UPDATER_PREFLIGHT_H
#define UPDATER_PREFLIGHT_H

#include "admin.h"
#include "rollout_spec.h"
#include "service.h"

#include <sys/types.h>

#define PREFLIGHT_FORCED_MAX 16u

struct fetch;

struct preflight_request { /* borrowed; copied */
    struct service *service;
    const char *image;    /* NULL: the one that they run, which needs changes */
    const char *reason;   /* NULL: none */
    const char *image_id; /* the very one that is meant by `image`; NULL: what it means now */
    const struct cJSON *changes; /* container_changes.h; NULL: none */
    struct rollout_way way;
    uint32_t replicas;            /* a first deployment of so many; 0: a rollout of what runs */
    const struct cJSON *template; /* container_template.h, of a first deployment; else NULL */
    enum config_pull pull;
    bool dry_run;
    const char *forced[PREFLIGHT_FORCED_MAX + 1]; /* checks that do not refuse; NULL-terminated */
    uid_t uid;
};

/* Refuses at once, or defers the answer and begins the rollout when all checks have passed. */
void preflight_start(const struct preflight_request *wanted, const struct admin_request *request,
                     struct admin_answer *ret_answer);

/* What can be said without asking anybody: true where the answer says why not. `first`: the service
 * must not have containers, else it must. */
bool preflight_refuses_at_once(const struct service *service, bool dry_run, bool first,
                               struct admin_answer *answer);

/* The pull that is going on, or NULL. */
const struct fetch *preflight_fetch(const struct service *service);
/* Ends the pull that is going on; the request for the rollout is then answered with "aborted". */
void preflight_abort(struct service *service, uid_t uid, struct admin_answer *ret_answer);
/* At the end of the process: a pull that is going on ends, and is answered. */
void preflight_stop(struct service *service);

#endif
