/* POST /v1/services/S/scale: more or fewer of what runs. */
#include "api.h"
#include "api_first.h"
#include "base/log.h"
#include "preflight.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

static void begin(const struct rollout_request *wanted, const struct container *first,
                  struct admin_answer *answer)
{
    struct service *service = wanted->service;
    struct log_line line;
    int error = rollout_begin(wanted);

    if (error) {
        admin_error(answer, error == -EEXIST ? 409 : 500,
                    error == -EEXIST ? "rollout-in-progress" : "journal", "%s",
                    error == -EEXIST ? "a rollout is in progress"
                                     : journal_error(service->updater->journal));
        return;
    }
    log_begin(&line, LOG_INFO, "scale-accepted");
    log_string(&line, "service", service_name(service));
    log_string(&line, "image", first->facts.image);
    log_string(&line, "user", wanted->user);
    log_u64(&line, "replicas", wanted->scale_to);
    log_end(&line);
    answer->status = 201;
    answer->body = view_rollout_live(service->rollout);
}

void api_scale(struct service *service, const struct admin_request *request,
               struct admin_answer *ret_answer)
{
    static const char *const keys[] = {"replicas", "reason", NULL};
    const cJSON *reason = cJSON_GetObjectItemCaseSensitive(request->body, "reason");
    struct container *olds[SERVICE_CONTAINERS_MAX];
    struct rollout_request wanted = {.service = service};
    unsigned count;
    char *user;

    if (!api_body_has_only(request->body, keys, ret_answer) ||
        !api_replicas_read(cJSON_GetObjectItemCaseSensitive(request->body, "replicas"),
                           &wanted.scale_to, ret_answer))
        return;
    if (reason && !cJSON_IsString(reason)) {
        admin_error(ret_answer, 400, "bad-request", "reason is a text");
        return;
    }
    if (preflight_refuses_at_once(service, false, false, ret_answer))
        return;
    count = rollout_olds(service, olds);
    if (count == wanted.scale_to) {
        admin_error(ret_answer, 422, "same-replicas", "%u containers of \"%s\" run already", count,
                    service_name(service));
        return;
    }
    user = api_user_name(request->uid);
    wanted.image = olds[0]->facts.image;
    wanted.image_id = olds[0]->facts.image_id;
    wanted.reason = reason ? reason->valuestring : NULL;
    wanted.user = user;
    begin(&wanted, olds[0], ret_answer);
    free(user);
}
