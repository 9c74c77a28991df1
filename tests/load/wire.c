#include "base/check.h"
#include "base/memory.h"
#include "load.h"

#include <netinet/tcp.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void want(struct wire *wire, int events)
{
    if (wire->watcher.events == events && ev_is_active(&wire->watcher))
        return;
    ev_io_stop(wire->loop, &wire->watcher);
    ev_io_set(&wire->watcher, wire->fd, events);
    ev_io_start(wire->loop, &wire->watcher);
}

static bool has_output(const struct wire *wire)
{
    return wire->out_sent < wire->out_length || wire->body_length > 0;
}

/* Returns the number of bytes written, 0 where the socket is full, or -errno. */
static ssize_t send_some(int fd, const char *data, size_t length)
{
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Returns 0 or -errno. */
static int flush(struct wire *wire)
{
    while (has_output(wire)) {
        bool head = wire->out_sent < wire->out_length;
        ssize_t sent = head ? send_some(wire->fd, wire->out + wire->out_sent,
                                        wire->out_length - wire->out_sent)
                            : send_some(wire->fd, wire->body, wire->body_length);
        if (sent < 0)
            return (int)sent;
        if (sent == 0)
            break;
        if (head) {
            wire->out_sent += (size_t)sent;
        } else {
            wire->body += sent;
            wire->body_length -= (size_t)sent;
        }
    }
    if (wire->out_sent == wire->out_length)
        wire->out_sent = wire->out_length = 0;
    want(wire, has_output(wire) ? EV_READ | EV_WRITE : EV_READ);
    return 0;
}

static void fail(struct wire *wire, int error)
{
    wire->error = error;
    wire->on_event(wire, WIRE_FAILED);
}

static void read_some(struct wire *wire)
{
    check(wire->in_length < WIRE_IN_BYTES);
    ssize_t got =
        recv(wire->fd, wire->in + wire->in_length, WIRE_IN_BYTES - wire->in_length, MSG_DONTWAIT);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            fail(wire, errno);
        return;
    }
    wire->in_length += (size_t)got;
    wire->on_event(wire, got == 0 ? WIRE_CLOSED : WIRE_DATA);
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct wire *wire = watcher->data;

    (void)loop;
    if (wire->connecting) {
        int error = 0;
        socklen_t length = sizeof(error);
        check(getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0);
        if (error != 0) {
            fail(wire, error);
            return;
        }
        wire->connecting = false;
    }
    if ((events & EV_READ) != 0) {
        read_some(wire);
        return;
    }
    /* An answer may come before the request has gone out: a failed write is told by reading. */
    if (flush(wire) != 0) {
        wire->body_length = 0;
        wire->out_sent = wire->out_length = 0;
        want(wire, EV_READ);
    }
}

void wire_init(struct wire *wire, struct ev_loop *loop,
               void (*on_event)(struct wire *wire, enum wire_event event))
{
    *wire = (struct wire){.loop = loop, .fd = -1, .on_event = on_event};
    wire->in = memory_new(WIRE_IN_BYTES);
    ev_init(&wire->watcher, on_ready);
    wire->watcher.data = wire;
}

void wire_close(struct wire *wire)
{
    if (wire->fd < 0)
        return;
    ev_io_stop(wire->loop, &wire->watcher);
    close(wire->fd);
    wire->fd = -1;
    wire->out_length = wire->out_sent = wire->body_length = wire->in_length = 0;
}

void wire_done(struct wire *wire)
{
    wire_close(wire);
    free(wire->in);
    wire->in = NULL;
}

int wire_open(struct wire *wire, const struct address *address)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(address, &storage);
    int one = 1;

    check(wire->fd < 0);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&storage, length) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return -error;
    }
    wire->fd = fd;
    wire->connecting = true;
    wire->in_length = 0;
    want(wire, EV_WRITE);
    return 0;
}

void wire_send(struct wire *wire, struct slice bytes, struct slice body)
{
    check(wire->fd >= 0 && wire->out_length + bytes.length <= WIRE_OUT_BYTES);
    check(wire->body_length == 0);
    memcpy(wire->out + wire->out_length, bytes.data, bytes.length);
    wire->out_length += bytes.length;
    wire->body = body.data;
    wire->body_length = body.length;
    if (wire->connecting)
        return;
    /* An error shows at the next read; here nobody is ready to hear of it. */
    if (flush(wire) != 0)
        want(wire, EV_READ);
}

void wire_consume(struct wire *wire, size_t bytes)
{
    check(bytes <= wire->in_length);
    wire->in_length -= bytes;
    memmove(wire->in, wire->in + bytes, wire->in_length);
}

bool wire_is_stale(const struct wire *wire)
{
    char byte;
    ssize_t got = recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || (errno != EAGAIN && errno != EINTR);
}
