/* rollout: starts one, and follows it. */
#include "api.h"
#include "base/memory.h"
#include "base/slice.h"
#include "changes.h"
#include "command.h"
#include "config/config.h"
#include "follow.h"
#include "json.h"
#include "plan.h"
#include "plan_steps.h"
#include "pull.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLICAS_MAX 100 /* the admin API's */

/* "a,b" as ["a", "b"]; nothing where it is not given. */
static void add_list(struct cJSON *body, const char *key, const char *text)
{
    struct cJSON *array = text != NULL ? cJSON_AddArrayToObject(body, key) : NULL;

    while (array != NULL && *text != '\0') {
        size_t length = strcspn(text, ",");
        char *item = memory_format("%.*s", (int)length, text);
        cJSON_AddItemToArray(array, cJSON_CreateString(item));
        free(item);
        text += length + (text[length] == ',');
    }
}

/* An option whose name is the key's too; the daemon knows what it may be. */
static void add_text(struct cJSON *body, const struct invocation *invocation, const char *name)
{
    const char *text = invocation_option(invocation, name);
    if (text != NULL)
        cJSON_AddStringToObject(body, name, text);
}

/* An option that may be given several times, as a list; nothing where it is not given. */
static void add_all(struct cJSON *object, const char *key, const struct invocation *invocation,
                    const char *option)
{
    struct cJSON *list = NULL;
    const char *text;
    for (unsigned i = 0; (text = invocation_given(invocation, option, i)) != NULL; i++) {
        if (list == NULL)
            list = cJSON_AddArrayToObject(object, key);
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
}

/* What the first containers of a service are made like. DONE, or what was complained about. */
static enum exit_code add_first(struct cJSON *body, const struct invocation *invocation)
{
    const char *replicas = invocation_option(invocation, "replicas");
    struct cJSON *create = cJSON_CreateObject();
    uint64_t count = 0;
    add_all(create, "networks", invocation, "network");
    add_all(create, "volumes", invocation, "volume");
    add_all(create, "ports", invocation, "publish");
    add_text(create, invocation, "restart");
    add_text(create, invocation, "user");
    bool is_given = create->child != NULL;
    if (is_given)
        cJSON_AddItemToObject(body, "create", create);
    else
        cJSON_Delete(create);
    if (replicas == NULL && is_given)
        return complain(USAGE, "--network, --volume, --publish, --restart and --user are for the "
                               "first containers of a service: say how many with --replicas");
    if (replicas == NULL)
        return DONE;
    if (slice_to_u64(slice_from_string(replicas), &count) < 0 || count == 0 || count > REPLICAS_MAX)
        return complain(USAGE, "--replicas takes a number from 1 to %d, not '%s'", REPLICAS_MAX,
                        replicas);
    cJSON_AddNumberToObject(body, "replicas", (double)count);
    return DONE;
}

/* The request's body, or NULL after saying what is wrong. */
static struct cJSON *make_body(const struct invocation *invocation)
{
    const char *image = invocation_option(invocation, "image");
    const char *reason = invocation_option(invocation, "reason");
    const char *steps_text = invocation_option(invocation, "steps");
    const char *interval = invocation_option(invocation, "interval");
    const char *pull = invocation_option(invocation, "pull");
    bool no_pull = invocation_option(invocation, "no-pull") != NULL;
    enum config_pull policy;
    const char *preset = invocation_option(invocation, "preset");
    char why[PLAN_STEPS_WHY_BYTES];
    struct cJSON *steps = NULL, *changes = NULL;
    if (changes_make(invocation, &changes, why) < 0) {
        complain(USAGE, "%s", why);
        return NULL;
    }
    if (changes == NULL && (image == NULL || image[0] == '\0')) {
        complain(USAGE, "say which image: sluice rollout %s --image IMAGE",
                 invocation->arguments[0]);
        return NULL;
    }
    if (preset != NULL && (steps_text != NULL || interval != NULL)) {
        complain(USAGE, "--preset has its own steps: give it without --steps and --interval");
        cJSON_Delete(changes);
        return NULL;
    }
    if ((steps_text != NULL || interval != NULL) &&
        plan_steps(steps_text, interval, &steps, why) < 0) {
        complain(USAGE, "%s", why);
        cJSON_Delete(changes);
        return NULL;
    }
    if (pull != NULL && (no_pull || config_parse_pull(pull, &policy) < 0)) {
        complain(USAGE, no_pull ? "--pull and --no-pull contradict each other"
                                : "--pull takes missing, always or never");
        cJSON_Delete(steps);
        cJSON_Delete(changes);
        return NULL;
    }
    struct cJSON *body = cJSON_CreateObject();
    if (image != NULL)
        cJSON_AddStringToObject(body, "image", image);
    if (changes != NULL)
        cJSON_AddItemToObject(body, "changes", changes);
    if (pull != NULL || no_pull)
        cJSON_AddStringToObject(body, "pull", no_pull ? "never" : pull);
    if (steps != NULL)
        cJSON_AddItemToObject(body, "steps", steps);
    if (preset != NULL)
        cJSON_AddStringToObject(body, "preset", preset);
    if (reason != NULL)
        cJSON_AddStringToObject(body, "reason", reason);
    add_text(body, invocation, "strategy");
    add_text(body, invocation, "order");
    if (invocation_option(invocation, "dry-run") != NULL)
        cJSON_AddTrueToObject(body, "dry_run");
    add_list(body, "force", invocation_option(invocation, "force"));
    if (add_first(body, invocation) != DONE) {
        cJSON_Delete(body);
        return NULL;
    }
    return body;
}

/* What was learned from earlier rollouts, before this one goes far. */
static void print_lessons(const struct cJSON *rollout)
{
    struct lines lines = {0};
    const struct cJSON *lesson;
    char day[TEXT_BYTES];
    cJSON_ArrayForEach(lesson, json_get(rollout, "lessons"))
    {
        lines_add(&lines, "lesson of %s: %s", text_time(json_text(lesson, "time"), true, day),
                  json_text(lesson, "message"));
    }
    lines_print(&lines, stdout, false);
    lines_done(&lines);
}

/* What a rollout would do. Exit code 3 where it would be refused: scripts ask that. */
static enum exit_code show_plan(const struct invocation *invocation, const struct cJSON *plan)
{
    struct lines lines = {0};

    if (invocation->json) {
        json_print(plan);
    } else {
        plan_lines(plan, &lines);
        lines_print(&lines, stdout, invocation->colour);
        lines_done(&lines);
    }
    return plan_is_refused(plan) ? REFUSED : DONE;
}

/* Warnings before anything happens, and why it does not. */
static void show_checks(const struct invocation *invocation, const struct cJSON *answer)
{
    struct lines lines = {0};

    if (invocation->json)
        return;
    plan_check_lines(json_get(answer, "checks"), false, &lines);
    lines_print(&lines, stderr, invocation->colour);
    lines_done(&lines);
}

/* Asks for it, and follows it to its end unless told otherwise. `body` is taken over. */
static enum exit_code begin(const struct invocation *invocation, const char *what,
                            struct cJSON *body)
{
    struct api_reply reply;
    const char *service = invocation->arguments[0];
    char *escaped = api_escape(service);
    char *path = memory_format("/v1/services/%s/%s", escaped, what);
    enum exit_code code;
    bool started = pull_ask(invocation, service, path, body, &reply, &code);
    if (started && !invocation->json)
        print_lessons(reply.json);
    if (!started) {
        show_checks(invocation, reply.json);
    } else if (invocation_option(invocation, "dry-run") != NULL) {
        code = show_plan(invocation, reply.json);
    } else if (invocation_option(invocation, "detach") == NULL) {
        code = follow_rollout(invocation, reply.json);
    } else {
        if (invocation->json)
            json_print(reply.json);
        else
            printf("started rollout %s of %s; `sluice watch %s` shows it\n",
                   json_text(reply.json, "id"), service, service);
    }
    api_reply_done(&reply);
    cJSON_Delete(body);
    free(path);
    free(escaped);
    return code;
}

enum exit_code command_rollout(const struct invocation *invocation)
{
    struct cJSON *body = make_body(invocation);
    return body == NULL ? USAGE : begin(invocation, "rollouts", body);
}

enum exit_code command_rollback(const struct invocation *invocation)
{
    struct cJSON *body = cJSON_CreateObject();
    if (invocation->arguments[1] != NULL)
        cJSON_AddStringToObject(body, "id", invocation->arguments[1]);
    add_text(body, invocation, "reason");
    if (invocation_option(invocation, "dry-run") != NULL)
        cJSON_AddTrueToObject(body, "dry_run");
    return begin(invocation, "rollback", body);
}
