/* The request's way: the first half of relay.c. What it waits for is here too. */
#include "client.h"
#include "relay.h"
#include "upstream.h"

void relay_update(struct relay *relay)
{
    struct exchange *x = &relay->exchange;
    struct stream *client = relay->client->stream;
    const struct config_timeouts *timeouts = &exchange_service(x)->timeouts;
    struct stream *upstream = x->upstream != NULL ? x->upstream->stream : NULL;
    bool asks = !relay->request_body.done;
    bool can_send = relay->head_sent && upstream != NULL && stream_pending(upstream) == 0;

    stream_set_read_max(client, asks ? READ_BYTES_MAX : PIPELINED_BYTES_MAX);
    stream_want_input(client, asks ? can_send : stream_input(client).length < PIPELINED_BYTES_MAX);
    if (upstream == NULL || !relay->head_sent)
        return;
    bool unread = stream_pending(client) > 0;
    stream_want_input(upstream, !unread);
    if (!asks || !can_send || relay->expects_100)
        pace_rest(&relay->body_pace);
    if (unread) { /* this deadline is not pushed on by what the client sends meanwhile */
        if (reader_watch(&relay->client->reader, x->worker->now_ms))
            exchange_set_timeout(
                x, reader_wait_ms(&exchange_service(x)->limits, timeouts->response_ms));
        return;
    }
    relay_splice_answer(relay);
    reader_rest(&relay->client->reader);
    uint32_t wait_ms = relay->streams ? timeouts->tunnel_ms : timeouts->response_ms;
    if (asks && can_send && !relay->expects_100)
        wait_ms = timeouts->body_ms;
    if (relay->client->ended && wait_ms > HALF_CLOSED_MS)
        wait_ms = HALF_CLOSED_MS;
    exchange_set_timeout(x, wait_ms);
}

/* What goes out of the body is kept while there may be another try for it. */
static void keep_for_replay(struct relay *relay, const struct slice *pieces, unsigned count)
{
    size_t length = buffer_length(&relay->replay);

    for (unsigned i = 0; i < count; i++)
        length += pieces[i].length;
    relay->replayable =
        relay->replayable && relay->exchange.upstream->reused && length <= REPLAY_BYTES_MAX;
    for (unsigned i = 0; i < count && relay->replayable; i++)
        relay->replayable = buffer_append(&relay->replay, pieces[i]) == 0;
    if (!relay->replayable)
        buffer_release(&relay->replay);
}

/* What came of the body: WHY_DONE, or what is wrong with it. Once the answer has begun the two may
 * talk to one another as slowly as they like. */
static enum exchange_why judge_body(struct relay *relay, size_t length)
{
    const struct exchange *x = &relay->exchange;
    const struct config_traffic_limits *limits = &exchange_service(x)->limits;

    relay->body_bytes += length;
    if (limits->body_bytes != 0 && relay->body_bytes > limits->body_bytes)
        return WHY_BODY_SIZE;
    if (limits->min_rate > 0 && !relay->answered && !relay->request_body.done &&
        pace_is_too_slow(&relay->body_pace, limits, relay->body_bytes, x->worker->now_ms))
        return WHY_SLOW_BODY;
    return WHY_DONE;
}

/* It stays one when all of its body is there: what was waited for is its answer. */
static void note_upload(struct relay *relay)
{
    struct exchange *x = &relay->exchange;

    if (x->kind == KIND_REQUEST && !relay->request_body.done)
        exchange_change_kind(x, KIND_UPLOAD);
}

/* Head and body as far as they are here, in one write. */
void relay_send_request(struct relay *relay)
{
    struct exchange *x = &relay->exchange;
    struct stream *upstream = x->upstream->stream, *client = relay->client->stream;
    char chunk_head[HTTP1_CHUNK_HEAD_BYTES];
    struct slice pieces[2 + BODY_PIECES_MAX], data = {NULL, 0};
    unsigned count = 0, body_first;
    size_t consumed = 0;

    if (!relay->head_sent)
        pieces[count++] = buffer_slice(&relay->head);
    if (!relay->head_sent && buffer_length(&relay->replay) > 0)
        pieces[count++] = buffer_slice(&relay->replay);
    body_first = count;
    if (!relay->request_body.done && stream_pending(upstream) == 0 &&
        stream_input(client).length > 0) {
        enum http1_result result = body_decode(&relay->request_body, stream_input_bytes(client),
                                               stream_input(client).length, &consumed, &data);
        if (result != HTTP1_DONE && result != HTTP1_MORE) {
            relay_fail(relay, WHY_BAD_REQUEST);
            return;
        }
        bool chunked = relay->request_body.framing == HTTP_BODY_CHUNKED;
        enum exchange_why why = judge_body(relay, data.length);
        if (why != WHY_DONE) {
            stream_consume(client, consumed); /* perhaps all of it: then the next request follows */
            relay_fail(relay, why);
            return;
        }
        count += body_encode(data, chunked, relay->request_body.done, chunk_head, &pieces[count]);
        relay->expects_100 = relay->expects_100 && consumed == 0;
    }
    relay->head_sent = true;
    note_upload(relay);
    for (unsigned i = 0; i < count; i++)
        x->bytes_out += pieces[i].length;
    if (count > 0)
        stream_write(upstream, pieces, count);
    if (consumed > 0) { /* what was kept before is among the pieces: not to be touched until now */
        keep_for_replay(relay, &pieces[body_first], count - body_first);
        stream_consume(client, consumed);
    }
    relay_update(relay);
}

static void wait_as_half_closed(struct relay *relay)
{
    struct exchange *x = &relay->exchange;
    uint32_t queue_ms = exchange_service(x)->timeouts.queue_ms;

    if (x->state == EXCHANGE_QUEUED)
        exchange_set_timeout(x, queue_ms < HALF_CLOSED_MS && !x->held ? queue_ms : HALF_CLOSED_MS);
    else
        relay_update(relay);
}

void relay_on_client(struct relay *relay, enum stream_event event)
{
    switch (event) {
    case STREAM_DATA:
        if (relay->head_sent && !relay->request_body.done)
            relay_send_request(relay);
        else
            relay_update(relay);
        break;
    case STREAM_DRAINED:
        if (relay->head_sent)
            relay_take_answer(relay, false);
        break;
    case STREAM_EOF:
        relay->client->ended = true;
        if (!relay->request_body.done)
            relay_client_gone(relay);
        else
            wait_as_half_closed(relay);
        break;
    case STREAM_ERROR:
        relay_client_gone(relay);
        break;
    case STREAM_CONNECTED:
    case STREAM_TIMEOUT:
        break;
    }
}
