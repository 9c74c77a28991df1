/* HTTP/1.1 message heads and chunked bodies: strict, in one pass, without allocation.
 *
 * RFC 9110 and 9112 grammar with no lenient mode: whatever could be read two ways is refused.
 * Pure: no I/O, no clock, no globals. Slices point into the caller's buffer and live as long. */
#ifndef PROXY_HTTP1_H
#define PROXY_HTTP1_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, each with the test that hits it in tests/unit/proxy. */
#define HTTP1_HEAD_BYTES_MAX    (64u << 10) /* request line or status line with all fields */
#define HTTP1_TARGET_BYTES_MAX  (16u << 10) /* past it 414 */
#define HTTP1_FIELDS_MAX        128u        /* past it 431 (request) or 502 (response) */
#define HTTP1_METHOD_BYTES_MAX  32u         /* past it 501 (RFC 9112 §3) */
#define HTTP1_HOST_BYTES_MAX    261u        /* a DNS name with a port; it is sent on three times */
#define HTTP1_NAME_BYTES_MAX    256u        /* name of a field */
#define HTTP1_OPTIONS_MAX       64u         /* options that Connection names */
#define HTTP1_CHUNK_LINE_MAX    256u        /* chunk size with its extensions */
#define HTTP1_CHUNK_EXCESS_MAX  (16u << 10) /* chunk lines that bring no body to speak of */
#define HTTP1_TRAILER_BYTES_MAX (8u << 10)

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_CONNECT,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_PATCH,
    HTTP_OTHER, /* any other token, passed through */
};

enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH, /* content_length bytes */
    HTTP_BODY_CHUNKED,
    HTTP_BODY_CLOSE, /* responses only: until the connection ends */
};

struct http_field {
    struct slice name;  /* as received */
    struct slice value; /* trimmed */
    uint8_t known;      /* enum http_known_field: 0 for others */
    bool hop;           /* hop by hop (RFC 9110 §7.6.1) or named by Connection: not forwarded */
    bool plain;         /* its line was "NAME: VALUE" CRLF to the byte */
};

enum http_known_field { /* those that the proxy looks at */
                        FIELD_OTHER,
                        FIELD_HOST,
                        FIELD_CONNECTION,
                        FIELD_CONTENT_LENGTH,
                        FIELD_TRANSFER_ENCODING,
                        FIELD_UPGRADE,
                        FIELD_EXPECT,
                        FIELD_TE,
                        FIELD_TRAILER,
                        FIELD_KEEP_ALIVE,
                        FIELD_PROXY_CONNECTION,
                        FIELD_PROXY_AUTHENTICATE,
                        FIELD_PROXY_AUTHORIZATION,
                        FIELD_X_FORWARDED_FOR,
                        FIELD_X_FORWARDED_PROTO,
                        FIELD_X_FORWARDED_HOST,
                        FIELD_FORWARDED,
                        FIELD_VIA,
                        FIELD_DATE,
                        FIELD_SERVER,
                        FIELD_CONTENT_TYPE,
                        FIELD_COOKIE,
                        FIELD_X_REQUEST_ID,
                        FIELD_MAX_FORWARDS,
                        FIELD_CLIENT_CERT, /* RFC 9440 */
                        FIELD_HSTS,        /* Strict-Transport-Security */
                        FIELD_CLAIM,       /* X-Real-IP, every other X-Forwarded-*, Sluice-Mirror */
};

#define HTTP1_FORWARDS_ANY UINT64_MAX

struct http1_request {
    enum http_method method;
    struct slice method_text;
    struct slice target;   /* as received: origin-form, absolute-form or "*" */
    struct slice path;     /* path with query, origin-form or "*"; of "http://host?query" the query
                              alone, behind an empty path that stands for "/" */
    struct slice host;     /* host[:port], from absolute-form where given, else from Host */
    uint8_t minor_version; /* 0 or 1 */
    enum http_framing framing;
    uint64_t content_length;
    uint64_t max_forwards; /* of OPTIONS; HTTP1_FORWARDS_ANY: not limited */
    bool keep_alive;       /* what the client wants of this connection */
    bool expect_continue;  /* Expect: 100-continue (never in HTTP/1.0) */
    bool upgrade;          /* Connection: upgrade with Upgrade, HTTP/1.1; "h2c" does not count */
    struct slice upgrade_protocol;
    uint32_t seen; /* a bit for each enum http_known_field */
    unsigned field_count;
    struct http_field fields[HTTP1_FIELDS_MAX];
};

