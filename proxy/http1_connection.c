/* Connection and Upgrade (RFC 9110 §7.6.1, §7.8). */
#include "http1_internal.h"

bool http1_is_token(struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!http1_is(text.data[i], BYTE_TOKEN))
            return false;
    return text.length > 0;
}

bool http1_list_next(struct slice *list, struct slice *ret_element)
{
    while (list->length > 0) {
        const char *comma = memchr(list->data, ',', list->length);
        size_t length = comma == NULL ? list->length : (size_t)(comma - list->data);
        struct slice element = slice_trim((struct slice){list->data, length});
        size_t taken = comma == NULL ? length : length + 1;
        list->data += taken;
        list->length -= taken;
        if (element.length > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

static void mark_named(struct http1_fields *fields, struct slice option)
{
    if (http1_is_protected(option))
        return;
    for (unsigned i = 0; i < fields->count; i++)
        if (slice_equals_ignoring_case(fields->list[i].name, option))
            fields->list[i].hop = true;
}

/* `option` is a token, `name` in lower case. */
static bool is_option(struct slice option, struct slice name)
{
    return option.length == name.length && http1_equals_folded(option.data, name.data, name.length);
}

static enum http1_result read_options(struct http1_fields *fields, struct slice list,
                                      struct http1_connection *connection, unsigned *option_count)
{
    struct slice option;

    while (http1_list_next(&list, &option)) {
        if (!http1_is_token(option) || ++*option_count > HTTP1_OPTIONS_MAX)
            return HTTP1_BAD_FIELD;
        if (is_option(option, SLICE("keep-alive")))
            connection->keep_alive = true;
        else if (is_option(option, SLICE("close")))
            connection->close = true;
        else if (is_option(option, SLICE("upgrade")))
            connection->upgrade = true;
        else
            mark_named(fields, option);
    }
    return HTTP1_DONE;
}

/* What nearly all connections say. Returns false for everything else. */
static bool read_usual_option(struct slice value, struct http1_connection *connection)
{
    if (slice_equals(value, SLICE("keep-alive")))
        connection->keep_alive = true;
    else if (slice_equals(value, SLICE("close")))
        connection->close = true;
    else
        return false;
    return true;
}

/* protocol-name ["/" protocol-version] */
static bool is_protocol(struct slice text)
{
    const char *slash = memchr(text.data, '/', text.length);
    if (slash == NULL)
        return http1_is_token(text);
    size_t length = (size_t)(slash - text.data);
    return http1_is_token((struct slice){text.data, length}) &&
           http1_is_token((struct slice){slash + 1, text.length - length - 1});
}

/* HTTP/2 and TLS within a tunnel would be requests that nobody here sees. With or without a
 * version. */
static bool is_never_granted(struct slice protocol)
{
    const char *slash = memchr(protocol.data, '/', protocol.length);

    if (slash != NULL)
        protocol.length = (size_t)(slash - protocol.data);
    return slice_equals_ignoring_case(protocol, SLICE("h2c")) ||
           slice_equals_ignoring_case(protocol, SLICE("h2")) ||
           slice_equals_ignoring_case(protocol, SLICE("http")) ||
           slice_equals_ignoring_case(protocol, SLICE("tls"));
}

static enum http1_result read_upgrade(struct slice list, struct http1_connection *connection)
{
    struct slice protocol;

    while (http1_list_next(&list, &protocol)) {
        if (!is_protocol(protocol))
            return HTTP1_BAD_FIELD;
        if (connection->upgrade_protocol.length == 0 && !is_never_granted(protocol))
            connection->upgrade_protocol = protocol;
    }
    return HTTP1_DONE;
}

enum http1_result http1_read_connection(struct http1_fields *fields,
                                        struct http1_connection *ret_connection)
{
    struct http1_connection connection = {0};
    unsigned option_count = 0;
    enum http1_result result = HTTP1_DONE;
    struct http1_range options = http1_where(fields, FIELD_CONNECTION);
    struct http1_range upgrades = http1_where(fields, FIELD_UPGRADE);

    for (unsigned i = options.at; i < options.end && result == HTTP1_DONE; i++) {
        struct slice value = fields->list[i].value;
        if (fields->list[i].known == FIELD_CONNECTION && !read_usual_option(value, &connection))
            result = read_options(fields, value, &connection, &option_count);
    }
    for (unsigned i = upgrades.at; i < upgrades.end && result == HTTP1_DONE; i++)
        if (fields->list[i].known == FIELD_UPGRADE)
            result = read_upgrade(fields->list[i].value, &connection);
    if (result != HTTP1_DONE)
        return result;
    *ret_connection = connection;
    return HTTP1_DONE;
}
