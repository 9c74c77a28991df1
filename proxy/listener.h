/* The worker's listening sockets. The supervisor owns them; here they are watched. */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include "base/address.h"
#include "base/timer.h"
#include "route.h"

#include <ev.h>
#include <stdint.h>

struct config_listener;
struct tls_listener;
struct worker;

struct listener {
    ev_io watcher;
    struct worker *worker;
    const struct config_listener *config;
    struct tls_listener *tls; /* NULL: plain */
    char hsts[80];            /* a whole Strict-Transport-Security line; empty: none */
    uint64_t failure_logged_ms;
    uint64_t failures_untold; /* since then */
    struct route_table names; /* of its `sni` */
    bool tells_local;         /* some backend is told where the client connected to */
    struct timer pause;
    int reserve; /* given up to turn a connection away when there are no descriptors */
};

/* Takes over a client's socket for its protocol, once everything about it is known. `local`: where
 * the client connected to; of family 0: the socket's own. `service`: of a tcp listener. */
void listener_serve(struct listener *listener, int fd, const struct address *client,
                    const struct address *local, int service);

/* Takes up the sockets that were handed down. Returns 0 or -errno. */
int listeners_open(struct worker *worker) __attribute__((warn_unused_result));
/* How many of the files that they need for TLS cannot be used. */
unsigned listeners_unusable(const struct worker *worker);
/* Closes connections that hold nothing up: about `count`. Returns how many. */
unsigned listeners_shed(struct worker *worker, unsigned count);
void listeners_start(struct worker *worker);
/* Stops accepting; the sockets stay open, and what queues in them is for the next worker. */
/* Accepting rests until listeners_resume(). */
void listeners_hold(struct worker *worker);
/* Accepting goes on, where it rested for want of something. */
void listeners_resume(struct worker *worker);
void listeners_stop(struct worker *worker);
void listeners_free(struct worker *worker);

#endif
