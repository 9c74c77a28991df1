/* `hooks` and `verify` of a rollout. */
#include "base/memory.h"
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOUR_MS (3600u * 1000)
#define DAY_MS  (24 * HOUR_MS)

const char *const hook_point_words[] = {
    [POINT_CONFIRM_ROLLOUT] = "confirm_rollout",
    [POINT_VERIFY_CANARY] = "verify_canary",
    [POINT_PRE_ROLLOUT] = "pre_rollout",
    [POINT_CONFIRM_TRAFFIC_INCREASE] = "confirm_traffic_increase",
    [POINT_ROLLOUT] = "rollout",
    [POINT_VERIFY_SERVICE] = "verify_service",
    [POINT_CONFIRM_PROMOTION] = "confirm_promotion",
    [POINT_POST_ROLLOUT] = "post_rollout",
    [POINT_ROLLBACK] = "rollback",
    [POINT_EVENT] = "event",
    NULL,
};
const char *const on_failure_words[] = {"rollback", "ignore", "pause", NULL};

static bool method_is_valid(const char *text)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(text, methods[i]) == 0)
            return true;
    return false;
}

static bool host_header_is_valid(const char *text)
{
    return host_is_valid(text) || endpoint_is_valid(text);
}

void web_url_read(struct reader *reader, const struct node *node, char **place)
{
    if (!reader_wants_text(reader, node))
        return;
    if (strlen(node->text) > 2048 || !web_url_is_valid(node->text)) {
        reader_refuse(reader, node, "http://HOST/… or https://HOST/…, up to 2048 bytes");
        return;
    }
    free(*place);
    *place = memory_copy_string(node->text);
}

static void read_on(struct reader *reader, const struct node *node, void *target)
{
    struct config_task *task = target;

    for (unsigned point = 0; node->kind == NODE_SCALAR && point < POINT_COUNT; point++) {
        if (strcmp(node->text, hook_point_words[point]) == 0 && point != POINT_VERIFY_CANARY &&
            point != POINT_VERIFY_SERVICE) {
            task->point = (enum config_task_point)point;
            return;
        }
    }
    reader_refuse(reader, node,
                  "confirm_rollout, pre_rollout, rollout, confirm_traffic_increase, "
                  "confirm_promotion, post_rollout, rollback or event");
}

static void read_webhook(struct reader *reader, const struct node *node, void *target)
{
    struct config_task *task = target;

    task->kind = TASK_WEBHOOK;
    web_url_read(reader, node, &task->url);
}

static void read_command(struct reader *reader, const struct node *node, void *target)
{
    struct config_task *task = target;

    task->kind = TASK_COMMAND;
    command_read(reader, node, &task->command);
}

static void read_gate(struct reader *reader, const struct node *node, void *target)
{
    ((struct config_task *)target)->kind = TASK_GATE;
    if (node->kind != NODE_SCALAR || node->scalar != SCALAR_BOOL || strcmp(node->text, "true") != 0)
        reader_refuse(reader, node, "true: it waits for `sluice confirm`");
}

static void read_status(struct reader *reader, const struct node *node, void *target)
{
    struct config_task *task = target;

    status_range_read(reader, node, &task->status_min, &task->status_max);
}

static void read_headers(struct reader *reader, const struct node *node, void *target)
{
    struct config_task *task = target;
    size_t used = 0;

    if (!reader_wants_mapping(reader, node))
        return;
    if (node->count == 0 || node->count > CONFIG_TASK_HEADERS_MAX) {
        reader_tell(reader, node->line, "found %zu headers, allowed are 1 to %d", node->count,
                    CONFIG_TASK_HEADERS_MAX);
        return;
    }
    task->headers = memory_new_array(node->count + 1, sizeof(char *));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        size_t mark = reader_enter(reader, item->key);

        if (!token_is_valid(item->key))
            reader_tell(reader, item->key_line, "found a name that is none of a header");
        else if (strcasecmp(item->key, "host") == 0)
            reader_tell(reader, item->key_line, "found a Host header, allowed is `host`");
        else if (item->kind != NODE_SCALAR || strlen(item->text) > 1024 ||
                 !text_is_clean(item->text))
            reader_refuse(reader, item, "text of 1 to 1024 bytes");
        else
            task->headers[used++] = memory_format("%s: %s", item->key, item->text);
        reader_leave(reader, mark);
    }
}

#define TEXT_FIELD(name, member, largest, judge, words)                                            \
    {                                                                                              \
        .key = (name), .kind = FIELD_TEXT, .offset = offsetof(struct config_task, member),         \
        .max = (largest), .valid = (judge), .allowed = (words)                                     \
    }

static bool text_is_given(const char *text)
{
    return *text != '\0';
}

static const struct field verify_http_fields[] = {
    TEXT_FIELD("path", path, 255, check_path_is_valid, "a path that starts with /"),
    TEXT_FIELD("method", method, 16, method_is_valid,
               "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"),
    TEXT_FIELD("host", host, 255, host_header_is_valid, "a host name, with a port or without"),
    {.key = "headers", .kind = FIELD_OTHER, .read = read_headers},
    TEXT_FIELD("send", body, 16384, text_is_given, "what is sent as the body"),
    {.key = "status", .kind = FIELD_OTHER, .read = read_status},
    TEXT_FIELD("body", expected, 255, text_is_given, "a piece that the answer must hold"),
};
const struct table verify_http_table = TABLE("verify_http", verify_http_fields);

