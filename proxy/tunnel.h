/* Bytes both ways between a client and a backend until both have ended: TCP and upgraded
 * connections. Each side may end its sending first.
 *
 * Embedded in its owner, which owns both streams and forwards their events. */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "exchange.h"
#include "frames.h"

struct tunnel_way { /* one of the two */
    uint8_t streak; /* reads in a row that spoke for the other way of moving bytes */
    bool told;      /* where it leads was told goodbye: nothing more goes there */
    struct frames frames;
};

struct tunnel {
    struct exchange *exchange;
    struct stream *client, *upstream;
    bool client_ended, upstream_ended;
    bool framed;               /* a WebSocket: its frames are followed */
    bool leaving;              /* both are to be told goodbye, or were */
    struct tunnel_way out, in; /* to the backend, to the client */
    uint64_t ends_ms;          /* its lifetime is over then; 0: never */
    uint64_t taken_seen;       /* of what was sent to both, at the last deadline */
    void (*on_end)(struct tunnel *tunnel, enum exchange_why why); /* closes both */
};

/* Before tunnel_start(): what goes through is a WebSocket. */
void tunnel_follow_frames(struct tunnel *tunnel);
/* Sends on what the streams already hold. The exchange must be TUNNELLING. */
void tunnel_start(struct tunnel *tunnel);
void tunnel_on_client(struct tunnel *tunnel, enum stream_event event);
void tunnel_on_upstream(struct tunnel *tunnel, enum stream_event event);
/* The exchange's deadline passed. */
void tunnel_on_timeout(struct tunnel *tunnel);

/* Tells both sides that it is over: by a close frame as soon as none is under way, or else by a FIN
 * behind what is queued. Ends when both have taken their leave. */
void tunnel_say_goodbye(struct tunnel *tunnel);

#endif
