#include "base/check.h"
#include "http1.h"

struct result_text {
    unsigned status;
    const char *name;
};

static const struct result_text results[HTTP1_RESULT_COUNT] = {
    [HTTP1_DONE] = {0, "done"},
    [HTTP1_MORE] = {0, "more"},
    [HTTP1_BAD_REQUEST_LINE] = {400, "bad-request-line"},
    [HTTP1_BAD_TARGET] = {400, "bad-target"},
    [HTTP1_TARGET_TOO_LONG] = {414, "target-too-long"},
    [HTTP1_BAD_VERSION] = {400, "bad-version"},
    [HTTP1_UNSUPPORTED_VERSION] = {505, "unsupported-version"},
    [HTTP1_BAD_STATUS_LINE] = {400, "bad-status-line"},
    [HTTP1_BAD_FIELD] = {400, "bad-field"},
    [HTTP1_TOO_MANY_FIELDS] = {431, "too-many-fields"},
    [HTTP1_HEAD_TOO_LARGE] = {431, "head-too-large"},
    [HTTP1_BAD_HOST] = {400, "bad-host"},
    [HTTP1_BAD_CONTENT_LENGTH] = {400, "bad-content-length"},
    [HTTP1_BAD_TRANSFER_ENCODING] = {400, "bad-transfer-encoding"},
    [HTTP1_BAD_FRAMING] = {400, "bad-framing"},
    [HTTP1_BAD_CHUNK] = {400, "bad-chunk"},
    [HTTP1_BAD_TRAILER] = {400, "bad-trailer"},
    [HTTP1_BAD_EXPECT] = {417, "bad-expect"},
    [HTTP1_METHOD_REFUSED] = {405, "method-refused"},
    [HTTP1_METHOD_UNSUPPORTED] = {501, "method-unsupported"},
};

unsigned http1_status(enum http1_result result)
{
    check(result > HTTP1_MORE && result < HTTP1_RESULT_COUNT);
    return results[result].status;
}

const char *http1_result_name(enum http1_result result)
{
    check(result < HTTP1_RESULT_COUNT);
    return results[result].name;
}

size_t http1_chunk_head(uint64_t size, char buffer[HTTP1_CHUNK_HEAD_BYTES])
{
    unsigned digits = 1;
    while (digits < 16 && size >> (4 * digits) != 0)
        digits++;
    for (unsigned i = 0; i < digits; i++)
        buffer[i] = "0123456789abcdef"[size >> (4 * (digits - 1 - i)) & 15];
    buffer[digits] = '\r';
    buffer[digits + 1] = '\n';
    return digits + 2;
}