struct http1_response {
    uint16_t status; /* 100 to 599 */
    struct slice reason;
    uint8_t minor_version;
    enum http_framing framing; /* with the request's method taken into account */
    uint64_t content_length;   /* also where a HEAD's or 304's answer only announces it */
    bool has_content_length;
    bool keep_alive; /* what the backend allows for this connection */
    bool upgrade;    /* 101 with Upgrade and Connection: upgrade */
    uint32_t seen;   /* a bit for each enum http_known_field */
    unsigned field_count;
    struct http_field fields[HTTP1_FIELDS_MAX];
};

/* What parsing came to: HTTP1_MORE, HTTP1_DONE, or why it was refused. The names are logged and
 * counted as they are. */
enum http1_result {
    HTTP1_DONE,
    HTTP1_MORE, /* not all of it is here yet */
    HTTP1_BAD_REQUEST_LINE,
    HTTP1_BAD_TARGET,
    HTTP1_TARGET_TOO_LONG, /* 414 */
    HTTP1_BAD_VERSION,     /* 505 for another major version, else 400: see http1_status() */
    HTTP1_UNSUPPORTED_VERSION,
    HTTP1_BAD_STATUS_LINE,
    HTTP1_BAD_FIELD,       /* name, colon, value or line end */
    HTTP1_TOO_MANY_FIELDS, /* 431 */
    HTTP1_HEAD_TOO_LARGE,  /* 431 */
    HTTP1_BAD_HOST,        /* none, several, malformed, or at odds with absolute-form */
    HTTP1_BAD_CONTENT_LENGTH,
    HTTP1_BAD_TRANSFER_ENCODING,
    HTTP1_BAD_FRAMING, /* both framings, or a framing where none may be */
    HTTP1_BAD_CHUNK,
    HTTP1_BAD_TRAILER,
    HTTP1_BAD_EXPECT,         /* 417 */
    HTTP1_METHOD_REFUSED,     /* TRACE: 405 */
    HTTP1_METHOD_UNSUPPORTED, /* CONNECT, over-long methods: 501 */
    HTTP1_RESULT_COUNT,
};

/* Parses a request head at the start of `bytes`. `scanned` (0 at first, kept by the caller between
 * calls for one head, opaque) remembers what was read before, so that a trickled head costs linear
 * time; `bytes` may move, but begins with the same head and only grows. One empty line before the
 * request line is passed over (RFC 9112 §2.2) and counts into the length.
 * HTTP1_DONE: *ret_length is the head's length with its empty line. With any other result the
 * content of *ret_request is undefined.
 * A body of `Content-Length: 0` is HTTP_BODY_LENGTH with content_length 0. */
enum http1_result http1_parse_request(struct slice bytes, size_t *scanned,
                                      struct http1_request *ret_request, size_t *ret_length);

/* The same for a response to a request of `method`. An interim 1xx is a response of its own with
 * framing none; the caller parses the next one behind it. */
enum http1_result http1_parse_response(struct slice bytes, enum http_method method, size_t *scanned,
                                       struct http1_response *ret_response, size_t *ret_length);

/* The answer's status for a refused request; 400 for most. Never called with DONE or MORE. */
unsigned http1_status(enum http1_result result);
const char *http1_result_name(enum http1_result result); /* "bad-content-length", ... */

/* --- chunked bodies (RFC 9112 §7.1) -------------------------------------------------------- */

struct http1_chunked { /* embedded in its owner; zero is the start */
    uint8_t state;
    bool has_size; /* a digit was seen */
    uint16_t line_bytes;
    uint32_t trailer_bytes; /* before the last chunk: what chunk lines cost in excess */
    uint64_t left;          /* of the present chunk */
};

/* Takes bytes off the front of `bytes` and finds body data in them. Each call sets *ret_consumed to
 * the number of bytes it took and *ret_data to the one piece of body found in them (perhaps empty):
 * call again, with the rest, while bytes are left and the result is HTTP1_MORE (a call with bytes
 * takes at least one). HTTP1_DONE: the last chunk and its
 * trailer were consumed (trailers are checked and dropped); what is behind belongs to the next
 * message. */
enum http1_result http1_chunked_decode(struct http1_chunked *chunked, struct slice bytes,
                                       size_t *ret_consumed, struct slice *ret_data);

/* Writes "SIZE\r\n" for a chunk of that size; returns its length. The data and "\r\n" follow. */
#define HTTP1_CHUNK_HEAD_BYTES 18
size_t http1_chunk_head(uint64_t size, char buffer[HTTP1_CHUNK_HEAD_BYTES]);

#endif
