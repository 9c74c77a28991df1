/* Whatever request comes in: what is sent on to a backend is one well-formed request with the same
 * method and body, says who asks, and has nothing in it that was meant for the proxy. Each input is
 * taken for a stranger's and for a trusted proxy's. */
#include "base/check.h"
#include "proxy/forward.h"
#include "reframe.h"

#define OUT_BYTES_MAX (96u << 10)
#define INPUT_BYTES_MAX                                                                            \
    (READING_BYTES_MAX / 8) /* chunks of one byte each are six times as long                       \
                             */
#define FIELDS_ADDED_MAX 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http1_request request, again;
static struct text sent, body;
static struct reading reading;

static unsigned count_known(enum http_known_field known)
{
    unsigned count = 0;
    for (unsigned i = 0; i < again.field_count; i++)
        count += again.fields[i].known == known;
    return count;
}

/* What a trusted proxy said stands before what we say. */
static bool is_own_word(struct slice value, bool trusted)
{
    const struct slice own = SLICE("192.0.2.1");

    if (!trusted || value.length < own.length)
        return slice_equals(value, own);
    return memcmp(value.data + value.length - own.length, own.data, own.length) == 0;
}

static void check_fields(bool trusted)
{
    size_t scanned = 0, length;

    check(http1_parse_request((struct slice){sent.data, sent.length}, &scanned, &again, &length) ==
          HTTP1_DONE);
    check(slice_equals(again.host, request.host));
    if (request.path.data[0] == '?') /* behind an empty path */
        again.path = (struct slice){again.path.data + 1, again.path.length - 1};
    check(slice_equals(again.path, request.path));
    check(again.upgrade == request.upgrade);
    check(count_known(FIELD_HOST) == 1 && count_known(FIELD_X_FORWARDED_FOR) == 1);
    check(count_known(FIELD_X_FORWARDED_PROTO) == 1 && count_known(FIELD_FORWARDED) == 1);
    check(count_known(FIELD_X_FORWARDED_HOST) == 1 && count_known(FIELD_X_REQUEST_ID) == 1);
    for (unsigned i = 0; i < again.field_count; i++) {
        const struct http_field *field = &again.fields[i];
        check(field->known != FIELD_X_FORWARDED_FOR || is_own_word(field->value, trusted));
        check(trusted || field->known != FIELD_CLAIM);
        check(
            !field->hop || field->known == FIELD_TRANSFER_ENCODING ||
            (again.upgrade && (field->known == FIELD_CONNECTION || field->known == FIELD_UPGRADE)));
    }
}

static void send_on(struct slice bytes, bool trusted)
{
    struct forward_request_options options = {.peer_ip = SLICE("192.0.2.1"),
                                              .trusted = trusted,
                                              .tls = bytes.length % 2 == 1,
                                              .request_id = SLICE("0123456789abcdef")};
    size_t scanned = 0, length = 0;

    if (http1_parse_request(bytes, &scanned, &request, &length) != HTTP1_DONE)
        return;
    if (request.field_count > HTTP1_FIELDS_MAX - FIELDS_ADDED_MAX)
        return;                   /* well-formed, but more than we would take ourselves */
    if (request.host.length == 0) /* HTTP/1.0: sent on as an empty Host, which we would not take */
        request.host = SLICE("none");
    sent.length = forward_request(sent.data, OUT_BYTES_MAX, &request, &options);
    body.length = 0;
    check(sent.length > 0);
    struct slice rest = {bytes.data + length, bytes.length - length};
    enum http1_result result =
        reframe(rest, 1 + bytes.length % 61, request.framing, request.content_length,
                request.framing == HTTP_BODY_CHUNKED, false, &sent, &body);
    check_sent(&sent, &body, false, false, result, &reading);
    check(slice_equals(request.method_text,
                       (struct slice){reading.method.data, reading.method.length}));
    check_fields(trusted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};

    if (size > INPUT_BYTES_MAX)
        return 0;
    send_on(bytes, false);
    send_on(bytes, true);
    return 0;
}
