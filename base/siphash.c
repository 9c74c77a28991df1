#include "siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t load(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

/* Fewer than eight. */
static uint64_t load_some(const uint8_t *at, size_t length)
{
    uint64_t word = 0;

    for (size_t i = 0; i < length; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

struct state {
    uint64_t v0, v1, v2, v3;
};

/* By value: so it stays in registers. */
static inline struct state round_of(struct state s)
{
    s.v0 += s.v1;
    s.v1 = rotate(s.v1, 13) ^ s.v0;
    s.v0 = rotate(s.v0, 32);
    s.v2 += s.v3;
    s.v3 = rotate(s.v3, 16) ^ s.v2;
    s.v0 += s.v3;
    s.v3 = rotate(s.v3, 21) ^ s.v0;
    s.v2 += s.v1;
    s.v1 = rotate(s.v1, 17) ^ s.v2;
    s.v2 = rotate(s.v2, 32);
    return s;
}

static inline struct state take(struct state s, uint64_t word)
{
    s.v3 ^= word;
    s = round_of(round_of(s));
    s.v0 ^= word;
    return s;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY_BYTES], struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data;
    uint64_t k0 = load(key), k1 = load(key + 8);
    struct state s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                      k1 ^ 0x7465646279746573u};
    size_t left = bytes.length;

    for (; left >= 8; at += 8, left -= 8)
        s = take(s, load(at));
    s = take(s, load_some(at, left) | (uint64_t)bytes.length << 56);
    s.v2 ^= 0xff;
    s = round_of(round_of(round_of(round_of(s))));
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
