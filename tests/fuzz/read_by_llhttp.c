/* llhttp (Debian's node-llhttp, built with LLHTTP_STRICT_MODE) as a reader of one message. */
#include "reading.h"

#include <llhttp/llhttp.h>
#include <string.h>

struct watch { /* what the callbacks fill */
    struct reading *reading;
    bool to_head;
};

static struct reading *reading_of(llhttp_t *parser)
{
    return ((struct watch *)parser->data)->reading;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    text_add(&reading_of(parser)->target, at, length);
    return 0;
}

/* Names and values; behind the head they are trailers. */
static int on_field(llhttp_t *parser, const char *at, size_t length)
{
    struct reading *reading = reading_of(parser);

    if (!reading->head_whole)
        text_add(&reading->fields, at, length);
    return 0;
}

static int on_name_complete(llhttp_t *parser)
{
    return on_field(parser, ":", 1);
}

static int on_value_complete(llhttp_t *parser)
{
    struct text *fields = &reading_of(parser)->fields;

    while (fields->length > 0 &&
           (fields->data[fields->length - 1] == ' ' || fields->data[fields->length - 1] == '\t'))
        fields->length--;
    return on_field(parser, "\n", 1);
}

/* Returns 1 where no body follows whatever the fields say. */
static int on_headers_complete(llhttp_t *parser)
{
    const struct watch *watch = parser->data;
    struct reading *reading = watch->reading;

    reading->head_whole = true;
    reading->status = parser->status_code;
    reading->minor_version = parser->http_minor;
    bool without_body =
        parser->type == HTTP_RESPONSE && (watch->to_head || parser->status_code == 304);
    if (without_body)
        parser->flags |= F_SKIPBODY; /* as the result will, but before it is asked for more */
    reading->until_close = llhttp_message_needs_eof(parser) == 1;
    reading->keep_alive = llhttp_should_keep_alive(parser) == 1;
    return without_body;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    text_add(&reading_of(parser)->body, at, length);
    return 0;
}

static int on_chunk_header(llhttp_t *parser)
{
    reading_of(parser)->in_trailer = parser->content_length == 0;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    reading_of(parser)->outcome = READING_WHOLE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_field_complete = on_name_complete,
    .on_header_value = on_field,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

static bool is_known(const struct text *method)
{
    for (int i = HTTP_DELETE; i <= HTTP_UNLINK; i++) {
        const char *name = llhttp_method_name((llhttp_method_t)i);
        if (strlen(name) == method->length && memcmp(name, method->data, method->length) == 0)
            return true;
    }
    return false;
}

/* Finds the method, behind one empty line. Returns where it begins, or NULL. */
static const char *find_method(const struct message *message, struct text *ret_method)
{
    bool empty_line = message->length >= 2 && memcmp(message->data, "\r\n", 2) == 0;
    const char *start = message->data + (empty_line ? 2 : 0);
    const char *space = memchr(start, ' ', message->length - (empty_line ? 2 : 0));

    if (space == NULL)
        return NULL;
    text_add(ret_method, start, (size_t)(space - start));
    return start;
}

static llhttp_errno_t feed(llhttp_t *parser, const char *data, size_t length,
                           struct reading *reading)
{
    llhttp_errno_t result = llhttp_execute(parser, data, length);

    if (reading->outcome == READING_WHOLE)
        reading->length += (size_t)(llhttp_get_error_pos(parser) - data);
    else
        reading->length += length;
    return result;
}

/* A copy with spaces for the tabs of the head. */
static struct message without_tabs(const struct message *message)
{
    static char copy[READING_BYTES_MAX];
    struct message result = *message;
    bool in_head = true;

    for (size_t i = 0; i < message->length; i++) {
        bool tab = in_head && message->data[i] == '\t';
        copy[i] = tab ? ' ' : message->data[i];
        in_head = in_head && (i < 3 || memcmp(&message->data[i - 3], "\r\n\r\n", 4) != 0);
    }
    result.data = copy;
    return result;
}

void read_by_llhttp(const struct message *given, struct reading *reading)
{
    struct watch watch = {reading, given->to_head};
    struct message copy = without_tabs(given), *message = &copy;
    const char *at = message->data, *method;
    size_t length = message->length;
    llhttp_errno_t result = HPE_OK;
    llhttp_t parser;

    reading_clear(reading);
    llhttp_init(&parser, message->response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    parser.data = &watch;
    method = message->response ? NULL : find_method(message, &reading->method);
    if (method != NULL && !is_known(&reading->method)) {
        at = method + reading->method.length;
        length = message->length - (size_t)(at - message->data);
        reading->length = (size_t)(at - message->data);
        result = llhttp_execute(&parser, "POST", 4);
    }
    if (result == HPE_OK)
        result = feed(&parser, at, length, reading);
    if (reading->outcome != READING_WHOLE && result != HPE_OK) {
        reading->outcome = READING_REFUSED;
        reading->why = llhttp_get_error_reason(&parser);
    }
}
