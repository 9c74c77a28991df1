/* The worker's listening sockets. The supervisor owns them; here they are watched. */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

struct worker;

/* Takes up the sockets that were handed down. Returns 0 or -errno. */
int listeners_open(struct worker *worker) __attribute__((warn_unused_result));
void listeners_start(struct worker *worker);
/* Stops accepting; the sockets stay open, and what queues in them is for the next worker. */
/* Accepting goes on, where it rested for want of something. */
void listeners_resume(struct worker *worker);
void listeners_stop(struct worker *worker);
void listeners_free(struct worker *worker);

#endif
