/* TLS between a stream's queues and its socket.
 *
 * OpenSSL works on the socket itself (so that the kernel can take over the encryption, kTLS). Two
 * things follow. Bytes may lie in OpenSSL that no readiness of the socket tells of: a read goes on
 * while there are some, and what does not fit is fetched in the next turn (look_again). And a read
 * may have to write first, or the other way round: the watcher of the other direction is then
 * started for it. Errors never carry what was sent, only OpenSSL's name for what was wrong. */
#include "check.h"
#include "held.h"
#include "stream_internal.h"

#include <sys/socket.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

/* What OpenSSL holds for one connection: measured 14 KiB (RSS, 500 idle ones, TLS 1.3, its buffers
 * released as they are when idle); a record in the making comes on top. */
#define TLS_HELD_BYTES (16u << 10)

#define RECORD_BYTES 16384u /* RFC 8446 §5.1: the most that one record carries */

struct stream_tls {
    SSL *ssl;
    const char *failure; /* OpenSSL's text, static */
    struct list more;    /* hub->more */
    struct stream *stream;
    bool cut;                   /* ended without close_notify */
    bool read_waits_for_output; /* SSL_read() wants to write */
    bool write_waits_for_input; /* SSL_write() wants to read */
};

/* --- bytes that the layer holds -------------------------------------------------------------- */

static void on_more(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct stream_hub *hub = container_of(watcher, struct stream_hub, more_timer);

    (void)events;
    while (!list_is_empty(&hub->more)) {
        struct stream_tls *tls = container_of(list_take_first(&hub->more), struct stream_tls, more);
        ev_feed_event(loop, &tls->stream->reader, EV_READ);
    }
}

/* By a timer of 0 s, so that others have their turn between. */
static void read_again(struct stream *stream)
{
    struct stream_hub *hub = stream->hub;

    if (list_is_empty(&stream->tls->more))
        list_append(&hub->more, &stream->tls->more);
    if (ev_is_active(&hub->more_timer))
        return;
    ev_timer_init(&hub->more_timer, on_more, 0., 0.);
    ev_timer_start(hub->loop, &hub->more_timer);
}

void stream_tls_look_again(struct stream *stream)
{
    if (SSL_has_pending(stream->tls->ssl) == 1)
        read_again(stream);
}

bool stream_tls_is_quiet(const struct stream *stream, bool look)
{
    SSL *ssl = stream->tls->ssl;
    char byte;

    if (SSL_pending(ssl) > 0)
        return false;
    if (!look)
        return true;
    ERR_clear_error(); /* what is no data, a ticket for one, is taken in by this */
    int got = SSL_peek(ssl, &byte, 1);
    return got <= 0 && SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;
}

/* --- failures -------------------------------------------------------------------------------- */

/* A connection that ended without close_notify may have been cut by anybody on the way. */
static bool is_cut(int kind, int system_error)
{
    unsigned long error = ERR_peek_error();

    return (kind == SSL_ERROR_SSL && ERR_GET_LIB(error) == ERR_LIB_SSL &&
            ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) ||
           (kind == SSL_ERROR_SYSCALL && error == 0 && system_error == 0);
}

static void remember_failure(struct stream_tls *tls)
{
    unsigned long error = ERR_peek_error();
    long verified = SSL_get_verify_result(tls->ssl);

    tls->failure = NULL;
    if (error != 0 && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verified != X509_V_OK)
        tls->failure = X509_verify_cert_error_string(verified);
    else if (error != 0)
        tls->failure = ERR_reason_error_string(error);
    ERR_clear_error();
}

/* Of an error that is none of WANT_READ and WANT_WRITE. */
static int errno_of(struct stream_tls *tls, int kind, int system_error)
{
    remember_failure(tls);
    return kind == SSL_ERROR_SYSCALL && system_error != 0 ? system_error : EPROTO;
}

/* --- reading --------------------------------------------------------------------------------- */

static ssize_t end_of_read(struct stream *stream, int got)
{
    struct stream_tls *tls = stream->tls;
    int system_error = errno;
    int kind = SSL_get_error(tls->ssl, got);

    if (kind == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        tls->read_waits_for_output = kind == SSL_ERROR_WANT_WRITE;
        if (tls->read_waits_for_output)
            ev_io_start(stream->hub->loop, &stream->writer);
        errno = EAGAIN;
        return -1;
    }
    if (is_cut(kind, system_error)) {
        ERR_clear_error();
        tls->cut = true;
        return 0;
    }
    errno = errno_of(tls, kind, system_error);
    return -1;
}

