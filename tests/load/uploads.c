/* The bodies of uploads: random, framed in chunks once, sent many times. */
#include "base/check.h"
#include "base/memory.h"
#include "load.h"
#include "proxy/http1.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define UPLOAD_COUNT       4u
#define UPLOAD_CHUNK_BYTES 13001u

static struct upload uploads[UPLOAD_COUNT];

void upload_hash_text(const unsigned char *digest, char text[SHA256_HEX_BYTES])
{
    for (unsigned i = 0; i < 32; i++)
        sprintf(text + (size_t)i * 2, "%02x", digest[i]);
}

static void upload_prepare(struct load *load, struct upload *upload)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[SHA256_HEX_BYTES];
    char *body = memory_new(UPLOAD_BYTES);
    size_t chunks = UPLOAD_BYTES / UPLOAD_CHUNK_BYTES + 1;

    for (size_t i = 0; i < UPLOAD_BYTES; i += sizeof(uint64_t)) {
        uint64_t word = load_random(load);
        memcpy(body + i, &word, sizeof(word));
    }
    check(EVP_Digest(body, UPLOAD_BYTES, digest, NULL, EVP_sha256(), NULL) == 1);
    upload_hash_text(digest, hex);
    snprintf(upload->answer, sizeof(upload->answer), "%s %u\n", hex, UPLOAD_BYTES);

    upload->bytes = memory_new(UPLOAD_BYTES + chunks * (HTTP1_CHUNK_HEAD_BYTES + 2) + 5);
    upload->length = 0;
    for (size_t i = 0; i < UPLOAD_BYTES; i += UPLOAD_CHUNK_BYTES) {
        size_t size = UPLOAD_BYTES - i < UPLOAD_CHUNK_BYTES ? UPLOAD_BYTES - i : UPLOAD_CHUNK_BYTES;
        char *at = upload->bytes + upload->length;
        size_t head = http1_chunk_head(size, at);
        memcpy(at + head, body + i, size);
        memcpy(at + head + size, "\r\n", 2);
        upload->length += head + size + 2;
    }
    memcpy(upload->bytes + upload->length, "0\r\n\r\n", 5);
    upload->length += 5;
    free(body);
}

void uploads_prepare(struct load *load)
{
    for (unsigned i = 0; i < UPLOAD_COUNT; i++)
        upload_prepare(load, &uploads[i]);
}

void uploads_free(void)
{
    for (unsigned i = 0; i < UPLOAD_COUNT; i++)
        free(uploads[i].bytes);
}

const struct upload *upload_pick(struct load *load)
{
    return &uploads[load_random(load) % UPLOAD_COUNT];
}
