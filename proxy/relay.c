#include "relay.h"

#include "access_line.h"
#include "base/check.h"
#include "client.h"
#include "mirror.h"
#include "upstream.h"

static struct relay *relay_of(struct exchange *x)
{
    return container_of(x, struct relay, exchange);
}

/* --- the end ------------------------------------------------------------------------------ */

unsigned relay_count_refusal(struct worker *worker, enum exchange_why why)
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
        [WHY_NO_CANARY] = {REFUSAL_NO_CANARY, 503},
        [WHY_HELD] = {REFUSAL_HELD, 503},
        [WHY_QUEUE_FULL] = {REFUSAL_QUEUE_FULL, 503},
        [WHY_QUEUE_TIMEOUT] = {REFUSAL_QUEUE_TIMEOUT, 503},
        [WHY_CONNECT_FAILED] = {REFUSAL_CONNECT_FAILED, 502},
        [WHY_RETRY_BUDGET] = {REFUSAL_RETRY_BUDGET, 502},
        [WHY_BAD_RESPONSE] = {REFUSAL_BAD_RESPONSE, 502},
        [WHY_BACKEND_BROKE] = {REFUSAL_BAD_RESPONSE, 502},
        [WHY_RESPONSE_TIMEOUT] = {REFUSAL_RESPONSE_TIMEOUT, 504},
        [WHY_MEMORY] = {REFUSAL_MEMORY, 503},
        [WHY_ENDED] = {REFUSAL_ENDED, 503},
        [WHY_STOPPED] = {REFUSAL_ENDED, 503},
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
    if (relay->mirror != NULL)
        mirror_original_ends(relay, why == WHY_DONE);
    exchange_end(&relay->exchange, why);
    relay_give_back(relay);
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
            relay_count_refusal(x->worker, why);
        break_off(relay, why);
        return;
    }
    /* What is needed of the relay is taken before its end: from then on it is another's. */
    char request_id[REQUEST_ID_BYTES_MAX];
    struct answer answer = {
        .status = relay_count_refusal(x->worker, why),
        .text = why == WHY_NO_CANARY ? "This address shows the service's new version, and there "
                                       "is none that can serve at the moment."
                                     : NULL,
        .retry_s = why == WHY_HELD ? held_s(x) : 0,
        .head_only = relay->method == HTTP_HEAD,
        .request_id = {request_id, relay->request_id_length},
    };
    bool whole = relay->request_body.done;
    bool close =
        !whole || !relay->keep_alive || relay->client_minor == 0 || !worker_keeps_alive(x->worker);
    int service = x->service;

    answer.close = close;
    memcpy(request_id, relay->request_id, relay->request_id_length);
    x->status = (uint16_t)answer.status;
    x->from_backend = false;
    struct client *client = end(relay, why);
    client_answer(client, service, &answer);
    if (close)
        client_finish(client, whole);
    else
        client_next(client);
}

void relay_client_gone(struct relay *relay)
{
    client_close(end(relay, WHY_CLIENT_CLOSED));
}

static void finish(struct relay *relay, enum exchange_why why)
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
    struct client *client = end(relay, why);
    if (close)
        client_finish(client, whole);
    else
        client_next(client);
}

void relay_finish(struct relay *relay)
{
    finish(relay, WHY_DONE);
}

void relay_finish_early(struct relay *relay)
{
    relay->upstream_keep_alive = false; /* it goes on to answer */
    finish(relay, relay->exchange.end_why);
}

static void on_tunnel_end(struct tunnel *tunnel, enum exchange_why why)
{
    struct relay *relay = container_of(tunnel, struct relay, tunnel);
    bool orderly = exchange_ends_in_order(&relay->exchange, why);

    exchange_end_upstream(&relay->exchange, why);
    struct client *client = end(relay, why);
    if (orderly)
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
    if (slice_equals_ignoring_case(SLICE("websocket"), slice_from_string(relay->upgrade)))
        tunnel_follow_frames(&relay->tunnel);
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
    mirror_consider(relay, x->worker);
    relay_send_request(relay);
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
        score_add(&worker_cell(x->worker, x->slot, x->generation)->stale, 1);
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

static bool on_farewell(struct exchange *x, enum exchange_why why)
{
    struct relay *relay = relay_of(x);

    if (x->state == EXCHANGE_TUNNELLING)
        tunnel_say_goodbye(&relay->tunnel);
    else if (!relay->answered)
        relay_fail(relay, why);
    else
        return relay_end_events(relay);
    return true;
}

static uint64_t bytes_left(const struct exchange *x)
{
    const struct relay *relay = (const void *)((const char *)x - offsetof(struct relay, exchange));

    if (x->state == EXCHANGE_TUNNELLING)
        return UINT64_MAX;
    if (relay->answered && relay->answer_body.framing == HTTP_BODY_LENGTH)
        return relay->answer_body.left;
    if (!relay->answered && !relay->request_body.done &&
        relay->request_body.framing == HTTP_BODY_LENGTH)
        return relay->request_body.left;
    return UINT64_MAX;
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

struct slice relay_line_of(struct slice head)
{
    const char *end_of_line = memchr(head.data, '\r', head.length);
    size_t version = sizeof(" HTTP/1.1") - 1;

    if (end_of_line == NULL || (size_t)(end_of_line - head.data) < version)
        return (struct slice){"", 0};
    return (struct slice){head.data, (size_t)(end_of_line - head.data) - version};
}

static struct slice request_line(const struct exchange *x)
{
    const struct relay *relay = (const void *)((const char *)x - offsetof(struct relay, exchange));

    return relay_line_of(buffer_slice(&relay->head));
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

const struct exchange_protocol relay_protocol = {
    .on_placed = on_placed,
    .on_refused = on_refused,
    .on_upstream = on_upstream,
    .on_timeout = on_timeout,
    .on_farewell = on_farewell,
    .on_abort = on_abort,
    .bytes_left = bytes_left,
    .request_line = request_line,
    .describe = describe,
};
