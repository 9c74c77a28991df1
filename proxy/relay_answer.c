/* The answer's way back: the other half of relay.c. */
#include "base/check.h"
#include "client.h"
#include "forward.h"
#include "listener.h"
#include "mirror.h"
#include "relay.h"
#include "upstream.h"
#include "user.h"

/* A new user's, unless the backend has set one of this name itself. */
static struct slice cookie_to_set(struct relay *relay, const struct http1_response *response,
                                  char buffer[USER_SET_COOKIE_BYTES])
{
    const struct slice none = {"", 0};

    if (!relay->new_user)
        return none;
    struct slice name = slice_from_string(exchange_service(&relay->exchange)->sticky.name);
    for (unsigned i = 0; i < response->field_count; i++) {
        const struct http_field *field = &response->fields[i];
        if (slice_equals_ignoring_case(field->name, SLICE("set-cookie")) &&
            slice_starts_with(field->value, name) && field->value.length > name.length &&
            field->value.data[name.length] == '=')
            return none;
    }
    return user_set_cookie(&relay->exchange, relay->secure, buffer);
}

/* Interim answers are for clients that know them (RFC 9110 §15.2). */
static bool send_interim(struct relay *relay, const struct http1_response *response)
{
    struct worker *worker = relay->exchange.worker;
    char cookie[USER_SET_COOKIE_BYTES];
    struct forward_response_options options = {.upgrade = response->status == 101,
                                               .date = worker->date};

    if (++relay->interim_count > INTERIM_MAX)
        return false;
    if (relay->client_minor == 0)
        return true;
    if (options.upgrade)
        options.set_cookie = cookie_to_set(relay, response, cookie);
    struct slice head = {worker->head, 0};
    head.length = forward_response(worker->head, HEAD_OUT_BYTES_MAX, response, &options);
    if (head.length == 0)
        return false;
    stream_write(relay->client->stream, &head, 1);
    if (response->status == 100)
        relay->expects_100 = false;
    return true;
}

static enum http_framing client_framing(const struct relay *relay,
                                        const struct http1_response *response)
{
    if (response->framing == HTTP_BODY_NONE || response->framing == HTTP_BODY_LENGTH)
        return response->framing;
    return relay->client_minor == 0 ? HTTP_BODY_CLOSE : HTTP_BODY_CHUNKED;
}

bool relay_is_event_stream(const struct http1_response *response)
{
    const struct slice type = SLICE("text/event-stream");

    for (unsigned i = 0; i < response->field_count; i++) {
        struct slice value = response->fields[i].value;
        if (response->fields[i].known != FIELD_CONTENT_TYPE || value.length < type.length)
            continue;
        value.length = type.length;
        return slice_equals_ignoring_case(value, type);
    }
    return false;
}

/* Compressed, most likely: where an event ends does not show. */
static bool is_encoded(const struct http1_response *response)
{
    for (unsigned i = 0; i < response->field_count; i++)
        if (slice_equals_ignoring_case(response->fields[i].name, SLICE("content-encoding")))
            return true;
    return false;
}

/* The final head. Returns its length in worker->head; 0: cannot be sent on. */
static size_t begin_answer(struct relay *relay, const struct http1_response *response)
{
    struct exchange *x = &relay->exchange;
    struct worker *worker = x->worker;
    char cookie[USER_SET_COOKIE_BYTES];

    relay->framing = client_framing(relay, response);
    relay->close = !relay->keep_alive || !worker_keeps_alive(worker) ||
                   relay->framing == HTTP_BODY_CLOSE || !relay->request_body.done;
    relay->upstream_keep_alive = response->keep_alive && response->framing != HTTP_BODY_CLOSE;
    relay->streams = relay_is_event_stream(response);
    if (relay->streams)
        events_init(&relay->events, is_encoded(response));
    body_init(&relay->answer_body, response->framing, response->content_length);
    struct forward_response_options options = {
        .framing = relay->framing,
        .announce_length = response->framing == HTTP_BODY_NONE && response->has_content_length &&
                           (relay->method == HTTP_HEAD || response->status == 304),
        .close = relay->close,
        .keep_alive_1_0 = relay->client_minor == 0,
        .set_cookie = cookie_to_set(relay, response, cookie),
        .hsts = relay->client->listener->hsts,
        .date = worker->date,
        .request_id = {relay->request_id, relay->request_id_length},
    };
    size_t length = forward_response(worker->head, HEAD_OUT_BYTES_MAX, response, &options);
    if (length == 0)
        return 0;
    relay->answered = true;
    x->status = response->status;
    x->from_backend = true;
    x->answered_us = worker->now_us;
    exchange_enter(x, EXCHANGE_ANSWERING);
    if (relay->streams)
        exchange_change_kind(x, KIND_STREAM);
    return length;
}

/* Only what was asked for may be switched to (RFC 9110 §7.8). */
static bool grants_upgrade(const struct relay *relay, const struct http1_response *response)
{
    unsigned other = 0, same = 0;

    for (unsigned i = 0; i < response->field_count; i++) {
        const struct http_field *field = &response->fields[i];
        if (field->known != FIELD_UPGRADE)
            continue;
        bool equal = slice_equals_ignoring_case(field->value, slice_from_string(relay->upgrade));
        same += equal;
        other += !equal;
    }
    return relay->upgrade_asked && response->upgrade && same == 1 && other == 0;
}

