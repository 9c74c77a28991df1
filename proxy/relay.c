#include "relay.h"

#include "access_line.h"
#include "access_log.h"
#include "admission.h"
#include "asset.h"
#include "base/check.h"
#include "client.h"
#include "forward.h"
#include "listener.h"
#include "redirect.h"
#include "tls.h"
#include "upstream.h"
#include "user.h"

#include <stdlib.h>

static struct relay *relay_of(struct exchange *x)
{
    return container_of(x, struct relay, exchange);
}

/* --- life --------------------------------------------------------------------------------- */

static struct relay *take_relay(struct worker *worker)
{
    struct relay *relay;

    if (list_is_empty(&worker->free_relays)) {
        relay = calloc(1, sizeof(*relay));
        if (relay != NULL)
            exchange_init(&relay->exchange, worker);
        return relay;
    }
    relay = container_of(list_take_first(&worker->free_relays), struct relay, node);
    worker->free_relay_count--;
    return relay;
}

/* Its timer stays armed: the next exchange only moves the deadline. */
static void give_back(struct relay *relay)
{
    struct worker *worker = relay->exchange.worker;

    held_subtract(sizeof(*relay));
    relay->client->relay = NULL;
    relay->client = NULL;
    buffer_release(&relay->head);
    buffer_release(&relay->replay);
    if (worker->free_relay_count < RELAYS_FREE_MAX) {
        list_append(worker->free_relays.next, &relay->node); /* in front */
        worker->free_relay_count++;
        return;
    }
    /* Nothing refers to it: its streams are closed or another's, and a timer that fires looks at
     * nothing after its function. */
    exchange_done(&relay->exchange);
    free(relay);
}

void relay_free_kept(struct worker *worker)
{
    while (!list_is_empty(&worker->free_relays)) {
        struct list *node = list_take_first(&worker->free_relays);
        struct relay *relay = container_of(node, struct relay, node);
        exchange_done(&relay->exchange);
        free(relay);
    }
    worker->free_relay_count = 0;
}

/* --- the end ------------------------------------------------------------------------------ */

static unsigned count_refusal(struct worker *worker, enum exchange_why why)
{
    static const struct {
        enum refusal refusal;
        unsigned status;
    } refusals[WHY_COUNT] = {
        [WHY_BAD_REQUEST] = {REFUSAL_BAD_REQUEST, 400},
        [WHY_SLOW_CLIENT] = {REFUSAL_SLOW_CLIENT, 408},
        [WHY_SLOW_BODY] = {REFUSAL_SLOW_BODY, 408},
        [WHY_SLOW_READ] = {REFUSAL_SLOW_READ, 408},
        [WHY_BODY_SIZE] = {REFUSAL_BODY_SIZE, 413},
        [WHY_RATE] = {REFUSAL_RATE, 429},
        [WHY_MISDIRECTED] = {REFUSAL_MISDIRECTED, 421},
        [WHY_NO_ROUTE] = {REFUSAL_NO_ROUTE, 404},
        [WHY_NO_BACKEND] = {REFUSAL_NO_BACKEND, 503},
        [WHY_HELD] = {REFUSAL_HELD, 503},
        [WHY_QUEUE_FULL] = {REFUSAL_QUEUE_FULL, 503},
        [WHY_QUEUE_TIMEOUT] = {REFUSAL_QUEUE_TIMEOUT, 503},
        [WHY_CONNECT_FAILED] = {REFUSAL_CONNECT, 502},
        [WHY_RETRY_BUDGET] = {REFUSAL_RETRY_BUDGET, 502},
        [WHY_BAD_RESPONSE] = {REFUSAL_BAD_RESPONSE, 502},
        [WHY_BACKEND_BROKE] = {REFUSAL_BAD_RESPONSE, 502},
        [WHY_RESPONSE_TIMEOUT] = {REFUSAL_TIMEOUT, 504},
        [WHY_MEMORY] = {REFUSAL_MEMORY, 503},
    };

    check(refusals[why].status != 0);
    score_add(&worker->row->refusals[refusals[why].refusal], 1);
    return refusals[why].status;
}

static bool is_clients_fault(enum exchange_why why)
{
    return why == WHY_SLOW_CLIENT || why == WHY_SLOW_BODY || why == WHY_SLOW_READ ||
           why == WHY_BODY_SIZE;
}

