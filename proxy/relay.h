/* One HTTP/1 request on its way to a backend, and the answer on its way back.
 *
 * Life: relay_start() until the exchange ends; then kept for reuse. The protocol side of an
 * exchange: which backend, how often tried, how counted is exchange.c's. */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "base/buffer.h"
#include "body.h"
#include "events.h"
#include "exchange.h"
#include "forwarded.h"
#include "pace.h"
#include "tunnel.h"

struct client;
struct mirror;

struct relay {
    struct exchange exchange;
    struct tunnel tunnel;
    struct list node; /* worker->free_relays */
    struct client *client;
    struct mirror *mirror; /* the canary has a copy of the request; NULL: no */

    char request_id[REQUEST_ID_BYTES_MAX];
    uint8_t request_id_length;
    struct buffer head; /* the request's, as sent on: for retries, holds and the log */
    enum http_method method;
    uint8_t client_minor;
    bool keep_alive; /* what the client wants */
    bool upgrade_asked;
    char upgrade[UPGRADE_BYTES_MAX]; /* the protocol */
    bool asset;                      /* its 404 may be another version's 200 */
    bool secure;                     /* the cookie, by TLS only */
    bool new_user;                   /* is told by a cookie, with the answer */
    bool expects_100;                /* and has not sent any of its body */
    bool head_sent;
    bool replayable;      /* all that was sent can be sent again: */
    struct buffer replay; /* the body so far, as it was sent */
    struct body request_body;
    uint64_t body_bytes; /* of it, so far */
    struct pace body_pace;

    size_t scanned; /* http1_parse_response()'s memory */
    unsigned interim_count;
    bool answered; /* the answer's head was sent on */
    bool close;    /* the client's connection ends with this answer */
    bool streams;  /* text/event-stream: silence is no fault */
    bool leaves;   /* and it is to end with the event that is under way */
    struct events events;
    bool upstream_keep_alive;
    enum http_framing framing; /* of the answer, towards the client */
    struct body answer_body;
};

/* `request` was parsed from the front of the client's input, `head_length` bytes long. */
void relay_start(struct client *client, const struct http1_request *request, size_t head_length);
void relay_on_client(struct relay *relay, enum stream_event event);
/* Frees the relays kept for reuse. */
void relay_free_kept(struct worker *worker);

/* Within this folder's relay*.c: */
extern const struct exchange_protocol relay_protocol;
/* "GET /path", of a head as it is sent on. */
struct slice relay_line_of(struct slice head);
/* Nothing refers to it any more: kept for the next request. */
void relay_give_back(struct relay *relay);
/* Counts why a request gets no answer of a backend; returns the status that says so. */
unsigned relay_count_refusal(struct worker *worker, enum exchange_why why);
/* What streams and deadline wait for, from the state: the back-pressure. */
void relay_update(struct relay *relay);
/* Sends what can be sent of head and body. */
void relay_send_request(struct relay *relay);
/* A 404 that the other group is asked about before the client hears of it (relay_asset.c): */
bool relay_may_try_other_version(const struct relay *relay, const struct http1_response *response);
/* Drops that answer, whose head is `head_length` bytes long; the relay goes on elsewhere. */
void relay_try_other_version(struct relay *relay, size_t head_length);
/* Ends it with an error answer, or by closing where the answer has begun. */
void relay_fail(struct relay *relay, enum exchange_why why);
/* Ends it for a client that is not there any more. */
void relay_client_gone(struct relay *relay);
/* The answer is complete. */
void relay_finish(struct relay *relay);
/* Complete as far as the client is concerned, though the backend has more. */
void relay_finish_early(struct relay *relay);
/* Ends a stream of events after the one that is under way (relay_events.c); false: it is none, or
 * there is no way to end it that the client would not take for a fault. */
bool relay_end_events(struct relay *relay);
/* What of the answer's body goes on: of a stream that leaves, no more than the event under way.
 * True when that was its end. */
bool relay_take_events(struct relay *relay, struct slice *data);
/* Whether an answer is text/event-stream; a mirror asks that too. */
bool relay_is_event_stream(const struct http1_response *response);
/* 101: from here on bytes both ways. */
void relay_begin_tunnel(struct relay *relay);
/* A long rest of an answer of known length goes to the client without a copy from here on, where it
 * can. Only with nothing queued for the client. */
void relay_splice_answer(struct relay *relay);
/* Takes what the backend sent; `ended`: it sends no more. */
void relay_take_answer(struct relay *relay, bool ended);

#endif
