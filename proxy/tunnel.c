#include "tunnel.h"

#include "config/config.h"
#include "limits.h"
#include "worker.h"

/* Bulk is spliced, everything else copied. Where it cannot be (TLS, no pipe) the streak begins
 * anew, so that to ask costs little. */
static void choose_way(struct stream *from, struct stream *to, uint8_t *streak, size_t moved)
{
    bool spliced = stream_is_spliced(from);
    bool other_way = spliced ? moved < BULK_LEFT_BYTES : moved >= BULK_BYTES;

    if (moved > 0)
        *streak = other_way ? *streak + 1u : 0;
    if (*streak < BULK_READS || stream_pending(to) > 0)
        return;
    *streak = 0;
    if (spliced)
        stream_unsplice(from);
    else
        (void)stream_splice(from, to);
}

/* What came in goes out; the source rests while the sink has not taken it all. */
static size_t pump(struct stream *from, struct stream *to, bool from_ended, uint8_t *streak)
{
    struct slice bytes = stream_input(from);
    size_t moved = bytes.length + stream_spliced(from);

    if (bytes.length > 0) {
        stream_write(to, &bytes, 1);
        stream_consume(from, bytes.length);
    }
    stream_want_input(from, !from_ended && stream_pending(to) == 0);
    choose_way(from, to, streak, moved);
    return moved;
}

static void pump_out(struct tunnel *tunnel)
{
    struct exchange *x = tunnel->exchange;

    x->bytes_out +=
        pump(tunnel->client, tunnel->upstream, tunnel->client_ended, &tunnel->out_streak);
    score_add(&x->worker->row->spliced_bytes, stream_spliced(tunnel->client));
}

static void pump_in(struct tunnel *tunnel)
{
    struct exchange *x = tunnel->exchange;

    x->bytes_in +=
        pump(tunnel->upstream, tunnel->client, tunnel->upstream_ended, &tunnel->in_streak);
    score_add(&x->worker->row->spliced_bytes, stream_spliced(tunnel->upstream));
}

/* Silence or lifetime, whichever is over first. */
static void push_deadline(struct tunnel *tunnel)
{
    struct exchange *x = tunnel->exchange;
    uint64_t now_ms = x->worker->now_ms, after_ms = exchange_service(x)->timeouts.tunnel_ms;

    if (tunnel->ends_ms != 0 && tunnel->ends_ms < now_ms + after_ms)
        after_ms = tunnel->ends_ms > now_ms ? tunnel->ends_ms - now_ms : 1;
    exchange_set_timeout(x, after_ms);
}

/* One that takes slowly what is queued for it is not silent. What goes on in the kernel's buffers
 * only the kernel knows. */
static bool took_some(struct tunnel *tunnel)
{
    if (stream_pending(tunnel->client) + stream_pending(tunnel->upstream) == 0)
        return false;
    uint64_t taken = stream_acknowledged(tunnel->client) + stream_acknowledged(tunnel->upstream);
    bool some = taken != tunnel->taken_seen;

    tunnel->taken_seen = taken;
    return some;
}

static void end_if_both_ended(struct tunnel *tunnel)
{
    if (tunnel->client_ended && tunnel->upstream_ended && stream_pending(tunnel->client) == 0 &&
        stream_pending(tunnel->upstream) == 0)
        tunnel->on_end(tunnel, WHY_DONE);
}

void tunnel_start(struct tunnel *tunnel)
{
    uint32_t lifetime_ms = exchange_service(tunnel->exchange)->timeouts.tunnel_lifetime_ms;

    if (lifetime_ms != 0)
        tunnel->ends_ms = tunnel->exchange->worker->now_ms + lifetime_ms;
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

void tunnel_on_timeout(struct tunnel *tunnel)
{
    if (tunnel->ends_ms != 0 && tunnel->exchange->worker->now_ms >= tunnel->ends_ms)
        tunnel->on_end(tunnel, WHY_TUNNEL_LIFETIME);
    else if (took_some(tunnel))
        push_deadline(tunnel);
    else
        tunnel->on_end(tunnel, WHY_TUNNEL_SILENT);
}
