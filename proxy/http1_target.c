/* The request target (RFC 9112 §3.2), Host, and HTTP-version. */
#include "http1_internal.h"

#include <arpa/inet.h>

#define PORT_DIGITS_MAX 5

/* Bytes of paths and queries are those of RFC 3986 and, since browsers send them raw and no two
 * readings come of it: [ ] | in both, and \ ^ ` { } in queries. Never: controls, space, " < > #
 * and bytes from 0x80 up. */

static bool is_percent_encoding(const char *at, const char *end)
{
    return end - at >= 3 && http1_is(at[1], BYTE_HEX) && http1_is(at[2], BYTE_HEX);
}

/* Four at a time while that goes: targets are long. */
static const char *skip_plain(const char *at, const char *end, uint8_t class)
{
    while (end - at >= 4 && (http1_bytes[(uint8_t)at[0]] & http1_bytes[(uint8_t)at[1]] &
                             http1_bytes[(uint8_t)at[2]] & http1_bytes[(uint8_t)at[3]] & class))
        at += 4;
    while (at < end && http1_is(*at, class))
        at++;
    return at;
}

static const char *skip_bytes(const char *at, const char *end, uint8_t class)
{
    for (;;) {
        at = skip_plain(at, end, class);
        if (at == end || *at != '%' || !is_percent_encoding(at, end))
            return at;
        if (class == BYTE_PATH && at[1] == '0' && at[2] == '0')
            return at; /* many a backend takes a path to end there: "/public%00.png" */
        at += 3;
    }
}

static bool is_path_and_query(struct slice text)
{
    const char *end = text.data + text.length;
    const char *at = skip_bytes(text.data, end, BYTE_PATH);

    if (at < end && *at == '?')
        at = skip_bytes(at + 1, end, BYTE_QUERY);
    return at == end;
}

static bool is_port(struct slice text)
{
    uint64_t port;

    return text.length <= PORT_DIGITS_MAX && slice_to_u64(text, &port) == 0 && port <= UINT16_MAX;
}

static bool is_ipv6(struct slice text)
{
    char literal[INET6_ADDRSTRLEN];
    struct in6_addr address;

    return slice_copy_string(text, literal, sizeof(literal)) &&
           inet_pton(AF_INET6, literal, &address) == 1;
}

/* Splits into name and port; the port is without its colon. Returns false where there is none. */
static bool split_port(struct slice host, struct slice *ret_name, struct slice *ret_port)
{
    size_t i = host.length;
    while (i > 0 && host.data[i - 1] != ':' && host.data[i - 1] != ']')
        i--;
    if (i == 0 || host.data[i - 1] == ']') {
        *ret_name = host;
        *ret_port = (struct slice){NULL, 0};
        return false;
    }
    *ret_name = (struct slice){host.data, i - 1};
    *ret_port = (struct slice){host.data + i, host.length - i};
    return true;
}

bool http1_is_host(struct slice host)
{
    const char *end = host.data + host.length;
    const char *at;

    if (host.length > HTTP1_HOST_BYTES_MAX)
        return false;
    if (host.length > 0 && host.data[0] == '[') {
        at = memchr(host.data, ']', host.length);
        if (at == NULL || !is_ipv6((struct slice){host.data + 1, (size_t)(at - host.data - 1)}))
            return false;
        at++;
    } else {
        at = skip_bytes(host.data, end, BYTE_HOST);
        if (at == host.data)
            return false;
    }
    return at == end || (*at == ':' && is_port((struct slice){at + 1, (size_t)(end - at - 1)}));
}

static unsigned port_of(bool has_port, struct slice port, unsigned default_port)
{
    uint64_t value;

    return has_port && slice_to_u64(port, &value) == 0 ? (unsigned)value : default_port;
}

bool http1_same_host(struct slice a, struct slice b, unsigned default_port)
{
    struct slice a_name, b_name, a_port, b_port;
    bool a_has_port = split_port(a, &a_name, &a_port);
    bool b_has_port = split_port(b, &b_name, &b_port);

    return slice_equals_ignoring_case(a_name, b_name) &&
           port_of(a_has_port, a_port, default_port) == port_of(b_has_port, b_port, default_port);
}

/* absolute-form: http and https only. */
static enum http1_result read_absolute(struct http1_request *request, unsigned *ret_default_port)
{
    struct slice target = request->target;
    size_t scheme;

    if (target.length > 7 &&
        slice_equals_ignoring_case((struct slice){target.data, 7}, SLICE("http://")))
        scheme = 7;
    else if (target.length > 8 &&
             slice_equals_ignoring_case((struct slice){target.data, 8}, SLICE("https://")))
        scheme = 8;
    else
        return HTTP1_BAD_TARGET;

    struct slice rest = {target.data + scheme, target.length - scheme};
    size_t length = 0;
    while (length < rest.length && rest.data[length] != '/' && rest.data[length] != '?')
        length++;
    request->host = (struct slice){rest.data, length};
    if (!http1_is_host(request->host))
        return HTTP1_BAD_TARGET;
    *ret_default_port = scheme == 7 ? 80 : 443;
    if (length == rest.length) {
        request->path = request->method == HTTP_OPTIONS ? SLICE("*") : SLICE("/");
        return HTTP1_DONE;
    }
    request->path = (struct slice){rest.data + length, rest.length - length};
    return is_path_and_query(request->path) ? HTTP1_DONE : HTTP1_BAD_TARGET;
}

enum http1_result http1_read_target(struct http1_request *request, unsigned *ret_default_port)
{
    struct slice target = request->target;

    request->path = target;
    request->host = (struct slice){NULL, 0};
    *ret_default_port = 80;
    if (target.length == 0)
        return HTTP1_BAD_TARGET;
    if (target.data[0] == '/')
        return is_path_and_query(target) ? HTTP1_DONE : HTTP1_BAD_TARGET;
    if (slice_equals(target, SLICE("*")))
        return request->method == HTTP_OPTIONS ? HTTP1_DONE : HTTP1_BAD_TARGET;
    return read_absolute(request, ret_default_port);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum http1_result http1_read_version(struct slice text, uint8_t *ret_minor_version)
{
    if (text.length != 8 || memcmp(text.data, "HTTP/", 5) != 0 || !is_digit(text.data[5]) ||
        text.data[6] != '.' || !is_digit(text.data[7]))
        return HTTP1_BAD_VERSION;
    if (text.data[5] != '1')
        return HTTP1_UNSUPPORTED_VERSION;
    if (text.data[7] > '1')
        return HTTP1_BAD_VERSION;
    *ret_minor_version = (uint8_t)(text.data[7] - '0');
    return HTTP1_DONE;
}
