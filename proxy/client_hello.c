#include "client_hello.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_HEAD_BYTES    5u
#define RECORD_HANDSHAKE     22u
#define RECORD_BYTES_MAX     (1u << 14) /* RFC 8446 §5.1 */
#define MESSAGE_HEAD_BYTES   4u
#define MESSAGE_CLIENT_HELLO 1u
#define RANDOM_BYTES         32u
#define SESSION_ID_BYTES_MAX 32u
#define EXTENSION_NAME       0u
#define NAME_HOST            0u

/* --- a reader that never reads past its end; past it everything is 0 and `broken` ------------- */

struct reader {
    struct slice rest;
    bool broken;
};

static struct slice take(struct reader *reader, size_t count)
{
    struct slice taken = {reader->rest.data, count};

    if (reader->broken || count > reader->rest.length) {
        reader->broken = true;
        return (struct slice){"", 0};
    }
    reader->rest.data += count;
    reader->rest.length -= count;
    return taken;
}

static uint32_t take_number(struct reader *reader, unsigned bytes)
{
    struct slice taken = take(reader, bytes);
    uint32_t number = 0;

    for (size_t i = 0; i < taken.length; i++)
        number = number << 8 | (uint8_t)taken.data[i];
    return number;
}

/* A vector (RFC 8446 §3.4): its length, written in so many bytes, then itself. */
static struct slice take_vector(struct reader *reader, unsigned length_bytes, size_t min,
                                size_t max)
{
    size_t length = take_number(reader, length_bytes);

    if (length < min || length > max)
        reader->broken = true;
    return take(reader, length);
}

/* --- the message ---------------------------------------------------------------------------- */

/* Letters, digits, hyphens, underscores, dots: all that a route's host can be like. A name with
 * anything else (an address in IPv6, NUL bytes) would only be a way to confuse. */
static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return false;
    }
    return name.length > 0 && name.length <= CLIENT_HELLO_NAME_MAX;
}

/* RFC 6066 §3: a list of names, one of each type at most. */
static void read_names(struct reader *reader, struct slice extension, struct client_hello *hello)
{
    struct reader outer = {.rest = extension};
    struct reader names = {.rest = take_vector(&outer, 2, 1, UINT16_MAX)};

    if (outer.broken || outer.rest.length > 0)
        names.broken = true;
    while (!names.broken && names.rest.length > 0) {
        unsigned type = take_number(&names, 1);
        struct slice name = take_vector(&names, 2, 1, UINT16_MAX);
        if (type != NAME_HOST || names.broken)
            continue;
        if (hello->name[0] != 0 || !is_name(name))
            names.broken = true;
        else
            slice_copy_string(name, hello->name, sizeof(hello->name));
    }
    reader->broken = reader->broken || names.broken;
}

static void read_extensions(struct reader *reader, struct client_hello *hello)
{
    struct reader extensions = {.rest = take_vector(reader, 2, 0, UINT16_MAX)};
    bool named = false;

    while (!extensions.broken && extensions.rest.length > 0) {
        unsigned type = take_number(&extensions, 2);
        struct slice extension = take_vector(&extensions, 2, 0, UINT16_MAX);
        if (type != EXTENSION_NAME || extensions.broken)
            continue;
        if (named) /* RFC 8446 §4.2: each extension once */
            extensions.broken = true;
        else
            read_names(&extensions, extension, hello);
        named = true;
    }
    reader->broken = reader->broken || extensions.broken;
}

/* `message` is whole and without its head. */
static bool read_message(struct slice message, struct client_hello *hello)
{
    struct reader reader = {.rest = message};

    take(&reader, 2); /* legacy_version: any, for what follows decides */
    take(&reader, RANDOM_BYTES);
    take_vector(&reader, 1, 0, SESSION_ID_BYTES_MAX);
    if (take_vector(&reader, 2, 2, UINT16_MAX).length % 2 != 0) /* cipher suites */
        return false;
    take_vector(&reader, 1, 1, UINT8_MAX); /* compression methods */
    if (!reader.broken && reader.rest.length > 0)
        read_extensions(&reader, hello);
    return !reader.broken && reader.rest.length == 0;
}

