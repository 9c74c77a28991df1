/* What is looked at before a connection is a client's: the PROXY header of a listener with
 * `proxy_protocol`, then the TLS ClientHello of one with `sni`.
 *
 * The header is taken off the socket to its last byte and no further, the ClientHello is only
 * peeked at: whoever gets the socket then, a tunnel, HTTP or TLS, finds it as the client meant it.
 * Owner: itself, from accept until it hands the socket on or closes it. */
#ifndef PROXY_PREFACE_H
#define PROXY_PREFACE_H

#include "base/address.h"

#include <stdbool.h>

struct config_listener;
struct listener;
struct worker;

/* Whether this listener's connections have one. */
bool preface_is_wanted(const struct config_listener *listener);
/* Takes over a socket accepted from `peer`; calls listener_serve() or closes it. */
void preface_accept(struct listener *listener, int fd, const struct address *peer);
/* Closes up to `count` that have been waited for long enough. Returns how many. */
unsigned prefaces_shed(struct worker *worker, unsigned count);

#endif
