/* An asset that one version does not have may be the other's: while both serve, its 404 is dropped
 * and the request sent there, once. */
#include "client.h"
#include "relay.h"
#include "upstream.h"

/* Takes what is here of the 404's body. Returns whether that was all of it, and nothing behind. */
static bool drop_body(struct relay *relay, const struct http1_response *response)
{
    struct stream *upstream = relay->exchange.upstream->stream;
    struct body body;

    body_init(&body, response->framing, response->content_length);
    while (!body.done && stream_input(upstream).length > 0) {
        size_t consumed = 0;
        struct slice data;
        enum http1_result result = body_decode(&body, stream_input_bytes(upstream),
                                               stream_input(upstream).length, &consumed, &data);
        if ((result != HTTP1_DONE && result != HTTP1_MORE) || consumed == 0)
            return false;
        relay->exchange.bytes_in += consumed;
        stream_consume(upstream, consumed);
    }
    return body.done && stream_input(upstream).length == 0 && stream_pending(upstream) == 0;
}

bool relay_may_try_other_version(const struct relay *relay, const struct http1_response *response)
{
    return relay->asset && response->status == 404 &&
           (relay->interim_count == 0 || relay->client_minor == 0) &&
           exchange_other_group_serves(&relay->exchange);
}

void relay_try_other_version(struct relay *relay, size_t head_length)
{
    struct exchange *x = &relay->exchange;
    const struct http1_response *response = x->worker->response;
    struct upstream *upstream = x->upstream;
    bool keep = response->keep_alive && response->framing != HTTP_BODY_CLOSE;

    stream_consume(upstream->stream, head_length);
    if (drop_body(relay, response) && keep) {
        x->upstream = NULL;
        upstream_keep(upstream);
    } else { /* the rest would be taken for the next one's */
        exchange_close_upstream(x);
    }
    relay->asset = false;
    relay->head_sent = false; /* what the client does until it is must not set the deadline */
    relay->scanned = 0;
    relay->interim_count = 0;
    exchange_switch_group(x, response->status);
}
