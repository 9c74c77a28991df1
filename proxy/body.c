#include "body.h"

#include "base/check.h"

void body_init(struct body *body, enum http_framing framing, uint64_t length)
{
    *body = (struct body){
        .framing = framing,
        .left = length,
        .done = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0),
    };
}

static enum http1_result decode_chunked(struct body *body, char *bytes, size_t length,
                                        size_t *ret_consumed, struct slice *ret_data)
{
    enum http1_result result = HTTP1_MORE;
    size_t consumed = 0, start = 0, end = 0; /* of the data, within bytes */

    while (consumed < length && result == HTTP1_MORE) {
        struct slice piece = {bytes, 0};
        size_t taken = 0;
        result = http1_chunked_decode(
            &body->chunked, (struct slice){bytes + consumed, length - consumed}, &taken, &piece);
        if (result != HTTP1_MORE && result != HTTP1_DONE)
            return result;
        if (piece.length > 0 && end == 0) {
            start = (size_t)(piece.data - bytes);
            end = start + piece.length;
        } else if (piece.length > 0) {
            memmove(bytes + end, piece.data, piece.length);
            end += piece.length;
        }
        consumed += taken;
        if (taken == 0)
            break;
    }
    body->done = result == HTTP1_DONE;
    *ret_consumed = consumed;
    *ret_data = (struct slice){bytes + start, end - start};
    return result;
}

enum http1_result body_decode(struct body *body, char *bytes, size_t length, size_t *ret_consumed,
                              struct slice *ret_data)
{
    *ret_consumed = 0;
    *ret_data = (struct slice){NULL, 0};
    if (body->done)
        return HTTP1_DONE;
    if (length == 0)
        return HTTP1_MORE;
    if (body->framing == HTTP_BODY_CHUNKED)
        return decode_chunked(body, bytes, length, ret_consumed, ret_data);
    if (body->framing == HTTP_BODY_LENGTH) {
        if (length > body->left)
            length = (size_t)body->left;
        body->left -= length;
        body->done = body->left == 0;
    }
    *ret_consumed = length;
    *ret_data = (struct slice){bytes, length};
    return body->done ? HTTP1_DONE : HTTP1_MORE;
}

void body_pass(struct body *body, uint64_t length)
{
    check(body->framing == HTTP_BODY_LENGTH && length <= body->left);
    body->left -= length;
    body->done = body->left == 0;
}

unsigned body_encode(struct slice data, bool chunked, bool last, char head[HTTP1_CHUNK_HEAD_BYTES],
                     struct slice pieces[BODY_PIECES_MAX])
{
    unsigned count = 0;

    if (!chunked) {
        if (data.length > 0)
            pieces[count++] = data;
        return count;
    }
    if (data.length > 0) {
        pieces[count++] = (struct slice){head, http1_chunk_head(data.length, head)};
        pieces[count++] = data;
        pieces[count++] = last ? SLICE("\r\n0\r\n\r\n") : SLICE("\r\n");
    } else if (last) {
        pieces[count++] = SLICE("0\r\n\r\n");
    }
    return count;
}
