/* What a container's inspect JSON says, and making one again with only its image changed. Pure:
 * JSON in, JSON out; no I/O. (Docker Engine API 1.24 and later.) */
#ifndef UPDATER_CONTAINER_H
#define UPDATER_CONTAINER_H

#include "base/address.h"
#include "updater/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

#define LABEL_ROLLOUT        "sluice.rollout"
#define LABEL_GROUP          "sluice.group"
#define LABEL_ORDINAL        "sluice.ordinal"
#define LABEL_COMPOSE_NUMBER "com.docker.compose.container-number"
#define LABEL_COMPOSE_ONCE   "com.docker.compose.oneoff" /* "True": of `docker compose run` */

struct container_facts { /* strings are copies; freed by container_facts_done() */
    char *id, *name;     /* name without the leading slash */
    char *image;         /* the reference it was made from: "web:v1" */
    char *image_id;      /* "sha256:…" */
    char *rollout_label; /* NULL: not there */
    int ordinal;         /* of LABEL_ORDINAL, else Compose's container-number - 1, else -1 */
    enum container_state state;
    int exit_code;
    bool oom_killed, auto_remove;
    bool is_once; /* Compose made it for one command: it carries the service's labels, and is none
                     of its replicas */
    enum container_health health; /* State.Health; NONE without a HEALTHCHECK */
    uint32_t restart_count;
    char *started_at;        /* RFC 3339 as given: identity of this run of the container */
    char *finished_at;       /* RFC 3339 as given: the last run's end; never NULL */
    uint32_t stop_timeout_s; /* Config.StopTimeout, else 10 */
    /* What is to go with it: JSON, {"volumes": [name of an anonymous one], "networks": [name]} */
    char *attached;
};
/* Returns 0, or -EPROTO where the JSON is not an inspect's. */
int container_facts_read(const struct cJSON *inspect, struct container_facts *ret_facts)
    __attribute__((warn_unused_result));
void container_facts_done(struct container_facts *facts);

/* Where it is reached: IP on `network` (NULL: the only one it is on) and `port` (0: the only one
 * exposed), or with `published` the host port it is published on. Returns 0, or -EINVAL with `why`
 * filled in, for people, listing the choices. */
int container_address(const struct cJSON *inspect, const char *network, uint16_t port,
                      bool published, struct address *ret_address, char why[256])
    __attribute__((warn_unused_result));

/* The body of a create call for a container like `inspect`, but of `image` (reference or id). What
 * `old_image` (its image inspect) supplied is subtracted, so that the new image's own defaults
 * apply. `labels` ({"key": "value"}) are set over the old ones. `ret_connects` gets {"network":
 * endpoint} for the networks that need a connect call of their own at this API version. Returns 0,
 * or -EINVAL with `why` for what could not be made again once it has stopped. The caller frees
 * both. */
int container_recreate(const struct cJSON *inspect, const struct cJSON *old_image,
                       const char *image, const struct cJSON *labels, const char *api_version,
                       struct cJSON **ret_create, struct cJSON **ret_connects, char why[256])
    __attribute__((warn_unused_result));

/* Whether a container like this can run beside it. Returns 0, or -EINVAL with `why` for what cannot
 * exist twice (host port, static IP, MAC): it has to make room then. */
int container_beside(const struct cJSON *inspect, char why[256])
    __attribute__((warn_unused_result));

/* What differs between two containers' configuration beyond what a new image may change and what
 * `changes` (NULL: none; container_changes.h) do; one line per difference, or NULL where there is
 * none. The caller frees it. */
char *container_difference(const struct cJSON *old_inspect, const struct cJSON *old_image,
                           const struct cJSON *changes, const struct cJSON *new_inspect,
                           const struct cJSON *new_image);

/* For one more like it: what is anonymous of the first becomes so again, with volumes of its own.
 */
void container_forget_anonymous_volumes(struct cJSON *inspect);

#endif
