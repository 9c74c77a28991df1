/* report, note, confirm: what is kept of a rollout for people. A service's name means its newest
 * one. */
#include "api.h"
#include "base/memory.h"
#include "command.h"
#include "json.h"
#include "newest.h"

#include <stdio.h>
#include <stdlib.h>

enum exit_code newest_rollout(const struct invocation *invocation, const char *name, char **ret_id)
{
    struct api_reply reply;
    char *escaped = api_escape(name);
    char *path = memory_format("/v1/rollouts?service=%s&limit=1", escaped);
    enum exit_code code = DONE;
    if (api_request(invocation->admin, "GET", path, NULL, &reply)) {
        const struct cJSON *newest = cJSON_GetArrayItem(json_get(reply.json, "rollouts"), 0);
        if (newest != NULL)
            *ret_id = memory_copy_string(json_text(newest, "id"));
        else
            code = complain(REFUSED, "%s has had no rollout yet", name);
    } else if (reply.status == 404) {
        *ret_id = memory_copy_string(name);
    } else if (reply.status == 0) {
        code = api_complain_unreachable(invocation, reply.why);
    } else {
        complain(FAILED, "%s", json_text(reply.json, "error.message"));
        code = api_exit_code(&reply);
    }
    api_reply_done(&reply);
    free(path);
    free(escaped);
    return code;
}

enum exit_code command_report(const struct invocation *invocation)
{
    char *id = NULL;
    struct api_reply reply;
    enum exit_code code = newest_rollout(invocation, invocation->arguments[0], &id);
    if (code != DONE)
        return code;
    char *escaped = api_escape(id);
    char *path = memory_format("/v1/rollouts/%s/report?format=%s", escaped,
                               invocation->json ? "json" : "markdown");
    if (invocation->json) {
        if (api_ask(invocation, "GET", path, NULL, &reply))
            json_print(reply.json);
    } else if (api_ask_text(invocation, path, &reply)) {
        fputs(reply.text, stdout);
    }
    code = api_exit_code(&reply);
    api_reply_done(&reply);
    free(path);
    free(escaped);
    free(id);
    return code;
}

enum exit_code command_note(const struct invocation *invocation)
{
    char *id = NULL;
    struct api_reply reply;
    enum exit_code code = newest_rollout(invocation, invocation->arguments[0], &id);
    if (code != DONE)
        return code;
    char *escaped = api_escape(id);
    char *path = memory_format("/v1/rollouts/%s/notes", escaped);
    struct cJSON *body = cJSON_CreateObject();
    bool is_lesson = invocation_option(invocation, "lesson") != NULL;
    cJSON_AddStringToObject(body, "message", invocation->arguments[1]);
    if (is_lesson)
        cJSON_AddTrueToObject(body, "lesson");
    if (api_ask(invocation, "POST", path, body, &reply)) {
        if (invocation->json)
            json_print(reply.json);
        else
            printf("noted with rollout %s of %s%s\n", json_text(reply.json, "id"),
                   json_text(reply.json, "service"),
                   is_lesson ? "; the next rollout's start shows it" : "");
    }
    code = api_exit_code(&reply);
    api_reply_done(&reply);
    cJSON_Delete(body);
    free(path);
    free(escaped);
    free(id);
    return code;
}

enum exit_code command_confirm(const struct invocation *invocation)
{
    const char *name = invocation_option(invocation, "name");
    char *id = NULL;
    struct api_reply reply;
    enum exit_code code = newest_rollout(invocation, invocation->arguments[0], &id);
    if (code != DONE)
        return code;
    char *escaped = api_escape(id);
    char *path = memory_format("/v1/rollouts/%s/confirm", escaped);
    struct cJSON *body = name != NULL ? cJSON_CreateObject() : NULL;
    if (name != NULL)
        cJSON_AddStringToObject(body, "name", name);
    if (api_ask(invocation, "POST", path, body, &reply)) {
        if (invocation->json)
            json_print(reply.json);
        else
            printf("confirmed; rollout %s of %s goes on\n", json_text(reply.json, "id"),
                   json_text(reply.json, "service"));
    }
    code = api_exit_code(&reply);
    api_reply_done(&reply);
    cJSON_Delete(body);
    free(path);
    free(escaped);
    free(id);
    return code;
}