static void read_http(struct reader *reader, const struct node *node, void *target)
{
    struct config_task *task = target;

    task->kind = TASK_HTTP;
    task->status_min = 200;
    task->status_max = 399;
    table_read(reader, node, &verify_http_table, task);
    if (task->path == NULL)
        task->path = memory_copy_string("/");
    if (task->method == NULL)
        task->method = memory_copy_string("GET");
}

#define DURATION_FIELD(name, member, smallest, largest, usual)                                     \
    {                                                                                              \
        .key = (name), .kind = FIELD_DURATION, .offset = offsetof(struct config_task, member),     \
        .min = (smallest), .max = (largest), .fallback = (usual)                                   \
    }
#define COMMON_FIELDS(interval)                                                                    \
    TEXT_FIELD("name", name, CONFIG_NAME_MAX, name_is_valid,                                       \
               "letters, digits, _ . and -, a letter or digit first"),                             \
        {.key = "command", .kind = FIELD_OTHER, .read = read_command},                             \
        DURATION_FIELD("timeout", timeout_ms, 1, HOUR_MS, 10 * 1000),                              \
        DURATION_FIELD("interval", interval_ms, 10, HOUR_MS, (interval)),                          \
        {.key = "retries",                                                                         \
         .kind = FIELD_NUMBER16,                                                                   \
         .offset = offsetof(struct config_task, retries),                                          \
         .min = 0,                                                                                 \
         .max = 100,                                                                               \
         .fallback = 2},                                                                           \
    {                                                                                              \
        .key = "on_failure", .kind = FIELD_WORD,                                                   \
        .offset = offsetof(struct config_task, on_failure), .words = on_failure_words,             \
        .fallback = ON_FAILURE_ROLLBACK                                                            \
    }

static const struct field hook_fields[] = {
    COMMON_FIELDS(5000),
    {.key = "on", .kind = FIELD_OTHER, .read = read_on},
    {.key = "webhook", .kind = FIELD_OTHER, .read = read_webhook},
    {.key = "gate", .kind = FIELD_OTHER, .read = read_gate},
    DURATION_FIELD("wait", wait_ms, 1, DURATION_MAX_MS, DAY_MS),
};
const struct table hook_table = TABLE("hook", hook_fields);

static const struct field verify_fields[] = {
    COMMON_FIELDS(1000),
    {.key = "on", .kind = FIELD_OTHER}, /* read_verification() reads it */
    {.key = "http", .kind = FIELD_OTHER, .read = read_http},
};
const struct table verify_table = TABLE("verify", verify_fields);

/* --- contradictions ------------------------------------------------------------------------- */

static void refuse_key(struct reader *reader, const struct node *node, const char *key,
                       const char *why)
{
    const struct node *given = node_get(node, key);

    if (given == NULL)
        return;
    size_t mark = reader_enter(reader, key);
    reader_tell(reader, given->key_line, "found %s, which %s", key, why);
    reader_leave(reader, mark);
}

static void check_kinds(struct reader *reader, const struct node *node, const char *const *kinds,
                        const char *words)
{
    size_t given = 0;

    for (; *kinds != NULL; kinds++)
        given += node_get(node, *kinds) != NULL;
    if (given != 1)
        reader_tell(reader, node->line, "found %zu of %s, allowed is one", given, words);
}

static void check_hook(struct reader *reader, const struct node *node,
                       const struct config_task *task)
{
    static const char *const kinds[] = {"webhook", "command", "gate", NULL};
    bool is_gate = config_task_is_gate(task);

    check_kinds(reader, node, kinds, "webhook, command, gate");
    if (node_get(node, "on") == NULL)
        reader_tell(reader, node->line, "found no point, allowed is `on: pre_rollout` or another");
    if (!is_gate) {
        refuse_key(reader, node, "gate", "waits for a yes, allowed at confirm_* points only");
        refuse_key(reader, node, "wait",
                   "is for the yes at confirm_* points; `timeout` is of a try");
    }
    if (is_gate || task->point == POINT_ROLLBACK)
        refuse_key(reader, node, "retries", "means nothing here: it is asked until it says yes");
    if (task->kind == TASK_GATE) {
        refuse_key(reader, node, "timeout", "is of a webhook or command; a gate has `wait`");
        refuse_key(reader, node, "interval", "is of a webhook or command; nobody is asked here");
    }
    if (task->point == POINT_EVENT)
        refuse_key(reader, node, "interval",
                   "means nothing here: tries are further and further apart");
    if (task->point >= POINT_POST_ROLLOUT)
        refuse_key(reader, node, "on_failure",
                   "means nothing here: nothing can be turned any more");
}

/* --- the lists ------------------------------------------------------------------------------ */

static struct config_task *task_append(struct config_rollout *rollout, const struct table *table)
{
    struct config_task *task;

