#include "buffer.h"

#include "check.h"
#include "held.h"

#include <errno.h>
#include <stdlib.h>

/* One list for the process: there is one thread, and a block belongs to nobody while it is here. */
static struct block {
    struct block *next;
} * free_blocks;
static unsigned free_count;

static char *take(size_t size)
{
    struct block *block = free_blocks;

    if (size == BUFFER_BLOCK_BYTES && block != NULL) {
        free_blocks = block->next;
        free_count--;
    } else {
        block = malloc(size);
    }
    if (block != NULL)
        held_add(size);
    return (char *)block;
}

static void give_back(char *data, size_t size)
{
    if (data == NULL)
        return;
    held_subtract(size);
    if (size != BUFFER_BLOCK_BYTES || free_count == BUFFER_FREE_BLOCKS_MAX) {
        free(data);
        return;
    }
    struct block *block = (struct block *)(void *)data;
    block->next = free_blocks;
    free_blocks = block;
    free_count++;
}

int buffer_reserve(struct buffer *buffer, size_t room)
{
    size_t length = buffer_length(buffer);
    size_t size = buffer->size > 0 ? buffer->size : BUFFER_BLOCK_BYTES;

    if ((size_t)buffer->size - buffer->end >= room)
        return 0;
    if (buffer->size - length >= room && buffer->start >= length) {
        memcpy(buffer->data, buffer->data + buffer->start, length);
        buffer->start = 0;
        buffer->end = (uint32_t)length;
        return 0;
    }
    if (room > BUFFER_BYTES_MAX - length)
        return -ENOMEM;
    while (size - length < room)
        size *= 2;
    char *data = take(size);
    if (data == NULL)
        return -ENOMEM;
    if (length > 0)
        memcpy(data, buffer->data + buffer->start, length);
    give_back(buffer->data, buffer->size);
    *buffer = (struct buffer){.data = data, .size = (uint32_t)size, .end = (uint32_t)length};
    return 0;
}

int buffer_append(struct buffer *buffer, struct slice bytes)
{
    int error = buffer_reserve(buffer, bytes.length);

    if (error < 0)
        return error;
    if (bytes.length > 0)
        memcpy(buffer->data + buffer->end, bytes.data, bytes.length);
    buffer->end += (uint32_t)bytes.length;
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t count)
{
    check(count <= buffer_length(buffer));
    buffer->start += (uint32_t)count;
    if (buffer->start == buffer->end)
        buffer_release(buffer);
}

void buffer_release(struct buffer *buffer)
{
    give_back(buffer->data, buffer->size);
    *buffer = (struct buffer){0};
}
