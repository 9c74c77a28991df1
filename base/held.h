/* Bytes that connections hold in this process: their structs and buffers, and an estimate of what
 * TLS has for them. Each who allocates such memory counts it here, so that a limit can be kept
 * before the machine runs out. What a process needs for itself, and what is kept for reuse, is not
 * counted. */
#ifndef BASE_HELD_H
#define BASE_HELD_H

#include <stddef.h>

extern size_t held_now; /* only through these: */

static inline size_t held_bytes(void)
{
    return held_now;
}

static inline void held_add(size_t bytes)
{
    held_now += bytes;
}

static inline void held_subtract(size_t bytes)
{
    held_now -= bytes;
}

#endif
