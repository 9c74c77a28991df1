/* Response heads (RFC 9112 §4 to §6). */
#include "http1_internal.h"

#define VERSION_BYTES 8

/* HTTP-version SP status-code SP [ reason-phrase ] */
static enum http1_result read_status_line(struct slice line, struct http1_response *response)
{
    const char *code = line.data + VERSION_BYTES + 1;

    if (line.length < VERSION_BYTES + 5 || code[-1] != ' ' || code[3] != ' ')
        return HTTP1_BAD_STATUS_LINE;
    enum http1_result result =
        http1_read_version((struct slice){line.data, VERSION_BYTES}, &response->minor_version);
    if (result != HTTP1_DONE)
        return result;
    uint64_t status;
    if (slice_to_u64((struct slice){code, 3}, &status) != 0 || status < 100 || status > 599)
        return HTTP1_BAD_STATUS_LINE;
    response->status = (uint16_t)status;
    response->reason = (struct slice){code + 4, line.length - VERSION_BYTES - 5};
    return HTTP1_DONE;
}

/* What cannot become a status line is refused as soon as that shows: a backend that does not speak
 * HTTP may never send a line end. */
static bool begins_like_one(struct slice bytes)
{
    size_t length = bytes.length < 5 ? bytes.length : 5;
    return length == 0 || memcmp(bytes.data, "HTTP/", length) == 0;
}

/* The body's length (RFC 9112 §6.3). */
static enum http1_result read_body(struct http1_response *response,
                                   const struct http1_fields *fields, enum http_method method)
{
    struct http1_framing_fields framing;
    bool without_framing = response->status < 200 || response->status == 204;
    enum http1_result result = http1_read_framing(fields, response->minor_version, &framing);

    if (result != HTTP1_DONE)
        return result;
    /* Never with a framing (RFC 9110 §8.6); but many send a 204 with a length of 0, which says the
     * same as none. */
    bool none_said = response->status == 204 && framing.length == 0;
    if (without_framing && ((framing.has_length && !none_said) || framing.has_chunked))
        return HTTP1_BAD_FRAMING;
    response->has_content_length = framing.has_length && !without_framing;
    response->content_length = framing.length;
    if (without_framing || response->status == 304 || method == HTTP_HEAD)
        response->framing = HTTP_BODY_NONE;
    else if (framing.has_chunked)
        response->framing = HTTP_BODY_CHUNKED;
    else
        response->framing = framing.has_length ? HTTP_BODY_LENGTH : HTTP_BODY_CLOSE;
    return HTTP1_DONE;
}

static enum http1_result read_meaning(struct http1_response *response, struct http1_fields fields,
                                      enum http_method method)
{
    struct http1_connection connection;

    enum http1_result result = read_body(response, &fields, method);
    if (result == HTTP1_DONE)
        result = http1_read_connection(&fields, &connection);
    if (result != HTTP1_DONE)
        return result;

    response->keep_alive = !connection.close && response->framing != HTTP_BODY_CLOSE &&
                           (response->minor_version == 1 || connection.keep_alive);
    response->upgrade = response->status == 101 && response->minor_version == 1 &&
                        connection.upgrade && connection.upgrade_protocol.length > 0;
    return HTTP1_DONE;
}

static enum http1_result parse(struct slice bytes, enum http_method method, size_t *scanned,
                               struct http1_response *response, size_t *ret_length)
{
    struct http1_cursor cursor = {bytes.data, bytes.data + bytes.length};
    struct http1_fields fields = {.list = response->fields};
    struct slice line;

    enum http1_result result = http1_read_first_line(&cursor, FIRST_LINE_RESPONSE, &line);
    if (result == HTTP1_MORE) {
        *scanned = (size_t)(cursor.at - bytes.data);
        return result;
    }
    if (result != HTTP1_DONE)
        return HTTP1_BAD_STATUS_LINE;
    result = read_status_line(line, response);
    if (result != HTTP1_DONE)
        return result;
    result = http1_read_fields(bytes.data, &cursor, &fields, scanned);
    if (result != HTTP1_DONE)
        return result;
    response->field_count = fields.count;
    response->seen = fields.seen;
    *ret_length = (size_t)(cursor.at - bytes.data);
    return read_meaning(response, fields, method);
}

enum http1_result http1_parse_response(struct slice bytes, enum http_method method, size_t *scanned,
                                       struct http1_response *ret_response, size_t *ret_length)
{
    enum http1_result result = HTTP1_DONE;

    if (bytes.length > HTTP1_HEAD_BYTES_MAX)
        bytes.length = HTTP1_HEAD_BYTES_MAX;
    if (!begins_like_one(bytes))
        return HTTP1_BAD_STATUS_LINE;
    if (*scanned != 0)
        result = http1_resume(bytes, FIRST_LINE_RESPONSE, scanned);
    if (result == HTTP1_DONE)
        result = parse(bytes, method, scanned, ret_response, ret_length);
    return http1_unfinished(result, bytes, HTTP1_HEAD_TOO_LARGE);
}
