/* What the first containers of a service are made from: a template in the form of a container's
 * inspect, so that all that makes a container again can make one of it too. Pure: JSON in, JSON
 * out. */
#ifndef UPDATER_CONTAINER_TEMPLATE_H
#define UPDATER_CONTAINER_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cJSON;
struct config_service;

#define CONTAINER_TEMPLATE_WHY_BYTES 256u

/* `wanted` says it in Compose's words, all of them optional; NULL: none of them:
 *     {"networks": ["shop_default"], "volumes": ["data:/data", "/etc/shop:/etc/shop:ro", "/cache"],
 *      "ports": ["127.0.0.1:8443:443", "53/udp"], "restart": "unless-stopped", "user": "1000"}
 * The labels that the service's containers are found by, its network and, where it is reached by a
 * port of the host, that one's publication come from the service. Everything else that a user may
 * want is a change (container_changes.h). Returns 0, or -EINVAL with `why` for people. The caller
 * frees it. */
int container_template(const struct config_service *service, const struct cJSON *wanted,
                       struct cJSON **ret_template, char why[CONTAINER_TEMPLATE_WHY_BYTES])
    __attribute__((warn_unused_result));

/* "web-1": the name that the container of this ordinal gets. */
static inline void container_template_name(const char *service, unsigned ordinal, char *name,
                                           size_t size)
{
    (void)snprintf(name, size, "%s-%u", service, ordinal + 1);
}

#endif
