/* One direction of a WebSocket, followed from its first byte: where its frames end, and whether one
 * of them was a close (RFC 6455 §5). Nothing is looked at but the heads of frames, so the cost is
 * that of a frame, whatever its size; fragments and compression make no difference.
 *
 * Pure. Owner: the tunnel. */
#ifndef PROXY_FRAMES_H
#define PROXY_FRAMES_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD_BYTES_MAX 14u

struct frames {
    uint64_t left; /* of the payload that goes by */
    uint8_t head[FRAME_HEAD_BYTES_MAX];
    uint8_t head_length; /* of the next head, so far */
    bool masked;         /* as a client's must be, and a server's must not */
    bool closing;        /* the frame that goes by is a close */
    bool closed;         /* one has gone by */
    bool lost;           /* what came is no frame: from there on nothing is known */
};

void frames_init(struct frames *frames, bool from_client);
/* Between two frames: where one of our own may stand. */
bool frames_are_at_end(const struct frames *frames);
/* Follows these bytes; with `stop` only to the first place between two frames, which may be before
 * any of them. Returns how many were followed. */
size_t frames_follow(struct frames *frames, struct slice bytes, bool stop);

/* A close frame that says 1001, going away. Returns its length. `mask`: a client's, else NULL. */
#define FRAME_CLOSE_BYTES_MAX 8u
size_t frame_write_close(char frame[FRAME_CLOSE_BYTES_MAX], const uint8_t mask[4]);

#endif
