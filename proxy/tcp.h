/* A client connection of a tcp listener: one exchange, one tunnel. */
#ifndef PROXY_TCP_H
#define PROXY_TCP_H

#include "base/address.h"

struct listener;

/* Takes over a socket accepted on this listener, for this service. `local` as in
 * listener_serve(). */
void tcp_accept(struct listener *listener, int fd, const struct address *client,
                const struct address *local, uint16_t service);

#endif
