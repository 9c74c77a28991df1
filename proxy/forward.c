#include "forward.h"

#include "cookies.h"

#define BIT(field) (1u << (field))

struct writer {
    char *at, *end;
    bool full;
};

/* Inlined, so that literals are stored and not copied. */
static inline __attribute__((always_inline)) void put(struct writer *writer, struct slice bytes)
{
    if (bytes.length > (size_t)(writer->end - writer->at)) {
        writer->full = true;
        writer->end = writer->at;
    } else if (bytes.length > 0) {
        memcpy(writer->at, bytes.data, bytes.length);
        writer->at += bytes.length;
    }
}

static void put_field(struct writer *writer, struct slice name, struct slice value)
{
    char *at = writer->at;

    if (name.length + value.length + 4 > (size_t)(writer->end - at)) {
        writer->full = true;
        writer->end = at;
        return;
    }
    memcpy(at, name.data, name.length);
    at += name.length;
    *at++ = ':';
    *at++ = ' ';
    if (value.length > 0)
        memcpy(at, value.data, value.length);
    at += value.length;
    *at++ = '\r';
    *at++ = '\n';
    writer->at = at;
}

/* Fields, but not those that are hop by hop or in `left_out`. A run of lines that stand in the
 * input as they would be written here is written in one piece: that halves the work. */
static void put_kept(struct writer *writer, const struct http_field *fields, unsigned count,
                     uint32_t left_out)
{
    struct slice run = {"", 0};

    for (unsigned i = 0; i < count; i++) {
        const struct http_field *field = &fields[i];
        if (field->hop || (left_out & BIT(field->known)) != 0)
            continue;
        size_t length = (size_t)(field->value.data - field->name.data) + field->value.length + 2;
        if (field->plain && run.data + run.length == field->name.data) {
            run.length += length;
            continue;
        }
        put(writer, run);
        run = field->plain ? (struct slice){field->name.data, length} : (struct slice){"", 0};
        if (!field->plain)
            put_field(writer, field->name, field->value);
    }
    put(writer, run);
}

