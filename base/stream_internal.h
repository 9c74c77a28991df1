/* What stream.c (sockets, events, queues), stream_tls.c (TLS between them and the socket) and
 * stream_splice.c (pipes between two sockets) share. Nobody else includes it. */
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
    size_t spliced; /* by the read whose event is being told, of: */
    const struct stream *spliced_from;
    char *record;      /* pieces are gathered here, so that a head and its body are one record */
    struct list pipes; /* in use; the one that was longest without is first */
    unsigned pipe_count, pipes_max;
    size_t pipe_bytes;
};

struct stream_pipe;
struct stream_tls;

struct stream { /* an idle connection is mostly this: bench/run counts its bytes */
    struct stream_hub *hub;
    stream_handler *handler;
    void *owner;
    struct stream_tls *tls; /* NULL: bytes go to and from the socket as they are */
    ev_io reader, writer;
    struct timer timer;
    struct list node; /* hub->closed */
    struct buffer input, output;
    struct stream_pipe *pipe_out; /* where what comes in here goes */
    struct stream_pipe *pipe_in;  /* output that comes ahead of the buffer */
    int fd;
    int error;
    uint32_t read_max;
    uint32_t scratch_start, scratch_end; /* input that still lies in the scratch buffer */
    bool connecting : 1, wanted : 1, ended : 1, shut_asked : 1, write_failed : 1;
};

/* Tells the owner that it is broken. Nothing may be touched after it. */
void stream_fail(struct stream *stream, int error);
/* The watchers' ordinary callbacks, put back after a handshake. */
void stream_watch(struct stream *stream);

/* Writing broke: queued output is dropped, and the reader will tell. */
void stream_fail_writing(struct stream *stream, int error);
/* Begins to send what a source has just put into its pipe. */
void stream_push_spliced(struct stream *to);
/* Through the pipes, like recv(2) and send(2), errno included. What was read is on its way. */
ssize_t stream_splice_read(struct stream *from);
ssize_t stream_splice_write(struct stream *to);
size_t stream_splice_pending(const struct stream *to);
/* The sink takes no more: its pipe goes, with what is in it. */
void stream_splice_drop(struct stream *to);

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