/* --- its records ---------------------------------------------------------------------------- */

/* The message put together from its records, as far as they have come. */
struct message {
    char bytes[CLIENT_HELLO_BYTES_MAX];
    size_t length;
};

static size_t whole_length(const struct message *message)
{
    struct reader head = {.rest = {message->bytes + 1, MESSAGE_HEAD_BYTES - 1}};

    return MESSAGE_HEAD_BYTES + take_number(&head, MESSAGE_HEAD_BYTES - 1);
}

/* DONE once the message is whole. */
static enum client_hello_result judge(const struct message *message)
{
    if (message->length > 0 && message->bytes[0] != MESSAGE_CLIENT_HELLO)
        return CLIENT_HELLO_BROKEN;
    if (message->length < MESSAGE_HEAD_BYTES)
        return CLIENT_HELLO_MORE;
    if (whole_length(message) > CLIENT_HELLO_BYTES_MAX - RECORD_HEAD_BYTES)
        return CLIENT_HELLO_TOO_LONG;
    return message->length < whole_length(message) ? CLIENT_HELLO_MORE : CLIENT_HELLO_DONE;
}

static enum client_hello_result collect(struct slice bytes, struct message *message)
{
    struct reader reader = {.rest = bytes};

    for (;;) {
        const uint8_t *head = (const uint8_t *)reader.rest.data;
        size_t rest = reader.rest.length;
        bool first = reader.rest.data == bytes.data;
        if ((rest > 0 && head[0] != RECORD_HANDSHAKE) || (rest > 1 && head[1] != 3))
            return first ? CLIENT_HELLO_NOT_TLS : CLIENT_HELLO_BROKEN;
        if (rest < RECORD_HEAD_BYTES)
            return CLIENT_HELLO_MORE;
        take(&reader, 3);
        size_t length = take_number(&reader, 2);
        if (length == 0 || length > RECORD_BYTES_MAX)
            return CLIENT_HELLO_BROKEN;
        size_t here = length < reader.rest.length ? length : reader.rest.length;
        struct slice piece = take(&reader, here);
        memcpy(message->bytes + message->length, piece.data, piece.length);
        message->length += piece.length;
        enum client_hello_result result = judge(message);
        if (result != CLIENT_HELLO_MORE || here < length)
            return result;
    }
}

enum client_hello_result client_hello_parse(struct slice bytes, struct client_hello *ret_hello)
{
    struct client_hello hello = {.name = ""};
    struct message message; /* its bytes are set as far as `length` */
    bool full = bytes.length >= CLIENT_HELLO_BYTES_MAX;

    if (full)
        bytes.length = CLIENT_HELLO_BYTES_MAX;
    if (bytes.length == 0)
        return CLIENT_HELLO_MORE;
    message.length = 0;
    enum client_hello_result result = collect(bytes, &message);
    if (result == CLIENT_HELLO_MORE && full)
        return CLIENT_HELLO_TOO_LONG;
    if (result != CLIENT_HELLO_DONE)
        return result;
    struct slice body = {message.bytes + MESSAGE_HEAD_BYTES,
                         whole_length(&message) - MESSAGE_HEAD_BYTES};
    if (!read_message(body, &hello))
        return CLIENT_HELLO_BROKEN;
    *ret_hello = hello;
    return CLIENT_HELLO_DONE;
}

const char *client_hello_result_name(enum client_hello_result result)
{
    static const char *const names[CLIENT_HELLO_RESULT_COUNT] = {
        [CLIENT_HELLO_DONE] = "done",
        [CLIENT_HELLO_MORE] = "hello-cut",
        [CLIENT_HELLO_NOT_TLS] = "not-tls",
        [CLIENT_HELLO_BROKEN] = "hello-broken",
        [CLIENT_HELLO_TOO_LONG] = "hello-too-long",
    };

    return names[result];
}