static void begin_tunnel(struct relay *relay, const struct http1_response *response)
{
    struct exchange *x = &relay->exchange;

    if (!grants_upgrade(relay, response) || !send_interim(relay, response)) {
        relay_fail(relay, WHY_BAD_RESPONSE);
        return;
    }
    relay->answered = true;
    x->status = 101;
    x->from_backend = true;
    x->answered_us = x->worker->now_us;
    relay_begin_tunnel(relay);
}

enum head_outcome { HEAD_NONE_YET, HEAD_BEGUN, HEAD_ENDED /* the relay, one way or the other */ };

/* Parses heads until the final one. *ret_length: of it, in worker->head. */
static enum head_outcome take_head(struct relay *relay, size_t *ret_length)
{
    struct exchange *x = &relay->exchange;
    struct stream *upstream = x->upstream->stream;
    struct http1_response *response = x->worker->response;

    for (;;) {
        size_t length = 0;
        struct slice input = stream_input(upstream);
        if (input.length == 0)
            return HEAD_NONE_YET;
        enum http1_result result =
            http1_parse_response(input, relay->method, &relay->scanned, response, &length);
        if (result == HTTP1_MORE)
            return HEAD_NONE_YET;
        relay->scanned = 0;
        x->bytes_in += length;
        x->head_bytes_in = x->bytes_in;
        if (result == HTTP1_DONE && response->status == 101) {
            stream_consume(upstream, length);
            begin_tunnel(relay, response);
            return HEAD_ENDED;
        }
        if (result == HTTP1_DONE && relay_may_try_other_version(relay, response)) {
            relay_try_other_version(relay, length);
            return HEAD_ENDED;
        }
        if (result == HTTP1_DONE && response->status >= 200)
            *ret_length = begin_answer(relay, response);
        stream_consume(upstream, length);
        if (result == HTTP1_DONE && relay->answered)
            return HEAD_BEGUN;
        if (result != HTTP1_DONE || response->status >= 200 || !send_interim(relay, response)) {
            relay_fail(relay, WHY_BAD_RESPONSE);
            return HEAD_ENDED;
        }
    }
}

/* Where the head has not been sent on yet, the client still gets to know what is wrong. */
static void fail_in_body(struct relay *relay, bool head_sent_on)
{
    struct exchange *x = &relay->exchange;

    relay->answered = head_sent_on;
    if (head_sent_on)
        score_add(&x->worker->row->refusals[REFUSAL_BAD_RESPONSE], 1);
    relay_fail(relay, WHY_BAD_RESPONSE);
}

/* What of the body has gone to the client within the kernel. */
static size_t take_spliced(struct relay *relay, struct stream *upstream)
{
    size_t moved = stream_spliced(upstream);

    if (moved == 0)
        return 0;
    body_pass(&relay->answer_body, moved);
    score_add(&relay->exchange.worker->row->spliced_bytes, moved);
    if (relay->answer_body.done)
        stream_unsplice(upstream);
    return moved;
}

void relay_splice_answer(struct relay *relay)
{
    const struct body *body = &relay->answer_body;
    struct stream *upstream = relay->exchange.upstream->stream;

    if (relay->answered && relay->framing == HTTP_BODY_LENGTH &&
        body->framing == HTTP_BODY_LENGTH && body->left >= BODY_SPLICED_BYTES &&
        relay->mirror == NULL && !stream_is_spliced(upstream))
        (void)stream_splice(upstream, relay->client->stream, body->left);
}

void relay_take_answer(struct relay *relay, bool ended)
{
    struct exchange *x = &relay->exchange;
    struct stream *client = relay->client->stream;
    char chunk_head[HTTP1_CHUNK_HEAD_BYTES];
    struct slice pieces[1 + BODY_PIECES_MAX], data = {NULL, 0};
    unsigned count = 0;
    size_t head_length = 0, consumed = 0;

    if (!relay->answered) {
        enum head_outcome outcome = take_head(relay, &head_length);
        if (outcome == HEAD_NONE_YET)
            relay_update(relay);
        if (outcome != HEAD_BEGUN)
            return;
        pieces[count++] = (struct slice){x->worker->head, head_length};
    }
    struct stream *upstream = x->upstream->stream;
    if (stream_input(upstream).length > 0) {
        enum http1_result result = body_decode(&relay->answer_body, stream_input_bytes(upstream),
                                               stream_input(upstream).length, &consumed, &data);
        if (result != HTTP1_DONE && result != HTTP1_MORE) {
            fail_in_body(relay, head_length == 0);
            return;
        }
    }
    if (relay->mirror != NULL)
        mirror_original_data(relay, data);
    x->bytes_in += take_spliced(relay, upstream);
    if (ended)
        relay->answer_body.done = true;
    bool done = relay->answer_body.done;
    bool left = relay->streams && relay_take_events(relay, &data) && !done;
    done = done || left;
    if (relay->framing != HTTP_BODY_NONE && (consumed > 0 || ended || count > 0))
        count += body_encode(data, relay->framing == HTTP_BODY_CHUNKED, done, chunk_head,
                             &pieces[count]);
    x->bytes_in += consumed;
    if (count > 0)
        stream_write(client, pieces, count);
    if (consumed > 0)
        stream_consume(upstream, consumed);
    if (left)
        relay_finish_early(relay);
    else if (done)
        relay_finish(relay);
    else
        relay_update(relay);
}
