/* One try of a hook or verification: a POST, a command, or a request to each new container. */
#include "base/check.h"
#include "base/http_client.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/script.h"
#include "base/timer.h"
#include "rollout.h"
#include "runner.h"
#include "task.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX ((size_t)64 * 1024) /* looked through for what must be in it */
#define SAID_BYTES       200u                /* of an answer, kept with its status */

struct try_request {
    struct task_try *try;
    struct http_request *http;
    char name[128]; /* of the container; empty: a webhook */
};

struct task_try {
    struct rollout *rollout;
    unsigned index;
    bool stopped;
    unsigned pending, count;
    struct try_request *requests;
    struct run *run;
    bool passed;
    char message[TASK_MESSAGE_BYTES];
};

/* --- its end -------------------------------------------------------------------------------- */

/* Others have a say in it: control bytes go, and the space at its end. */
static void make_printable(char *text)
{
    size_t length;

    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    for (length = strlen(text); length > 0 && text[length - 1] == ' '; length--)
        text[length - 1] = '\0';
}

static void try_free(struct task_try *try)
{
    free(try->requests);
    free(try);
}

static void try_end(struct task_try *try)
{
    struct rollout *rollout = try->rollout;
    unsigned index = try->index;
    bool passed = try->passed;
    char message[TASK_MESSAGE_BYTES];

    memcpy(message, try->message, sizeof(message));
    make_printable(message);
    try_free(try);
    task_tried(rollout, index, passed, message);
}

void task_try_stop(struct task_try *try)
{
    if (!try)
        return;
    try->stopped = true;
    for (unsigned i = 0; i < try->count; i++) {
        if (try->requests[i].http)
            http_request_cancel(try->requests[i].http);
    }
    run_abandon(try->run);
    try_free(try);
}

/* The first failure's words stand. */
static void try_fail(struct task_try *try, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void try_fail(struct task_try *try, const char *format, ...)
{
    va_list arguments;

    if (!try->passed)
        return;
    try->passed = false;
    va_start(arguments, format);
    (void)vsnprintf(try->message, sizeof(try->message), format, arguments);
    va_end(arguments);
}

/* --- HTTP ----------------------------------------------------------------------------------- */

static bool holds(struct slice body, const char *piece)
{
    return !piece || (body.data && memmem(body.data, body.length, piece, strlen(piece)));
}

static void judge_status(struct task_try *try, const struct config_task *config, const char *who,
                         const struct http_answer *answer)
{
    unsigned min = config->kind == TASK_HTTP ? config->status_min : 200;
    unsigned max = config->kind == TASK_HTTP ? config->status_max : 299;
    int said = answer->body.length < SAID_BYTES ? (int)answer->body.length : (int)SAID_BYTES;

    if (answer->status < min || answer->status > max)
        try_fail(try, "%sstatus %u, wanted %u-%u%s%.*s", who, answer->status, min, max,
                 said > 0 ? ": " : "", said, said > 0 ? answer->body.data : "");
    else if (config->kind == TASK_HTTP && !holds(answer->body, config->expected))
        try_fail(try, "%sthe answer lacks \"%.80s\"", who, config->expected);
    else if (try->passed && config->kind == TASK_WEBHOOK)
        (void)snprintf(try->message, sizeof(try->message), "%.*s", said,
                       said > 0 ? answer->body.data : "");
}

static void on_answer(void *context, const struct http_answer *answer)
{
    struct try_request *request = context;
    struct task_try *try = request->try;
    const struct config_task *config = &try->rollout->spec.tasks[try->index];
    char who[sizeof(request->name) + 4] = "";

    request->http = NULL;
    if (try->stopped)
        return;
    if (request->name[0])
        (void)snprintf(who, sizeof(who), "%s: ", request->name);
    if (answer->error == 0 || (answer->error == -EMSGSIZE && answer->status > 0))
        judge_status(try, config, who, answer);
    else if (answer->error == -ETIMEDOUT)
        try_fail(try, "%sno answer within %u ms", who, (unsigned)config->timeout_ms);
    else
        try_fail(try, "%s%s", who, answer->detail);
    if (--try->pending == 0)
        try_end(try);
}

static bool request_start(struct task_try *try, struct try_request *request,
                          struct http_request_options *options)
{
    const struct config_task *config = &try->rollout->spec.tasks[try->index];

    options->timeout_ms = config->timeout_ms;
    options->max_bytes = ANSWER_BYTES_MAX;
    options->fresh_connection = true;
    options->on_done = on_answer;
    options->context = request;
    request->try = try;
    request->http = http_client_start(try->rollout->service->updater->web, options);
    try->pending += request->http != NULL;
    return request->http != NULL;
}

static void webhook_start(struct task_try *try, const struct config_task *config)
{
    cJSON *payload = task_payload(try->rollout, try->index);
    char *text = cJSON_PrintUnformatted(payload);
    char *delivery =
        memory_format("Sluice-Delivery: %s",
                      cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(payload, "delivery")));
    const char *headers[] = {"Content-Type: application/json", delivery, NULL};
    struct http_request_options options = {
        .method = "POST", .url = config->url, .headers = headers, .body = slice_from_string(text)};

    try->requests = memory_new_array(1, sizeof(*try->requests));
    try->count = 1;
    if (!request_start(try, &try->requests[0], &options))
        try_fail(try, "libcurl does not take its URL"); /* which may hold a secret */
    free(delivery);
    cJSON_free(text);
    cJSON_Delete(payload);
}

