#include "stream.h"

#include "check.h"
#include "held.h"
#include "stream_internal.h"

#include <linux/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOINED_BYTES_MAX 2048u /* of pieces that are copied to be sent: see docs/data-plane.md */

static void on_closed(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct stream_hub *hub = container_of(watcher, struct stream_hub, reaper);

    (void)loop;
    (void)events;
    while (!list_is_empty(&hub->closed))
        free(container_of(list_take_first(&hub->closed), struct stream, node));
}

struct stream_hub *stream_hub_new(struct ev_loop *loop, size_t read_bytes)
{
    struct stream_hub *hub = calloc(1, sizeof(*hub));

    if (hub == NULL)
        return NULL;
    hub->scratch = malloc(read_bytes);
    if (hub->scratch == NULL) {
        free(hub);
        return NULL;
    }
    hub->loop = loop;
    hub->read_bytes = hub->read_max = read_bytes;
    list_init(&hub->closed);
    list_init(&hub->more);
    list_init(&hub->pipes);
    ev_prepare_init(&hub->reaper, on_closed);
    ev_prepare_start(loop, &hub->reaper);
    return hub;
}

void stream_hub_set_read_max(struct stream_hub *hub, size_t bytes)
{
    hub->read_max = bytes < hub->read_bytes ? bytes : hub->read_bytes;
}

void stream_hub_free(struct stream_hub *hub)
{
    if (hub == NULL)
        return;
    on_closed(hub->loop, &hub->reaper, 0);
    ev_prepare_stop(hub->loop, &hub->reaper);
    ev_timer_stop(hub->loop, &hub->more_timer);
    free(hub->record);
    free(hub->scratch);
    free(hub);
}

/* --- reading ------------------------------------------------------------------------------ */

/* What the handler left in the scratch buffer moves to memory of the stream's own. */
static void keep_rest(struct stream *stream)
{
    size_t length = (size_t)stream->scratch_end - stream->scratch_start;
    struct slice rest = {stream->hub->scratch + stream->scratch_start, length};

    stream->scratch_start = stream->scratch_end = 0;
    if (length == 0 || stream->fd < 0)
        return;
    if (buffer_append(&stream->input, rest) < 0) {
        stream->error = ENOMEM;
        stream->write_failed = true;
        ev_feed_event(stream->hub->loop, &stream->reader, EV_READ);
    }
}

void stream_fail(struct stream *stream, int error)
{
    stream->error = error;
    ev_io_stop(stream->hub->loop, &stream->reader);
    ev_io_stop(stream->hub->loop, &stream->writer);
    stream->handler(stream->owner, STREAM_ERROR);
}

static void take_in(struct stream *stream, size_t length)
{
    struct slice bytes = {stream->hub->scratch, length};

    if (buffer_length(&stream->input) == 0) {
        stream->scratch_end = (uint32_t)length;
    } else if (buffer_append(&stream->input, bytes) < 0) {
        stream_fail(stream, ENOMEM);
        return;
    }
    stream->handler(stream->owner, STREAM_DATA);
    keep_rest(stream);
}

static ssize_t read_some(struct stream *stream)
{
    struct stream_hub *hub = stream->hub;
    size_t most = stream->read_max < hub->read_max ? stream->read_max : hub->read_max;

    if (stream->tls != NULL)
        return stream_tls_read(stream, hub->scratch, most);
    return recv(stream->fd, hub->scratch, most, 0);
}

static bool writing_waits_for_input(const struct stream *stream)
{
    return stream->tls != NULL && stream_tls_write_waits_for_input(stream);
}

/* The socket reads as if the other side had ended in order. It did not where a write has taken its
 * reset off the socket meanwhile. */
static void on_end(struct stream *stream)
{
    if (stream->write_failed && stream->error == ECONNRESET) {
        stream_fail(stream, stream->error);
        return;
    }
    ev_io_stop(stream->hub->loop, &stream->reader);
    stream->wanted = false;
    stream->ended = true;
    stream_unsplice(stream);
    stream->handler(stream->owner, STREAM_EOF);
    if (stream->fd >= 0 && stream->write_failed) /* ended first, then reset: both are told */
        ev_feed_event(stream->hub->loop, &stream->reader, EV_READ);
}