    rollout->tasks =
        memory_resize(rollout->tasks, (rollout->task_count + 1) * sizeof(*rollout->tasks));
    task = &rollout->tasks[rollout->task_count++];
    memset(task, 0, sizeof(*task));
    table_defaults(table, task);
    return task;
}

static void name_task(struct reader *reader, const struct node *node,
                      struct config_rollout *rollout, const char *prefix, size_t index)
{
    struct config_task *task = &rollout->tasks[rollout->task_count - 1];

    if (task->name == NULL)
        task->name = memory_format("%s-%zu", prefix, index + 1);
    for (size_t i = 0; i + 1 < rollout->task_count; i++) {
        if (strcmp(rollout->tasks[i].name, task->name) == 0) {
            reader_tell(reader, node->line,
                        "found the name %s twice, allowed is a name of its own for each hook and "
                        "verification",
                        task->name);
            return;
        }
    }
}

static void hooks_read(struct reader *reader, const struct node *node,
                       struct config_rollout *rollout)
{
    if (!reader_wants_list(reader, node, CONFIG_TASKS_MAX / 2))
        return;
    for (size_t i = 0; i < node->count; i++) {
        struct config_task *task = task_append(rollout, &hook_table);
        size_t mark = reader_enter_index(reader, i);

        table_read(reader, node->items[i], &hook_table, task);
        if (node->items[i]->kind == NODE_MAPPING)
            check_hook(reader, node->items[i], task);
        if (task->point >= POINT_POST_ROLLOUT)
            task->on_failure = ON_FAILURE_IGNORE;
        name_task(reader, node->items[i], rollout, "hook", i);
        reader_leave(reader, mark);
    }
}

/* `both` is one of each: the second bears the first one's name with "-service". */
static void verification_read(struct reader *reader, const struct node *node,
                              struct config_rollout *rollout, enum config_task_point point,
                              size_t index)
{
    static const char *const kinds[] = {"http", "command", NULL};
    const struct node *on = node_get(node, "on");
    bool is_second = point == POINT_VERIFY_SERVICE && on != NULL && on->kind == NODE_SCALAR &&
                     strcmp(on->text, "both") == 0;
    struct config_task *task = task_append(rollout, &verify_table);
    char prefix[32] = "verify";

    table_read(reader, node, &verify_table, task);
    task->point = point;
    if (node->kind == NODE_MAPPING)
        check_kinds(reader, node, kinds, "http, command");
    if (is_second && task->name != NULL) {
        char *name = memory_format("%s-service", task->name);

        free(task->name);
        task->name = name;
    } else if (is_second) {
        (void)snprintf(prefix, sizeof(prefix), "verify-service");
    }
    name_task(reader, node, rollout, prefix, index);
}

static void verify_read(struct reader *reader, const struct node *node,
                        struct config_rollout *rollout)
{
    static const char *const words[] = {"canary", "service", "both"};

    if (!reader_wants_list(reader, node, CONFIG_TASKS_MAX / 2))
        return;
    for (size_t i = 0; i < node->count; i++) {
        const struct node *on = node_get(node->items[i], "on");
        const char *word = on == NULL ? "canary" : on->kind == NODE_SCALAR ? on->text : "";
        size_t mark = reader_enter_index(reader, i);
        bool is_canary = strcmp(word, words[0]) == 0, is_service = strcmp(word, words[1]) == 0;
        bool is_both = strcmp(word, words[2]) == 0;

        if (!is_canary && !is_service && !is_both) {
            size_t inner = reader_enter(reader, "on");
            reader_refuse(reader, on, "canary, service or both");
            reader_leave(reader, inner);
        }
        if (!is_service)
            verification_read(reader, node->items[i], rollout, POINT_VERIFY_CANARY, i);
        if (is_service || is_both)
            verification_read(reader, node->items[i], rollout, POINT_VERIFY_SERVICE, i);
        reader_leave(reader, mark);
    }
}

void tasks_read(struct reader *reader, const struct node *node, struct config_rollout *rollout)
{
    const struct node *hooks = node_get(node, "hooks"), *verify = node_get(node, "verify");
    size_t mark;

    if (hooks != NULL) {
        mark = reader_enter(reader, "hooks");
        hooks_read(reader, hooks, rollout);
        reader_leave(reader, mark);
    }
    if (verify != NULL) {
        mark = reader_enter(reader, "verify");
        verify_read(reader, verify, rollout);
        reader_leave(reader, mark);
    }
    if (rollout->task_count > CONFIG_TASKS_MAX)
        reader_tell(reader, node->line, "found %zu hooks and verifications, allowed are up to %d",
                    rollout->task_count, CONFIG_TASKS_MAX);
}

void tasks_check(struct reader *reader, const struct node *node,
                 const struct config_service *service)
{
    const struct node *verify = node_get(node_get(node, "rollout"), "verify");

    for (size_t i = 0; service->tls.enabled && i < service->rollout.task_count; i++) {
        if (service->rollout.tasks[i].kind != TASK_HTTP)
            continue;
        reader_tell(reader, verify->key_line,
                    "rollout.verify: found http with tls to the backends, allowed is command");
        return;
    }
}
