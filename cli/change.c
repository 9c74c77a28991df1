/* pause, resume, promote, abort, weight, history: what names a service or a rollout. */
#include "api.h"
#include "base/memory.h"
#include "base/slice.h"
#include "command.h"
#include "config/config.h"
#include "json.h"
#include "record.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     200 /* the admin API's */

/* The rollout that `name` means: the one in progress of that service, else the one of that id.
 * Returns DONE and the id (the caller frees it), or that its image is still being pulled; or says
 * why not. */
static enum exit_code find_rollout(const struct invocation *invocation, const char *name,
                                   char **ret_id, bool *ret_is_pulling)
{
    struct api_reply reply;
    char *escaped = api_escape(name);
    char *path = memory_format("/v1/services/%s", escaped);
    enum exit_code code = DONE;
    if (api_request(invocation->admin, "GET", path, NULL, &reply)) {
        const char *id = json_text(reply.json, "rollout");
        if (id[0] != '\0')
            *ret_id = memory_copy_string(id);
        else if (cJSON_IsObject(json_get(reply.json, "pull")))
            *ret_is_pulling = true;
        else
            code = complain(REFUSED,
                            "%s has no rollout in progress; `sluice history %s` shows past ones",
                            name, name);
    } else if (reply.status == 404) {
        *ret_id = memory_copy_string(name);
    } else {
        api_complain(invocation, path, &reply);
        code = api_exit_code(&reply);
    }
    api_reply_done(&reply);
    free(path);
    free(escaped);
    return code;
}

/* Told before the planner has looked: what the rollout waited for until now says nothing. */
static void print_rollout(const struct invocation *invocation, const struct cJSON *rollout)
{
    struct lines lines = {0};
    char weight[TEXT_BYTES];
    const char *verb = invocation->command->name, *service = json_text(rollout, "service");
    double count = json_number(rollout, "step_count");
    double step = fmin(json_number(rollout, "step") + 1, count); /* behind the last: watching */
    if (strcmp(verb, "abort") == 0)
        lines_add(&lines, "rollout %s of %s goes back to %s; `sluice watch %s` shows it",
                  json_text(rollout, "id"), service, record_before(rollout), service);
    else
        lines_add(&lines, "rollout %s of %s: %s at %s, step %.0f of %.0f%s",
                  json_text(rollout, "id"), service, json_text(rollout, "state"),
                  text_weight(json_number(rollout, "weight"), weight), step, count,
                  strcmp(verb, "promote") == 0 ? "; the pause it is in, or the next one, ends"
                                               : "");
    lines_print(&lines, stdout, invocation->colour);
    lines_done(&lines);
}

/* Nothing has begun yet: there is only the pull to end. */
static enum exit_code verb_of_pull(const struct invocation *invocation)
{
    const char *name = invocation->arguments[0];
    struct api_reply reply;
    if (strcmp(invocation->command->name, "abort") != 0)
        return complain(REFUSED,
                        "the image of %s is still being pulled; `sluice abort %s` ends that", name,
                        name);
    char *escaped = api_escape(name);
    char *path = memory_format("/v1/services/%s/abort", escaped);
    if (api_ask(invocation, "POST", path, NULL, &reply)) {
        if (invocation->json)
            json_print(reply.json);
        else
            printf("the pull for %s is ended; nothing was changed\n", name);
    }
    enum exit_code code = api_exit_code(&reply);
    api_reply_done(&reply);
    free(path);
    free(escaped);
    return code;
}

