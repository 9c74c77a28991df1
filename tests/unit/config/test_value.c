#include "../unit.h"
#include "config/config.h"
#include "config/value.h"

#include <errno.h>
#include <string.h>

static void reads_durations(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } cases[] = {{"0", 0},        {"500ms", 500},       {"30s", 30000},     {"5m", 300000},
                 {"1h", 3600000}, {"1m30s", 90000},     {"1h1ms", 3600001}, {"0s", 0},
                 {"90s", 90000},  {"720h", 2592000000u}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t ms = 1;
        assert_int_equal(config_parse_duration(cases[i].text, &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void refuses_what_is_no_duration_and_leaves_the_result(void **state)
{
    static const char *const cases[] = {"",      "30",  "s",   "-1s",  "1.5s",         "1s1m",
                                        "1s1s",  "1 s", "1S",  "721h", "99999999999s", "1d",
                                        "1ms1s", "00",  "5m ", "0x1s", "1ss"};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t ms = 42;
        assert_int_equal(config_parse_duration(cases[i], &ms), -EINVAL);
        assert_int_equal(ms, 42);
    }
}

static void a_formatted_duration_reads_back(void **state)
{
    static const uint32_t cases[] = {0, 1, 999, 1000, 1500, 60000, 90001, 3600000, 2592000000u};
    char text[DURATION_TEXT_BYTES];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t ms = 42;
        duration_format(cases[i], text);
        assert_int_equal(config_parse_duration(text, &ms), 0);
        assert_int_equal(ms, cases[i]);
    }
}

static void reads_weights_in_hundredths_of_a_per_cent(void **state)
{
    static const struct {
        const char *text;
        uint32_t weight;
    } cases[] = {{"0", 0},       {"5", 500},        {"0.25", 25}, {"100", 10000},
                 {"12.5", 1250}, {"100.00", 10000}, {"0.01", 1},  {"7.500", 750}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t weight = 42;
        assert_int_equal(config_parse_weight(cases[i].text, &weight), 0);
        assert_int_equal(weight, cases[i].weight);
    }
}

static void refuses_what_is_no_weight(void **state)
{
    static const char *const cases[] = {"",   "-1", "100.01", "101", "1e1", "5%",
                                        "5.", ".5", "0.001",  " 5",  "x",   "1000"};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t weight = 42;
        assert_int_equal(config_parse_weight(cases[i], &weight), -EINVAL);
        assert_int_equal(weight, 42);
    }
}

static void reads_sizes_and_writes_them_back(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"0", 0},
                 {"1", 1},
                 {"1000", 1000},
                 {"1k", 1024},
                 {"1536k", 1536u << 10},
                 {"10m", 10u << 20},
                 {"5g", (uint64_t)5 << 30},
                 {"1t", (uint64_t)1 << 40}};
    char text[SIZE_TEXT_BYTES];
    uint64_t bytes;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(config_parse_size(cases[i].text, &bytes), 0);
        assert_int_equal(bytes, cases[i].bytes);
        size_format(bytes, text);
        assert_string_equal(text, cases[i].text);
    }
    assert_int_equal(config_parse_size("64K", &bytes), 0);
    assert_int_equal(bytes, 64 << 10);
}

static void refuses_what_is_no_size(void **state)
{
    static const char *const cases[] = {
        "",    "k",   "-1", "1.5m", "10mb", "10 m",          "2t",
        "01k", "0x1", "1p", "m1",   " 1",   "1099511627777", "99999999999999"};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 42;
        assert_int_equal(config_parse_size(cases[i], &bytes), -EINVAL);
        assert_int_equal(bytes, 42);
    }
}

static void counts_the_edits_between_words(void **state)
{
    (void)state;
    assert_int_equal(edit_distance("tcp", "tcp"), 0);
    assert_int_equal(edit_distance("tpc", "tcp"), 1);
    assert_int_equal(edit_distance("adress", "address"), 1);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("abc", ""), 3);
    assert_int_equal(edit_distance("kitten", "sitting"), 3);
}

static void knows_hosts_and_endpoints(void **state)
{
    (void)state;
    assert_true(endpoint_is_valid("127.0.0.1:80"));
    assert_true(endpoint_is_valid("[::1]:65535"));
    assert_true(endpoint_is_valid("my_app.internal:1"));
    assert_false(endpoint_is_valid("host"));
    assert_false(endpoint_is_valid("host:0"));
    assert_false(endpoint_is_valid("host:65536"));
    assert_false(endpoint_is_valid("::1:80"));
    assert_false(endpoint_is_valid(":80"));
    assert_false(endpoint_is_valid("a..b:80"));
    assert_false(host_is_valid("-a"));
    assert_false(host_is_valid("a."));
    assert_false(host_is_valid("a b"));
    assert_false(host_is_valid("["));
    assert_false(host_is_valid("[]"));
}

static void finds_the_line_of_bytes_that_are_no_text(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {
        {"", 0},         {"a\tb\r\nc\n", 0}, {"\xc3\xa9", 0},         {"\xf0\x9f\x98\x80", 0},
        {"\x01", 1},     {"\n\x7f", 2},      {"\n\n\xff", 3},         {"\xc3", 1},
        {"\xc3\n", 1},   {"\xc0\x80", 1},    {"\xe0\x80\x80", 1},     {"\xed\xa0\x80", 1},
        {"\xe2\x82", 1}, {"\x80", 1},        {"\xf4\x90\x80\x80", 1}, {"\xf8\x88\x80\x80", 1}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(text_find_bad_line(cases[i].text, strlen(cases[i].text)), cases[i].line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(refuses_what_is_no_duration_and_leaves_the_result),
        cmocka_unit_test(a_formatted_duration_reads_back),
        cmocka_unit_test(reads_weights_in_hundredths_of_a_per_cent),
        cmocka_unit_test(refuses_what_is_no_weight),
        cmocka_unit_test(reads_sizes_and_writes_them_back),
        cmocka_unit_test(refuses_what_is_no_size),
        cmocka_unit_test(counts_the_edits_between_words),
        cmocka_unit_test(knows_hosts_and_endpoints),
        cmocka_unit_test(finds_the_line_of_bytes_that_are_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
