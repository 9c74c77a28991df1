/* One message body on its way through: taken apart by one framing, framed anew by another. */
#ifndef PROXY_BODY_H
#define PROXY_BODY_H

#include "http1.h"

struct body {
    enum http_framing framing;
    uint64_t left; /* HTTP_BODY_LENGTH */
    struct http1_chunked chunked;
    bool done;
};

void body_init(struct body *body, enum http_framing framing, uint64_t length);

/* Finds body data at the front of `bytes`. Chunks are moved together in place, so *ret_data is
 * one piece. Returns HTTP1_DONE (also in body->done), HTTP1_MORE, or why it is refused.
 * *ret_consumed: how much of `bytes` may be dropped once the data was used. */
enum http1_result body_decode(struct body *body, char *bytes, size_t length, size_t *ret_consumed,
                              struct slice *ret_data);

/* So many bytes of a body of known length went by, unseen. */
void body_pass(struct body *body, uint64_t length);

/* Frames a piece of body for the other side; `last`: nothing follows. Writes up to three pieces
 * and returns how many. `head` must live as long as they. */
#define BODY_PIECES_MAX 3u
unsigned body_encode(struct slice data, bool chunked, bool last, char head[HTTP1_CHUNK_HEAD_BYTES],
                     struct slice pieces[BODY_PIECES_MAX]);

#endif