/* Goes on while OpenSSL holds bytes or whole records come. A short record with nothing behind it
 * is all there is, most likely: that spares a recv() that would find nothing. What ends it (the
 * other side's end, an error) is told by the next read, behind what came before it. */
ssize_t stream_tls_read(struct stream *stream, char *buffer, size_t size)
{
    struct stream_tls *tls = stream->tls;
    size_t done = 0;
    size_t got = 0;

    if (tls->write_waits_for_input) {
        tls->write_waits_for_input = false;
        ev_io_start(stream->hub->loop, &stream->writer);
    }
    do {
        ERR_clear_error();
        errno = 0;
        int result = SSL_read_ex(tls->ssl, buffer + done, size - done, &got);
        if (result <= 0) {
            if (done == 0)
                return end_of_read(stream, result);
            if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ)
                read_again(stream);
            break;
        }
        done += got;
    } while (done < size && (got == RECORD_BYTES || SSL_has_pending(tls->ssl) == 1));
    if (done == size)
        stream_tls_look_again(stream);
    return (ssize_t)done;
}

/* --- writing --------------------------------------------------------------------------------- */

struct cursor {
    const struct slice *pieces;
    unsigned count;
    size_t offset; /* in the first */
};

static void advance(struct cursor *cursor, size_t count)
{
    cursor->offset += count;
    while (cursor->count > 0 && cursor->offset >= cursor->pieces->length) {
        cursor->offset -= cursor->pieces->length;
        cursor->pieces++;
        cursor->count--;
    }
}

/* What the next record is made of: where it lies, or gathered from several pieces. */
static struct slice next_run(const struct cursor *cursor, char *record)
{
    struct slice first = {cursor->pieces->data + cursor->offset,
                          cursor->pieces->length - cursor->offset};
    size_t length = 0;

    if (cursor->count == 1 || first.length >= RECORD_BYTES)
        return first;
    for (struct cursor at = *cursor; at.count > 0 && length < RECORD_BYTES;) {
        size_t part = at.pieces->length - at.offset;
        if (part > RECORD_BYTES - length)
            part = RECORD_BYTES - length;
        if (part > 0)
            memcpy(record + length, at.pieces->data + at.offset, part);
        length += part;
        advance(&at, part);
    }
    return (struct slice){record, length};
}

static int end_of_write(struct stream *stream, int result)
{
    struct stream_tls *tls = stream->tls;
    int system_error = errno;
    int kind = SSL_get_error(tls->ssl, result);

    if (kind == SSL_ERROR_WANT_READ) {
        tls->write_waits_for_input = true;
        ev_io_start(stream->hub->loop, &stream->reader);
    }
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        return EAGAIN;
    return errno_of(tls, kind, system_error);
}

/* What is not taken is queued by the caller and comes again in one piece, at least as long as the
 * run that OpenSSL has begun (it insists on that, not on where it lies). */
ssize_t stream_tls_write(struct stream *stream, const struct slice *pieces, unsigned count)
{
    struct cursor cursor = {pieces, count, 0};
    size_t done = 0;

    advance(&cursor, 0);
    while (cursor.count > 0) {
        struct slice run = next_run(&cursor, stream->hub->record);
        size_t sent = 0;
        ERR_clear_error();
        errno = 0;
        int result = SSL_write_ex(stream->tls->ssl, run.data, run.length, &sent);
        if (result <= 0) {
            int error = end_of_write(stream, result);
            if (error == EAGAIN && done > 0)
                break;
            errno = error;
            return -1;
        }
        done += sent;
        advance(&cursor, sent);
    }
    return (ssize_t)done;
}

bool stream_tls_write_waits_for_input(const struct stream *stream)
{
    return stream->tls->write_waits_for_input;
}

bool stream_tls_take_read_waits_for_output(struct stream *stream)
{
    bool waits = stream->tls->read_waits_for_output;

    stream->tls->read_waits_for_output = false;
    return waits;
}

int stream_tls_shutdown(struct stream *stream)
{
    SSL *ssl = stream->tls->ssl;

    ERR_clear_error();
    errno = 0;
    int result = SSL_shutdown(ssl);
    if (result >= 0)
        return 0;
    int error = errno, kind = SSL_get_error(ssl, result);
    if (kind == SSL_ERROR_WANT_WRITE) {
        ev_io_start(stream->hub->loop, &stream->writer);
        errno = EAGAIN;
    } else {
        errno = errno_of(stream->tls, kind, error);
    }
    return -1;
}

/* --- handshake ------------------------------------------------------------------------------- */

