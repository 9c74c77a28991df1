#include "tunnel.h"

#include "config/config.h"

/* What came in goes out; the source rests while the sink has not taken it all. */
static size_t pump(struct stream *from, struct stream *to, bool from_ended)
{
    struct slice bytes = stream_input(from);

    if (bytes.length > 0) {
        stream_write(to, &bytes, 1);
        stream_consume(from, bytes.length);
    }
    stream_want_input(from, !from_ended && stream_pending(to) == 0);
    return bytes.length;
}

static void pump_out(struct tunnel *tunnel)
{
    tunnel->exchange->bytes_out += pump(tunnel->client, tunnel->upstream, tunnel->client_ended);
}

static void pump_in(struct tunnel *tunnel)
{
    tunnel->exchange->bytes_in += pump(tunnel->upstream, tunnel->client, tunnel->upstream_ended);
}

static void push_deadline(struct tunnel *tunnel)
{
    exchange_set_timeout(tunnel->exchange, exchange_service(tunnel->exchange)->timeouts.tunnel_ms);
}

static void end_if_both_ended(struct tunnel *tunnel)
{
    if (tunnel->client_ended && tunnel->upstream_ended && stream_pending(tunnel->client) == 0 &&
        stream_pending(tunnel->upstream) == 0)
        tunnel->on_end(tunnel, WHY_DONE);
}

void tunnel_start(struct tunnel *tunnel)
{
    push_deadline(tunnel);
    pump_out(tunnel);
    pump_in(tunnel);
}

void tunnel_on_client(struct tunnel *tunnel, enum stream_event event)
{
    switch (event) {
    case STREAM_DATA:
        push_deadline(tunnel);
        pump_out(tunnel);
        break;
    case STREAM_DRAINED:
        push_deadline(tunnel);
        pump_in(tunnel);
        end_if_both_ended(tunnel);
        break;
    case STREAM_EOF:
        tunnel->client_ended = true;
        stream_shutdown(tunnel->upstream);
        end_if_both_ended(tunnel);
        break;
    case STREAM_ERROR:
        tunnel->on_end(tunnel, WHY_CLIENT_CLOSED);
        break;
    case STREAM_CONNECTED:
    case STREAM_TIMEOUT:
        break;
    }
}

void tunnel_on_upstream(struct tunnel *tunnel, enum stream_event event)
{
    switch (event) {
    case STREAM_DATA:
        push_deadline(tunnel);
        pump_in(tunnel);
        break;
    case STREAM_DRAINED:
        push_deadline(tunnel);
        pump_out(tunnel);
        end_if_both_ended(tunnel);
        break;
    case STREAM_EOF:
        tunnel->upstream_ended = true;
        stream_shutdown(tunnel->client);
        end_if_both_ended(tunnel);
        break;
    case STREAM_ERROR:
        tunnel->on_end(tunnel, WHY_BACKEND_BROKE);
        break;
    case STREAM_CONNECTED:
    case STREAM_TIMEOUT:
        break;
    }
}
