#include "notify.h"

#include "base/http_client.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/timer.h"
#include "notify_text.h"
#include "runner.h"
#include "updater.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_MS 1000u
#define BACKOFF_MAX_MS   60000u
#define ANSWER_BYTES_MAX 4096u

struct target { /* one webhook or command */
    struct updater *updater;
    const struct config_notify *config;
    const struct service *service;  /* NULL: of all */
    cJSON *queue[NOTIFY_QUEUE_MAX]; /* a ring */
    unsigned first, count;
    unsigned attempts; /* of the first one */
    uint64_t dropped;
    bool sending, closing;
    struct http_request *http;
    struct run *run;
    struct timer again;
};

struct notify {
    struct config_notify *hooks; /* of `on: event`, in the form of the others */
    size_t hook_count;
    struct target *targets;
    size_t count;
};

static void send_first(struct target *target);

/* --- the queue ------------------------------------------------------------------------------ */

static void log_trouble(const struct target *target, const char *event, const char *reason)
{
    struct log_line line;

    log_begin(&line, LOG_WARNING, event);
    log_string(&line, "notify", target->config->name);
    log_string(&line, "reason", reason);
    log_u64(&line, "dropped", target->dropped);
    log_end(&line);
}

static void first_gone(struct target *target)
{
    cJSON_Delete(target->queue[target->first]);
    target->queue[target->first] = NULL;
    target->first = (target->first + 1) % NOTIFY_QUEUE_MAX;
    target->count--;
    target->attempts = 0;
    target->sending = false;
    if (target->count > 0 && !target->closing)
        timer_start(target->updater->loop, &target->again, 0);
}

static void enqueue(struct target *target, const cJSON *payload)
{
    if (target->count == NOTIFY_QUEUE_MAX) {
        target->dropped++;
        if ((target->dropped & (target->dropped - 1)) == 0) /* 1, 2, 4, 8 …: told, not flooded */
            log_trouble(target, "notification-dropped", "its queue is full");
        return;
    }
    target->queue[(target->first + target->count++) % NOTIFY_QUEUE_MAX] =
        cJSON_Duplicate(payload, true);
    if (!target->sending && !timer_is_running(&target->again))
        timer_start(target->updater->loop, &target->again, 0);
}

static void sent(struct target *target, bool passed, const char *reason)
{
    uint32_t wait_ms = target->attempts > 6
                           ? BACKOFF_MAX_MS
                           : BACKOFF_FIRST_MS << (target->attempts > 0 ? target->attempts - 1 : 0);

    target->http = NULL;
    target->run = NULL;
    if (target->closing)
        return;
    if (passed) {
        first_gone(target);
        return;
    }
    if (target->attempts > target->config->retries) {
        target->dropped++;
        log_trouble(target, "notification-failed", reason);
        first_gone(target);
        return;
    }
    target->sending = false;
    timer_start(target->updater->loop, &target->again, wait_ms);
}

/* --- sending -------------------------------------------------------------------------------- */

static void on_answer(void *context, const struct http_answer *answer)
{
    bool came = answer->error == 0 || (answer->error == -EMSGSIZE && answer->status > 0);
    char reason[160];

    if (came)
        (void)snprintf(reason, sizeof(reason), "status %u, wanted 200-299", answer->status);
    else
        (void)snprintf(reason, sizeof(reason), "%.150s", answer->detail);
    sent(context, came && answer->status / 100 == 2, reason);
}

static void on_run_end(void *context, const struct run_end *end)
{
    char reason[160];

    (void)snprintf(reason, sizeof(reason), "%s: %.*s", end->why,
                   end->output.length < 100 ? (int)end->output.length : 100,
                   end->output.length > 0 ? end->output.data : "");
    sent(context, end->passed, reason);
}

static void post(struct target *target, const cJSON *payload)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char *text = notify_body(payload, target->config->format);
    const struct http_request_options options = {
        .method = "POST",
        .url = target->config->url,
        .headers = headers,
        .body = slice_from_string(text),
        .timeout_ms = target->config->timeout_ms,
        .max_bytes = ANSWER_BYTES_MAX,
        .fresh_connection = true,
        .on_done = on_answer,
        .context = target,
    };

    target->http = http_client_start(target->updater->web, &options);
    free(text);
    if (!target->http)
        sent(target, false, "libcurl does not take the request");
}

static void run(struct target *target, const cJSON *payload)
{
    char *json = notify_body(payload, NOTIFY_JSON);
    char *text = memory_format("%s\n", json);
    const struct run_options options = {
        .command = target->config->command,
        .payload = payload,
        .input = slice_from_string(text),
        .timeout_ms = target->config->timeout_ms,
        .on_end = on_run_end,
        .context = target,
    };

    if (run_start(target->updater, &options, &target->run))
        sent(target, false, "it could not be started");
    free(text);
    free(json);
}

