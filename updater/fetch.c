#include "fetch.h"

#include "api_views.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "credentials.h"
#include "engine.h"
#include "engine_json.h"
#include "engine_text.h"
#include "events.h"
#include "image_names.h"
#include "plan_parts.h"
#include "pull_progress.h"
#include "steady.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum fetch_state {
    FETCH_AUTHORIZING, /* a credential helper is asked */
    FETCH_PULLING,
    FETCH_RETRYING, /* the back-off */
    FETCH_RESOLVING,
};

struct fetch {
    struct service *service;
    char *image;    /* as asked for */
    char *registry; /* NULL: the default one */
    enum fetch_state state;
    unsigned attempt; /* from 1 on */
    uint64_t began_ms, wall_ms;
    uint64_t retry_ms;             /* clock_ms() of the next try */
    char error[FETCH_WORDS_BYTES]; /* the last failure's */
    struct credentials *credentials;
    struct engine_pull *pull;
    bool stalled, aborted;
    bool by_digest;          /* being resolved by the digest that the pull has named */
    struct timer timer;      /* of the stall while it pulls, of the back-off between */
    struct timer show_timer; /* what was held back is told */
    uint64_t shown_ms;
    struct pull_progress progress;
    fetch_callback *done;
    void *context;
};

static const char *state_name(enum fetch_state state)
{
    static const char *const names[] = {
        [FETCH_AUTHORIZING] = "authorizing",
        [FETCH_PULLING] = "pulling",
        [FETCH_RETRYING] = "retrying",
        [FETCH_RESOLVING] = "resolving",
    };

    return names[state];
}

static uint64_t left_of(uint64_t at_ms)
{
    uint64_t now_ms = clock_ms();

    return at_ms > now_ms ? at_ms - now_ms : 0;
}

/* --- what is shown -------------------------------------------------------------------------- */

static void show(struct fetch *fetch)
{
    struct updater *updater = fetch->service->updater;

    timer_stop(updater->loop, &fetch->show_timer);
    fetch->shown_ms = clock_ms();
    fetch->service->changed = true;
    events_pull(fetch->service, fetch_view(fetch));
}

static void on_show_timer(struct timer *timer)
{
    show(container_of(timer, struct fetch, show_timer));
}

/* Progress comes by the hundred a second. */
static void show_soon(struct fetch *fetch)
{
    uint64_t left_ms = left_of(fetch->shown_ms + FETCH_EVENT_APART_MS);

    if (left_ms == 0)
        show(fetch);
    else if (!timer_is_running(&fetch->show_timer))
        timer_start(fetch->service->updater->loop, &fetch->show_timer, left_ms);
}

static void enter(struct fetch *fetch, enum fetch_state state)
{
    fetch->state = state;
    show(fetch);
}

cJSON *fetch_view(const struct fetch *fetch)
{
    struct pull_figures figures = pull_progress_figures(&fetch->progress, clock_ms());
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "image", fetch->image);
    cJSON_AddStringToObject(object, "state", state_name(fetch->state));
    view_add_time(object, "started", fetch->wall_ms);
    cJSON_AddNumberToObject(object, "attempt", fetch->attempt);
    cJSON_AddNumberToObject(object, "attempts", FETCH_ATTEMPTS);
    view_add_string(object, "error", fetch->error[0] ? fetch->error : NULL);
    if (fetch->state == FETCH_RETRYING)
        cJSON_AddNumberToObject(object, "retry_in_ms", (double)left_of(fetch->retry_ms));
    cJSON_AddNumberToObject(object, "layers", figures.layers);
    cJSON_AddNumberToObject(object, "layers_done", figures.layers_done);
    cJSON_AddNumberToObject(object, "bytes", (double)figures.bytes);
    if (figures.total_is_known)
        cJSON_AddNumberToObject(object, "bytes_total", (double)figures.bytes_total);
    else
        cJSON_AddNullToObject(object, "bytes_total");
    cJSON_AddNumberToObject(object, "percent", (double)(int)(figures.percent * 10.) / 10.);
    cJSON_AddNumberToObject(object, "bytes_per_s", (double)figures.bytes_per_s);
    if (figures.left_ms >= 0)
        cJSON_AddNumberToObject(object, "left_ms", (double)figures.left_ms);
    else
        cJSON_AddNullToObject(object, "left_ms");
    return object;
}

static void __attribute__((format(printf, 3, 4)))
add_words(char *words, size_t size, const char *format, ...)
{
    size_t length = strlen(words);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words + length, size - length, format, arguments);
    va_end(arguments);
}

