#include "tunnel.h"

#include "config/config.h"
#include "limits.h"
#include "worker.h"

#include <string.h>

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
        (void)stream_splice(from, to, UINT64_MAX);
}

static void tell(struct tunnel *tunnel, struct tunnel_way *way, struct stream *to)
{
    uint64_t random = worker_random(tunnel->exchange->worker);
    char frame[FRAME_CLOSE_BYTES_MAX];
    uint8_t mask[4];
    struct slice close = {frame, 0};
    bool ended = way == &tunnel->out ? tunnel->client_ended : tunnel->upstream_ended;

    way->told = true;
    if (way->frames.closed || ended) /* its own has gone there, or a FIN: nothing may follow */
        return;
    memcpy(mask, &random, sizeof(mask));
    close.length = frame_write_close(frame, way == &tunnel->out ? mask : NULL);
    stream_write(to, &close, 1);
}

/* How much of it goes on. Behind a close frame nothing may, so what comes then is followed only. */
static size_t follow(struct tunnel *tunnel, struct tunnel_way *way, struct stream *to,
                     struct slice bytes)
{
    size_t length = frames_follow(&way->frames, bytes, tunnel->leaving && !way->told);
    struct slice passed = {bytes.data, length};
    struct slice rest = {bytes.data + length, bytes.length - length};

    if (way->told)
        return 0;
    if (!tunnel->leaving || !frames_are_at_end(&way->frames))
        return length;
    if (length > 0)
        stream_write(to, &passed, 1);
    tell(tunnel, way, to);
    (void)frames_follow(&way->frames, rest, false);
    return 0;
}

/* What came in goes out; the source rests while the sink has not taken it all. */
static size_t pump(struct tunnel *tunnel, struct tunnel_way *way, struct stream *from,
                   struct stream *to, bool from_ended)
{
    struct slice bytes = stream_input(from), passed = bytes;
    size_t moved = bytes.length + stream_spliced(from);

    if (tunnel->framed)
        passed.length = follow(tunnel, way, to, bytes);
    else if (way->told)
        passed.length = 0;
    if (passed.length > 0)
        stream_write(to, &passed, 1);
    if (bytes.length > 0)
        stream_consume(from, bytes.length);
    stream_want_input(from, !from_ended && (way->told || stream_pending(to) == 0));
    if (!tunnel->framed && !tunnel->leaving)
        choose_way(from, to, &way->streak, moved);
    return moved;
}

static void pump_out(struct tunnel *tunnel)
{
    struct exchange *x = tunnel->exchange;

    x->bytes_out +=
        pump(tunnel, &tunnel->out, tunnel->client, tunnel->upstream, tunnel->client_ended);
    score_add(&x->worker->row->spliced_bytes, stream_spliced(tunnel->client));
}

static void pump_in(struct tunnel *tunnel)
{
    struct exchange *x = tunnel->exchange;

    x->bytes_in +=
        pump(tunnel, &tunnel->in, tunnel->upstream, tunnel->client, tunnel->upstream_ended);
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

/* A WebSocket's side has taken its leave by a close frame of its own, any by a FIN. Behind that of
 * a WebSocket's client the server ends the connection (RFC 6455 §7.1.1). */
static bool has_left(const struct tunnel *tunnel, const struct tunnel_way *way, bool ended)
{
    return ended || (tunnel->framed && tunnel->leaving && way->frames.closed);
}

static void end_if_both_ended(struct tunnel *tunnel)
{
    bool client_left = has_left(tunnel, &tunnel->out, tunnel->client_ended);

    if (client_left && tunnel->in.told)
        stream_shutdown(tunnel->client);
    if (client_left && has_left(tunnel, &tunnel->in, tunnel->upstream_ended) &&
        stream_pending(tunnel->client) == 0 && stream_pending(tunnel->upstream) == 0)
        tunnel->on_end(tunnel, tunnel->leaving ? tunnel->exchange->end_why : WHY_DONE);
}

void tunnel_follow_frames(struct tunnel *tunnel)
{
    tunnel->framed = true;
    frames_init(&tunnel->out.frames, true);
    frames_init(&tunnel->in.frames, false);
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
        if (tunnel->leaving)
            end_if_both_ended(tunnel);
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
        if (tunnel->leaving)
            end_if_both_ended(tunnel);
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

/* Nothing more is passed on: what comes is dropped until the end. */
static void end_sending(struct tunnel_way *way, struct stream *from, struct stream *to)
{
    way->told = true;
    stream_unsplice(from);
    stream_shutdown(to);
}

void tunnel_say_goodbye(struct tunnel *tunnel)
{
    bool known = !tunnel->in.frames.lost && !tunnel->out.frames.lost;

    tunnel->leaving = true;
    tunnel->framed = tunnel->framed && known;
    if (!tunnel->framed) {
        end_sending(&tunnel->out, tunnel->client, tunnel->upstream);
        end_sending(&tunnel->in, tunnel->upstream, tunnel->client);
    }
    pump_out(tunnel);
    pump_in(tunnel);
    end_if_both_ended(tunnel);
}