/* Ends the exchange and lets go of the relay: only the client is left. */
static struct client *end(struct relay *relay, enum exchange_why why)
{
    struct client *client = relay->client;

    exchange_close_upstream(&relay->exchange);
    exchange_end(&relay->exchange, why);
    give_back(relay);
    return client;
}

/* The answer cannot be completed. Only where its end is marked by the close must the client be
 * shown that by a reset; elsewhere it counts. */
static void break_off(struct relay *relay, enum exchange_why why)
{
    bool unframed = relay->answered && relay->framing == HTTP_BODY_CLOSE;
    bool unread = stream_pending(relay->client->stream) > 0; /* an orderly close waits for it */
    struct client *client = end(relay, why);

    if (unframed || (unread && is_clients_fault(why)))
        client_reset(client);
    else
        client_close(client);
}

/* What is left of the hold, in seconds; it may be set anew. */
static uint32_t held_s(const struct exchange *x)
{
    const struct worker *worker = x->worker;

    if (!worker_holds(worker, x->service))
        return 0;
    uint64_t until_ms = worker->table.services[worker->table.by_config[x->service]].held_until_ms;
    return (uint32_t)((until_ms - worker->now_ms + 999) / 1000);
}

void relay_fail(struct relay *relay, enum exchange_why why)
{
    struct exchange *x = &relay->exchange;

    if (relay->answered) {
        if (is_clients_fault(why))
            count_refusal(x->worker, why);
        break_off(relay, why);
        return;
    }
    unsigned status = count_refusal(x->worker, why);
    bool whole = relay->request_body.done;
    bool close =
        !whole || !relay->keep_alive || relay->client_minor == 0 || !worker_keeps_alive(x->worker);
    bool head_only = relay->method == HTTP_HEAD;

    x->status = (uint16_t)status;
    x->from_backend = false;
    uint32_t retry_s = why == WHY_HELD ? held_s(x) : 0;
    int service = x->service; /* from its end on it is another's */
    struct client *client = end(relay, why);
    client_answer(
        client, service,
        &(struct answer){
            .status = status, .retry_s = retry_s, .close = close, .head_only = head_only});
    if (close)
        client_finish(client, whole);
    else
        client_next(client);
}

void relay_client_gone(struct relay *relay)
{
    client_close(end(relay, WHY_CLIENT_CLOSED));
}

void relay_finish(struct relay *relay)
{
    struct exchange *x = &relay->exchange;
    struct upstream *upstream = x->upstream;
    bool whole = relay->request_body.done;
    bool close = relay->close || !whole;

    /* Bytes behind the answer would be taken for the next one's. */
    if (relay->upstream_keep_alive && whole && !exchange_announces(x) &&
        stream_input(upstream->stream).length == 0 && stream_pending(upstream->stream) == 0) {
        x->upstream = NULL;
        upstream_keep(upstream);
    }
    struct client *client = end(relay, WHY_DONE);
    if (close)
        client_finish(client, whole);
    else
        client_next(client);
}

static void on_tunnel_end(struct tunnel *tunnel, enum exchange_why why)
{
    struct relay *relay = container_of(tunnel, struct relay, tunnel);

    exchange_end_upstream(&relay->exchange, why);
    struct client *client = end(relay, why);
    if (exchange_why_is_orderly(why))
        client_close(client);
    else
        client_reset(client);
}

void relay_begin_tunnel(struct relay *relay)
{
    struct exchange *x = &relay->exchange;

    exchange_enter(x, EXCHANGE_TUNNELLING);
    exchange_change_kind(x, KIND_WEBSOCKET);
    relay->client->state = CLIENT_TUNNEL;
    relay->tunnel = (struct tunnel){.exchange = x,
                                    .client = relay->client->stream,
                                    .upstream = x->upstream->stream,
                                    .on_end = on_tunnel_end};
    stream_set_read_max(relay->client->stream, READ_BYTES_MAX);
    tunnel_start(&relay->tunnel);
    if (relay->client->ended)
        tunnel_on_client(&relay->tunnel, STREAM_EOF);
}

/* --- the exchange's protocol -------------------------------------------------------------- */

