#include "hash.h"

#include <stdio.h>
#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_right(uint32_t value, unsigned bits)
{
    return value >> bits | value << (32 - bits);
}

static uint32_t read_big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void write_big_endian(unsigned char *bytes, uint32_t value)
{
    bytes[0] = (unsigned char)(value >> 24);
    bytes[1] = (unsigned char)(value >> 16);
    bytes[2] = (unsigned char)(value >> 8);
    bytes[3] = (unsigned char)value;
}

/* Names a to h as in the standard. */
static void sha256_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64];
    uint32_t v[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = read_big_endian(block + i * 4);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t s0 = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, state, sizeof(v));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
        uint32_t t1 = v[7] + s1 + ((e & v[5]) ^ (~e & v[6])) + constants[i] + w[i];
        uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
        uint32_t t2 = s0 + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256_init(struct sha256 *hash)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    *hash = (struct sha256){0};
    memcpy(hash->state, start, sizeof(start));
}

void sha256_update(struct sha256 *hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    while (length > 0) {
        size_t used = hash->length_bytes % 64;
        size_t piece = 64 - used < length ? 64 - used : length;
        memcpy(hash->block + used, bytes, piece);
        hash->length_bytes += piece;
        bytes += piece;
        length -= piece;
        if (hash->length_bytes % 64 == 0)
            sha256_block(hash->state, hash->block);
    }
}

void sha256_finish(struct sha256 *hash, char hex[SHA256_HEX_BYTES])
{
    static const unsigned char padding[64] = {0x80};
    uint64_t bits = hash->length_bytes * 8;
    size_t used = hash->length_bytes % 64;
    unsigned char length[8];

    write_big_endian(length, (uint32_t)(bits >> 32));
    write_big_endian(length + 4, (uint32_t)bits);
    sha256_update(hash, padding, used < 56 ? 56 - used : 120 - used);
    sha256_update(hash, length, sizeof(length));
    for (unsigned i = 0; i < 8; i++)
        snprintf(hex + i * 8, 9, "%08x", hash->state[i]);
}

static void sha1_block(uint32_t state[5], const unsigned char *block)
{
    uint32_t w[80];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (unsigned i = 0; i < 16; i++)
        w[i] = read_big_endian(block + i * 4);
    for (unsigned i = 16; i < 80; i++)
        w[i] = rotate_right(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 31);
    for (unsigned i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotate_right(a, 27) + f + e + w[i];
        e = d;
        d = c;
        c = rotate_right(b, 2);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1(const void *data, size_t length, unsigned char digest[20])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    unsigned char padded[256] = {0};
    size_t blocks = (length + 9 + 63) / 64;

    if (length > 200)
        return;
    memcpy(padded, data, length);
    padded[length] = 0x80;
    write_big_endian(padded + blocks * 64 - 4, (uint32_t)length * 8);
    for (size_t i = 0; i < blocks; i++)
        sha1_block(state, padded + i * 64);
    for (unsigned i = 0; i < 5; i++)
        write_big_endian(digest + i * 4, state[i]);
}

void base64_digest(const unsigned char digest[20], char text[29])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;

    for (size_t i = 0; i < 20; i += 3) {
        unsigned third = i + 2 < 20 ? digest[i + 2] : 0;
        unsigned group = (unsigned)digest[i] << 16 | (unsigned)digest[i + 1] << 8 | third;
        text[used++] = letters[group >> 18];
        text[used++] = letters[group >> 12 & 63];
        text[used++] = letters[group >> 6 & 63];
        text[used++] = letters[group & 63];
    }
    text[27] = '='; /* 20 bytes leave one letter of padding */
    text[28] = '\0';
}
