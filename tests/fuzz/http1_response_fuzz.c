/* Response heads: whole and in pieces come to the same, and every slice lies in the head. */
#include "http1_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http1_response whole_response, pieces_response;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PREFIX_BYTES)
        return 0;
    struct slice bytes = {(const char *)data + PREFIX_BYTES, size - PREFIX_BYTES};
    enum http_method method = (enum http_method)(data[1] % (HTTP_OTHER + 1));
    size_t step = 1 + data[0] % 64, scanned = 0, length = 0;
    enum http1_result whole =
        http1_parse_response(bytes, method, &scanned, &whole_response, &length);

    if (whole == HTTP1_DONE) {
        struct slice head = {bytes.data, length};
        check(length <= bytes.length && length <= HTTP1_HEAD_BYTES_MAX);
        check(whole_response.status >= 100 && whole_response.status <= 599);
        check(whole_response.framing != HTTP_BODY_CLOSE || !whole_response.keep_alive);
        check_within(whole_response.reason, head);
        check_fields(whole_response.fields, whole_response.field_count, head);
    }

    enum http1_result pieces = HTTP1_MORE;
    size_t pieces_length = 0;
    scanned = 0;
    for (size_t i = 0; pieces == HTTP1_MORE && i < bytes.length;) {
        i = i + step < bytes.length ? i + step : bytes.length;
        pieces = http1_parse_response((struct slice){bytes.data, i}, method, &scanned,
                                      &pieces_response, &pieces_length);
    }
    check(pieces == whole);
    if (whole == HTTP1_DONE) {
        check(pieces_length == length);
        check(pieces_response.status == whole_response.status);
        check(pieces_response.framing == whole_response.framing);
        check(pieces_response.content_length == whole_response.content_length);
        check(pieces_response.field_count == whole_response.field_count);
    }
    return 0;
}
