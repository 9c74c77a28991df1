/* SipHash-2-4: a hash of short texts with a secret key (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF"). Whoever does not know the key cannot choose where a text falls. Pure. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "slice.h"

#define SIPHASH_KEY_BYTES 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY_BYTES], struct slice bytes);

/* Spreads every bit over all others (the finalizer of MurmurHash3): for what is a hash already, or
 * a number, and is wanted independent of another one. */
static inline uint64_t hash_spread(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

#endif
