/* Request heads (RFC 9112 §3, §5, §6). */
#include "http1_internal.h"

struct method {
    struct slice text;
    enum http_method method;
};

#define METHOD(text, method)                                                                       \
    {                                                                                              \
        {(text), sizeof(text) - 1}, (method)                                                       \
    }

static const struct method methods[] = {
    METHOD("GET", HTTP_GET),     METHOD("POST", HTTP_POST),       METHOD("HEAD", HTTP_HEAD),
    METHOD("PUT", HTTP_PUT),     METHOD("DELETE", HTTP_DELETE),   METHOD("OPTIONS", HTTP_OPTIONS),
    METHOD("PATCH", HTTP_PATCH), METHOD("CONNECT", HTTP_CONNECT), METHOD("TRACE", HTTP_TRACE),
};

static enum http_method find_method(struct slice text)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (slice_equals(methods[i].text, text))
            return methods[i].method;
    return HTTP_OTHER;
}

static enum http1_result read_method(struct slice text, struct http1_request *request)
{
    if (!http1_is_token(text))
        return HTTP1_BAD_REQUEST_LINE;
    if (text.length > HTTP1_METHOD_BYTES_MAX)
        return HTTP1_METHOD_UNSUPPORTED;
    request->method_text = text;
    request->method = find_method(text);
    return HTTP1_DONE;
}

/* method SP request-target SP HTTP-version, each space being exactly one. */
static enum http1_result read_request_line(struct slice line, struct http1_request *request,
                                           unsigned *ret_default_port)
{
    const char *end = line.data + line.length;
    const char *first = memchr(line.data, ' ', line.length);
    if (first == NULL)
        return HTTP1_BAD_REQUEST_LINE;
    const char *target = first + 1;
    const char *second = memchr(target, ' ', (size_t)(end - target));
    if (second == NULL || second == target)
        return HTTP1_BAD_REQUEST_LINE;

    enum http1_result result =
        read_method((struct slice){line.data, (size_t)(first - line.data)}, request);
    if (result != HTTP1_DONE)
        return result;
    result = http1_read_version((struct slice){second + 1, (size_t)(end - second - 1)},
                                &request->minor_version);
    if (result != HTTP1_DONE)
        return result;
    request->target = (struct slice){target, (size_t)(second - target)};
    if (request->target.length > HTTP1_TARGET_BYTES_MAX)
        return HTTP1_TARGET_TOO_LONG;
    if (request->method == HTTP_CONNECT)
        return HTTP1_METHOD_UNSUPPORTED;
    if (request->method == HTTP_TRACE)
        return HTTP1_METHOD_REFUSED;
    return http1_read_target(request, ret_default_port);
}

/* Passes over one empty line, then expects a method: what does not begin like one is refused
 * before its line is complete. */
static enum http1_result begin(struct http1_cursor *cursor)
{
    if (cursor->at < cursor->end && *cursor->at == '\r') {
        enum http1_result result = http1_read_line_end(cursor);
        if (result != HTTP1_DONE)
            return result == HTTP1_MORE ? HTTP1_MORE : HTTP1_BAD_REQUEST_LINE;
    }
    if (cursor->at == cursor->end)
        return HTTP1_MORE;
    return http1_is(*cursor->at, BYTE_TOKEN) ? HTTP1_DONE : HTTP1_BAD_REQUEST_LINE;
}

/* Exactly one Host; HTTP/1.0 may do without (RFC 9112 §3.2). */
static enum http1_result read_host(struct http1_request *request, const struct http1_fields *fields,
                                   unsigned default_port)
{
    struct http1_range where = http1_where(fields, FIELD_HOST);

    if (where.end == 0)
        return request->minor_version == 0 ? HTTP1_DONE : HTTP1_BAD_HOST;
    if (where.end - where.at != 1)
        return HTTP1_BAD_HOST;
    const struct http_field *host = &request->fields[where.at];
    if (!http1_is_host(host->value))
        return HTTP1_BAD_HOST;
    if (request->host.length == 0) {
        request->host = host->value;
        return HTTP1_DONE;
    }
    return http1_same_host(request->host, host->value, default_port) ? HTTP1_DONE : HTTP1_BAD_HOST;
}

static enum http1_result read_body(struct http1_request *request, const struct http1_fields *fields)
{
    struct http1_framing_fields framing;
    enum http1_result result = http1_read_framing(fields, request->minor_version, &framing);

    if (result != HTTP1_DONE)
        return result;
    request->framing = framing.has_chunked  ? HTTP_BODY_CHUNKED
                       : framing.has_length ? HTTP_BODY_LENGTH
                                            : HTTP_BODY_NONE;
    request->content_length = framing.length;
    return HTTP1_DONE;
}

