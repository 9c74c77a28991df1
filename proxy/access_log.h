/* The access log: a line per exchange when it ends, and one per request that was refused.
 *
 * To stderr each line goes at once, with the other events. Those of a file gather in a buffer of
 * the worker's and are written within a second, or when it is full. A write has whole lines only,
 * so those of several processes never mix. What cannot be written is dropped and counted: neither a
 * full disk nor a reader that is gone holds a worker up.
 *
 * Workers cannot open files. The supervisor does, and sends the descriptor, at the start and after
 * each SIGUSR1, over a channel that carries nothing else and goes one way. */
#ifndef PROXY_ACCESS_LOG_H
#define PROXY_ACCESS_LOG_H

#include "exchange.h"

struct access_log;
struct http1_request;

/* Before the sandbox. worker->access_log stays NULL where the log is off. */
void access_log_open(struct worker *worker);
void access_log_flush(struct access_log *log);
void access_log_close(struct worker *worker);

void access_log_exchange(const struct exchange *x, enum exchange_why why);
/* A request that never became an exchange: malformed, too slow, or without a route. `request`:
 * where it could be read, else NULL. */
void access_log_refused(struct worker *worker, const struct address *client,
                        const struct http1_request *request, unsigned status, const char *why);

/* A connection that was closed before it was a client's. */
void access_log_refused_connection(struct worker *worker, const struct address *client,
                                   const char *why);

#endif
