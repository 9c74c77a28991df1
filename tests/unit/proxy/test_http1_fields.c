/* Which fields are passed on, and the limits of heads. */
#include "base/memory.h"
#include "proxy/http1_internal.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses "GET / HTTP/1.1" with Host and `lines`, which must be good, and returns whether the field
 * `name` is hop by hop. */
static bool is_hop(const char *lines, const char *name)
{
    struct http1_request *request = memory_new(sizeof(*request));
    char *text = memory_format("GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    size_t scanned = 0, length = 0;
    bool found = false, hop = false;

    assert_int_equal(http1_parse_request(slice_from_string(text), &scanned, request, &length),
                     HTTP1_DONE);
    for (unsigned i = 0; i < request->field_count; i++) {
        if (!slice_equals(request->fields[i].name, slice_from_string(name)))
            continue;
        found = true;
        hop = request->fields[i].hop;
    }
    assert_true(found);
    free(text);
    free(request);
    return hop;
}

static void drops_fields_that_are_hop_by_hop(void **state)
{
    (void)state;
    assert_true(is_hop("Connection: close\r\n", "Connection"));
    assert_true(is_hop("Keep-Alive: timeout=5\r\n", "Keep-Alive"));
    assert_true(is_hop("Proxy-Connection: close\r\n", "Proxy-Connection"));
    assert_true(is_hop("Proxy-Authorization: x\r\n", "Proxy-Authorization"));
    assert_true(is_hop("TE: trailers\r\n", "TE"));
    assert_true(is_hop("Trailer: X\r\n", "Trailer"));
    assert_true(is_hop("Transfer-Encoding: chunked\r\n", "Transfer-Encoding"));
    assert_true(is_hop("Upgrade: h2c\r\n", "Upgrade"));
    assert_true(is_hop("HTTP2-Settings: AA\r\n", "HTTP2-Settings"));
}

static void passes_other_fields_on(void **state)
{
    (void)state;
    assert_false(is_hop("X-Other: y\r\n", "X-Other"));
    assert_false(is_hop("x_other: y\r\n", "x_other"));
    assert_false(is_hop("", "Host"));
}

static void drops_what_connection_names_before_and_behind_it(void **state)
{
    (void)state;
    assert_true(is_hop("X-Hop: y\r\nConnection: close, x-hop\r\n", "X-Hop"));
    assert_true(is_hop("Connection: x-HOP\r\nX-Hop: y\r\n", "X-Hop"));
    assert_true(is_hop("Connection: close\r\nConnection: ,X-Hop,\r\nX-Hop: y\r\n", "X-Hop"));
}

static void connection_cannot_strip_what_others_trust(void **state)
{
    (void)state;
    static const char *const names[] = {
        "X-Forwarded-For",   "X-Forwarded-Host",
        "X-Forwarded-Proto", "X-Forwarded-Whatever",
        "Forwarded",         "Via",
        "Authorization",     "Cookie",
        "X-Request-Id",      "X-Real-IP",
        "traceparent",       "Content-Type",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *lines = memory_format("Connection: close, %s\r\n%s: x\r\n", names[i], names[i]);
        assert_false(is_hop(lines, names[i]));
        free(lines);
    }
    assert_false(is_hop("Connection: Host\r\n", "Host"));
    assert_false(is_hop("Connection: content-length\r\nContent-Length: 0\r\n", "Content-Length"));
}

static void drops_underscore_twins_of_trusted_fields(void **state)
{
    (void)state;
    assert_true(is_hop("X_Forwarded_For: y\r\n", "X_Forwarded_For"));
    assert_true(is_hop("x-forwarded_proto: y\r\n", "x-forwarded_proto"));
    assert_true(is_hop("Content_Length: 5\r\n", "Content_Length"));
    assert_true(is_hop("Transfer_Encoding: chunked\r\n", "Transfer_Encoding"));
    assert_true(is_hop("X_Forwarded_Whatever: y\r\n", "X_Forwarded_Whatever"));
}

static void finds_every_known_field(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum http_known_field known;
    } names[] = {
        {"HOST", FIELD_HOST},
        {"Connection", FIELD_CONNECTION},
        {"content-LENGTH", FIELD_CONTENT_LENGTH},
        {"Transfer-Encoding", FIELD_TRANSFER_ENCODING},
        {"Upgrade", FIELD_UPGRADE},
        {"Expect", FIELD_EXPECT},
        {"TE", FIELD_TE},
        {"Trailer", FIELD_TRAILER},
        {"Keep-Alive", FIELD_KEEP_ALIVE},
        {"Proxy-Connection", FIELD_PROXY_CONNECTION},
        {"Proxy-Authenticate", FIELD_PROXY_AUTHENTICATE},
        {"Proxy-Authorization", FIELD_PROXY_AUTHORIZATION},
        {"X-Forwarded-For", FIELD_X_FORWARDED_FOR},
        {"X-Forwarded-Proto", FIELD_X_FORWARDED_PROTO},
        {"X-Forwarded-Host", FIELD_X_FORWARDED_HOST},
        {"Forwarded", FIELD_FORWARDED},
        {"Via", FIELD_VIA},
        {"Date", FIELD_DATE},
        {"Server", FIELD_SERVER},
        {"Content-Type", FIELD_CONTENT_TYPE},
        {"Cookie", FIELD_COOKIE},
        {"X-Request-ID", FIELD_X_REQUEST_ID},
        {"Max-Forwards", FIELD_MAX_FORWARDS},
        {"X-Real-IP", FIELD_CLAIM},
        {"X-Forwarded-Port", FIELD_CLAIM},
        {"x-forwarded-Whatever", FIELD_CLAIM},
        {"X-Forwarded_Whatever", FIELD_OTHER},
        {"X_Request_Id", FIELD_OTHER},
        {"Content_Length", FIELD_OTHER},
        {"X-Unknown", FIELD_OTHER},
        {"X", FIELD_OTHER},
        {"A-name-that-is-longer-than-all-of-them", FIELD_OTHER},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct http_field field = {.name = slice_from_string(names[i].name)};
        http1_classify(&field);
        assert_int_equal(field.known, names[i].known);
    }
}

