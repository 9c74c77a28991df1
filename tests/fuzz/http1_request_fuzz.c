/* Request heads: whole and in pieces come to the same, and every slice lies in the head. */
#include "http1_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http1_request whole_request, pieces_request;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PREFIX_BYTES)
        return 0;
    struct slice bytes = {(const char *)data + PREFIX_BYTES, size - PREFIX_BYTES};
    size_t step = 1 + data[0] % 64, scanned = 0, length = 0;
    enum http1_result whole = http1_parse_request(bytes, &scanned, &whole_request, &length);

    if (whole == HTTP1_DONE) {
        struct slice head = {bytes.data, length};
        check(length <= bytes.length && length <= HTTP1_HEAD_BYTES_MAX);
        check_within(whole_request.method_text, head);
        check_within(whole_request.target, head);
        check_within(whole_request.path, head);
        check_within(whole_request.host, head);
        check_within(whole_request.upgrade_protocol, head);
        check(whole_request.path.length > 0);
        check_fields(whole_request.fields, whole_request.field_count, head);
    }

    enum http1_result pieces = HTTP1_MORE;
    size_t pieces_length = 0;
    scanned = 0;
    for (size_t i = 0; pieces == HTTP1_MORE && i < bytes.length;) {
        i = i + step < bytes.length ? i + step : bytes.length;
        pieces = http1_parse_request((struct slice){bytes.data, i}, &scanned, &pieces_request,
                                     &pieces_length);
    }
    check(pieces == whole);
    if (whole == HTTP1_DONE) {
        check(pieces_length == length);
        check(pieces_request.framing == whole_request.framing);
        check(pieces_request.content_length == whole_request.content_length);
        check(pieces_request.field_count == whole_request.field_count);
        check(slice_equals(pieces_request.path, whole_request.path));
        check(slice_equals(pieces_request.host, whole_request.host));
    }
    return 0;
}
