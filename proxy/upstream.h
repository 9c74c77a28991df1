/* A connection to a backend: connecting, in use by an exchange, or idle in its backend's pool.
 *
 * Owner: its exchange, or the pool. The gauges connecting, open and idle of the scoreboard are
 * kept here and nowhere else. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "worker.h"

struct upstream {
    struct doomed doomed;
    struct worker *worker;
    struct stream *stream;
    struct exchange *exchange; /* NULL: idle */
    struct list node;          /* backend->idle or backend->kept */
    uint32_t slot, generation;
    bool connected;
    bool reused; /* has served an exchange before */
};

/* Starts to connect to the exchange's backend. Returns 0 or -errno. */
int upstream_open(struct exchange *x, struct upstream **ret_upstream)
    __attribute__((warn_unused_result));
/* The pool's most recent idle connection that nothing has come in on, or NULL. The loop has asked
 * the kernel since it went to the pool; with `look` (for a request that could not be sent a second
 * time) the kernel is asked once more. One that went there in this very turn is taken where there
 * is no other, and asked about. */
struct upstream *upstream_take(struct worker *worker, uint32_t slot, bool look);
/* Back to the pool where its backend is still in rotation; closed otherwise. */
void upstream_keep(struct upstream *upstream);
/* Its close will be a reset. */
void upstream_set_reset(struct upstream *upstream);
void upstream_close(struct upstream *upstream);
/* Closes the idle connections of a slot. */
void upstream_close_idle(struct worker *worker, uint32_t slot);

#endif
