/* The proxy's parser as a reader of one message. */
#include "proxy/http1.h"
#include "reading.h"

static void add_slice(struct text *text, struct slice slice)
{
    text_add(text, slice.data, slice.length);
}

/* With spaces for tabs, as the other reader has them. */
static void add_fields(struct text *text, const struct http_field *fields, unsigned count)
{
    size_t start = text->length;

    for (unsigned i = 0; i < count; i++) {
        add_slice(text, fields[i].name);
        text_add(text, ":", 1);
        add_slice(text, fields[i].value);
        text_add(text, "\n", 1);
    }
    for (size_t i = start; i < text->length; i++)
        if (text->data[i] == '\t')
            text->data[i] = ' ';
}

static enum http1_result read_chunked(struct slice rest, struct reading *reading)
{
    struct http1_chunked chunked = {0};
    enum http1_result result = HTTP1_MORE;

    while (rest.length > 0 && result == HTTP1_MORE) {
        struct slice piece = {NULL, 0};
        size_t consumed = 0;
        result = http1_chunked_decode(&chunked, rest, &consumed, &piece);
        if (result != HTTP1_MORE && result != HTTP1_DONE)
            return result;
        add_slice(&reading->body, piece);
        reading->length += consumed;
        rest.data += consumed;
        rest.length -= consumed;
    }
    return result;
}

static enum http1_result read_body(struct slice rest, enum http_framing framing, uint64_t length,
                                   struct reading *reading)
{
    bool whole = rest.length >= length;

    switch (framing) {
    case HTTP_BODY_NONE:
        return HTTP1_DONE;
    case HTTP_BODY_LENGTH:
        rest.length = whole ? (size_t)length : rest.length;
        add_slice(&reading->body, rest);
        reading->length += rest.length;
        return whole ? HTTP1_DONE : HTTP1_MORE;
    case HTTP_BODY_CHUNKED:
        return read_chunked(rest, reading);
    case HTTP_BODY_CLOSE:
        add_slice(&reading->body, rest);
        reading->until_close = true;
        return HTTP1_MORE;
    }
    return HTTP1_BAD_FRAMING;
}

static enum http1_result read_request(struct slice bytes, struct reading *reading)
{
    static struct http1_request request;
    size_t scanned = 0;

    enum http1_result result = http1_parse_request(bytes, &scanned, &request, &reading->length);
    if (result != HTTP1_DONE)
        return result;
    reading->head_whole = true;
    reading->keep_alive = request.keep_alive;
    reading->minor_version = request.minor_version;
    add_slice(&reading->method, request.method_text);
    add_slice(&reading->target, request.target);
    add_fields(&reading->fields, request.fields, request.field_count);
    struct slice rest = {bytes.data + reading->length, bytes.length - reading->length};
    return read_body(rest, request.framing, request.content_length, reading);
}

static enum http1_result read_response(struct slice bytes, bool to_head, struct reading *reading)
{
    static struct http1_response response;
    size_t scanned = 0;

    enum http1_result result = http1_parse_response(bytes, to_head ? HTTP_HEAD : HTTP_GET, &scanned,
                                                    &response, &reading->length);
    if (result != HTTP1_DONE)
        return result;
    reading->head_whole = true;
    reading->keep_alive = response.keep_alive;
    reading->status = response.status;
    reading->minor_version = response.minor_version;
    add_fields(&reading->fields, response.fields, response.field_count);
    struct slice rest = {bytes.data + reading->length, bytes.length - reading->length};
    return read_body(rest, response.framing, response.content_length, reading);
}

void read_by_sluice(const struct message *message, struct reading *reading)
{
    struct slice bytes = {message->data, message->length};

    reading_clear(reading);
    enum http1_result result = message->response ? read_response(bytes, message->to_head, reading)
                                                 : read_request(bytes, reading);
    reading->outcome = result == HTTP1_DONE   ? READING_WHOLE
                       : result == HTTP1_MORE ? READING_UNFINISHED
                                              : READING_REFUSED;
    reading->why = http1_result_name(result);
}
