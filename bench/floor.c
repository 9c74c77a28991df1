#include "floor.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define BACKLOG    4096

static char scratch[READ_BYTES];

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

int floor_listen(const char *port)
{
    struct sockaddr_in address = loopback((uint16_t)strtoul(port, NULL, 10));
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || /* inherited */
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
        die("cannot listen");
    return fd;
}

uint16_t floor_backend_port(int argc, char **argv)
{
    if (argc == 3)
        return (uint16_t)strtoul(argv[2], NULL, 10);
    fprintf(stderr, "usage: %s LISTEN-PORT BACKEND-PORT\n", argv[0]);
    exit(2);
}

/* Blocks, which on the loopback address takes no time. */
static int connect_to(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        die("cannot connect");
    return fd;
}

bool floor_open(int listener, uint16_t backend_port, struct side sides[2])
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        return false;
    sides[0] = (struct side){.fd = fd, .other = &sides[1]};
    sides[1] = (struct side){.fd = connect_to(backend_port), .other = &sides[0]};
    return true;
}

void floor_close(struct side sides[2])
{
    for (unsigned i = 0; i < 2; i++) {
        close(sides[i].fd);
        free(sides[i].rest);
    }
}

static enum floor_result keep(struct side *to, const char *bytes, size_t length)
{
    to->rest = realloc(to->rest, length);
    if (to->rest == NULL)
        die("out of memory");
    memcpy(to->rest, bytes, length);
    to->rest_start = 0;
    to->rest_end = length;
    return FLOOR_BLOCKED;
}

enum floor_result floor_pump(struct side *from)
{
    ssize_t got = recv(from->fd, scratch, sizeof(scratch), 0);

    if (got < 0)
        return errno == EAGAIN ? FLOOR_MORE : FLOOR_OVER;
    if (got == 0) {
        from->ended = true;
        shutdown(from->other->fd, SHUT_WR);
        return from->other->ended ? FLOOR_OVER : FLOOR_MORE;
    }
    ssize_t sent = send(from->other->fd, scratch, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return FLOOR_OVER;
    if (sent == got)
        return FLOOR_MORE;
    size_t done = sent > 0 ? (size_t)sent : 0;
    return keep(from->other, scratch + done, (size_t)got - done);
}

enum floor_result floor_flush(struct side *to)
{
    ssize_t sent =
        send(to->fd, to->rest + to->rest_start, to->rest_end - to->rest_start, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN ? FLOOR_BLOCKED : FLOOR_OVER;
    to->rest_start += (size_t)sent;
    return to->rest_start < to->rest_end ? FLOOR_BLOCKED : FLOOR_MORE;
}
