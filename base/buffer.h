/* A run of bytes that grows at its end and shrinks at its front.
 *
 * Owner: whoever embeds it. Memory is borrowed from the process's free list when the first byte
 * comes and goes back when the buffer is released, so an idle connection holds none. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "slice.h"

#include <stddef.h>
#include <stdint.h>

#define BUFFER_BLOCK_BYTES     4096u /* what the free list holds; larger ones come from malloc */
#define BUFFER_FREE_BLOCKS_MAX 512u  /* kept for reuse; more are given back */
#define BUFFER_BYTES_MAX       (1u << 31)

struct buffer { /* zero is empty */
    char *data;
    uint32_t size;
    uint32_t start, end;
};

static inline size_t buffer_length(const struct buffer *buffer)
{
    return (size_t)buffer->end - buffer->start;
}

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return (struct slice){buffer->data + buffer->start, buffer_length(buffer)};
}

/* Room for `room` more bytes behind the end. Returns 0 or -ENOMEM. */
int buffer_reserve(struct buffer *buffer, size_t room) __attribute__((warn_unused_result));
/* Returns 0 or -ENOMEM, with nothing appended. */
int buffer_append(struct buffer *buffer, struct slice bytes) __attribute__((warn_unused_result));
/* Takes bytes off the front; gives the memory back when none are left. */
void buffer_consume(struct buffer *buffer, size_t count);
/* Empties it and gives the memory back. */
void buffer_release(struct buffer *buffer);

#endif
