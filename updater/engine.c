#include "engine.h"

#include "base/check.h"
#include "base/memory.h"
#include "engine_internal.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024) /* a list of some thousand containers */

struct engine_call {
    struct list node;
    struct engine *engine;
    struct engine_call_options options;
    struct http_request *request; /* flying; else NULL */
    bool asked_again;             /* it was refused for its API version once */
    int error;                    /* on the failed list: what it is told */
    char *message;
};

static void ask_version(struct engine *engine);

/* --- a call's end --------------------------------------------------------------------------- */

static void call_free(struct engine_call *call)
{
    list_remove(&call->node);
    free(call->options.path);
    free(call->options.body);
    free(call->options.header);
    free(call->message);
    free(call);
}

static void call_answer(struct engine_call *call, const struct engine_reply *reply)
{
    check(reply->message != NULL);
    list_remove(&call->node);
    call->options.done(call->options.context, reply);
    call_free(call);
}

static void call_fail(struct engine_call *call, int error, const char *message)
{
    call_answer(call, &(struct engine_reply){.error = error, .message = message});
}

/* For calls that must not be answered before the caller's function has returned. */
static void call_fail_later(struct engine_call *call, int error, const char *message)
{
    struct engine *engine = call->engine;

    call->error = error;
    call->message = memory_copy_string(message);
    list_remove(&call->node);
    list_append(&engine->failed, &call->node);
    if (!timer_is_running(&engine->failing))
        timer_start(engine->loop, &engine->failing, 0);
}

static struct engine_call *take_first(struct list *calls)
{
    return container_of(list_take_first(calls), struct engine_call, node);
}

/* Those that are on the list now; callbacks may put more on it. */
static void take_all(struct list *calls, struct list *ret_calls)
{
    list_init(ret_calls);
    while (!list_is_empty(calls))
        list_append(ret_calls, &take_first(calls)->node);
}

static void answer_failed(struct engine *engine)
{
    struct list due;

    take_all(&engine->failed, &due);
    while (!list_is_empty(&due)) {
        struct engine_call *call = take_first(&due);
        call_fail(call, call->error, call->message);
    }
}

static void on_failing(struct timer *timer)
{
    answer_failed(container_of(timer, struct engine, failing));
}

/* Words for what kept an answer from coming. The caller frees them. */
static char *transport_message(const struct engine *engine, const struct http_answer *answer)
{
    const char *where =
        engine->place.unix_socket != NULL ? engine->place.unix_socket : engine->place.base_url;

    switch (-answer->error) {
    case ENOENT:
        return memory_format("no engine at %s: there is no such socket", where);
    case EACCES:
    case EPERM:
        return memory_format("no permission to use the engine's socket %s", where);
    case ECONNREFUSED:
        return memory_format("no engine answers at %s: connection refused", where);
    case ETIMEDOUT:
        return memory_format("the engine at %s did not answer in time (%s)", where, answer->detail);
    case EMSGSIZE:
        return memory_format("the engine's answer is larger than %zu MiB",
                             ANSWER_BYTES_MAX / 1024 / 1024);
    case ECANCELED:
        return memory_copy_string("cancelled");
    default:
        return memory_format("the connection to the engine at %s broke: %s", where, answer->detail);
    }
}

static int transport_error(int error)
{
    switch (-error) {
    case EACCES:
    case EPERM:
        return -EACCES;
    case ECONNREFUSED:
    case ETIMEDOUT:
    case ECANCELED:
    case ENOMEM:
        return error;
    case EMSGSIZE:
        return -EPROTO;
    default: /* no socket, reset, cut off, no route, TLS */
        return -ENOTCONN;
    }
}

static void finish_without_answer(struct engine_call *call, const struct http_answer *answer)
{
    int error = transport_error(answer->error);
    char *message = transport_message(call->engine, answer);

    if (error == -ENOTCONN || error == -ECONNREFUSED)
        engine_forget_version(call->engine);
    call_fail(call, error, message);
    free(message);
}