static void on_placed(struct exchange *x)
{
    struct relay *relay = relay_of(x);

    relay->head_sent = false;
    relay_send_request(relay);
}

/* RFC 9110 §9.2.2 */
static bool is_idempotent(enum http_method method)
{
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
           method == HTTP_PUT || method == HTTP_DELETE;
}

static bool may_retry(const struct relay *relay)
{
    const struct exchange *x = &relay->exchange;

    return relay->replayable && x->upstream->reused && x->bytes_in == 0 &&
           stream_input(x->upstream->stream).length == 0;
}

static void on_backend_gone(struct relay *relay)
{
    struct exchange *x = &relay->exchange;

    score_add(&worker_cell(x->worker, x->slot, x->generation)->resets, 1);
    if (may_retry(relay)) {
        relay->head_sent = false;
        exchange_retry(x);
    } else {
        relay_fail(relay, WHY_BACKEND_BROKE);
    }
}

static void on_upstream(struct exchange *x, enum stream_event event)
{
    struct relay *relay = relay_of(x);

    if (x->state == EXCHANGE_TUNNELLING) {
        tunnel_on_upstream(&relay->tunnel, event);
        return;
    }
    switch (event) {
    case STREAM_DATA:
        relay_take_answer(relay, false);
        break;
    case STREAM_DRAINED:
        relay_send_request(relay);
        break;
    case STREAM_EOF:
        if (relay->answered && relay->framing != HTTP_BODY_NONE &&
            relay->answer_body.framing == HTTP_BODY_CLOSE && !stream_was_cut(x->upstream->stream))
            relay_take_answer(relay, true);
        else
            on_backend_gone(relay);
        break;
    case STREAM_ERROR:
        on_backend_gone(relay);
        break;
    case STREAM_CONNECTED:
    case STREAM_TIMEOUT:
        break;
    }
}

/* A client that takes the answer slowly is no fault of anybody's as long as it takes enough. */
static void judge_reader(struct relay *relay)
{
    struct exchange *x = &relay->exchange;
    const struct config_service *service = exchange_service(x);
    enum reader_verdict verdict =
        reader_judge(&relay->client->reader, relay->client->stream, &service->limits,
                     service->timeouts.response_ms, x->worker->now_ms);

    if (verdict == READER_TAKES)
        exchange_set_timeout(x, reader_wait_ms(&service->limits, service->timeouts.response_ms));
    else
        relay_fail(relay, verdict == READER_IS_SLOW ? WHY_SLOW_READ : WHY_SLOW_CLIENT);
}

static void on_timeout(struct exchange *x)
{
    struct relay *relay = relay_of(x);

    if (x->state == EXCHANGE_TUNNELLING) {
        tunnel_on_timeout(&relay->tunnel);
    } else if (stream_pending(relay->client->stream) > 0) {
        judge_reader(relay);
    } else if (relay->client->ended) {
        relay_client_gone(relay);
    } else if (!relay->request_body.done && !relay->expects_100 &&
               stream_pending(x->upstream->stream) == 0) {
        relay_fail(relay, WHY_SLOW_CLIENT);
    } else {
        score_add(&worker_cell(x->worker, x->slot, x->generation)->timeouts, 1);
        relay_fail(relay, WHY_RESPONSE_TIMEOUT);
    }
}

static void on_abort(struct exchange *x, enum exchange_why why)
{
    if (x->state == EXCHANGE_TUNNELLING)
        on_tunnel_end(&relay_of(x)->tunnel, why);
    else
        break_off(relay_of(x), why);
}

static void on_refused(struct exchange *x, enum exchange_why why)
{
    relay_fail(relay_of(x), why);
}

/* "GET /path", from the head that was sent on. */
static struct slice request_line(const struct exchange *x)
{
    const struct relay *relay = (const void *)((const char *)x - offsetof(struct relay, exchange));
    struct slice head = buffer_slice(&relay->head);
    const char *end_of_line = memchr(head.data, '\r', head.length);
    size_t version = sizeof(" HTTP/1.1") - 1;

    if (end_of_line == NULL || (size_t)(end_of_line - head.data) < version)
        return (struct slice){"", 0};
    return (struct slice){head.data, (size_t)(end_of_line - head.data) - version};
}

