/* Hooks and verifications as values: names, the canonical form, their end. */
#include "base/memory.h"
#include "config.h"
#include "reader.h"
#include "task.h"
#include "value.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *config_task_point_name(enum config_task_point point)
{
    return hook_point_words[point];
}

const char *config_task_kind_name(enum config_task_kind kind)
{
    static const char *const names[] = {"webhook", "command", "gate", "http"};

    return names[kind];
}

static void free_list(char **texts)
{
    for (char **text = texts; text != NULL && *text != NULL; text++)
        free(*text);
    free(texts);
}

void config_tasks_free(struct config_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct config_task *task = &tasks[i];

        free(task->name);
        free(task->url);
        free_list(task->command);
        free(task->method);
        free(task->path);
        free(task->host);
        free(task->body);
        free(task->expected);
        free_list(task->headers);
    }
    free(tasks);
}

/* --- the canonical form --------------------------------------------------------------------- */

static void put_text(cJSON *object, const char *key, const char *text)
{
    if (text != NULL && cJSON_AddStringToObject(object, key, text) == NULL)
        exit(EXIT_TRY_AGAIN);
}

static void put_duration(cJSON *object, const char *key, uint32_t ms)
{
    char text[DURATION_TEXT_BYTES];

    duration_format(ms, text);
    put_text(object, key, text);
}

static void put_command(cJSON *object, char *const *command)
{
    cJSON *list = cJSON_AddArrayToObject(object, "command");

    for (; command != NULL && *command != NULL; command++)
        cJSON_AddItemToArray(list, cJSON_CreateString(*command));
}

static void put_headers(cJSON *object, char *const *headers)
{
    cJSON *mapping;

    if (headers == NULL)
        return;
    mapping = cJSON_AddObjectToObject(object, "headers");
    for (; *headers != NULL; headers++) {
        const char *colon = strchr(*headers, ':');
        char *name = memory_format("%.*s", (int)(colon - *headers), *headers);

        put_text(mapping, name, colon + 2);
        free(name);
    }
}

static void put_http(cJSON *object, const struct config_task *task)
{
    cJSON *http = cJSON_AddObjectToObject(object, "http");
    char status[16];

    (void)snprintf(status, sizeof(status), "%u-%u", task->status_min, task->status_max);
    put_text(http, "path", task->path);
    put_text(http, "method", task->method);
    put_text(http, "host", task->host);
    put_headers(http, task->headers);
    put_text(http, "send", task->body);
    put_text(http, "status", status);
    put_text(http, "body", task->expected);
}

static void put_tries(cJSON *json, const struct config_task *task)
{
    bool asks_on = config_task_is_gate(task) || task->point == POINT_ROLLBACK;

    if (task->kind != TASK_GATE)
        put_duration(json, "timeout", task->timeout_ms);
    if (task->kind != TASK_GATE && task->point != POINT_EVENT)
        put_duration(json, "interval", task->interval_ms);
    if (!asks_on)
        cJSON_AddNumberToObject(json, "retries", task->retries);
    if (config_task_is_gate(task))
        put_duration(json, "wait", task->wait_ms);
    if (task->point < POINT_POST_ROLLOUT)
        put_text(json, "on_failure", on_failure_words[task->on_failure]);
}

static cJSON *task_to_json(const struct config_task *task)
{
    cJSON *json = cJSON_CreateObject();

    put_text(json, "name", task->name);
    if (config_task_is_verification(task))
        put_text(json, "on", task->point == POINT_VERIFY_CANARY ? "canary" : "service");
    else
        put_text(json, "on", hook_point_words[task->point]);
    if (task->kind == TASK_WEBHOOK)
        put_text(json, "webhook", task->url);
    else if (task->kind == TASK_COMMAND)
        put_command(json, task->command);
    else if (task->kind == TASK_GATE)
        cJSON_AddTrueToObject(json, "gate");
    else
        put_http(json, task);
    put_tries(json, task);
    return json;
}

cJSON *config_tasks_to_json(const struct config_task *tasks, size_t count)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *hooks = cJSON_AddArrayToObject(json, "hooks");
    cJSON *verify = cJSON_AddArrayToObject(json, "verify");

    if (json == NULL || hooks == NULL || verify == NULL)
        exit(EXIT_TRY_AGAIN);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(config_task_is_verification(&tasks[i]) ? verify : hooks,
                             task_to_json(&tasks[i]));
    return json;
}

int config_tasks_read_text(const char *text, struct config_task **ret_tasks, size_t *ret_count)
{
    static const struct config_overrides none;
    struct reader reader = {.overrides = &none, .canonical = true};
    struct config_rollout rollout = {0};
    struct node *root;
    int error = 0;

    problems_init(&reader.problems, "tasks");
    root = document_parse(text, strlen(text), &document_limits_canonical, &reader.problems);
    if (root != NULL)
        tasks_read(&reader, root, &rollout);
    node_free(root);
    if (reader.problems.count > 0)
        error = -EINVAL;
    problems_done(&reader.problems);
    if (error != 0) {
        config_tasks_free(rollout.tasks, rollout.task_count);
        return error;
    }
    *ret_tasks = rollout.tasks;
    *ret_count = rollout.task_count;
    return 0;
}