static void send_first(struct target *target)
{
    if (target->sending || target->count == 0)
        return;
    target->sending = true;
    target->attempts++;
    if (target->config->url)
        post(target, target->queue[target->first]);
    else
        run(target, target->queue[target->first]);
}

static void on_again(struct timer *timer)
{
    send_first(container_of(timer, struct target, again));
}

/* --- events --------------------------------------------------------------------------------- */

/* `rollout` and `payload` are taken over. */
static void tell(const struct service *service, const char *event, cJSON *rollout, cJSON *payload)
{
    struct notify *notify = service->updater->notify;
    enum config_severity severity = notify_severity(event);

    cJSON_AddStringToObject(payload, "event", event);
    cJSON_AddStringToObject(payload, "severity", notify_severity_words[severity]);
    cJSON_AddItemToObject(payload, "rollout", rollout);
    notify_add_text(payload);
    for (size_t i = 0; i < notify->count; i++) {
        struct target *target = &notify->targets[i];

        if (severity >= target->config->severity &&
            (!target->service || target->service == service))
            enqueue(target, payload);
    }
    cJSON_Delete(payload);
}

static bool has_targets(const struct updater *updater)
{
    return updater->notify && updater->notify->count > 0;
}

void notify_rollout(struct rollout *rollout, const char *event)
{
    if (has_targets(rollout->service->updater))
        tell(rollout->service, event, view_rollout_brief(rollout), cJSON_CreateObject());
}

void notify_finding(const struct service *service, const char *rollout, const char *check,
                    const char *found)
{
    cJSON *brief, *payload;

    if (!has_targets(service->updater))
        return;
    brief = cJSON_CreateObject();
    cJSON_AddStringToObject(brief, "id", rollout);
    cJSON_AddStringToObject(brief, "service", service_name(service));
    payload = cJSON_CreateObject();
    cJSON_AddStringToObject(payload, "check", check);
    cJSON_AddStringToObject(payload, "found", found);
    tell(service, "rollout_not_as_promised", brief, payload);
}

uint64_t notify_dropped(const struct updater *updater)
{
    uint64_t dropped = 0;

    for (size_t i = 0; updater->notify && i < updater->notify->count; i++)
        dropped += updater->notify->targets[i].dropped;
    return dropped;
}

/* --- open and close ------------------------------------------------------------------------- */

static void target_add(struct notify *notify, struct updater *updater,
                       const struct config_notify *config, const struct service *service)
{
    struct target *target = &notify->targets[notify->count++];

    target->updater = updater;
    target->config = config;
    target->service = service;
    timer_init(&target->again, on_again);
}

static size_t count_hooks(const struct updater *updater)
{
    size_t count = 0;

    for (size_t i = 0; i < updater->service_count; i++) {
        const struct config_rollout *rollout = &updater->services[i].config->rollout;

        for (size_t k = 0; k < rollout->task_count; k++)
            count += rollout->tasks[k].point == POINT_EVENT;
    }
    return count;
}

static void hooks_add(struct notify *notify, struct updater *updater, const struct service *service)
{
    const struct config_rollout *rollout = &service->config->rollout;

    for (size_t k = 0; k < rollout->task_count; k++) {
        const struct config_task *task = &rollout->tasks[k];
        struct config_notify *hook = &notify->hooks[notify->hook_count];

        if (task->point != POINT_EVENT)
            continue;
        notify->hook_count++;
        *hook = (struct config_notify){.name = task->name, /* the config's, as long as we live */
                                       .url = task->url,
                                       .command = task->command,
                                       .timeout_ms = task->timeout_ms,
                                       .retries = task->retries};
        target_add(notify, updater, hook, service);
    }
}

void notify_open(struct updater *updater)
{
    const struct config *config = updater->config;
    struct notify *notify = memory_new(sizeof(*notify));
    size_t hooks = count_hooks(updater);

    updater->notify = notify;
    notify->hooks = memory_new_array(hooks + 1, sizeof(*notify->hooks));
    notify->targets = memory_new_array(config->notify_count + hooks + 1, sizeof(*notify->targets));
    for (size_t i = 0; i < config->notify_count; i++)
        target_add(notify, updater, &config->notify[i], NULL);
    for (size_t i = 0; i < updater->service_count; i++)
        hooks_add(notify, updater, &updater->services[i]);
}

void notify_close(struct updater *updater)
{
    struct notify *notify = updater->notify;

    if (!notify)
        return;
    for (size_t i = 0; i < notify->count; i++) {
        struct target *target = &notify->targets[i];

        target->closing = true;
        timer_stop(updater->loop, &target->again);
        if (target->http)
            http_request_cancel(target->http);
        run_abandon(target->run);
        while (target->count > 0)
            first_gone(target);
    }
    free(notify->targets);
    free(notify->hooks);
    free(notify);
    updater->notify = NULL;
}
