#include "demo.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>

bool connection_fill(struct connection *connection)
{
    if (connection->offset > 0) {
        connection->used -= connection->offset;
        memmove(connection->buffer, connection->buffer + connection->offset, connection->used);
        connection->offset = 0;
    }
    if (connection->used == BUFFER_BYTES)
        return false;
    for (;;) {
        ssize_t got = recv(connection->fd, connection->buffer + connection->used,
                           BUFFER_BYTES - connection->used, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        connection->used += (size_t)got;
        return true;
    }
}

size_t connection_read(struct connection *connection, void *bytes, size_t size)
{
    if (size == 0)
        return 0;
    if (connection->offset == connection->used && !connection_fill(connection))
        return 0;
    size_t there = connection->used - connection->offset;
    size_t taken = there < size ? there : size;
    memcpy(bytes, connection->buffer + connection->offset, taken);
    connection->offset += taken;
    return taken;
}

bool connection_read_all(struct connection *connection, void *bytes, size_t size)
{
    size_t got = 0;

    while (got < size) {
        size_t piece = connection_read(connection, (char *)bytes + got, size - got);
        if (piece == 0)
            return false;
        got += piece;
    }
    return true;
}

bool connection_write(struct connection *connection, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t sent = send(connection->fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}