void fetch_words(const struct fetch *fetch, char *words, size_t size)
{
    struct pull_figures figures = pull_progress_figures(&fetch->progress, clock_ms());
    char left[PLAN_DURATION_BYTES];

    words[0] = '\0';
    if (fetch->state == FETCH_RETRYING) {
        add_words(words, size, "pulling %s failed (%s); try %u of %u in %s", fetch->image,
                  fetch->error, fetch->attempt + 1, FETCH_ATTEMPTS,
                  planner_duration(left_of(fetch->retry_ms), left));
        return;
    }
    add_words(words, size, "pulling %s", fetch->image);
    if (figures.layers == 0)
        return;
    add_words(words, size, ": %u of %u layers", figures.layers_done, figures.layers);
    if (figures.total_is_known)
        add_words(words, size, ", %.1f of %.1f MiB", (double)figures.bytes / 1048576.,
                  (double)figures.bytes_total / 1048576.);
    else
        add_words(words, size, ", %.1f MiB", (double)figures.bytes / 1048576.);
    add_words(words, size, ", %.0f %%", figures.percent);
    if (figures.left_ms >= 0)
        add_words(words, size, ", %s left",
                  planner_duration((uint64_t)figures.left_ms / 1000 * 1000, left));
}

/* --- its end -------------------------------------------------------------------------------- */

static void fetch_free(struct fetch *fetch)
{
    struct ev_loop *loop = fetch->service->updater->loop;

    timer_stop(loop, &fetch->timer);
    timer_stop(loop, &fetch->show_timer);
    free(fetch->image);
    free(fetch->registry);
    free(fetch);
}

static void finish(struct fetch *fetch, const struct fetch_end *end)
{
    struct service *service = fetch->service;
    struct log_line line;

    if (end->error != -ECANCELED || fetch->aborted) {
        log_begin(&line, end->error ? LOG_WARNING : LOG_INFO,
                  end->error ? "pull-failed" : "image-pulled");
        log_string(&line, "service", service_name(service));
        log_string(&line, "image", fetch->image);
        log_string(&line, "image_id", end->image_id);
        log_string(&line, "digest", end->digest);
        log_u64(&line, "attempts", fetch->attempt);
        log_u64(&line, "ms", clock_ms() - fetch->began_ms);
        log_string(&line, "reason", end->error ? end->message : NULL);
        log_end(&line);
    }
    fetch->done(fetch->context, end);
    fetch_free(fetch);
    service->changed = true;
    events_pull(service, NULL);
}

static void fail(struct fetch *fetch, int error, const char *message)
{
    finish(fetch, &(struct fetch_end){.error = error, .message = message});
}

static void succeed(struct fetch *fetch, const cJSON *image)
{
    struct pull_figures figures = pull_progress_figures(&fetch->progress, clock_ms());
    char took[PLAN_DURATION_BYTES];
    char *summary = memory_format("%s pulled: %u layers, %.1f MiB in %s", fetch->image,
                                  figures.layers, (double)figures.bytes / 1048576.,
                                  planner_duration(clock_ms() - fetch->began_ms, took));
    const struct fetch_end end = {
        .message = "",
        .image = image,
        .image_id = engine_json_string(image, "Id"),
        .digest = image_repo_digest(image, fetch->image),
        .summary = summary,
    };

    finish(fetch, &end);
    free(summary);
}

/* --- tries ---------------------------------------------------------------------------------- */

static void attempt(struct fetch *fetch);

/* What may pass is tried again. */
static void attempt_failed(struct fetch *fetch, int error, bool is_passing, const char *message)
{
    uint64_t backoff_ms = (uint64_t)FETCH_BACKOFF_MS << (fetch->attempt - 1);
    struct log_line line;

    (void)slice_copy_string(slice_from_string(message), fetch->error, sizeof(fetch->error));
    if (!is_passing || fetch->aborted || fetch->attempt == FETCH_ATTEMPTS) {
        char words[FETCH_WORDS_BYTES + 64];
        (void)snprintf(words, sizeof(words), fetch->attempt > 1 ? "%s (tried %u times)" : "%s",
                       fetch->error, fetch->attempt);
        fail(fetch, error, words);
        return;
    }
    log_begin(&line, LOG_WARNING, "pull-tried");
    log_string(&line, "service", service_name(fetch->service));
    log_string(&line, "image", fetch->image);
    log_u64(&line, "attempt", fetch->attempt);
    log_u64(&line, "again_in_ms", backoff_ms);
    log_string(&line, "reason", message);
    log_end(&line);
    fetch->retry_ms = clock_ms() + backoff_ms;
    timer_start(fetch->service->updater->loop, &fetch->timer, backoff_ms);
    enter(fetch, FETCH_RETRYING);
}

static void resolve(struct fetch *fetch);

/* The digest that the engine named is what was pulled; the tag may have moved on since. */
static void on_resolved(void *context, const struct engine_reply *reply)
{
    struct fetch *fetch = context;
    const char *wanted = image_reference_digest(fetch->image);

    if (wanted == NULL && fetch->progress.digest[0])
        wanted = fetch->progress.digest;
    if (fetch->aborted || reply->error == -ECANCELED) {
        fail(fetch, -ECANCELED, fetch->aborted ? "aborted" : reply->message);
    } else if (reply->error == -ENOENT && fetch->by_digest &&
               image_reference_digest(fetch->image) == NULL) {
        fetch->progress.digest[0] = '\0'; /* an engine that does not find images so */
        resolve(fetch);
    } else if (reply->error == -ENOENT) {
        attempt_failed(fetch, -EPROTO, true,
                       "the engine reports the pull as done, but has no such image");
    } else if (reply->error) {
        attempt_failed(fetch, reply->error, engine_error_is_passing(reply), reply->message);
    } else if (engine_json_string(reply->json, "Id") == NULL ||
               (wanted != NULL && !image_has_digest(reply->json, fetch->image, wanted))) {
        attempt_failed(fetch, -EPROTO, true,
                       "the engine reports the pull as done, but has another image by that name");
    } else {
        succeed(fetch, reply->json);
    }
}