/* The client's own words, as they were sent on. */
static void describe(const struct exchange *x, bool fields, struct access_request *ret)
{
    const struct relay *relay = (const void *)((const char *)x - offsetof(struct relay, exchange));
    const struct slice host = SLICE(" HTTP/1.1\r\nHost: ");
    struct slice head = buffer_slice(&relay->head), line = request_line(x);
    const char *space = line.length > 0 ? memchr(line.data, ' ', line.length) : NULL;

    ret->request_id = (struct slice){relay->request_id, relay->request_id_length};
    ret->minor_version = relay->client_minor;
    if (space == NULL)
        return;
    ret->method = (struct slice){line.data, (size_t)(space - line.data)};
    ret->target = (struct slice){space + 1, line.length - ret->method.length - 1};
    const char *value = line.data + line.length + host.length;
    const char *end = memchr(value, '\r', head.length - line.length - host.length);
    if (end != NULL)
        ret->host = (struct slice){value, (size_t)(end - value)};
    if (fields)
        access_line_find_fields(head, ret);
}

static const struct exchange_protocol protocol = {
    .on_placed = on_placed,
    .on_refused = on_refused,
    .on_upstream = on_upstream,
    .on_timeout = on_timeout,
    .on_abort = on_abort,
    .request_line = request_line,
    .describe = describe,
};

static bool is_whole(const struct http1_request *request)
{
    return request->framing == HTTP_BODY_NONE ||
           (request->framing == HTTP_BODY_LENGTH && request->content_length == 0);
}

static bool must_close(const struct client *client, const struct http1_request *request)
{
    return !is_whole(request) || !request->keep_alive || request->minor_version == 0 ||
           !worker_keeps_alive(client->worker);
}

static void go_on(struct client *client, bool whole, bool close)
{
    if (close)
        client_finish(client, whole);
    else
        client_next(client);
}

/* Answers instead of a backend. */
static void answer(struct client *client, const struct http1_request *request, int service,
                   unsigned status)
{
    bool whole = is_whole(request), close = must_close(client, request);

    client_answer(client, service,
                  &(struct answer){
                      .status = status, .close = close, .head_only = request->method == HTTP_HEAD});
    go_on(client, whole, close);
}

/* `request` lies in the client's input: it is logged before that is consumed. */
static void refuse(struct client *client, const struct http1_request *request,
                   const struct address *asker, int service, size_t head_length,
                   enum exchange_why why)
{
    unsigned status = count_refusal(client->worker, why);

    access_log_refused(client->worker, asker, request, status, exchange_why_name(why));
    stream_consume(client->stream, head_length);
    answer(client, request, service, status);
}

/* `request` lies in the client's input: the answer is written before that is consumed. */
static void redirect(struct client *client, const struct http1_request *request,
                     const struct address *asker, size_t head_length)
{
    struct worker *worker = client->worker;
    bool whole = is_whole(request), close = must_close(client, request);
    struct redirect_options options = {
        .port = client->listener->config->redirect_port,
        .close = close,
        .head_only = request->method == HTTP_HEAD,
        .date = worker->date,
    };
    struct slice location = {worker->head, 0};
    enum exchange_why why = admission_ask(worker, asker, -1) ? WHY_DONE : WHY_RATE;

    if (why == WHY_DONE)
        location.length = redirect_write(worker->head, HEAD_OUT_BYTES_MAX, request, &options);
    if (location.length == 0) {
        refuse(client, request, asker, SERVICE_NONE, head_length,
               why == WHY_DONE ? WHY_BAD_REQUEST : why);
        return;
    }
    access_log_refused(worker, asker, request, 308, "redirected");
    stream_consume(client->stream, head_length);
    client_write_answer(client, location, (struct slice){NULL, 0});
    go_on(client, whole, close);
}

/* The name of the cookie that the proxy sets for this service; empty: none. */
static struct slice own_cookie(const struct config_service *service)
{
    return service->sticky.kind == STICKY_COOKIE ? slice_from_string(service->sticky.name)
                                                 : (struct slice){"", 0};
}

