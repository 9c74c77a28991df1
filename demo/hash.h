/* SHA-256 (FIPS 180-4) for bodies, SHA-1 and base64 for the WebSocket handshake. Our own, so that
 * the demo is one static binary without any library. Not for secrets. */
#ifndef DEMO_HASH_H
#define DEMO_HASH_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length_bytes;
    unsigned char block[64];
};

#define SHA256_HEX_BYTES 65

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t length);
/* Ends it: lower-case hex and its end. */
void sha256_finish(struct sha256 *hash, char hex[SHA256_HEX_BYTES]);

/* The digest of at most 200 bytes. */
void sha1(const void *data, size_t length, unsigned char digest[20]);

/* 20 bytes in base64 and its end. */
void base64_digest(const unsigned char digest[20], char text[29]);

#endif