static void put_number(struct writer *writer, struct slice name, uint64_t number)
{
    char text[20];
    size_t first = sizeof(text);

    do {
        text[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_field(writer, name, (struct slice){text + first, sizeof(text) - first});
}

/* What the proxy writes itself or never passes on, and what it takes from trusted proxies only. */
static const uint32_t own_fields =
    BIT(FIELD_HOST) | BIT(FIELD_CONTENT_LENGTH) | BIT(FIELD_TRANSFER_ENCODING) |
    BIT(FIELD_X_FORWARDED_FOR) | BIT(FIELD_X_FORWARDED_PROTO) | BIT(FIELD_X_FORWARDED_HOST) |
    BIT(FIELD_FORWARDED) | BIT(FIELD_X_REQUEST_ID) | BIT(FIELD_CONNECTION) | BIT(FIELD_UPGRADE) |
    BIT(FIELD_KEEP_ALIVE) | BIT(FIELD_PROXY_CONNECTION) | BIT(FIELD_TE) | BIT(FIELD_TRAILER) |
    BIT(FIELD_EXPECT);

/* The other cookies; no field where there are none. */
static void put_other_cookies(struct writer *writer, const struct http_field *field,
                              struct slice own_cookie)
{
    struct slice rest = field->value, pair, name;
    bool begun = false;

    if (!cookies_have(field->value, own_cookie)) {
        put_field(writer, field->name, field->value);
        return;
    }
    while (cookies_next(&rest, &pair, &name)) {
        if (slice_equals(name, own_cookie))
            continue;
        put(writer, begun ? SLICE("; ") : field->name);
        if (!begun)
            put(writer, SLICE(": "));
        put(writer, pair);
        begun = true;
    }
    if (begun)
        put(writer, SLICE("\r\n"));
}

static void put_fields(struct writer *writer, const struct http1_request *request,
                       const struct forward_request_options *options)
{
    uint32_t left_out = own_fields;
    bool looks_at_cookies =
        options->own_cookie.length > 0 && (request->seen & BIT(FIELD_COOKIE)) != 0;

    if (!options->trusted)
        left_out |= BIT(FIELD_CLAIM) | BIT(FIELD_CLIENT_CERT);
    if (options->client_certificate != NULL)
        left_out |= BIT(FIELD_CLIENT_CERT);
    if (looks_at_cookies)
        left_out |= BIT(FIELD_COOKIE);
    if (request->max_forwards != HTTP1_FORWARDS_ANY)
        left_out |= BIT(FIELD_MAX_FORWARDS);
    put_kept(writer, request->fields, request->field_count, left_out);
    for (unsigned i = 0; looks_at_cookies && i < request->field_count; i++)
        if (request->fields[i].known == FIELD_COOKIE && !request->fields[i].hop)
            put_other_cookies(writer, &request->fields[i], options->own_cookie);
}

/* All values of a field, as one list that goes on. */
static void put_list(struct writer *writer, const struct http1_request *request,
                     enum http_known_field known)
{
    for (unsigned i = 0; i < request->field_count && (request->seen & BIT(known)) != 0; i++) {
        if (request->fields[i].known != known || request->fields[i].value.length == 0)
            continue;
        put(writer, request->fields[i].value);
        put(writer, SLICE(", "));
    }
}

/* The one value that a trusted proxy gave, else the proxy's own. */
static struct slice one_of(const struct http1_request *request, enum http_known_field known,
                           bool trusted, struct slice own)
{
    const struct http_field *found = NULL;

    for (unsigned i = 0; trusted && i < request->field_count; i++) {
        if (request->fields[i].known != known)
            continue;
        if (found != NULL)
            return own;
        found = &request->fields[i];
    }
    return found == NULL || found->value.length == 0 ? own : found->value;
}

/* The node of a Forwarded element: IPv6 is bracketed and quoted (RFC 7239 §6). */
static void put_node(struct writer *writer, struct slice ip)
{
    bool is_ipv6 = memchr(ip.data, ':', ip.length) != NULL;

    put(writer, is_ipv6 ? SLICE("for=\"[") : SLICE("for="));
    put(writer, ip);
    if (is_ipv6)
        put(writer, SLICE("]\""));
}

static void put_origin(struct writer *writer, const struct http1_request *request,
                       const struct forward_request_options *options)
{
    struct slice proto = options->tls ? SLICE("https") : SLICE("http");
    bool trusted = options->trusted;

    put(writer, SLICE("X-Forwarded-For: "));
    if (trusted)
        put_list(writer, request, FIELD_X_FORWARDED_FOR);
    put(writer, options->peer_ip);
    put(writer, SLICE("\r\nX-Forwarded-Proto: "));
    put(writer, one_of(request, FIELD_X_FORWARDED_PROTO, trusted, proto));
    struct slice host = one_of(request, FIELD_X_FORWARDED_HOST, trusted, request->host);
    if (host.length > 0) {
        put(writer, SLICE("\r\nX-Forwarded-Host: "));
        put(writer, host);
    }
    put(writer, SLICE("\r\nForwarded: "));
    if (trusted)
        put_list(writer, request, FIELD_FORWARDED);
    put_node(writer, options->peer_ip);
    if (request->host.length > 0) { /* neither quote nor backslash can be in it */
        put(writer, SLICE(";host=\""));
        put(writer, request->host);
        put(writer, SLICE("\""));
    }
    put(writer, SLICE(";proto="));
    put(writer, proto);
    put(writer, SLICE("\r\nX-Request-Id: "));
    put(writer, options->request_id);
}

static void put_request_framing(struct writer *writer, const struct http1_request *request)
{
    if (request->framing == HTTP_BODY_LENGTH)
        put_number(writer, SLICE("Content-Length"), request->content_length);
    else if (request->framing == HTTP_BODY_CHUNKED)
        put(writer, SLICE("Transfer-Encoding: chunked\r\n"));
    if (request->max_forwards != HTTP1_FORWARDS_ANY && request->max_forwards > 0)
        put_number(writer, SLICE("Max-Forwards"), request->max_forwards - 1);
    if (request->expect_continue)
        put(writer, SLICE("Expect: 100-continue\r\n"));
    if (request->upgrade && request->framing == HTTP_BODY_NONE) {
        put(writer, SLICE("Connection: upgrade\r\n"));
        put_field(writer, SLICE("Upgrade"), request->upgrade_protocol);
    }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the writer writes to it */
size_t forward_request(char *buffer, size_t size, const struct http1_request *request,
                       const struct forward_request_options *options)
{
    struct writer writer = {.at = buffer, .end = buffer + size};

    put(&writer, request->method_text);
    put(&writer, request->path.data[0] == '?' ? SLICE(" /") : SLICE(" "));
    put(&writer, request->path);
    put(&writer, SLICE(" HTTP/1.1\r\nHost: "));
    put(&writer, request->host);
    put(&writer, SLICE("\r\n"));
    put_fields(&writer, request, options);
    if (options->client_certificate != NULL)
        put_field(&writer, SLICE("Client-Cert"), slice_from_string(options->client_certificate));
    put_request_framing(&writer, request);
    put_origin(&writer, request, options);
    put(&writer, request->minor_version == 0 ? SLICE("\r\nVia: 1.0 sluice\r\n\r\n")
                                             : SLICE("\r\nVia: 1.1 sluice\r\n\r\n"));
    return writer.full ? 0 : (size_t)(writer.at - buffer);
}

/* Hop by hop, or written anew. */
static const uint32_t own_answer_fields =
    BIT(FIELD_CONTENT_LENGTH) | BIT(FIELD_TRANSFER_ENCODING) | BIT(FIELD_CONNECTION) |
    BIT(FIELD_KEEP_ALIVE) | BIT(FIELD_UPGRADE) | BIT(FIELD_TRAILER) | BIT(FIELD_PROXY_CONNECTION);

static void put_upgrade(struct writer *writer, const struct http1_response *response)
{
    put(writer, SLICE("Connection: upgrade\r\n"));
    for (unsigned i = 0; i < response->field_count; i++)
        if (response->fields[i].known == FIELD_UPGRADE)
            put_field(writer, SLICE("Upgrade"), response->fields[i].value);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the writer writes to it */
size_t forward_response(char *buffer, size_t size, const struct http1_response *response,
                        const struct forward_response_options *options)
{
    struct writer writer = {.at = buffer, .end = buffer + size};
    bool hsts = options->hsts != NULL && options->hsts[0] != '\0';
    uint32_t left_out = own_answer_fields | (hsts ? BIT(FIELD_HSTS) : 0);
    char status[4] = {(char)('0' + response->status / 100 % 10),
                      (char)('0' + response->status / 10 % 10), (char)('0' + response->status % 10),
                      ' '};

    put(&writer, SLICE("HTTP/1.1 "));
    put(&writer, (struct slice){status, sizeof(status)});
    put(&writer, response->reason);
    put(&writer, SLICE("\r\n"));
    put_kept(&writer, response->fields, response->field_count, left_out);
    if (hsts)
        put(&writer, slice_from_string(options->hsts));
    if ((response->seen & BIT(FIELD_DATE)) == 0 && response->status >= 200)
        put_field(&writer, SLICE("Date"), slice_from_string(options->date));
    if ((response->seen & BIT(FIELD_X_REQUEST_ID)) == 0 && options->request_id.length > 0)
        put_field(&writer, SLICE("X-Request-Id"), options->request_id);
    if (options->set_cookie.length > 0)
        put_field(&writer, SLICE("Set-Cookie"), options->set_cookie);
    if (options->framing == HTTP_BODY_LENGTH || options->announce_length)
        put_number(&writer, SLICE("Content-Length"), response->content_length);
    else if (options->framing == HTTP_BODY_CHUNKED)
        put(&writer, SLICE("Transfer-Encoding: chunked\r\n"));
    if (options->upgrade)
        put_upgrade(&writer, response);
    else if (options->close)
        put(&writer, SLICE("Connection: close\r\n"));
    else if (options->keep_alive_1_0)
        put(&writer, SLICE("Connection: keep-alive\r\n"));
    put(&writer, SLICE("\r\n"));
    return writer.full ? 0 : (size_t)(writer.at - buffer);
}