static void resolve(struct fetch *fetch)
{
    struct engine_reference parts = {0};
    char *name = NULL;

    enter(fetch, FETCH_RESOLVING);
    fetch->by_digest = fetch->progress.digest[0] != '\0';
    if (fetch->by_digest && engine_reference_parse(fetch->image, &parts) == 0)
        name = memory_format("%s@%s", parts.name, fetch->progress.digest);
    engine_image_inspect(fetch->service->updater->engine, name != NULL ? name : fetch->image,
                         on_resolved, fetch);
    engine_reference_done(&parts);
    free(name);
}

static void on_pulled(void *context, const struct engine_reply *reply)
{
    struct fetch *fetch = context;
    char stall[96], limit[PLAN_DURATION_BYTES];

    fetch->pull = NULL;
    timer_stop(fetch->service->updater->loop, &fetch->timer);
    if (fetch->stalled) {
        (void)snprintf(
            stall, sizeof(stall), "the pull stalled: no progress for %s",
            planner_duration(fetch->service->config->rollout.images.pull_stall_ms, limit));
        fetch->stalled = false;
        attempt_failed(fetch, -ETIMEDOUT, true, stall);
    } else if (reply->error == -ECANCELED) {
        fail(fetch, reply->error, fetch->aborted ? "aborted" : reply->message);
    } else if (reply->error) {
        attempt_failed(fetch, reply->error, engine_error_is_passing(reply), reply->message);
    } else {
        resolve(fetch);
    }
}

static void on_progress(void *context, const cJSON *object)
{
    struct fetch *fetch = context;

    if (!pull_progress_note(&fetch->progress, object, clock_ms()))
        return;
    timer_start(fetch->service->updater->loop, &fetch->timer,
                fetch->service->config->rollout.images.pull_stall_ms);
    show_soon(fetch);
}

static void on_credentials(void *context, int error, const char *auth, const char *message)
{
    struct fetch *fetch = context;
    struct updater *updater = fetch->service->updater;

    fetch->credentials = NULL;
    if (error) {
        attempt_failed(fetch, error, error == -ETIMEDOUT, message);
        return;
    }
    fetch->pull = engine_pull(updater->engine, &(struct engine_pull_options){
                                                   .reference = fetch->image,
                                                   .auth = auth,
                                                   .on_progress = on_progress,
                                                   .done = on_pulled,
                                                   .context = fetch,
                                               });
    timer_start(updater->loop, &fetch->timer, fetch->service->config->rollout.images.pull_stall_ms);
    enter(fetch, FETCH_PULLING);
}

static void attempt(struct fetch *fetch)
{
    fetch->attempt++;
    fetch->progress = (struct pull_progress){.began_ms = clock_ms()};
    fetch->credentials =
        credentials_ask(fetch->service->updater->loop, fetch->registry, on_credentials, fetch);
    enter(fetch, FETCH_AUTHORIZING);
}

static void on_timer(struct timer *timer)
{
    struct fetch *fetch = container_of(timer, struct fetch, timer);

    if (fetch->state == FETCH_RETRYING) {
        attempt(fetch);
    } else if (fetch->pull != NULL) {
        fetch->stalled = true;
        engine_pull_cancel(fetch->pull);
    }
}

struct fetch *fetch_start(struct service *service, const char *image, fetch_callback *done,
                          void *context)
{
    struct fetch *fetch = memory_new(sizeof(*fetch));
    struct engine_reference parts = {0};

    fetch->service = service;
    fetch->image = memory_copy_string(image);
    fetch->done = done;
    fetch->context = context;
    fetch->began_ms = clock_ms();
    fetch->wall_ms = steady_wall_ms();
    timer_init(&fetch->timer, on_timer);
    timer_init(&fetch->show_timer, on_show_timer);
    if (engine_reference_parse(image, &parts) == 0)
        fetch->registry = memory_copy_string(parts.registry);
    engine_reference_done(&parts);
    attempt(fetch);
    return fetch;
}

void fetch_abort(struct fetch *fetch)
{
    fetch->aborted = true;
    if (fetch->pull != NULL) {
        engine_pull_cancel(fetch->pull);
    } else if (fetch->state != FETCH_RESOLVING) { /* that is a moment: its answer ends it */
        credentials_cancel(fetch->credentials);
        fail(fetch, -ECANCELED, "aborted");
    }
}
