/* Chunked bodies: whole and in pieces give the same body, the same end and the same refusal. */
#include "http1_split.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http1_result result;
    size_t consumed, body_bytes;
    char *body;
};

static void feed(struct http1_chunked *chunked, struct slice part, struct outcome *outcome)
{
    while (part.length > 0 && outcome->result == HTTP1_MORE) {
        size_t consumed = 0;
        struct slice piece = {NULL, 0};
        outcome->result = http1_chunked_decode(chunked, part, &consumed, &piece);
        if (outcome->result > HTTP1_MORE)
            return;
        check(consumed > 0 && consumed <= part.length);
        if (piece.length > 0) {
            check(piece.data >= part.data && piece.data + piece.length <= part.data + consumed);
            memcpy(outcome->body + outcome->body_bytes, piece.data, piece.length);
        }
        outcome->body_bytes += piece.length;
        outcome->consumed += consumed;
        part.data += consumed;
        part.length -= consumed;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PREFIX_BYTES)
        return 0;
    struct slice bytes = {(const char *)data + PREFIX_BYTES, size - PREFIX_BYTES};
    size_t step = 1 + data[0] % 64;
    struct outcome whole = {.result = HTTP1_MORE, .body = malloc(size)};
    struct outcome pieces = {.result = HTTP1_MORE, .body = malloc(size)};
    struct http1_chunked whole_state = {0}, pieces_state = {0};

    check(whole.body != NULL && pieces.body != NULL);
    feed(&whole_state, bytes, &whole);
    for (size_t i = 0; i < bytes.length; i += step) {
        size_t length = bytes.length - i < step ? bytes.length - i : step;
        feed(&pieces_state, (struct slice){bytes.data + i, length}, &pieces);
    }
    check(whole.result == pieces.result);
    if (whole.result <= HTTP1_MORE) {
        check(whole.consumed == pieces.consumed && whole.body_bytes == pieces.body_bytes);
        check(memcmp(whole.body, pieces.body, whole.body_bytes) == 0);
    }
    free(whole.body);
    free(pieces.body);
    return 0;
}
