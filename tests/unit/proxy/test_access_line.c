#include "proxy/access_line.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_MS 1795543994123u /* 2026-11-24T18:13:14.123Z */

static struct access_record full_record(void)
{
    struct access_record record = {
        .event = "exchange",
        .id = 7,
        .kind = "request",
        .service = "web",
        .group = "stable",
        .backend = "10.0.0.1:80",
        .request = {.method = SLICE("GET"),
                    .target = SLICE("/a?secret=1"),
                    .host = SLICE("shop.example"),
                    .minor_version = 1,
                    .referer = SLICE("https://me:pw@shop.example/from?token=2#x"),
                    .user_agent = SLICE("curl/8"),
                    .request_id = SLICE("abc")},
        .status = 200,
        .bytes_in = 300,
        .bytes_out = 90,
        .body_bytes = 200,
        .tries = 1,
        .queue_us = 1,
        .connect_us = 2,
        .first_byte_us = 3,
        .total_us = 10,
        .why = "done",
    };

    if (address_parse(SLICE("192.0.2.7:1234"), &record.client) < 0)
        abort();
    return record;
}

static const char *line_of(enum config_access_format format, bool query,
                           const struct access_record *record)
{
    static char line[ACCESS_LINE_BYTES_MAX + 1];
    struct access_clock clock = {0};
    size_t length = access_line_write(line, format, query, &clock, WALL_MS, record);

    assert_true(length <= ACCESS_LINE_BYTES_MAX);
    assert_int_equal(line[length - 1], '\n');
    assert_null(memchr(line, '\n', length - 1));
    for (size_t i = 0; i + 1 < length; i++)
        assert_true(line[i] >= ' ' && line[i] < 0x7f);
    line[length] = '\0';
    return line;
}

static void every_format_has_its_fields(void **state)
{
    struct access_record record = full_record();

    (void)state;
    assert_string_equal(
        line_of(ACCESS_LOGFMT, false, &record),
        "time=2026-11-24T18:13:14.123Z level=info role=worker event=exchange id=7 kind=request "
        "client=192.0.2.7:1234 service=web group=stable backend=10.0.0.1:80 method=GET "
        "host=shop.example path=/a request_id=abc status=200 bytes_in=300 bytes_out=90 tries=1 "
        "queue_us=1 connect_us=2 first_byte_us=3 total_us=10 why=done\n");
    assert_string_equal(
        line_of(ACCESS_JSON, false, &record),
        "{\"time\":\"2026-11-24T18:13:14.123Z\",\"level\":\"info\",\"role\":\"worker\","
        "\"event\":\"exchange\",\"id\":\"7\",\"kind\":\"request\",\"client\":\"192.0.2.7:1234\","
        "\"service\":\"web\",\"group\":\"stable\",\"backend\":\"10.0.0.1:80\",\"method\":\"GET\","
        "\"host\":\"shop.example\",\"path\":\"/a\",\"request_id\":\"abc\",\"status\":200,"
        "\"bytes_in\":300,\"bytes_out\":90,\"tries\":1,\"queue_us\":1,\"connect_us\":2,"
        "\"first_byte_us\":3,\"total_us\":10,\"why\":\"done\"}\n");
    assert_string_equal(line_of(ACCESS_COMMON, false, &record),
                        "192.0.2.7 - - [24/Nov/2026:18:13:14 +0000] \"GET /a HTTP/1.1\" 200 200\n");
    assert_string_equal(line_of(ACCESS_COMBINED, false, &record),
                        "192.0.2.7 - - [24/Nov/2026:18:13:14 +0000] \"GET /a HTTP/1.1\" 200 200 "
                        "\"https://shop.example/from\" \"curl/8\"\n");
}

static void a_query_is_there_where_it_was_asked_for(void **state)
{
    struct access_record record = full_record();

    (void)state;
    assert_non_null(strstr(line_of(ACCESS_COMMON, true, &record), "\"GET /a?secret=1 HTTP/1.1\""));
    assert_non_null(
        strstr(line_of(ACCESS_COMBINED, true, &record), "\"https://shop.example/from?token=2\""));
}

static void what_was_refused_has_a_line_in_each_format(void **state)
{
    struct access_record record = {
        .event = "request-refused", .status = 400, .why = "bad-target", .client = {.family = 0}};

    (void)state;
    if (address_parse(SLICE("[2001:db8::1]:5"), &record.client) < 0)
        abort();
    assert_string_equal(line_of(ACCESS_COMBINED, false, &record),
                        "2001:db8::1 - - [24/Nov/2026:18:13:14 +0000] \"-\" 400 - \"-\" \"-\"\n");
    assert_string_equal(line_of(ACCESS_LOGFMT, false, &record),
                        "time=2026-11-24T18:13:14.123Z level=info role=worker "
                        "event=request-refused client=[2001:db8::1]:5 status=400 why=bad-target\n");
}

static void nothing_from_outside_ends_a_field_or_a_line(void **state)
{
    struct access_record record = full_record();

    (void)state;
    record.request.user_agent = SLICE("a\"b\\c\x01\x1b[31m\xff\t");
    record.request.referer = SLICE("x\" 200 1 \"");
    record.request.target = SLICE("/\"\\\x80");
    assert_non_null(strstr(line_of(ACCESS_COMBINED, false, &record),
                           "\"GET /\\\"\\\\\\x80 HTTP/1.1\" 200 200 \"x\\\" 200 1 \\\"\" "
                           "\"a\\\"b\\\\c\\x01\\x1b[31m\\xff\\x09\"\n"));
    assert_non_null(strstr(line_of(ACCESS_JSON, false, &record), "\"path\":\"/\\\"\\\\\\u0080\""));
    assert_non_null(strstr(line_of(ACCESS_LOGFMT, false, &record), "path=\"/\\\"\\\\\\x80\""));
}

static void a_line_fits_a_pipe_whatever_is_in_it(void **state)
{
    static char raw[20000];
    struct access_record record = full_record();
    struct slice all = {raw, sizeof(raw)};

    (void)state;
    for (unsigned byte = 'a'; byte <= 0x100; byte += 0x9f) { /* plain, and the longest escape */
        memset(raw, (int)(byte & 0xff), sizeof(raw));
        record.request.target = record.request.host = record.request.referer =
            record.request.user_agent = record.request.request_id = all;
        for (unsigned format = ACCESS_LOGFMT; format <= ACCESS_COMBINED; format++)
            assert_non_null(
                strstr(line_of((enum config_access_format)format, true, &record), "..."));
    }
}

static void fields_are_found_in_a_head(void **state)
{
    struct access_request request = {0};

    (void)state;
    access_line_find_fields(
        SLICE("GET / HTTP/1.1\r\nHost: a\r\nREFERER: r\r\nX-Referer: n\r\nUser-Agent: u\r\n\r\n"
              "Referer: body"),
        &request);
    assert_memory_equal(request.referer.data, "r", request.referer.length);
    assert_int_equal(request.referer.length, 1);
    assert_memory_equal(request.user_agent.data, "u", request.user_agent.length);
    assert_int_equal(request.user_agent.length, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_has_its_fields),
        cmocka_unit_test(a_query_is_there_where_it_was_asked_for),
        cmocka_unit_test(what_was_refused_has_a_line_in_each_format),
        cmocka_unit_test(nothing_from_outside_ends_a_field_or_a_line),
        cmocka_unit_test(a_line_fits_a_pipe_whatever_is_in_it),
        cmocka_unit_test(fields_are_found_in_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
