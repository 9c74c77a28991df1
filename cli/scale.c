/* scale: more or fewer containers of what a service runs. */
#include "api.h"
#include "base/memory.h"
#include "base/slice.h"
#include "command.h"
#include "follow.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLICAS_MAX 100 /* the admin API's */

/* "web=5", or "web" and "5". The caller frees the service. */
static enum exit_code read_wish(const struct invocation *invocation, char **ret_service,
                                uint64_t *ret_replicas)
{
    const char *first = invocation->arguments[0], *equals = strrchr(first, '=');
    const char *number = invocation->arguments[1] != NULL ? invocation->arguments[1]
                         : equals != NULL                 ? equals + 1
                                                          : "";
    if ((invocation->arguments[1] != NULL) == (equals != NULL) ||
        slice_to_u64(slice_from_string(number), ret_replicas) < 0 || *ret_replicas == 0 ||
        *ret_replicas > REPLICAS_MAX)
        return complain(USAGE, "say how many, from 1 to %d: sluice scale SERVICE=N", REPLICAS_MAX);
    *ret_service = equals != NULL && invocation->arguments[1] == NULL
                       ? memory_format("%.*s", (int)(equals - first), first)
                       : memory_copy_string(first);
    return DONE;
}

enum exit_code command_scale(const struct invocation *invocation)
{
    const char *reason = invocation_option(invocation, "reason");
    char *service = NULL;
    uint64_t replicas = 0;
    struct api_reply reply;
    enum exit_code code = read_wish(invocation, &service, &replicas);
    if (code != DONE)
        return code;
    char *escaped = api_escape(service);
    char *path = memory_format("/v1/services/%s/scale", escaped);
    struct cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "replicas", (double)replicas);
    if (reason != NULL)
        cJSON_AddStringToObject(body, "reason", reason);
    bool started = api_ask(invocation, "POST", path, body, &reply);
    code = api_exit_code(&reply);
    if (started && invocation_option(invocation, "detach") == NULL)
        code = follow_rollout(invocation, reply.json);
    else if (started && invocation->json)
        json_print(reply.json);
    else if (started)
        printf("scaling %s to %.0f as rollout %s; `sluice watch %s` shows it\n", service,
               (double)replicas, json_text(reply.json, "id"), service);
    api_reply_done(&reply);
    cJSON_Delete(body);
    free(path);
    free(escaped);
    free(service);
    return code;
}