static void tell_spliced(struct stream *stream, size_t length)
{
    struct stream_hub *hub = stream->hub;

    hub->spliced = length;
    hub->spliced_from = stream;
    stream->handler(stream->owner, STREAM_DATA);
    hub->spliced_from = NULL;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct stream *stream = container_of(watcher, struct stream, reader);

    (void)events;
    if (stream->error == ENOMEM || (stream->write_failed && !stream->wanted)) {
        stream_fail(stream, stream->error);
        return;
    }
    if (!stream->wanted && !writing_waits_for_input(stream)) {
        ev_io_stop(loop, watcher); /* only now: most pauses end before a byte comes */
        return;
    }
    bool spliced = stream->pipe_out != NULL;
    ssize_t got = spliced ? stream_splice_read(stream) : read_some(stream);
    if (got > 0 && spliced) {
        tell_spliced(stream, (size_t)got);
    } else if (got > 0) {
        take_in(stream, (size_t)got);
    } else if (got == 0) {
        on_end(stream);
    } else if (errno != EAGAIN && errno != EINTR) {
        stream_fail(stream, errno);
    } else if (stream->write_failed) {
        stream_fail(stream, stream->error);
    }
}

struct slice stream_input(const struct stream *stream)
{
    if (stream->scratch_end > 0)
        return (struct slice){stream->hub->scratch + stream->scratch_start,
                              (size_t)stream->scratch_end - stream->scratch_start};
    return buffer_slice(&stream->input);
}

char *stream_input_bytes(struct stream *stream)
{
    if (stream->scratch_end > 0)
        return stream->hub->scratch + stream->scratch_start;
    return stream->input.data + stream->input.start;
}

void stream_consume(struct stream *stream, size_t count)
{
    if (stream->scratch_end > 0) {
        check(count <= (size_t)stream->scratch_end - stream->scratch_start);
        stream->scratch_start += (uint32_t)count;
    } else {
        buffer_consume(&stream->input, count);
    }
}

void stream_want_input(struct stream *stream, bool wanted)
{
    if (wanted == stream->wanted || stream->ended)
        return;
    stream->wanted = wanted;
    if (!wanted || stream->connecting)
        return;
    if (!ev_is_active(&stream->reader))
        ev_io_start(stream->hub->loop, &stream->reader);
    if (stream->tls != NULL)
        stream_tls_look_again(stream);
}

void stream_read_soon(struct stream *stream)
{
    ev_feed_event(stream->hub->loop, &stream->reader, EV_READ);
}

void stream_set_read_max(struct stream *stream, size_t bytes)
{
    size_t most = stream->hub->read_bytes;

    stream->read_max = (uint32_t)(bytes < most ? bytes : most);
}

bool stream_is_quiet(struct stream *stream, bool look)
{
    char byte;

    if (ev_is_pending(&stream->reader) || stream_input(stream).length > 0)
        return false;
    if (stream->tls != NULL)
        return stream_tls_is_quiet(stream, look);
    return !look || (recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

/* --- writing ------------------------------------------------------------------------------ */

/* The other side may have answered before it broke off, so reading goes on; the reader tells. */
void stream_fail_writing(struct stream *stream, int error)
{
    stream->write_failed = true;
    stream->error = error;
    buffer_release(&stream->output);
    stream_splice_drop(stream);
    ev_io_stop(stream->hub->loop, &stream->writer);
    ev_feed_event(stream->hub->loop, &stream->reader, EV_READ);
}

static void shut_now(struct stream *stream)
{
    if (stream->tls != NULL && stream_tls_shutdown(stream) < 0) {
        if (errno != EAGAIN)
            stream_fail_writing(stream, errno);
        return;
    }
    if (shutdown(stream->fd, SHUT_WR) < 0 && errno != ENOTCONN)
        stream_fail_writing(stream, errno);
}

/* A new connection takes some hundred bytes at once; one that does not is broken. */
static int send_preamble(struct stream *stream)
{
    struct slice bytes = buffer_slice(&stream->output);

    if (bytes.length == 0)
        return 0;
    ssize_t sent = send(stream->fd, bytes.data, bytes.length, MSG_NOSIGNAL);
    int error = sent < 0 ? errno : (size_t)sent < bytes.length ? EPIPE : 0;
    buffer_release(&stream->output);
    return error;
}

static void on_connect_done(struct stream *stream)
{
    int error = 0;
    socklen_t length = sizeof(error);

    ev_io_stop(stream->hub->loop, &stream->writer);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error == 0)
        error = send_preamble(stream);
    if (error != 0) {
        stream_fail(stream, error);
        return;
    }
    if (stream->tls != NULL) {
        stream_tls_begin(stream);
        return;
    }
    stream->connecting = false;
    if (stream->wanted)
        ev_io_start(stream->hub->loop, &stream->reader);
    stream->handler(stream->owner, STREAM_CONNECTED);
}

/* Short pieces go out as one: copying them costs less than telling the kernel of each. */
static ssize_t send_joined(struct stream *stream, const struct slice *pieces, unsigned count)
{
    char joined[JOINED_BYTES_MAX];
    size_t length = 0;

    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].length > 0)
            memcpy(joined + length, pieces[i].data, pieces[i].length);
        length += pieces[i].length;
    }
    return send(stream->fd, joined, length, MSG_NOSIGNAL);
}

