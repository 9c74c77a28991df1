/* A client connection of a tcp listener: one exchange, one tunnel. */
#ifndef PROXY_TCP_H
#define PROXY_TCP_H

#include "base/address.h"

struct config_listener;
struct worker;

/* Takes over a socket accepted on this listener. */
void tcp_accept(struct worker *worker, int fd, const struct address *client,
                const struct config_listener *listener);

#endif