static struct relay *make_relay(struct client *client, const struct http1_request *request,
                                int service)
{
    struct worker *worker = client->worker;
    struct relay *relay = take_relay(worker);

    if (relay == NULL)
        return NULL;
    uint64_t random[2] = {worker_random(worker), worker_random(worker)};
    relay->request_id_length =
        (uint8_t)forwarded_request_id(request, client->trusted, random, relay->request_id);
    struct forward_request_options options = {
        .tls = stream_tls(client->stream) != NULL,
        .client_certificate = client->certificate,
        .peer_ip = slice_from_string(client->ip),
        .trusted = client->trusted,
        .request_id = {relay->request_id, relay->request_id_length},
        .own_cookie = own_cookie(&worker->config->services[service]),
    };
    size_t length = forward_request(worker->head, HEAD_OUT_BYTES_MAX, request, &options);
    held_add(sizeof(*relay));
    client->relay = relay;
    relay->client = client;
    list_init(&relay->node);
    if (length == 0 || buffer_append(&relay->head, (struct slice){worker->head, length}) < 0) {
        give_back(relay);
        return NULL;
    }
    relay->method = request->method;
    relay->client_minor = request->minor_version;
    relay->keep_alive = request->keep_alive;
    relay->upgrade_asked = request->upgrade && request->framing == HTTP_BODY_NONE;
    if (!slice_copy_string(request->upgrade_protocol, relay->upgrade, sizeof(relay->upgrade)))
        relay->upgrade[0] = 0; /* no answer is like it */
    relay->expects_100 = request->expect_continue;
    relay->body_bytes = 0;
    pace_rest(&relay->body_pace);
    reader_rest(&client->reader);
    body_init(&relay->request_body, request->framing, request->content_length);
    relay->replayable = is_idempotent(request->method);
    relay->head_sent = relay->answered = relay->close = relay->streams = false;
    relay->upstream_keep_alive = false;
    relay->scanned = 0;
    relay->interim_count = 0;
    relay->framing = HTTP_BODY_NONE;
    return relay;
}

/* Whether this request may have a backend at all: WHY_DONE, or why not. A chunked body shows only
 * as it comes that it is too large: relay_send_request(). */
static enum exchange_why judge(struct client *client, const struct http1_request *request,
                               const struct address *asker, int service)
{
    struct worker *worker = client->worker;

    if (!admission_ask(worker, asker, service))
        return WHY_RATE;
    if (client->listener->tls != NULL &&
        tls_is_misdirected(stream_tls(client->stream), request->host))
        return WHY_MISDIRECTED;
    if (pressure_is_out(&worker->pressure))
        return WHY_MEMORY;
    if (service == ROUTE_AMBIGUOUS)
        return WHY_BAD_REQUEST;
    if (service < 0)
        return WHY_NO_ROUTE;
    uint64_t most = worker->config->services[service].limits.body_bytes;
    if (most != 0 && request->framing == HTTP_BODY_LENGTH && request->content_length > most)
        return WHY_BODY_SIZE;
    return WHY_DONE;
}

void relay_start(struct client *client, const struct http1_request *request, size_t head_length)
{
    struct worker *worker = client->worker;
    struct address asker = client_asker(client, request);

    if (request->max_forwards == 0) { /* asks the proxy itself */
        stream_consume(client->stream, head_length);
        answer(client, request, SERVICE_NONE, 200);
        return;
    }
    if (client->listener->config->redirect_port != 0) {
        redirect(client, request, &asker, head_length);
        return;
    }
    int service = route_find(&worker->routes, request->host, request->path);
    enum exchange_why why = judge(client, request, &asker, service);
    struct relay *relay = why == WHY_DONE ? make_relay(client, request, service) : NULL;

    if (relay != NULL) {
        struct exchange *x = &relay->exchange;
        exchange_start(x, KIND_REQUEST, (uint16_t)service, &asker, &protocol);
        x->local = client->local;
        x->unrepeatable = !relay->replayable;
        relay->new_user = user_identify(x, request);
        relay->secure = relay->new_user && (stream_tls(client->stream) != NULL ||
                                            (client->trusted && user_came_by_tls(request)));
        relay->asset = worker->config->services[service].retry_assets && asset_is_asked(request);
    }
    if (relay == NULL) {
        refuse(client, request, &asker, service, head_length, why == WHY_DONE ? WHY_MEMORY : why);
        return;
    }
    stream_consume(client->stream, head_length);
    relay_update(relay);
    exchange_place(&relay->exchange);
}
