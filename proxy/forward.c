#include "forward.h"

#include <inttypes.h>
#include <stdio.h>

struct writer {
    char *data;
    size_t size, length;
    bool full;
};

static void put(struct writer *writer, struct slice bytes)
{
    if (writer->full || bytes.length > writer->size - writer->length) {
        writer->full = true;
        return;
    }
    if (bytes.length > 0)
        memcpy(writer->data + writer->length, bytes.data, bytes.length);
    writer->length += bytes.length;
}

static void put_field(struct writer *writer, struct slice name, struct slice value)
{
    put(writer, name);
    put(writer, SLICE(": "));
    put(writer, value);
    put(writer, SLICE("\r\n"));
}

static void put_length(struct writer *writer, uint64_t length)
{
    char text[24];
    int digits = snprintf(text, sizeof(text), "%" PRIu64, length);

    put_field(writer, SLICE("Content-Length"), (struct slice){text, (size_t)digits});
}

/* `prefix` in lower case, a hyphen being as good as an underscore: "X_Forwarded_For" reaches a
 * CGI-like backend under the very name of the trusted field. */
static bool begins_like(struct slice name, struct slice prefix)
{
    if (name.length < prefix.length)
        return false;
    for (size_t i = 0; i < prefix.length; i++) {
        char c = name.data[i];
        if (c == '_')
            c = '-';
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != prefix.data[i])
            return false;
    }
    return true;
}

/* What says where the request comes from is the proxy's to say, not a stranger's. */
static bool claims_origin(struct slice name)
{
    return (name.data[0] | 0x20) == 'x' &&
           (begins_like(name, SLICE("x-forwarded-")) ||
            (begins_like(name, SLICE("x-real-ip")) && name.length == sizeof("x-real-ip") - 1));
}

static bool is_sent_on(const struct http1_request *request, const struct http_field *field)
{
    switch (field->known) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_X_FORWARDED_FOR:
    case FIELD_X_FORWARDED_PROTO:
    case FIELD_X_FORWARDED_HOST:
    case FIELD_FORWARDED:
    case FIELD_CONNECTION:
    case FIELD_UPGRADE:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRAILER:
        return false;
    case FIELD_EXPECT:
        return request->expect_continue;
    default:
        return !field->hop && !claims_origin(field->name);
    }
}

static void put_request_framing(struct writer *writer, const struct http1_request *request)
{
    if (request->framing == HTTP_BODY_LENGTH)
        put_length(writer, request->content_length);
    else if (request->framing == HTTP_BODY_CHUNKED)
        put(writer, SLICE("Transfer-Encoding: chunked\r\n"));
    if (request->upgrade && request->framing == HTTP_BODY_NONE) {
        put(writer, SLICE("Connection: upgrade\r\n"));
        put_field(writer, SLICE("Upgrade"), request->upgrade_protocol);
    }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the writer writes to it */
size_t forward_request(char *buffer, size_t size, const struct http1_request *request,
                       struct slice client_ip)
{
    struct writer writer = {.data = buffer, .size = size};

    put(&writer, request->method_text);
    put(&writer, SLICE(" "));
    put(&writer, request->path);
    put(&writer, SLICE(" HTTP/1.1\r\n"));
    put_field(&writer, SLICE("Host"), request->host);
    for (unsigned i = 0; i < request->field_count; i++)
        if (is_sent_on(request, &request->fields[i]))
            put_field(&writer, request->fields[i].name, request->fields[i].value);
    put_request_framing(&writer, request);
    put_field(&writer, SLICE("X-Forwarded-For"), client_ip);
    put(&writer, SLICE("X-Forwarded-Proto: http\r\n"));
    if (request->host.length > 0)
        put_field(&writer, SLICE("X-Forwarded-Host"), request->host);
    put(&writer, request->minor_version == 0 ? SLICE("Via: 1.0 sluice\r\n\r\n")
                                             : SLICE("Via: 1.1 sluice\r\n\r\n"));
    return writer.full ? 0 : writer.length;
}

static bool is_sent_back(const struct http_field *field)
{
    return !field->hop && field->known != FIELD_CONTENT_LENGTH &&
           field->known != FIELD_TRANSFER_ENCODING && field->known != FIELD_CONNECTION &&
           field->known != FIELD_KEEP_ALIVE && field->known != FIELD_UPGRADE &&
           field->known != FIELD_TRAILER && field->known != FIELD_PROXY_CONNECTION;
}

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
    struct writer writer = {.data = buffer, .size = size};
    char status[4] = {(char)('0' + response->status / 100 % 10),
                      (char)('0' + response->status / 10 % 10), (char)('0' + response->status % 10),
                      ' '};
    bool dated = false;

    put(&writer, SLICE("HTTP/1.1 "));
    put(&writer, (struct slice){status, sizeof(status)});
    put(&writer, response->reason);
    put(&writer, SLICE("\r\n"));
    for (unsigned i = 0; i < response->field_count; i++) {
        dated = dated || response->fields[i].known == FIELD_DATE;
        if (is_sent_back(&response->fields[i]))
            put_field(&writer, response->fields[i].name, response->fields[i].value);
    }
    if (!dated && response->status >= 200)
        put_field(&writer, SLICE("Date"), slice_from_string(options->date));
    if (options->framing == HTTP_BODY_LENGTH || options->announce_length)
        put_length(&writer, response->content_length);
    else if (options->framing == HTTP_BODY_CHUNKED)
        put(&writer, SLICE("Transfer-Encoding: chunked\r\n"));
    if (options->upgrade)
        put_upgrade(&writer, response);
    else if (options->close)
        put(&writer, SLICE("Connection: close\r\n"));
    else if (options->keep_alive_1_0)
        put(&writer, SLICE("Connection: keep-alive\r\n"));
    put(&writer, SLICE("\r\n"));
    return writer.full ? 0 : writer.length;
}