/* In HTTP/1.0 the one expectation there is must be ignored (RFC 9110 §10.1.1). */
static enum http1_result read_expect(struct http1_request *request,
                                     const struct http1_fields *fields)
{
    bool has_body = request->framing == HTTP_BODY_CHUNKED || request->content_length > 0;
    struct http1_range where = http1_where(fields, FIELD_EXPECT);

    request->expect_continue = false;
    for (unsigned i = where.at; i < where.end; i++) {
        if (request->fields[i].known != FIELD_EXPECT)
            continue;
        if (!slice_equals_ignoring_case(request->fields[i].value, SLICE("100-continue")))
            return HTTP1_BAD_EXPECT;
        request->expect_continue = has_body && request->minor_version == 1;
    }
    return HTTP1_DONE;
}

/* Counts for OPTIONS and TRACE, of which the latter does not come here (RFC 9110 §7.6.2). */
static enum http1_result read_max_forwards(struct http1_request *request,
                                           const struct http1_fields *fields)
{
    struct http1_range where = http1_where(fields, FIELD_MAX_FORWARDS);

    request->max_forwards = HTTP1_FORWARDS_ANY;
    if (request->method != HTTP_OPTIONS || where.end == 0)
        return HTTP1_DONE;
    if (where.end - where.at != 1 ||
        slice_to_u64(request->fields[where.at].value, &request->max_forwards) < 0 ||
        request->max_forwards == HTTP1_FORWARDS_ANY)
        return HTTP1_BAD_FIELD;
    return HTTP1_DONE;
}

static enum http1_result read_meaning(struct http1_request *request, struct http1_fields fields,
                                      unsigned default_port)
{
    struct http1_connection connection;

    enum http1_result result = read_host(request, &fields, default_port);
    if (result == HTTP1_DONE)
        result = read_body(request, &fields);
    if (result == HTTP1_DONE)
        result = http1_read_connection(&fields, &connection);
    if (result == HTTP1_DONE)
        result = read_expect(request, &fields);
    if (result == HTTP1_DONE)
        result = read_max_forwards(request, &fields);
    if (result != HTTP1_DONE)
        return result;

    request->keep_alive =
        !connection.close && (request->minor_version == 1 || connection.keep_alive);
    /* With a body on the way, the bytes behind the head would be both body and tunnel. */
    request->upgrade = connection.upgrade && connection.upgrade_protocol.length > 0 &&
                       request->minor_version == 1 && request->framing == HTTP_BODY_NONE;
    request->upgrade_protocol =
        request->upgrade ? connection.upgrade_protocol : (struct slice){NULL, 0};
    return HTTP1_DONE;
}

static enum http1_result parse(struct slice bytes, size_t *scanned, struct http1_request *request,
                               size_t *ret_length)
{
    struct http1_cursor cursor = {bytes.data, bytes.data + bytes.length};
    struct http1_fields fields = {.list = request->fields};
    struct slice line;
    unsigned default_port;

    enum http1_result result = begin(&cursor);
    if (result != HTTP1_DONE)
        return result;
    result = http1_read_first_line(&cursor, FIRST_LINE_REQUEST, &line);
    if (result == HTTP1_MORE) {
        *scanned = (size_t)(cursor.at - bytes.data);
        return http1_unfinished(result, bytes, HTTP1_TARGET_TOO_LONG);
    }
    if (result != HTTP1_DONE)
        return HTTP1_BAD_REQUEST_LINE;
    result = read_request_line(line, request, &default_port);
    if (result != HTTP1_DONE)
        return result;
    result = http1_read_fields(bytes.data, &cursor, &fields, scanned);
    if (result != HTTP1_DONE)
        return http1_unfinished(result, bytes, HTTP1_HEAD_TOO_LARGE);
    request->field_count = fields.count;
    request->seen = fields.seen;
    *ret_length = (size_t)(cursor.at - bytes.data);
    return read_meaning(request, fields, default_port);
}

enum http1_result http1_parse_request(struct slice bytes, size_t *scanned,
                                      struct http1_request *ret_request, size_t *ret_length)
{
    if (bytes.length > HTTP1_HEAD_BYTES_MAX)
        bytes.length = HTTP1_HEAD_BYTES_MAX;
    if (*scanned != 0) {
        enum http1_result result = http1_resume(bytes, FIRST_LINE_REQUEST, scanned);
        if (result != HTTP1_DONE)
            return http1_unfinished(result, bytes,
                                    http1_in_first_line(*scanned) ? HTTP1_TARGET_TOO_LONG
                                                                  : HTTP1_HEAD_TOO_LARGE);
    }
    return parse(bytes, scanned, ret_request, ret_length);
}
