/* report, note, confirm: what is kept of a rollout for people. A service's name means its newest
 * one. */
#include "api.h"
#include "base/memory.h"
#include "command.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>

/* The path of `what` of the rollout that the first word names: the newest of that service, in
 * progress or not; else the one of that id. Returns DONE and the path (the caller frees it), or
 * says why not. */
static enum exit_code find_path(const struct invocation *invocation, const char *what,
                                char **ret_path)
{
    struct api_reply reply;
    const char *name = invocation->arguments[0];
    char *escaped = api_escape(name);
    char *path = memory_format("/v1/rollouts?service=%s&limit=1", escaped);
    enum exit_code code = DONE;
    if (api_request(invocation->admin, "GET", path, NULL, &reply)) {
        const struct cJSON *newest = cJSON_GetArrayItem(json_get(reply.json, "rollouts"), 0);
        if (newest != NULL)
            *ret_path = memory_format("/v1/rollouts/%s/%s", json_text(newest, "id"), what);
        else
            code = complain(REFUSED, "%s has had no rollout yet", name);
    } else if (reply.status == 404) {
        *ret_path = memory_format("/v1/rollouts/%s/%s", escaped, what);
    } else {
        api_complain(invocation, path, &reply);
        code = api_exit_code(&reply);
    }
    api_reply_done(&reply);
    free(path);
    free(escaped);
    return code;
}

enum exit_code command_report(const struct invocation *invocation)
{
    char *path = NULL;
    struct api_reply reply;
    enum exit_code code = find_path(
        invocation, invocation->json ? "report?format=json" : "report?format=markdown", &path);
    if (code != DONE)
        return code;
    if (invocation->json) {
        if (api_ask(invocation, "GET", path, NULL, &reply))
            json_print(reply.json);
    } else if (api_ask_text(invocation, path, &reply)) {
        fputs(reply.text, stdout);
    }
    code = api_exit_code(&reply);
    api_reply_done(&reply);
    free(path);
    return code;
}

enum exit_code command_note(const struct invocation *invocation)
{
    char *path = NULL;
    struct api_reply reply;
    enum exit_code code = find_path(invocation, "notes", &path);
    if (code != DONE)
        return code;
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
    return code;
}

enum exit_code command_confirm(const struct invocation *invocation)
{
    const char *name = invocation_option(invocation, "name");
    char *path = NULL;
    struct api_reply reply;
    enum exit_code code = find_path(invocation, "confirm", &path);
    if (code != DONE)
        return code;
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
    return code;
}
