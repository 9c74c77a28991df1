/* Heads as they are sent on: built from what was parsed, never copied through. Pure.
 *
 * Hop-by-hop fields go (RFC 9110 §7.6.1), framing and Connection are ours, Host stays as it was. */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "http1.h"

struct forward_request_options {
    struct slice peer_ip; /* who sent it */
    bool trusted;         /* a proxy whose word counts: what it says is extended, not replaced */
    bool tls;             /* came by TLS */
    const char *client_certificate; /* a Client-Cert field's value (RFC 9440); NULL: none */
    struct slice request_id;
    struct slice own_cookie; /* the name of one that is the proxy's and not sent on; empty: none */
};

/* Writes the head of a request to a backend. Returns its length, 0 where it does not fit.
 * X-Forwarded-For, -Proto, -Host and Forwarded (RFC 7239) say what this proxy saw, behind what a
 * trusted one before it said. */
size_t forward_request(char *buffer, size_t size, const struct http1_request *request,
                       const struct forward_request_options *options);

struct forward_response_options {
    enum http_framing framing; /* towards the client: NONE, LENGTH, CHUNKED or CLOSE */
    bool announce_length;      /* without a body that follows: to a HEAD, or 304 */
    bool close;                /* Connection: close */
    bool keep_alive_1_0;       /* an HTTP/1.0 client must be told that the connection stays */
    bool upgrade;              /* 101 */
    struct slice set_cookie;   /* a cookie of the proxy's own; empty: none */
    const char *date;          /* for answers without a Date (RFC 9110 §6.6.1) */
    const char *hsts;          /* a line in place of the backend's; NULL or empty: none */
    struct slice request_id;   /* for answers without an X-Request-Id; empty: none */
};

/* Writes the head of an answer to a client. Returns its length, 0 where it does not fit. */
size_t forward_response(char *buffer, size_t size, const struct http1_response *response,
                        const struct forward_response_options *options);

#endif