static const char **headers_make(const struct config_task *config, const char *host)
{
    size_t count = 0;
    const char **headers;

    while (config->headers && config->headers[count])
        count++;
    headers = memory_new_array(count + 2, sizeof(*headers));
    for (size_t i = 0; i < count; i++)
        headers[i] = config->headers[i];
    headers[count] = config->host ? host : NULL;
    return headers;
}

static void verification_start(struct task_try *try, const struct config_task *config,
                               struct container *container, struct try_request *request)
{
    char address[ADDRESS_TEXT_BYTES];
    char *host = memory_format("Host: %s", config->host ? config->host : "");
    const char **headers = headers_make(config, host);
    bool says_proxy =
        try->rollout->service->config->send_proxy_protocol != SEND_PROXY_PROTOCOL_NONE;
    char *url;

    address_format(&container->address, address);
    url = memory_format("http://%s%s", address, config->path);
    (void)slice_copy_string(slice_from_string(container->facts.name), request->name,
                            sizeof(request->name));
    struct http_request_options options = {
        .method = config->method, .url = url, .headers = headers, .says_proxy = says_proxy};

    if (config->body)
        options.body = slice_from_string(config->body);
    if (!request_start(try, request, &options))
        try_fail(try, "libcurl does not take the URL %.200s", url);
    free(url);
    free(headers);
    free(host);
}

bool task_is_target(const struct rollout *rollout, const struct container *container)
{
    struct table *table = rollout->service->updater->table;

    return rollout_is_new(rollout, container) && container->slot != TABLE_NONE &&
           table_backend(table, container->slot)->state != BACKEND_DRAINING;
}

static void verifications_start(struct task_try *try, const struct config_task *config)
{
    struct service *service = try->rollout->service;

    try->requests = memory_new_array(SERVICE_CONTAINERS_MAX, sizeof(*try->requests));
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);

        if (task_is_target(try->rollout, container) && try->count < SERVICE_CONTAINERS_MAX)
            verification_start(try, config, container, &try->requests[try->count++]);
    }
    if (try->count == 0)
        try_fail(try, "there is no new container to ask");
}

/* --- commands ------------------------------------------------------------------------------- */

static void on_run_end(void *context, const struct run_end *end)
{
    struct task_try *try = context;

    try->run = NULL;
    try->pending = 0;
    if (!end->passed)
        try_fail(try, "%s%s%.*s", end->why, end->output.length > 0 ? ": " : "",
                 (int)end->output.length, end->output.length > 0 ? end->output.data : "");
    else
        (void)snprintf(try->message, sizeof(try->message), "%.*s", (int)end->output.length,
                       end->output.length > 0 ? end->output.data : "");
    try_end(try);
}

static void command_start(struct task_try *try, const struct config_task *config)
{
    cJSON *payload = task_payload(try->rollout, try->index);
    char *json = cJSON_PrintUnformatted(payload);
    char *text = memory_format("%s\n", json ? json : ""); /* a line, for `read` */
    const struct run_options options = {
        .command = config->command,
        .payload = payload,
        .input = slice_from_string(text),
        .timeout_ms = config->timeout_ms,
        .on_end = on_run_end,
        .context = try,
    };
    int error = run_start(try->rollout->service->updater, &options, &try->run);

    if (error)
        try_fail(try, "it could not be started: %s", strerror(-error));
    else
        try->pending = 1;
    free(text);
    cJSON_free(json);
    cJSON_Delete(payload);
}

/* --- its start ------------------------------------------------------------------------------ */

void task_try_start(struct rollout *rollout, unsigned index)
{
    const struct config_task *config = &rollout->spec.tasks[index];
    struct task_try *try = memory_new(sizeof(*try));

    check(rollout->tasks[index].try == NULL);
    rollout->tasks[index].try = try;
    try->rollout = rollout;
    try->index = index;
    try->passed = true;
    if (config->kind == TASK_WEBHOOK)
        webhook_start(try, config);
    else if (config->kind == TASK_HTTP)
        verifications_start(try, config);
    else
        command_start(try, config);
    if (try->pending == 0)
        try_end(try); /* it never began */
}
