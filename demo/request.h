/* One HTTP/1.1 request: its head, as far as the demo cares, and its body as a stream.
 *
 * Owner: http_serve(), on its stack; valid until the next one is read. */
#ifndef DEMO_REQUEST_H
#define DEMO_REQUEST_H

#include "demo.h"

struct request {
    char method[16];
    char target[2048];
    char path[2048]; /* the target without its query */
    char host[256];
    char websocket_key[64];
    char head[BUFFER_BYTES + 1]; /* as it came */
    bool keep_alive;
    bool version_1_1;
    bool wants_events;   /* Accept: text/event-stream */
    bool wants_continue; /* Expect: 100-continue */
    bool wants_websocket;
    bool chunked;
    uint64_t body_left; /* of the body or of the chunk */
    bool body_done;
};

enum request_result { REQUEST_READ, REQUEST_END, REQUEST_BAD };

/* Waits for the next request. REQUEST_END: the client went away between two. */
enum request_result request_read(struct connection *connection, struct request *request);

/* The next piece of the body. Returns 0 at its end, then `body_done` tells whether it was whole. */
size_t request_read_body(struct connection *connection, struct request *request, void *bytes,
                         size_t size);

/* A number of the query. */
uint64_t request_number(const struct request *request, const char *name, uint64_t fallback);

#endif
