/* A non-blocking connection that gives events. What lies below (a socket, or TLS on it) does not
 * show: protocol code never calls recv and never starts a watcher.
 *
 * Owner: whoever opened it, until stream_close(). Events come from the loop only, never from within
 * a call of this interface. Memory outlives stream_close() until the turn of the loop ends, so a
 * stream may be closed from its own handler.
 *
 * Input: a STREAM_DATA event says that stream_input() has grown. What the owner does not consume is
 * kept and shown again, longer, with the next event. An owner that cannot take more says so by
 * stream_want_input(false). Output: stream_write() writes at once and queues what the kernel did
 * not take; STREAM_DRAINED tells when the queue is empty again. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "address.h"
#include "slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct ssl_st; /* OpenSSL's SSL */
struct stream;
struct stream_hub; /* what the streams of one loop share: a read buffer and the closed ones */

enum stream_event {
    STREAM_CONNECTED, /* the connect, and the handshake of TLS, is done; only after stream_connect()
                         or stream_start_tls() */
    STREAM_DATA,      /* stream_input() has new bytes */
    STREAM_DRAINED,   /* everything queued was written */
    STREAM_EOF,       /* the other side sends no more; once. Input may still hold bytes */
    STREAM_TIMEOUT,   /* the deadline passed */
    STREAM_ERROR,     /* broken: stream_error() says how. Nothing but closing makes sense */
};

typedef void stream_handler(void *owner, enum stream_event event);

#define STREAM_PIECES_MAX 8u /* of one stream_write() */

/* `read_bytes`: the most that one event brings. Returns NULL when out of memory. */
struct stream_hub *stream_hub_new(struct ev_loop *loop, size_t read_bytes);
/* The most that one event brings on any stream from now on, at most `read_bytes`. */
void stream_hub_set_read_max(struct stream_hub *hub, size_t bytes);
/* All its streams must be closed. */
void stream_hub_free(struct stream_hub *hub);

/* Takes over a connected non-blocking socket and starts to read. NULL when out of memory; the
 * socket is then still the caller's. */
struct stream *stream_new(struct stream_hub *hub, int fd, stream_handler *handler, void *owner);
/* Starts to connect. Returns 0, or -errno where that failed at once. */
int stream_connect(struct stream_hub *hub, const struct address *address, stream_handler *handler,
                   void *owner, struct stream **ret_stream) __attribute__((warn_unused_result));
/* At once after stream_connect(): what goes out ahead of everything (of TLS too) when the connect
 * is done. Returns 0 or -ENOMEM. */
int stream_set_preamble(struct stream *stream, struct slice bytes)
    __attribute__((warn_unused_result));
/* NULL is fine. Queued output is dropped. */
void stream_close(struct stream *stream);
/* When it is closed the other side is to see a reset: it must not take what it has for the whole.
 */
void stream_set_reset(struct stream *stream);
/* Closes it so. NULL is fine. */
void stream_reset(struct stream *stream);

struct slice stream_input(const struct stream *stream);
/* The same bytes, for an owner that works on them in place before it consumes them. */
char *stream_input_bytes(struct stream *stream);
void stream_consume(struct stream *stream, size_t count);
/* After STREAM_EOF: no effect. */
void stream_want_input(struct stream *stream, bool wanted);
/* Looks for input in this turn already, where it is likely to have come: spares a wait. */
void stream_read_soon(struct stream *stream);
/* The most that one event brings from now on; the hub's figure where it is less. */
void stream_set_read_max(struct stream *stream, size_t bytes);
/* Whether nothing has come in that no event has told of yet. `look`: asks the kernel too, which
 * costs a system call. */
bool stream_is_quiet(struct stream *stream, bool look);

/* Writes the pieces in their order; copies what must be queued. A connection that fails here is
 * told of by an event. */
void stream_write(struct stream *stream, const struct slice *pieces, unsigned count);
/* Bytes queued. */
size_t stream_pending(const struct stream *stream);
/* Bytes that the other side has acknowledged since the connection was made, as the kernel counts
 * them (with TLS: its records). A system call. */
uint64_t stream_acknowledged(const struct stream *stream);
/* Ends the sending side once everything queued is written. */
void stream_shutdown(struct stream *stream);

/* One deadline per stream, lazy: pushing it on costs nothing. 0: none. */
void stream_set_deadline(struct stream *stream, uint64_t at_ms, uint64_t now_ms);

/* errno of the failure; 0: none. */
int stream_error(const struct stream *stream);

/* --- from one stream to another without a copy (stream_splice.c) --- */

/* How many pipes may be in use at once, and what each is to hold. None until this was called. */
void stream_hub_set_pipes(struct stream_hub *hub, unsigned most, size_t bytes);
/* From now on what comes in on `from`, at most so many bytes, goes on to `to` within the kernel:
 * STREAM_DATA comes as ever, with no input, and stream_spliced() says how much it was. When that
 * was all, the owner calls stream_unsplice() in that event. What the sink has not taken is pending
 * there, and while any is the owner must not want input. Only with nothing of input or output
 * queued, and without TLS. Returns false where it cannot be, for want of a pipe too: then all goes
 * on as before. It may end by itself: where the sink breaks, or the pipe is quiet and another in
 * want of it. */
bool stream_splice(struct stream *from, struct stream *to, uint64_t most);
/* Back to input that is shown. What is in the pipe still goes out first. */
void stream_unsplice(struct stream *from);
bool stream_is_spliced(const struct stream *from);
/* In a handler of STREAM_DATA: the bytes that the event is about, where they are no input. */
size_t stream_spliced(const struct stream *stream);

/* --- TLS (stream_tls.c). What is spoken, with which keys and to whom is the owner's to set up. ---
 */

/* From here on bytes are encrypted; STREAM_CONNECTED tells when the handshake is done, and nothing
 * may be written before. At once after stream_new() or stream_connect(). `ssl` is in accept or
 * connect state; it is the stream's where 0 is returned, still the caller's at -ENOMEM. */
int stream_start_tls(struct stream *stream, struct ssl_st *ssl) __attribute__((warn_unused_result));
/* After a handshake that failed: the bare connection again, for a last word. */
void stream_drop_tls(struct stream *stream);
/* To ask who is there; NULL: no TLS. */
struct ssl_st *stream_tls(const struct stream *stream);
/* After STREAM_EOF: whether it came without the goodbye of TLS (close_notify), so that whatever is
 * framed by the end of the connection may have been cut by anybody on the way. */
bool stream_was_cut(const struct stream *stream);
/* What was wrong, in OpenSSL's words (static; never what was sent); NULL: nothing that it names. */
const char *stream_tls_failure(const struct stream *stream);

#endif
