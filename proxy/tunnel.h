/* Bytes both ways between a client and a backend until both have ended: TCP and upgraded
 * connections. Each side may end its sending first.
 *
 * Embedded in its owner, which owns both streams and forwards their events. */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "exchange.h"

struct tunnel {
    struct exchange *exchange;
    struct stream *client, *upstream;
    bool client_ended, upstream_ended;
    uint8_t out_streak, in_streak; /* reads in a row that spoke for the other way of moving bytes */
    uint64_t ends_ms;              /* its lifetime is over then; 0: never */
    uint64_t taken_seen;           /* of what was sent to both, at the last deadline */
    void (*on_end)(struct tunnel *tunnel, enum exchange_why why); /* closes both */
};

/* Sends on what the streams already hold. The exchange must be TUNNELLING. */
void tunnel_start(struct tunnel *tunnel);
void tunnel_on_client(struct tunnel *tunnel, enum stream_event event);
void tunnel_on_upstream(struct tunnel *tunnel, enum stream_event event);
/* The exchange's deadline passed. */
void tunnel_on_timeout(struct tunnel *tunnel);

#endif
