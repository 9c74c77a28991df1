/* Chunked bodies (RFC 9112 §7.1): sizes, extensions and trailers byte by byte, data in pieces. */
#include "base/check.h"
#include "http1_internal.h"

enum state {
    STATE_SIZE,
    STATE_EXTENSION, /* behind ';' */
    STATE_EXTENSION_NAME,
    STATE_EXTENSION_EQUALS, /* behind '=' */
    STATE_EXTENSION_VALUE,
    STATE_EXTENSION_QUOTED,
    STATE_EXTENSION_ESCAPED,
    STATE_EXTENSION_END, /* behind the closing quote */
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER, /* at the start of a line */
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_LAST_LF,
    STATE_DONE,
};

#define SIZE_DIGITS_MAX 16

/* A chunk line of so many bytes more than twice its chunk is normal for small chunks. */
#define LINE_BYTES_FREE 16

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* ';' and CR may follow a size, a name and a value. Returns false for anything else. */
static bool line_part_end(struct http1_chunked *chunked, char c)
{
    if (c == ';')
        chunked->state = STATE_EXTENSION;
    else if (c == '\r')
        chunked->state = STATE_SIZE_LF;
    else
        return false;
    return true;
}

static bool take_size(struct http1_chunked *chunked, char c)
{
    if (!http1_is(c, BYTE_HEX))
        return chunked->has_size && line_part_end(chunked, c);
    if (chunked->line_bytes > SIZE_DIGITS_MAX || chunked->left > (uint64_t)INT64_MAX >> 4)
        return false;
    chunked->left = chunked->left << 4 | hex_value(c);
    chunked->has_size = true;
    return true;
}

static bool take_extension(struct http1_chunked *chunked, char c)
{
    switch (chunked->state) {
    case STATE_EXTENSION:
        chunked->state = STATE_EXTENSION_NAME;
        return http1_is(c, BYTE_TOKEN);
    case STATE_EXTENSION_NAME:
        if (c != '=')
            return http1_is(c, BYTE_TOKEN) || line_part_end(chunked, c);
        chunked->state = STATE_EXTENSION_EQUALS;
        return true;
    case STATE_EXTENSION_EQUALS:
        chunked->state = c == '"' ? STATE_EXTENSION_QUOTED : STATE_EXTENSION_VALUE;
        return c == '"' || http1_is(c, BYTE_TOKEN);
    case STATE_EXTENSION_VALUE:
        return http1_is(c, BYTE_TOKEN) || line_part_end(chunked, c);
    case STATE_EXTENSION_QUOTED:
        if (c == '"')
            chunked->state = STATE_EXTENSION_END;
        else if (c == '\\')
            chunked->state = STATE_EXTENSION_ESCAPED;
        return http1_is(c, BYTE_TEXT);
    case STATE_EXTENSION_ESCAPED:
        chunked->state = STATE_EXTENSION_QUOTED;
        return http1_is(c, BYTE_TEXT);
    case STATE_EXTENSION_END:
        return line_part_end(chunked, c);
    default:
        return false;
    }
}

/* The end of a chunk line. Many lines with long extensions and next to no data between them are
 * an attack on whoever reads them (CVE-2023-39326). */
static bool take_size_lf(struct http1_chunked *chunked, char c)
{
    if (c != '\n')
        return false;
    uint64_t fair =
        LINE_BYTES_FREE +
        2 * (chunked->left < HTTP1_CHUNK_EXCESS_MAX ? chunked->left : HTTP1_CHUNK_EXCESS_MAX);
    uint64_t excess = (uint64_t)chunked->trailer_bytes + chunked->line_bytes;
    chunked->trailer_bytes = excess > fair ? (uint32_t)(excess - fair) : 0;
    if (chunked->trailer_bytes > HTTP1_CHUNK_EXCESS_MAX)
        return false;
    if (chunked->left == 0)
        chunked->trailer_bytes = 0;
    chunked->state = chunked->left == 0 ? STATE_TRAILER : STATE_DATA;
    chunked->has_size = false;
    chunked->line_bytes = 0;
    return true;
}

static bool take_line_byte(struct http1_chunked *chunked, char c)
{
    if (++chunked->line_bytes > HTTP1_CHUNK_LINE_MAX)
        return false;
    if (chunked->state == STATE_SIZE)
        return take_size(chunked, c);
    if (chunked->state == STATE_SIZE_LF)
        return take_size_lf(chunked, c);
    return take_extension(chunked, c);
}

static bool take_trailer_byte(struct http1_chunked *chunked, char c)
{
    if (++chunked->trailer_bytes > HTTP1_TRAILER_BYTES_MAX)
        return false;
    switch (chunked->state) {
    case STATE_TRAILER:
        chunked->state = c == '\r' ? STATE_LAST_LF : STATE_TRAILER_NAME;
        return c == '\r' || http1_is(c, BYTE_TOKEN);
    case STATE_TRAILER_NAME:
        if (c == ':')
            chunked->state = STATE_TRAILER_VALUE;
        return c == ':' || http1_is(c, BYTE_TOKEN);
    case STATE_TRAILER_VALUE:
        if (c == '\r')
            chunked->state = STATE_TRAILER_LF;
        return c == '\r' || http1_is(c, BYTE_TEXT);
    case STATE_TRAILER_LF:
        chunked->state = STATE_TRAILER;
        return c == '\n';
    case STATE_LAST_LF:
        chunked->state = STATE_DONE;
        return c == '\n';
    default:
        return false;
    }
}

static bool take_data_end(struct http1_chunked *chunked, char c)
{
    bool good = c == (chunked->state == STATE_DATA_CR ? '\r' : '\n');
    chunked->state = chunked->state == STATE_DATA_CR ? STATE_DATA_LF : STATE_SIZE;
    return good;
}

static struct slice take_data(struct http1_chunked *chunked, struct slice rest)
{
    if (rest.length > chunked->left)
        rest.length = (size_t)chunked->left;
    chunked->left -= rest.length;
    if (chunked->left == 0)
        chunked->state = STATE_DATA_CR;
    return rest;
}

enum http1_result http1_chunked_decode(struct http1_chunked *chunked, struct slice bytes,
                                       size_t *ret_consumed, struct slice *ret_data)
{
    size_t i = 0;
    struct slice data = {bytes.data, 0};

    check(chunked->state < STATE_DONE);
    while (i < bytes.length && chunked->state != STATE_DONE) {
        if (chunked->state == STATE_DATA) {
            data = take_data(chunked, (struct slice){bytes.data + i, bytes.length - i});
            i += data.length;
            break;
        }
        char c = bytes.data[i++];
        if (chunked->state < STATE_DATA) {
            if (!take_line_byte(chunked, c))
                return HTTP1_BAD_CHUNK;
        } else if (chunked->state < STATE_TRAILER) {
            if (!take_data_end(chunked, c))
                return HTTP1_BAD_CHUNK;
        } else if (!take_trailer_byte(chunked, c)) {
            return HTTP1_BAD_TRAILER;
        }
    }
    *ret_consumed = i;
    *ret_data = data;
    return chunked->state == STATE_DONE ? HTTP1_DONE : HTTP1_MORE;
}
