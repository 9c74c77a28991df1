/* What both floors share: a relay that only moves bytes, a connection to the backend for each one
 * of a client. What they differ in is the loop: bare epoll, or libev.
 *
 * A side belongs to its pair, a pair to whoever opened it. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct side {
    int fd;
    bool ended;         /* reads no more */
    struct side *other; /* where its bytes go */
    char *rest;         /* of what came for it and did not fit into its socket */
    size_t rest_start, rest_end;
};

enum floor_result {
    FLOOR_MORE,    /* goes on when its socket is ready again */
    FLOOR_BLOCKED, /* the socket written to is full: read no more until floor_flush() says MORE */
    FLOOR_OVER,    /* both sides have ended, or one broke */
};

/* A listening socket on the loopback address, or the end of the program. */
int floor_listen(const char *port);
/* Accepts a client and connects a side of its own to the backend. False: nobody waits. */
bool floor_open(int listener, uint16_t backend_port, struct side sides[2]);
void floor_close(struct side sides[2]);

/* One read, one write. */
enum floor_result floor_pump(struct side *from);
/* Writes what is left. */
enum floor_result floor_flush(struct side *to);

/* LISTEN-PORT BACKEND-PORT, or the end of the program. */
uint16_t floor_backend_port(int argc, char **argv);

#endif