static void finish_with_success(struct engine_call *call, const struct http_answer *answer)
{
    unsigned wants = call->options.flags & (CALL_WANTS_OBJECT | CALL_WANTS_ARRAY);
    cJSON *json = wants != 0 ? engine_json_parse(answer->body) : NULL;
    struct engine_reply reply = {.status = answer->status, .message = "", .json = json};

    if ((wants == CALL_WANTS_OBJECT && !cJSON_IsObject(json)) ||
        (wants == CALL_WANTS_ARRAY && !cJSON_IsArray(json) && !cJSON_IsNull(json))) {
        reply.error = -EPROTO;
        reply.message = "the engine's answer is not the JSON that was expected";
        reply.json = NULL;
    }
    call_answer(call, &reply);
    cJSON_Delete(json);
}

/* "client version 1.47 is too new. Maximum supported API version is 1.41", or "too old": another
 * engine answers than the one that was asked for its version. Nothing was done, so ask again. */
static bool is_version_refused(const struct engine_call *call, unsigned status, const char *message)
{
    return status == 400 && !call->asked_again && (call->options.flags & CALL_UNVERSIONED) == 0 &&
           strncmp(message, "client version", 14) == 0;
}

static void finish_with_error(struct engine_call *call, const struct http_answer *answer)
{
    struct engine *engine = call->engine;
    char *message = engine_error_message(answer->status, answer->body);
    struct engine_reply reply = {
        .error = engine_status_error(answer->status), .status = answer->status, .message = message};

    if (is_version_refused(call, answer->status, message)) {
        call->asked_again = true;
        list_remove(&call->node);
        list_append(&engine->waiting, &call->node);
        engine_forget_version(engine);
        ask_version(engine);
    } else {
        call_answer(call, &reply);
    }
    free(message);
}

static void on_http_done(void *context, const struct http_answer *answer)
{
    struct engine_call *call = context;
    struct engine_reply done = {.status = answer->status, .message = ""};

    call->request = NULL;
    if (answer->error != 0)
        finish_without_answer(call, answer);
    else if (answer->status >= 200 && answer->status < 300)
        finish_with_success(call, answer);
    else if (answer->status == 304 ||
             (answer->status == 404 && (call->options.flags & CALL_GONE_IS_DONE) != 0))
        call_answer(call, &done);
    else
        finish_with_error(call, answer);
}

static bool on_http_data(void *context, unsigned status, struct slice piece)
{
    struct engine_call *call = context;

    (void)status;
    return call->options.on_data(call->options.context, piece);
}

/* --- a call's start ------------------------------------------------------------------------- */

static void call_fly(struct engine_call *call)
{
    struct engine *engine = call->engine;
    const struct engine_call_options *options = &call->options;
    bool versioned = (options->flags & CALL_UNVERSIONED) == 0;
    char *url = memory_format("%s%s%s%s", engine->place.base_url, versioned ? "/v" : "",
                              versioned ? engine->version : "", options->path);
    const char *headers[] = {"Content-Type: application/json", options->header, NULL};
    struct http_request_options request = {
        .method = options->method,
        .url = url,
        .unix_socket = engine->place.unix_socket,
        .cert_path = engine->place.cert_path,
        .headers = options->body != NULL ? headers : headers + 1,
        .connect_timeout_ms = ENGINE_CONNECT_MS,
        .timeout_ms = options->timeout_ms,
        .silence_ms = options->silence_ms,
        .max_bytes = ANSWER_BYTES_MAX,
        .fresh_connection = (options->flags & CALL_FRESH) != 0,
        .on_data = options->on_data != NULL ? on_http_data : NULL,
        .on_done = on_http_done,
        .context = call,
    };

    if (options->body != NULL)
        request.body = slice_from_string(options->body);
    list_remove(&call->node);
    list_append(&engine->flying, &call->node);
    call->request = http_client_start(engine->client, &request);
    if (call->request == NULL)
        call_fail_later(call, -ENOMEM, "the request could not be made");
    else if (options->on_flying != NULL)
        options->on_flying(options->context);
    free(url);
}

static bool must_wait(const struct engine *engine, unsigned flags)
{
    if ((flags & CALL_UNVERSIONED) != 0)
        return false;
    return (flags & CALL_IS_PING) != 0 || engine->version[0] == '\0';
}

void engine_call_cancel(struct engine_call *call)
{
    if (call->request != NULL)
        http_request_cancel(call->request);
    else
        call_fail(call, -ECANCELED, "cancelled");
}