static ssize_t send_apart(struct stream *stream, const struct slice *pieces, unsigned count)
{
    struct iovec vector[STREAM_PIECES_MAX];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};

    for (unsigned i = 0; i < count; i++)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): sendmsg() takes no const and writes nothing */
        vector[i] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].length};
    return sendmsg(stream->fd, &message, MSG_NOSIGNAL);
}

static ssize_t send_pieces(struct stream *stream, const struct slice *pieces, unsigned count)
{
    size_t length = 0;

    if (stream->tls != NULL)
        return stream_tls_write(stream, pieces, count);
    if (count == 1)
        return send(stream->fd, pieces[0].data, pieces[0].length, MSG_NOSIGNAL);
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].length > JOINED_BYTES_MAX - length)
            return send_apart(stream, pieces, count);
        length += pieces[i].length;
    }
    return send_joined(stream, pieces, count);
}

/* TLS alone: a read that had to write first, and the goodbye that did not fit, come without any
 * output of ours. */
static void write_for_the_layer(struct stream *stream)
{
    if (stream_tls_take_read_waits_for_output(stream))
        ev_feed_event(stream->hub->loop, &stream->reader, EV_READ);
    if (buffer_length(&stream->output) > 0)
        return;
    ev_io_stop(stream->hub->loop, &stream->writer);
    if (stream->shut_asked)
        shut_now(stream);
}

static ssize_t write_queued(struct stream *stream)
{
    struct slice bytes = buffer_slice(&stream->output);

    if (stream_splice_pending(stream) > 0)
        return stream_splice_write(stream);
    ssize_t sent = send_pieces(stream, &bytes, 1);
    if (sent > 0)
        buffer_consume(&stream->output, (size_t)sent);
    return sent;
}

void stream_push_spliced(struct stream *to)
{
    if (stream_splice_write(to) < 0 && errno != EAGAIN && errno != EINTR)
        stream_fail_writing(to, errno);
    else if (stream_splice_pending(to) > 0)
        ev_io_start(to->hub->loop, &to->writer);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct stream *stream = container_of(watcher, struct stream, writer);

    (void)events;
    if (stream->connecting) {
        on_connect_done(stream);
        return;
    }
    if (stream->tls != NULL) {
        write_for_the_layer(stream);
        if (buffer_length(&stream->output) == 0)
            return;
    }
    if (write_queued(stream) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            stream_fail_writing(stream, errno);
        else if (writing_waits_for_input(stream))
            ev_io_stop(loop, watcher);
        return;
    }
    if (stream_pending(stream) > 0)
        return;
    ev_io_stop(loop, watcher);
    if (stream->shut_asked)
        shut_now(stream);
    stream->handler(stream->owner, STREAM_DRAINED);
}

void stream_write(struct stream *stream, const struct slice *pieces, unsigned count)
{
    size_t sent = 0;

    check(count > 0 && count <= STREAM_PIECES_MAX && !stream->connecting && !stream->shut_asked);
    if (stream->write_failed || stream->error != 0)
        return;
    bool was_empty = stream_pending(stream) == 0;
    if (was_empty) {
        ssize_t done = send_pieces(stream, pieces, count);
        if (done < 0 && errno != EAGAIN && errno != EINTR) {
            stream_fail_writing(stream, errno);
            return;
        }
        sent = done > 0 ? (size_t)done : 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (sent >= pieces[i].length) {
            sent -= pieces[i].length;
            continue;
        }
        struct slice rest = {pieces[i].data + sent, pieces[i].length - sent};
        sent = 0;
        if (buffer_append(&stream->output, rest) < 0) {
            stream_fail_writing(stream, ENOMEM);
            return;
        }
    }
    if (was_empty && buffer_length(&stream->output) > 0 && !writing_waits_for_input(stream))
        ev_io_start(stream->hub->loop, &stream->writer);
}

