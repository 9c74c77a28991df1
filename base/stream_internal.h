/* What stream.c (sockets, events, queues) and stream_tls.c (TLS between them and the socket) share.
 * Nobody else includes it. */
#ifndef BASE_STREAM_INTERNAL_H
#define BASE_STREAM_INTERNAL_H

#include "buffer.h"
#include "list.h"
#include "stream.h"
#include "timer.h"

#include <sys/types.h>

#include <ev.h>

struct stream_hub {
    struct ev_loop *loop;
    ev_prepare reaper;
    struct list closed; /* freed when the turn ends */
    size_t read_bytes;
    size_t read_max; /* of every stream; at most read_bytes */
    char *scratch;   /* what was read last; handed to one handler at a time */
    /* TLS: streams whose layer holds bytes that no event of the socket will tell of */
    struct list more;
    ev_timer more_timer;
    char *record; /* pieces are gathered here, so that a head and its body are one record */
};

struct stream_tls;

struct stream {
    struct stream_hub *hub;
    stream_handler *handler;
    void *owner;
    struct stream_tls *tls; /* NULL: bytes go to and from the socket as they are */
    ev_io reader, writer;
    struct timer timer;
    struct list node; /* hub->closed */
    int fd;
    int error;
    bool connecting, wanted, ended, shut_asked, write_failed;
    size_t read_max;
    size_t scratch_start, scratch_end; /* input that still lies in the scratch buffer */
    struct buffer input, output;
};

/* Tells the owner that it is broken. Nothing may be touched after it. */
void stream_fail(struct stream *stream, int error);
/* The watchers' ordinary callbacks, put back after a handshake. */
void stream_watch(struct stream *stream);

/* Like recv(2) and send(2), errno included; EAGAIN also where the layer waits for the other
 * direction, which it has arranged for. 0 read: the other side sends no more. */
ssize_t stream_tls_read(struct stream *stream, char *buffer, size_t size);
ssize_t stream_tls_write(struct stream *stream, const struct slice *pieces, unsigned count);
/* Sends close_notify. Returns 0, or -1 with errno; EAGAIN: the writer will try again. */
int stream_tls_shutdown(struct stream *stream);
/* Frees the layer; says goodbye first where that is possible and in order. */
void stream_tls_close(struct stream *stream);
/* The TCP connection stands: the handshake begins. */
void stream_tls_begin(struct stream *stream);
/* Whether the socket's readiness is wanted for the other direction's sake. */
bool stream_tls_write_waits_for_input(const struct stream *stream);
/* The same the other way round; asked once, it is over. */
bool stream_tls_take_read_waits_for_output(struct stream *stream);
/* Has the reader called in the next turn, where bytes lie in the layer already. */
void stream_tls_look_again(struct stream *stream);
bool stream_tls_is_quiet(const struct stream *stream, bool look);

#endif
