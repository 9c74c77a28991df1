/* hold, release: a service's new exchanges wait, and go on. */
#include "api.h"
#include "base/memory.h"
#include "command.h"
#include "config/config.h"
#include "json.h"
#include "text.h"

#include <stdlib.h>

/* POSTs to the service's `verb` and frees the body. */
static enum exit_code ask(const struct invocation *invocation, const char *verb, struct cJSON *body,
                          struct api_reply *reply)
{
    char *escaped = api_escape(invocation->arguments[0]);
    char *path = memory_format("/v1/services/%s/%s", escaped, verb);
    if (api_ask(invocation, "POST", path, body, reply) && invocation->json)
        json_print(reply->json);
    free(path);
    free(escaped);
    cJSON_Delete(body);
    return api_exit_code(reply);
}

enum exit_code command_hold(const struct invocation *invocation)
{
    const char *timeout = invocation_option(invocation, "timeout");
    struct api_reply reply;
    char left[TEXT_BYTES];
    uint32_t ms;
    if (timeout != NULL &&
        (config_parse_duration(timeout, &ms) < 0 || ms == 0 || ms > CONFIG_HOLD_MAX_MS))
        return complain(USAGE, "'%s' is no time to hold for; give one like 30s or 5m, up to 1h",
                        timeout);
    struct cJSON *body = cJSON_CreateObject();
    if (timeout != NULL)
        cJSON_AddStringToObject(body, "timeout", timeout);
    enum exit_code code = ask(invocation, "hold", body, &reply);
    if (code == DONE && !invocation->json)
        printf("%s is held for %s; `sluice release %s` ends it\n", invocation->arguments[0],
               text_duration(json_number(reply.json, "hold.left_ms"), left),
               invocation->arguments[0]);
    api_reply_done(&reply);
    return code;
}

enum exit_code command_release(const struct invocation *invocation)
{
    struct api_reply reply;
    enum exit_code code = ask(invocation, "release", NULL, &reply);
    if (code == DONE && !invocation->json)
        printf("%s goes on, with %.0f that waited\n", invocation->arguments[0],
               json_number(reply.json, "waited"));
    api_reply_done(&reply);
    return code;
}