enum exit_code command_verb(const struct invocation *invocation)
{
    char *id = NULL;
    bool is_pulling = false;
    struct api_reply reply;
    enum exit_code code = find_rollout(invocation, invocation->arguments[0], &id, &is_pulling);
    if (is_pulling)
        return verb_of_pull(invocation);
    if (code != DONE)
        return code;
    char *escaped = api_escape(id);
    char *path = memory_format("/v1/rollouts/%s/%s", escaped, invocation->command->name);
    if (api_request(invocation->admin, "POST", path, NULL, &reply) && reply.json != NULL) {
        if (invocation->json)
            json_print(reply.json);
        else
            print_rollout(invocation, reply.json);
    } else if (reply.status == 404) {
        if (invocation->json && reply.json != NULL)
            json_print(reply.json);
        complain(USAGE,
                 "there is no service and no rollout '%s'; `sluice status` and `sluice "
                 "history` list them",
                 invocation->arguments[0]);
    } else {
        api_complain(invocation, path, &reply);
    }
    code = api_exit_code(&reply);
    api_reply_done(&reply);
    free(path);
    free(escaped);
    free(id);
    return code;
}

enum exit_code command_weight(const struct invocation *invocation)
{
    const char *name = invocation->arguments[0], *text = invocation->arguments[1];
    struct api_reply reply;
    uint32_t weight = 0;
    char bare[16], words[TEXT_BYTES];
    size_t length = strlen(text);
    length -= length > 0 && text[length - 1] == '%';
    snprintf(bare, sizeof bare, "%.*s", (int)length, text);
    if (length >= sizeof bare || config_parse_weight(bare, &weight) < 0)
        return complain(USAGE, "'%s' is no weight; give per cent from 0 to 100, like 5 or 0.25",
                        text);
    char *escaped = api_escape(name);
    char *path = memory_format("/v1/services/%s/weight", escaped);
    struct cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "weight", weight / (WEIGHT_MAX / 100.));
    if (api_ask(invocation, "POST", path, body, &reply)) {
        if (invocation->json)
            json_print(reply.json);
        else
            printf("%s sends %s of its traffic to its canary group\n", name,
                   text_weight(json_number(reply.json, "weight"), words));
    }
    enum exit_code code = api_exit_code(&reply);
    api_reply_done(&reply);
    cJSON_Delete(body);
    free(path);
    free(escaped);
    return code;
}

static void print_history(const struct invocation *invocation, const struct cJSON *json)
{
    struct lines lines = {0};
    const struct cJSON *rollouts = json_get(json, "rollouts");
    if (invocation->json) {
        json_print(json);
        return;
    }
    if (rollouts != NULL)
        record_list(rollouts, &lines);
    else
        record_full(json, &lines);
    lines_print(&lines, stdout, invocation->colour);
    lines_done(&lines);
}

/* Whether the service exists. Where the daemon does not answer, the next question says so. */
static bool is_service(const struct invocation *invocation, const char *escaped)
{
    struct api_reply reply;
    char *path = memory_format("/v1/services/%s", escaped);
    bool found = api_request(invocation->admin, "GET", path, NULL, &reply);
    api_reply_done(&reply);
    free(path);
    return found;
}

enum exit_code command_history(const struct invocation *invocation)
{
    const char *name = invocation->arguments[0];
    const char *limit_text = invocation_option(invocation, "limit");
    uint64_t limit = LIMIT_DEFAULT;
    struct api_reply reply;
    char *path = NULL;
    if (limit_text != NULL && (slice_to_u64(slice_from_string(limit_text), &limit) < 0 ||
                               limit == 0 || limit > LIMIT_MAX))
        return complain(USAGE, "--limit '%s' is no number from 1 to %d", limit_text, LIMIT_MAX);
    char *escaped = api_escape(name != NULL ? name : "");
    if (name == NULL)
        path = memory_format("/v1/rollouts?limit=%u", (unsigned)limit);
    else if (is_service(invocation, escaped))
        path = memory_format("/v1/rollouts?service=%s&limit=%u", escaped, (unsigned)limit);
    else
        path = memory_format("/v1/rollouts/%s", escaped);
    if (api_ask(invocation, "GET", path, NULL, &reply))
        print_history(invocation, reply.json);
    enum exit_code code = api_exit_code(&reply);
    api_reply_done(&reply);
    free(path);
    free(escaped);
    return code;
}
