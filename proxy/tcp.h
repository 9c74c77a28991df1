/* A client connection of a tcp listener: one exchange, one tunnel. */
#ifndef PROXY_TCP_H
#define PROXY_TCP_H

#include "base/address.h"

#include <stdint.h>

struct worker;

/* Takes over an accepted socket. */
void tcp_accept(struct worker *worker, int fd, const struct address *client, uint16_t service);

#endif
