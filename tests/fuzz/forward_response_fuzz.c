/* Whatever a backend answers: what is sent on to a client is one well-formed answer with the same
 * status and body, and with nothing in it that was meant for the proxy. Each input is taken for an
 * answer to a GET and to a HEAD, of a client of HTTP/1.0 and of HTTP/1.1. */
#include "base/check.h"
#include "proxy/forward.h"
#include "reframe.h"

#define OUT_BYTES_MAX (96u << 10)
#define INPUT_BYTES_MAX                                                                            \
    (READING_BYTES_MAX / 8) /* chunks of one byte each are six times as long                       \
                             */
#define FIELDS_ADDED_MAX 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http1_response response, again;
static struct text sent, body;
static struct reading reading;

/* As relay_answer.c chooses it. */
static enum http_framing client_framing(unsigned client_minor)
{
    if (response.framing == HTTP_BODY_NONE || response.framing == HTTP_BODY_LENGTH)
        return response.framing;
    return client_minor == 0 ? HTTP_BODY_CLOSE : HTTP_BODY_CHUNKED;
}

static void check_fields(enum http_method method, bool upgrade)
{
    size_t scanned = 0, length;

    check(http1_parse_response((struct slice){sent.data, sent.length}, method, &scanned, &again,
                               &length) == HTTP1_DONE);
    check(again.status == response.status && slice_equals(again.reason, response.reason));
    for (unsigned i = 0; i < again.field_count; i++) {
        const struct http_field *field = &again.fields[i];
        check(!field->hop || field->known == FIELD_TRANSFER_ENCODING ||
              field->known == FIELD_CONNECTION || (upgrade && field->known == FIELD_UPGRADE));
    }
}

static void send_on(struct slice bytes, enum http_method method, unsigned client_minor)
{
    size_t scanned = 0, length = 0;

    if (http1_parse_response(bytes, method, &scanned, &response, &length) != HTTP1_DONE)
        return;
    if (response.field_count > HTTP1_FIELDS_MAX - FIELDS_ADDED_MAX)
        return; /* well-formed, but more than we would take ourselves */
    bool interim = response.status < 200;
    if (interim && client_minor == 0)
        return; /* not sent on */
    struct forward_response_options options = {
        .framing = client_framing(client_minor),
        .announce_length = response.framing == HTTP_BODY_NONE && response.has_content_length &&
                           (method == HTTP_HEAD || response.status == 304),
        .close = !interim && client_framing(client_minor) == HTTP_BODY_CLOSE,
        .keep_alive_1_0 = !interim && client_minor == 0,
        .upgrade = response.status == 101,
        .date = "Tue, 24 Nov 2026 00:00:00 GMT",
    };
    sent.length = forward_response(sent.data, OUT_BYTES_MAX, &response, &options);
    body.length = 0;
    check(sent.length > 0);
    struct slice rest = {bytes.data + length, bytes.length - length};
    enum http1_result result =
        reframe(rest, 1 + bytes.length % 61, response.framing, response.content_length,
                options.framing == HTTP_BODY_CHUNKED, true, &sent, &body);
    check_sent(&sent, &body, true, method == HTTP_HEAD, result, &reading);
    check(reading.until_close == (options.framing == HTTP_BODY_CLOSE));
    check_fields(method, options.upgrade);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};

    if (size > INPUT_BYTES_MAX)
        return 0;
    for (unsigned minor = 0; minor <= 1; minor++) {
        send_on(bytes, HTTP_GET, minor);
        send_on(bytes, HTTP_HEAD, minor);
    }
    return 0;
}
