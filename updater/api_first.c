#include "api_first.h"

#include "api.h"
#include "container_template.h"
#include "preflight.h"
#include "service.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

/* What moves traffic from one version to another says nothing where there is none to move. */
static const char *contradiction(const cJSON *body)
{
    static const char *const keys[] = {"steps", "preset", "strategy", "order"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (cJSON_HasObjectItem(body, keys[i]))
            return keys[i];
    }
    return NULL;
}

bool api_replicas_read(const cJSON *item, uint32_t *ret_replicas, struct admin_answer *answer)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : 0.;

    *ret_replicas = value >= 1. && value <= (double)PLAN_REPLICAS_MAX ? (uint32_t)value : 0;
    if (*ret_replicas > 0 && (double)*ret_replicas >= value)
        return true;
    admin_error(answer, 400, "bad-request", "replicas is a whole number from 1 to %u",
                PLAN_REPLICAS_MAX);
    return false;
}

bool api_first_read(const struct service *service, const cJSON *body, uint32_t *ret_replicas,
                    cJSON **ret_template, struct admin_answer *answer)
{
    const cJSON *replicas = cJSON_GetObjectItemCaseSensitive(body, "replicas");
    const cJSON *create = cJSON_GetObjectItemCaseSensitive(body, "create");
    const char *other = replicas ? contradiction(body) : NULL;
    char why[CONTAINER_TEMPLATE_WHY_BYTES];

    *ret_replicas = 0;
    *ret_template = NULL;
    if (create && !replicas) {
        admin_error(answer, 400, "bad-request",
                    "create is for the first containers of a service, and needs replicas: say how "
                    "many");
        return false;
    }
    if (!replicas)
        return true;
    if (service->is_static) /* preflight says so */
        return api_replicas_read(replicas, ret_replicas, answer);
    if (other) {
        admin_error(answer, 400, "bad-request",
                    "%s is for traffic that moves from one version to another: with replicas, "
                    "which makes the first containers, there is none to move",
                    other);
        return false;
    }
    if (!cJSON_HasObjectItem(body, "image")) {
        admin_error(answer, 400, "bad-request",
                    "image is missing: the first containers have none that they could keep");
        return false;
    }
    if (!api_replicas_read(replicas, ret_replicas, answer))
        return false;
    if (container_template(service->config, create, ret_template, why) == 0)
        return true;
    admin_error(answer, 400, "bad-request", "%s", why);
    return false;
}