/* Builds a head with a target of so many bytes, so many fields besides Host, and a last field
 * whose value fills the head up to `head_bytes` (0: none). Then parses it whole and in pieces. */
static enum http1_result parse_large(size_t target_bytes, unsigned field_count, size_t head_bytes)
{
    struct http1_request *request = memory_new(sizeof(*request));
    char *text = memory_new(2 * HTTP1_HEAD_BYTES_MAX);
    size_t length = 0, scanned = 0, trickled = 0, head_length = 0;

    length += (size_t)sprintf(text, "GET /");
    memset(text + length, 'a', target_bytes - 1);
    length += target_bytes - 1;
    length += (size_t)sprintf(text + length, " HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < field_count; i++)
        length += (size_t)sprintf(text + length, "X: y\r\n");
    if (head_bytes > 0) {
        size_t fill = head_bytes - length - sizeof("Z:\r\n\r\n") + 1;
        length += (size_t)sprintf(text + length, "Z:");
        memset(text + length, 'z', fill);
        length += fill + (size_t)sprintf(text + length + fill, "\r\n");
    }
    length += (size_t)sprintf(text + length, "\r\n");

    struct slice whole = {text, length};
    enum http1_result result = http1_parse_request(whole, &scanned, request, &head_length);
    enum http1_result pieces = HTTP1_MORE;
    for (size_t i = 7; pieces == HTTP1_MORE; i = i + 7 < length ? i + 7 : length)
        pieces = http1_parse_request((struct slice){text, i}, &trickled, request, &head_length);
    assert_int_equal(pieces, result);
    if (result == HTTP1_DONE)
        assert_int_equal(head_length, length);
    free(text);
    free(request);
    return result;
}

static void limits_the_target(void **state)
{
    (void)state;
    assert_int_equal(parse_large(HTTP1_TARGET_BYTES_MAX, 0, 0), HTTP1_DONE);
    assert_int_equal(parse_large(HTTP1_TARGET_BYTES_MAX + 1, 0, 0), HTTP1_TARGET_TOO_LONG);
    assert_int_equal(parse_large(HTTP1_HEAD_BYTES_MAX + 1, 0, 0), HTTP1_TARGET_TOO_LONG);
}

static void limits_the_number_of_fields(void **state)
{
    (void)state;
    assert_int_equal(parse_large(1, HTTP1_FIELDS_MAX - 1, 0), HTTP1_DONE);
    assert_int_equal(parse_large(1, HTTP1_FIELDS_MAX, 0), HTTP1_TOO_MANY_FIELDS);
}

static void limits_the_head(void **state)
{
    (void)state;
    assert_int_equal(parse_large(1, 0, HTTP1_HEAD_BYTES_MAX), HTTP1_DONE);
    assert_int_equal(parse_large(1, 0, HTTP1_HEAD_BYTES_MAX + 1), HTTP1_HEAD_TOO_LARGE);
}

static void limits_the_options_of_connection(void **state)
{
    struct http1_request *request = memory_new(sizeof(*request));
    char text[1024] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: ";
    size_t scanned = 0, length;

    (void)state;
    for (unsigned i = 0; i <= HTTP1_OPTIONS_MAX; i++)
        strcat(text, "a,");
    strcat(text, "\r\n\r\n");
    assert_int_equal(http1_parse_request(slice_from_string(text), &scanned, request, &length),
                     HTTP1_BAD_FIELD);
    free(request);
}

static void every_refusal_has_a_status_and_a_name(void **state)
{
    (void)state;
    for (unsigned i = HTTP1_MORE + 1; i < HTTP1_RESULT_COUNT; i++) {
        assert_in_range(http1_status((enum http1_result)i), 400, 505);
        assert_non_null(http1_result_name((enum http1_result)i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_fields_that_are_hop_by_hop),
        cmocka_unit_test(passes_other_fields_on),
        cmocka_unit_test(drops_what_connection_names_before_and_behind_it),
        cmocka_unit_test(connection_cannot_strip_what_others_trust),
        cmocka_unit_test(drops_underscore_twins_of_trusted_fields),
        cmocka_unit_test(finds_every_known_field),
        cmocka_unit_test(limits_the_target),
        cmocka_unit_test(limits_the_number_of_fields),
        cmocka_unit_test(limits_the_head),
        cmocka_unit_test(limits_the_options_of_connection),
        cmocka_unit_test(every_refusal_has_a_status_and_a_name),
    };
    return cmocka_run_group_tests_name("http1_fields", tests, NULL, NULL);
}
