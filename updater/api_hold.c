/* The admin API's hold and release. */
#include "api.h"
#include "api_views.h"
#include "hold.h"
#include "turn.h"

#include <cjson/cJSON.h>
#include <errno.h>

/* {"timeout": "30s"}, {} or nothing. */
static int timeout_read(const cJSON *body, uint32_t *ret_ms)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "timeout");
    uint32_t ms;

    if (body && (!cJSON_IsObject(body) || cJSON_GetArraySize(body) != (item != NULL)))
        return -EINVAL;
    if (!item)
        return 0;
    if (!cJSON_IsString(item) || config_parse_duration(item->valuestring, &ms) || ms == 0 ||
        ms > CONFIG_HOLD_MAX_MS)
        return -EINVAL;
    *ret_ms = ms;
    return 0;
}

void api_hold(struct service *service, const struct admin_request *request,
              struct admin_answer *ret_answer)
{
    uint32_t ms = service->config->hold.timeout_ms;

    if (timeout_read(request->body, &ms)) {
        admin_error(ret_answer, 400, "bad-request",
                    "a hold takes {\"timeout\": \"30s\"}, up to 1h; without it the service's "
                    "hold.timeout counts");
        return;
    }
    hold_begin(service, ms, request->uid);
    turn_publish(service->updater);
    ret_answer->status = 200;
    ret_answer->body = view_service(service);
}

void api_release(struct service *service, const struct admin_request *request,
                 struct admin_answer *ret_answer)
{
    uint64_t waited = view_queued(service); /* before the workers hear of it */

    if (request->body && cJSON_GetArraySize(request->body) > 0) {
        admin_error(ret_answer, 400, "bad-request", "a release takes no keys");
    } else if (!hold_release(service, request->uid)) {
        admin_error(ret_answer, 409, "not-applicable",
                    "\"%s\" is not held; a hold ends by itself when its time is over",
                    service_name(service));
    } else {
        turn_publish(service->updater);
        ret_answer->status = 200;
        ret_answer->body = view_service(service);
        cJSON_AddNumberToObject(ret_answer->body, "waited", (double)waited);
    }
}