size_t stream_pending(const struct stream *stream)
{
    return buffer_length(&stream->output) + stream_splice_pending(stream);
}

uint64_t stream_acknowledged(const struct stream *stream)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    if (getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return 0; /* not TCP: as if it took nothing */
    return info.tcpi_bytes_acked;
}

void stream_shutdown(struct stream *stream)
{
    if (stream->shut_asked || stream->write_failed || stream->error != 0)
        return;
    stream->shut_asked = true;
    if (stream_pending(stream) == 0)
        shut_now(stream);
}

/* --- life --------------------------------------------------------------------------------- */

static void on_deadline(struct timer *timer)
{
    struct stream *stream = container_of(timer, struct stream, timer);

    stream->handler(stream->owner, STREAM_TIMEOUT);
}

void stream_watch(struct stream *stream)
{
    ev_set_cb(&stream->reader, on_readable);
    ev_set_cb(&stream->writer, on_writable);
}

struct stream *stream_new(struct stream_hub *hub, int fd, stream_handler *handler, void *owner)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    held_add(sizeof(*stream));
    stream->hub = hub;
    stream->handler = handler;
    stream->owner = owner;
    stream->fd = fd;
    stream->wanted = true;
    stream->read_max = (uint32_t)hub->read_bytes;
    list_init(&stream->node);
    timer_init(&stream->timer, on_deadline);
    ev_io_init(&stream->reader, on_readable, fd, EV_READ);
    ev_io_init(&stream->writer, on_writable, fd, EV_WRITE);
    ev_io_start(hub->loop, &stream->reader);
    return stream;
}

int stream_connect(struct stream_hub *hub, const struct address *address, stream_handler *handler,
                   void *owner, struct stream **ret_stream)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(address, &storage);
    int on = 1, error = 0;
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        (connect(fd, (const struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS)) {
        error = -errno;
        goto out;
    }
    struct stream *stream = stream_new(hub, fd, handler, owner);
    if (stream == NULL) {
        error = -ENOMEM;
        goto out;
    }
    stream->connecting = true;
    ev_io_stop(hub->loop, &stream->reader);
    ev_io_start(hub->loop, &stream->writer);
    *ret_stream = stream;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    return error;
}

int stream_set_preamble(struct stream *stream, struct slice bytes)
{
    check(stream->connecting);
    return buffer_append(&stream->output, bytes);
}

void stream_close(struct stream *stream)
{
    if (stream == NULL)
        return;
    check(stream->fd >= 0);
    ev_io_stop(stream->hub->loop, &stream->reader);
    ev_io_stop(stream->hub->loop, &stream->writer);
    timer_stop(stream->hub->loop, &stream->timer);
    if (stream->tls != NULL)
        stream_tls_close(stream);
    stream_unsplice(stream);
    stream_splice_drop(stream);
    close(stream->fd);
    held_subtract(sizeof(*stream));
    stream->fd = -1;
    stream->scratch_start = stream->scratch_end = 0;
    buffer_release(&stream->input);
    buffer_release(&stream->output);
    list_append(&stream->hub->closed, &stream->node);
}

void stream_set_reset(struct stream *stream)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    /* Where this fails the close is an orderly one: the framing still shows what is missing. */
    if (setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
        stream->error = errno;
    stream->write_failed = true; /* no goodbye of TLS either */
}

void stream_reset(struct stream *stream)
{
    if (stream == NULL)
        return;
    stream_set_reset(stream);
    stream_close(stream);
}

void stream_set_deadline(struct stream *stream, uint64_t at_ms, uint64_t now_ms)
{
    if (at_ms == 0)
        timer_rest(&stream->timer);
    else
        timer_start_at(stream->hub->loop, &stream->timer, at_ms, now_ms);
}

int stream_error(const struct stream *stream)
{
    return stream->error;
}
