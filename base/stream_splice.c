/* Bytes from one stream to another through a pipe: they stay in the kernel and are not copied. The
 * pipe is a part of the sink's output, so back-pressure, the end of sending and the end of the
 * queue are those of any other output. */
#include "check.h"
#include "held.h"
#include "stream_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define FLAGS     (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
#define QUIET_FOR 1.0 /* seconds; then another may have the pipe */

struct stream_pipe {
    struct list node; /* hub->pipes */
    ev_tstamp used;
    struct stream *from; /* NULL: nothing more comes; what is in here goes out still */
    struct stream *to;
    int read_end, write_end;
    size_t capacity, length;
    uint64_t left; /* may come yet */
};

void stream_hub_set_pipes(struct stream_hub *hub, unsigned most, size_t bytes)
{
    check(bytes <= INT_MAX);
    hub->pipes_max = most;
    hub->pipe_bytes = bytes;
}

static void set_length(struct stream_pipe *pipe, size_t length)
{
    held_add(length);
    held_subtract(pipe->length);
    pipe->length = length;
}

/* Not kept for the next: who is in bulk stays there for long, and an idle pipe is two descriptors.
 */
static void pipe_free(struct stream_pipe *pipe)
{
    set_length(pipe, 0);
    if (pipe->from != NULL)
        pipe->from->pipe_out = NULL;
    list_remove(&pipe->node);
    pipe->to->hub->pipe_count--;
    pipe->to->pipe_in = NULL;
    close(pipe->read_end);
    close(pipe->write_end);
    free(pipe);
}

/* A pipe of the common 64 KiB costs more than copying does. A user's pipes may hold so much in all
 * (pipe-user-pages-soft), and then there is none. */
static int open_pipe(struct stream_pipe *pipe, size_t bytes)
{
    int ends[2];

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        return -errno;
    int capacity = fcntl(ends[1], F_SETPIPE_SZ, (int)bytes);
    if (capacity < 0) {
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    pipe->read_end = ends[0];
    pipe->write_end = ends[1];
    pipe->capacity = (size_t)capacity;
    return 0;
}

static void mark_used(struct stream_hub *hub, struct stream_pipe *pipe)
{
    list_remove(&pipe->node);
    list_append(&hub->pipes, &pipe->node);
    pipe->used = ev_now(hub->loop);
}

/* Whether another pipe may be opened, one that nothing has gone through of late being given up for
 * it: bulk that has fallen silent must not keep it from who is in bulk now. */
static bool make_room(struct stream_hub *hub)
{
    if (hub->pipe_count < hub->pipes_max)
        return true;
    if (hub->pipe_count > hub->pipes_max || list_is_empty(&hub->pipes))
        return false;
    struct stream_pipe *pipe = container_of(hub->pipes.next, struct stream_pipe, node);
    if (pipe->length > 0 || ev_now(hub->loop) - pipe->used < QUIET_FOR)
        return false;
    pipe_free(pipe);
    return true;
}

static bool is_bare(const struct stream *stream)
{
    return stream->tls == NULL && !stream->connecting && stream->error == 0 &&
           !stream->write_failed;
}

bool stream_splice(struct stream *from, struct stream *to, uint64_t most)
{
    struct stream_hub *hub = to->hub;

    check(from != to && from->pipe_out == NULL && most > 0);
    if (to->pipe_in != NULL || !is_bare(from) || !is_bare(to) || from->ended || to->shut_asked ||
        stream_input(from).length > 0 || stream_pending(to) > 0 || !make_room(hub))
        return false;
    struct stream_pipe *pipe = calloc(1, sizeof(*pipe));
    if (pipe == NULL)
        return false;
    if (open_pipe(pipe, hub->pipe_bytes) < 0) {
        free(pipe);
        return false;
    }
    pipe->from = from;
    pipe->to = to;
    pipe->left = most;
    from->pipe_out = to->pipe_in = pipe;
    hub->pipe_count++;
    list_init(&pipe->node);
    mark_used(hub, pipe);
    return true;
}

void stream_unsplice(struct stream *from)
{
    struct stream_pipe *pipe = from->pipe_out;

    if (pipe == NULL)
        return;
    from->pipe_out = NULL;
    pipe->from = NULL;
    if (pipe->length == 0)
        pipe_free(pipe);
}

bool stream_is_spliced(const struct stream *from)
{
    return from->pipe_out != NULL;
}

size_t stream_spliced(const struct stream *stream)
{
    return stream->hub->spliced_from == stream ? stream->hub->spliced : 0;
}

size_t stream_splice_pending(const struct stream *to)
{
    return to->pipe_in != NULL ? to->pipe_in->length : 0;
}

ssize_t stream_splice_write(struct stream *to)
{
    struct stream_pipe *pipe = to->pipe_in;
    ssize_t sent = splice(pipe->read_end, NULL, to->fd, NULL, pipe->length, FLAGS);

    if (sent > 0)
        set_length(pipe, pipe->length - (size_t)sent);
    if (pipe->length == 0 && pipe->from == NULL)
        pipe_free(pipe);
    return sent;
}

ssize_t stream_splice_read(struct stream *from)
{
    struct stream_pipe *pipe = from->pipe_out;
    struct stream_hub *hub = from->hub;
    size_t most = hub->read_max < hub->read_bytes ? hub->read_max : pipe->capacity;

    if (most > pipe->left)
        most = (size_t)pipe->left;
    /* Or EAGAIN could mean that the pipe is full, and 0 that nothing was asked for. */
    check(stream_pending(pipe->to) == 0 && most > 0);
    ssize_t got = splice(from->fd, NULL, pipe->write_end, NULL, most, FLAGS);
    if (got < 0 && (errno == EINVAL || errno == ENOSYS)) { /* not this kernel */
        hub->pipes_max = 0;
        stream_unsplice(from);
        errno = EAGAIN;
    }
    if (got <= 0)
        return got;
    mark_used(hub, pipe);
    pipe->left -= (uint64_t)got;
    set_length(pipe, (size_t)got);
    stream_push_spliced(pipe->to);
    return got;
}

void stream_splice_drop(struct stream *to)
{
    if (to->pipe_in != NULL)
        pipe_free(to->pipe_in);
}
