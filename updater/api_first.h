/* The part of a request for a rollout that makes the first containers of a service. */
#ifndef UPDATER_API_FIRST_H
#define UPDATER_API_FIRST_H

#include <stdbool.h>
#include <stdint.h>

struct admin_answer;
struct cJSON;
struct service;

/* "replicas": from 1 to PLAN_REPLICAS_MAX. False (and refused) where it is not. */
bool api_replicas_read(const struct cJSON *item, uint32_t *ret_replicas,
                       struct admin_answer *answer);

/* "replicas" and "create" of the body: 0 and NULL where they are not there, else how many, and
 * what they are made from (container_template.h; the caller frees it). False (and refused) where
 * they are wrong, or do not go with the rest. */
bool api_first_read(const struct service *service, const struct cJSON *body, uint32_t *ret_replicas,
                    struct cJSON **ret_template, struct admin_answer *answer);

#endif