struct engine_call *engine_call_start(struct engine *engine,
                                      const struct engine_call_options *options)
{
    struct engine_call *call = memory_new(sizeof(*call));

    *call = (struct engine_call){.engine = engine, .options = *options};
    list_init(&call->node);
    check(options->done != NULL);
    if (engine->closing) {
        call_fail_later(call, -ECANCELED, "cancelled");
    } else if (options->path == NULL) {
        call_fail_later(call, -EINVAL, options->refused);
    } else if (must_wait(engine, options->flags)) {
        list_append(&engine->waiting, &call->node);
        ask_version(engine);
    } else {
        call_fly(call);
    }
    return call;
}

/* --- the API version ------------------------------------------------------------------------ */

void engine_forget_version(struct engine *engine)
{
    engine->version[0] = '\0';
}

static void answer_waiting(struct engine *engine, const struct engine_reply *reply)
{
    struct list due;

    take_all(&engine->waiting, &due);
    while (!list_is_empty(&due)) {
        struct engine_call *call = take_first(&due);
        if (reply->error != 0 || (call->options.flags & CALL_IS_PING) != 0) {
            call_answer(call, reply);
        } else if (engine->version[0] == '\0') { /* lost again by a callback before */
            list_append(&engine->waiting, &call->node);
            ask_version(engine);
        } else {
            call_fly(call);
        }
    }
}

static void on_version(void *context, const struct engine_reply *reply)
{
    struct engine *engine = context;
    struct engine_reply chosen = *reply;
    char why[256];

    engine->asking = false;
    if (chosen.error == 0) {
        chosen.error = engine_version_choose(engine_json_string(reply->json, "ApiVersion"),
                                             engine_json_string(reply->json, "MinAPIVersion"),
                                             engine->version, why);
        if (chosen.error < 0) {
            chosen.message = why;
            chosen.json = NULL;
        }
    }
    answer_waiting(engine, &chosen);
}

static void ask_version(struct engine *engine)
{
    if (engine->asking)
        return;
    engine->asking = true;
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "GET",
                                  .path = memory_copy_string("/version"),
                                  .flags = CALL_UNVERSIONED | CALL_WANTS_OBJECT | CALL_FRESH,
                                  .timeout_ms = ENGINE_QUERY_MS,
                                  .done = on_version,
                                  .context = engine,
                              });
}

const char *engine_api_version(const struct engine *engine)
{
    return engine->version;
}

bool engine_error_is_passing(const struct engine_reply *reply)
{
    switch (-reply->error) {
    case ECONNREFUSED:
    case ENOTCONN:
    case ETIMEDOUT:
    case EREMOTEIO:
        return true;
    default:
        return false;
    }
}

/* --- open and close ------------------------------------------------------------------------- */

int engine_open(struct ev_loop *loop, const char *host, const char *cert_path,
                struct engine **ret_engine)
{
    struct engine_place place;
    int error = engine_place_parse(host, cert_path, &place);

    if (error < 0)
        return error;
    struct engine *engine = memory_new(sizeof(*engine));
    engine->loop = loop;
    engine->place = place;
    engine->client = http_client_open(loop);
    if (engine->client == NULL) {
        engine_place_done(&engine->place);
        free(engine);
        return -ENOMEM;
    }
    list_init(&engine->waiting);
    list_init(&engine->flying);
    list_init(&engine->failed);
    list_init(&engine->followers);
    list_init(&engine->removals);
    timer_init(&engine->failing, on_failing);
    *ret_engine = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    static const struct engine_reply cancelled = {.error = -ECANCELED, .message = "cancelled"};

    if (engine == NULL)
        return;
    engine->closing = true;
    answer_waiting(engine, &cancelled);
    http_client_close(engine->client);
    engine_removals_close(engine);
    while (!list_is_empty(&engine->failed))
        answer_failed(engine); /* also what callbacks have started meanwhile */
    engine_followers_close(engine);
    check(list_is_empty(&engine->flying) && list_is_empty(&engine->waiting));
    timer_stop(engine->loop, &engine->failing);
    engine_place_done(&engine->place);
    free(engine);
}
