#include "proxy_protocol.h"

#include <stdint.h>
#include <stdio.h>

/* --- version 1: a line of text ------------------------------------------------------------- */

/* The next word; words are one space apart. */
static struct slice take_word(struct slice *line)
{
    const char *space = line->length > 0 ? memchr(line->data, ' ', line->length) : NULL;
    struct slice word = *line;

    if (space == NULL) {
        *line = (struct slice){line->data + line->length, 0};
        return word;
    }
    word.length = (size_t)(space - line->data);
    line->data += word.length + 1;
    line->length -= word.length + 1;
    return word;
}

/* Decimal, without sign and leading zeros. */
static bool read_port(struct slice word, uint16_t *ret_port)
{
    uint64_t port;

    if (word.length == 0 || word.length > 5 || (word.length > 1 && word.data[0] == '0') ||
        slice_to_u64(word, &port) < 0 || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static enum proxy_protocol_result read_addresses(struct slice line, uint16_t family,
                                                 struct proxy_protocol *told)
{
    struct slice source = take_word(&line), destination = take_word(&line);
    struct slice source_port = take_word(&line), destination_port = take_word(&line);

    /* An empty word at the end would have left a space before it. */
    if (line.length > 0 || destination_port.data + destination_port.length != line.data ||
        address_from_ip(source, 0, &told->source) < 0 ||
        address_from_ip(destination, 0, &told->destination) < 0 || told->source.family != family ||
        told->destination.family != family || !read_port(source_port, &told->source.port) ||
        !read_port(destination_port, &told->destination.port))
        return PROXY_PROTOCOL_BROKEN;
    told->told = true;
    return PROXY_PROTOCOL_DONE;
}

/* `line` without its CRLF. What follows UNKNOWN is to be left alone, whatever it is. */
static enum proxy_protocol_result read_line(struct slice line, struct proxy_protocol *told)
{
    take_word(&line); /* PROXY */
    struct slice family = take_word(&line);

    if (slice_equals(family, SLICE("TCP4")))
        return read_addresses(line, AF_INET, told);
    if (slice_equals(family, SLICE("TCP6")))
        return read_addresses(line, AF_INET6, told);
    return slice_equals(family, SLICE("UNKNOWN")) ? PROXY_PROTOCOL_DONE : PROXY_PROTOCOL_BROKEN;
}

static enum proxy_protocol_result parse_v1(struct slice bytes, struct proxy_protocol *told,
                                           size_t *ret_length)
{
    size_t length =
        bytes.length < PROXY_PROTOCOL_V1_BYTES_MAX ? bytes.length : PROXY_PROTOCOL_V1_BYTES_MAX;
    const char *end = memchr(bytes.data, '\r', length);

    if (end == NULL || end == bytes.data + length - 1) {
        if (memchr(bytes.data, '\n', length) != NULL)
            return PROXY_PROTOCOL_BROKEN; /* first, so that pieces are told the same as the whole */
        return length == PROXY_PROTOCOL_V1_BYTES_MAX ? PROXY_PROTOCOL_TOO_LONG
                                                     : PROXY_PROTOCOL_MORE;
    }
    struct slice line = {bytes.data, (size_t)(end - bytes.data)};
    if (end[1] != '\n' || memchr(line.data, '\n', line.length) != NULL)
        return PROXY_PROTOCOL_BROKEN;
    *ret_length = line.length + 2;
    return read_line(line, told);
}

/* --- version 2: binary --------------------------------------------------------------------- */

#define HEAD_BYTES        16u /* signature, version and command, family, length */
#define SIGNATURE         SLICE("\r\n\r\n\0\r\nQUIT\n")
#define COMMAND_LOCAL     0x20u
#define COMMAND_PROXY     0x21u
#define FAMILY_TCP4       0x11u
#define FAMILY_TCP6       0x21u
#define FAMILY_OTHERS_MAX 3u /* UNSPEC, INET, INET6, UNIX */
#define PROTOCOL_MAX      2u /* UNSPEC, STREAM, DGRAM */
#define TLV_HEAD_BYTES    3u
#define TLV_CRC32C        0x03u

static unsigned byte_at(struct slice bytes, size_t at)
{
    return (uint8_t)bytes.data[at];
}

static unsigned read_u16(struct slice bytes, size_t at)
{
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

static uint32_t crc32c_add(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (unsigned bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0x82f63b78u : 0);
    return crc;
}

/* CRC32C (RFC 3720, appendix B.4) of the header with its own four bytes at `hole` taken as 0. */
static uint32_t checksum(struct slice header, size_t hole)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < header.length; i++)
        crc = crc32c_add(crc, i >= hole && i - hole < 4 ? 0 : (uint8_t)header.data[i]);
    return ~crc;
}

/* Of the TLVs only the checksum says anything to us; the others must be as long as they say. */
static enum proxy_protocol_result check_tlvs(struct slice header, size_t at)
{
    size_t hole = 0;

    while (at < header.length) {
        if (header.length - at < TLV_HEAD_BYTES)
            return PROXY_PROTOCOL_BROKEN;
        unsigned type = byte_at(header, at), length = read_u16(header, at + 1);
        at += TLV_HEAD_BYTES;
        if (length > header.length - at)
            return PROXY_PROTOCOL_BROKEN;
        if (type == TLV_CRC32C && (length != 4 || hole != 0))
            return PROXY_PROTOCOL_BROKEN;
        if (type == TLV_CRC32C)
            hole = at;
        at += length;
    }
    if (hole != 0 &&
        checksum(header, hole) != (read_u16(header, hole) << 16 | read_u16(header, hole + 2)))
        return PROXY_PROTOCOL_CHECKSUM;
    return PROXY_PROTOCOL_DONE;
}

static void take_address(struct slice header, size_t at, size_t port_at, uint16_t family,
                         struct address *ret_address)
{
    *ret_address = (struct address){.family = family, .port = (uint16_t)read_u16(header, port_at)};
    memcpy(ret_address->bytes, header.data + at, family == AF_INET ? 4 : 16);
}

/* A whole header of command PROXY. */
static enum proxy_protocol_result read_block(struct slice header, struct proxy_protocol *told)
{
    static const size_t address_bytes[FAMILY_OTHERS_MAX + 1] = {0, 12, 36, 216};
    unsigned family = byte_at(header, 13);

    if (family >> 4 > FAMILY_OTHERS_MAX || (family & 0xfu) > PROTOCOL_MAX)
        return PROXY_PROTOCOL_BROKEN;
    size_t end = HEAD_BYTES + address_bytes[family >> 4];
    if (end > header.length)
        return PROXY_PROTOCOL_BROKEN;
    if (family == FAMILY_TCP4) {
        take_address(header, 16, 24, AF_INET, &told->source);
        take_address(header, 20, 26, AF_INET, &told->destination);
        told->told = true;
    } else if (family == FAMILY_TCP6) {
        take_address(header, 16, 48, AF_INET6, &told->source);
        take_address(header, 32, 50, AF_INET6, &told->destination);
        told->told = true;
    } else if (family >> 4 == 0) {
        return PROXY_PROTOCOL_DONE; /* unspecified: the block says nothing */
    }
    return check_tlvs(header, end);
}

static enum proxy_protocol_result parse_v2(struct slice bytes, struct proxy_protocol *told,
                                           size_t *ret_length)
{
    if (bytes.length >= 13 && byte_at(bytes, 12) != COMMAND_LOCAL &&
        byte_at(bytes, 12) != COMMAND_PROXY)
        return PROXY_PROTOCOL_BROKEN;
    if (bytes.length < HEAD_BYTES)
        return PROXY_PROTOCOL_MORE;
    size_t length = HEAD_BYTES + read_u16(bytes, 14);
    if (length > PROXY_PROTOCOL_BYTES_MAX)
        return PROXY_PROTOCOL_TOO_LONG;
    if (bytes.length < length)
        return PROXY_PROTOCOL_MORE;
    *ret_length = length;
    if (byte_at(bytes, 12) == COMMAND_LOCAL)
        return PROXY_PROTOCOL_DONE; /* a check of the proxy's own: the block is to be dropped */
    return read_block((struct slice){bytes.data, length}, told);
}

/* --- both ---------------------------------------------------------------------------------- */

/* Whether the bytes so far are those that `mark` begins with. */
static bool may_begin(struct slice bytes, struct slice mark)
{
    size_t length = bytes.length < mark.length ? bytes.length : mark.length;

    return memcmp(bytes.data, mark.data, length) == 0;
}

enum proxy_protocol_result proxy_protocol_parse(struct slice bytes, struct proxy_protocol *ret_told,
                                                size_t *ret_length)
{
    const struct slice text = SLICE("PROXY "), signature = SIGNATURE;
    struct proxy_protocol told = {.told = false};
    enum proxy_protocol_result result;
    size_t length = 0;

    if (bytes.length == 0)
        return PROXY_PROTOCOL_MORE;
    if (may_begin(bytes, signature))
        result =
            bytes.length < signature.length ? PROXY_PROTOCOL_MORE : parse_v2(bytes, &told, &length);
    else if (may_begin(bytes, text))
        result = bytes.length < text.length ? PROXY_PROTOCOL_MORE : parse_v1(bytes, &told, &length);
    else
        result = PROXY_PROTOCOL_MISSING;
    if (result == PROXY_PROTOCOL_DONE) {
        *ret_told = told;
        *ret_length = length;
    }
    return result;
}

static size_t write_v1(char buffer[PROXY_PROTOCOL_OUT_BYTES_MAX], const struct address *source,
                       const struct address *destination)
{
    char from[ADDRESS_TEXT_BYTES], to[ADDRESS_TEXT_BYTES];

    address_format_ip(source, from);
    address_format_ip(destination, to);
    int length =
        snprintf(buffer, PROXY_PROTOCOL_OUT_BYTES_MAX, "PROXY TCP%c %.45s %.45s %u %u\r\n",
                 source->family == AF_INET ? '4' : '6', from, to, source->port, destination->port);
    return (size_t)length;
}

static size_t write_v2(char *buffer, const struct address *source,
                       const struct address *destination)
{
    size_t bytes = source->family == AF_INET ? 4 : 16;
    const uint8_t head[4] = {COMMAND_PROXY, source->family == AF_INET ? FAMILY_TCP4 : FAMILY_TCP6,
                             0, (uint8_t)(2 * bytes + 4)};
    const uint8_t ports[4] = {(uint8_t)(source->port >> 8), (uint8_t)source->port,
                              (uint8_t)(destination->port >> 8), (uint8_t)destination->port};

    memcpy(buffer + SIGNATURE.length, head, sizeof(head));
    memcpy(buffer + HEAD_BYTES, source->bytes, bytes);
    memcpy(buffer + HEAD_BYTES + bytes, destination->bytes, bytes);
    memcpy(buffer + HEAD_BYTES + 2 * bytes, ports, sizeof(ports));
    return HEAD_BYTES + 2 * bytes + sizeof(ports);
}

static struct address mapped(const struct address *address)
{
    struct address result = {.family = AF_INET6, .port = address->port};

    if (address->family == AF_INET6)
        return *address;
    memset(result.bytes + 10, 0xff, 2);
    memcpy(result.bytes + 12, address->bytes, 4);
    return result;
}

size_t proxy_protocol_write(char buffer[PROXY_PROTOCOL_OUT_BYTES_MAX],
                            enum config_proxy_protocol version, const struct address *source,
                            const struct address *destination)
{
    const struct slice unknown = SLICE("PROXY UNKNOWN\r\n"), signature = SIGNATURE;
    static const char local[] = {COMMAND_LOCAL, 0, 0, 0};
    bool told = source->family != 0 && destination->family != 0;

    if (told && source->family != destination->family) {
        const struct address from = mapped(source), to = mapped(destination);
        return proxy_protocol_write(buffer, version, &from, &to);
    }
    if (version == SEND_PROXY_PROTOCOL_V1) {
        if (told)
            return write_v1(buffer, source, destination);
        memcpy(buffer, unknown.data, unknown.length);
        return unknown.length;
    }
    memcpy(buffer, signature.data, signature.length);
    if (told)
        return write_v2(buffer, source, destination);
    memcpy(buffer + signature.length, local, sizeof(local));
    return HEAD_BYTES;
}

const char *proxy_protocol_result_name(enum proxy_protocol_result result)
{
    static const char *const names[PROXY_PROTOCOL_RESULT_COUNT] = {
        [PROXY_PROTOCOL_DONE] = "done",
        [PROXY_PROTOCOL_MORE] = "proxy-header-cut",
        [PROXY_PROTOCOL_MISSING] = "proxy-header-missing",
        [PROXY_PROTOCOL_BROKEN] = "proxy-header-broken",
        [PROXY_PROTOCOL_TOO_LONG] = "proxy-header-too-long",
        [PROXY_PROTOCOL_CHECKSUM] = "proxy-header-checksum",
    };

    return names[result];
}