static void finish_handshake(struct stream *stream)
{
    struct ev_loop *loop = stream->hub->loop;

    stream->connecting = false;
    ev_io_stop(loop, &stream->writer);
    ev_io_stop(loop, &stream->reader);
    stream_watch(stream);
    if (stream->wanted) {
        ev_io_start(loop, &stream->reader);
        stream_tls_look_again(stream);
    }
    stream->handler(stream->owner, STREAM_CONNECTED);
}

static void shake_hands(struct stream *stream)
{
    struct ev_loop *loop = stream->hub->loop;
    struct stream_tls *tls = stream->tls;

    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        finish_handshake(stream);
        return;
    }
    int error = errno, kind = SSL_get_error(tls->ssl, result);
    if (kind == SSL_ERROR_WANT_READ) {
        ev_io_stop(loop, &stream->writer);
        ev_io_start(loop, &stream->reader);
    } else if (kind == SSL_ERROR_WANT_WRITE) {
        ev_io_stop(loop, &stream->reader);
        ev_io_start(loop, &stream->writer);
    } else if (is_cut(kind, error)) {
        remember_failure(tls);
        tls->failure = "the other side closed within the handshake";
        stream_fail(stream, ECONNRESET);
    } else {
        stream_fail(stream, errno_of(tls, kind, error));
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    shake_hands(container_of(watcher, struct stream, reader));
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    shake_hands(container_of(watcher, struct stream, writer));
}

void stream_tls_begin(struct stream *stream)
{
    struct ev_loop *loop = stream->hub->loop;
    bool asks = SSL_is_server(stream->tls->ssl) == 0;

    ev_io_stop(loop, &stream->reader);
    ev_io_stop(loop, &stream->writer);
    ev_set_cb(&stream->reader, on_readable);
    ev_set_cb(&stream->writer, on_writable);
    ev_io_start(loop, asks ? &stream->writer : &stream->reader);
}

/* --- life ------------------------------------------------------------------------------------ */

int stream_start_tls(struct stream *stream, struct ssl_st *ssl)
{
    struct stream_hub *hub = stream->hub;

    /* Output of a connect under way goes out ahead of the handshake. */
    check(stream->tls == NULL && stream_input(stream).length == 0 &&
          (stream->connecting || buffer_length(&stream->output) == 0));
    if (hub->record == NULL)
        hub->record = malloc(RECORD_BYTES);
    struct stream_tls *tls = calloc(1, sizeof(*tls));
    if (hub->record == NULL || tls == NULL || SSL_set_fd(ssl, stream->fd) != 1) {
        free(tls);
        return -ENOMEM;
    }
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
    SSL_set_read_ahead(ssl, 1);
    tls->ssl = ssl;
    tls->stream = stream;
    list_init(&tls->more);
    stream->tls = tls;
    held_add(TLS_HELD_BYTES);
    if (!stream->connecting) { /* else when the connect is done */
        stream->connecting = true;
        stream_tls_begin(stream);
    }
    return 0;
}

static void free_layer(struct stream *stream)
{
    list_remove(&stream->tls->more);
    SSL_free(stream->tls->ssl);
    held_subtract(TLS_HELD_BYTES);
    free(stream->tls);
    stream->tls = NULL;
}

void stream_tls_close(struct stream *stream)
{
    SSL *ssl = stream->tls->ssl;

    if (stream->connecting || stream->error != 0 || stream->write_failed || stream->shut_asked ||
        buffer_length(&stream->output) > 0)
        SSL_set_quiet_shutdown(ssl, 1); /* its session stays good for another connection */
    ERR_clear_error();
    SSL_shutdown(ssl);
    ERR_clear_error();
    free_layer(stream);
}

void stream_drop_tls(struct stream *stream)
{
    check(stream->tls != NULL && stream->connecting);
    free_layer(stream);
    stream->connecting = false;
    stream->error = 0;
    ev_io_stop(stream->hub->loop, &stream->reader);
    ev_io_stop(stream->hub->loop, &stream->writer);
    stream_watch(stream);
    if (stream->wanted)
        ev_io_start(stream->hub->loop, &stream->reader);
}

struct ssl_st *stream_tls(const struct stream *stream)
{
    return stream->tls == NULL ? NULL : stream->tls->ssl;
}

bool stream_was_cut(const struct stream *stream)
{
    return stream->tls != NULL && stream->tls->cut;
}

const char *stream_tls_failure(const struct stream *stream)
{
    return stream->tls == NULL ? NULL : stream->tls->failure;
}
