/* HTTP requests to others (engine, health checks): libcurl's multi interface on the libev loop.
 *
 * Owner: the process that opened the client. A request belongs to the client from start until its
 * on_done, which is called exactly once, also when it is cancelled or the client is closed.
 * Callbacks may start and cancel requests, but not close the client.
 *
 * Never used: a proxy from the environment, redirects, other protocols, HTTP/2. Only GET takes a
 * pooled connection, for libcurl would silently send another method twice where that turns out
 * closed. Opening a client makes the process ignore SIGPIPE. */
#ifndef BASE_HTTP_CLIENT_H
#define BASE_HTTP_CLIENT_H

#include "slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct http_client;
struct http_request; /* in flight */

struct http_tls {           /* PEM in memory; outlives the request */
    bool verify;            /* chain and name */
    struct slice ca;        /* whom to believe; empty: the system's */
    struct slice cert, key; /* ours; empty: none */
};

struct http_answer {
    int error;           /* 0: an answer came; -ETIMEDOUT, -ECONNREFUSED, -ENOENT (no socket),
                            -EACCES, -ECANCELED, -EMSGSIZE (larger than max_bytes: status and the
                           first max_bytes are given all the same), -EIO (the peer broke off or
                           does not speak HTTP), others of connect(2) as they are */
    const char *detail;  /* for people, where error != 0: libcurl's words; else "" */
    unsigned status;     /* HTTP status, where error == 0 */
    struct slice body;   /* valid during on_done; empty where on_data took it */
    uint32_t latency_us; /* start to end */
};

struct http_request_options {
    const char *method;         /* "GET", ... */
    const char *url;            /* http:// or https:// */
    const char *unix_socket;    /* path; NULL: by TCP */
    const char *cert_path;      /* folder with ca.pem, cert.pem, key.pem for TLS; NULL: none */
    const struct http_tls *tls; /* instead of a folder; NULL: libcurl's defaults */
    const char *connect_to; /* "::HOST:PORT": connects there, whatever the URL's host; or NULL */
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    struct slice body;          /* copied; data NULL: no body */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms;   /* of the whole request; 0: none (streams) */
    uint32_t silence_ms;   /* streams: no byte for so long is -ETIMEDOUT; 0: none */
    size_t max_bytes;      /* of the body, where it is gathered; 0: 16 MiB */
    bool says_proxy;       /* begins with a PROXY header, version 1, that names this end of it */
    bool fresh_connection; /* a connection of its own, closed after (health checks) */
    /* Streams: called with each piece of a body whose status is 2xx; NULL: gathered for on_done.
     * Returns false to cancel (on_done then gets -ECANCELED). */
    bool (*on_data)(void *context, unsigned status, struct slice piece);
    void (*on_done)(void *context, const struct http_answer *answer);
    void *context;
};

/* Returns NULL where libcurl cannot be set up. */
struct http_client *http_client_open(struct ev_loop *loop);
/* Cancels everything in flight (their on_done get -ECANCELED). */
void http_client_close(struct http_client *client);

/* Starts a request; strings are copied. Returns NULL (and never calls on_done) when out of memory
 * or the URL is not one. on_done never runs before this returns. */
struct http_request *http_client_start(struct http_client *client,
                                       const struct http_request_options *options);
/* Ends it: on_done is called with -ECANCELED before this returns. */
void http_request_cancel(struct http_request *request);

#endif
