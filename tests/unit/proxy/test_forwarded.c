/* Whose request it is, by the word of proxies in front. */
#include "base/memory.h"
#include "proxy/forwarded.h"
#include "proxy/limits.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http1_request request;

static struct network network_of(const char *text)
{
    struct network network;

    assert_int_equal(network_parse(slice_from_string(text), &network), 0);
    return network;
}

static void parse(const char *lines)
{
    char *text = memory_format("GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
    static char kept[65536];
    size_t scanned = 0, length = 0;

    memcpy(kept, text, strlen(text) + 1);
    free(text);
    assert_int_equal(http1_parse_request(slice_from_string(kept), &scanned, &request, &length),
                     HTTP1_DONE);
}

/* The client by `lines` sent by 10.0.0.1, where 10.0.0.0/8 and fd00::/8 are trusted. */
static const char *client(const char *lines)
{
    const struct network trusted[] = {network_of("10.0.0.0/8"), network_of("fd00::/8")};
    static char text[ADDRESS_TEXT_BYTES];
    struct address peer, found;

    parse(lines);
    assert_int_equal(address_from_ip(SLICE("10.0.0.1"), 4000, &peer), 0);
    forwarded_client(&request, trusted, 2, &peer, &found);
    address_format(&found, text);
    return text;
}

static void the_rightmost_untrusted_is_the_client(void **state)
{
    (void)state;
    assert_string_equal(client(""), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For: 192.0.2.7\r\n"), "192.0.2.7:0");
    assert_string_equal(client("X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.0.0.9\r\n"), "192.0.2.7:0");
    assert_string_equal(client("X-Forwarded-For: 1.1.1.1\r\nX: y\r\n"
                               "X-Forwarded-For: 192.0.2.7,fd00::1\r\n"
                               "X-Forwarded-For: 10.0.0.9\r\n"),
                        "192.0.2.7:0");
}

static void where_all_are_trusted_the_first_is(void **state)
{
    (void)state;
    assert_string_equal(client("X-Forwarded-For: 10.0.0.7, 10.0.0.9\r\n"), "10.0.0.7:0");
}

static void what_cannot_be_read_ends_the_walk(void **state)
{
    (void)state;
    assert_string_equal(client("X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.9\r\n"), "10.0.0.9:0");
    assert_string_equal(client("X-Forwarded-For: 1.1.1.1,,\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For: 1.1.1.1:99999\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For: [::1\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For: [::1]x\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For: [1.1.1.1]extra:80\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For: 1.1.1.1:\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("X-Forwarded-For:\r\n"), "10.0.0.1:4000");
}

static void ports_and_brackets_are_understood(void **state)
{
    (void)state;
    assert_string_equal(client("X-Forwarded-For: 192.0.2.7:81\r\n"), "192.0.2.7:81");
    assert_string_equal(client("X-Forwarded-For: 2001:db8::7\r\n"), "[2001:db8::7]:0");
    assert_string_equal(client("X-Forwarded-For: [2001:db8::7]\r\n"), "[2001:db8::7]:0");
    assert_string_equal(client("X-Forwarded-For: [2001:db8::7]:81\r\n"), "[2001:db8::7]:81");
}

static void forwarded_is_read_where_it_is_alone(void **state)
{
    (void)state;
    assert_string_equal(client("Forwarded: for=1.1.1.1, For=192.0.2.7;proto=https\r\n"),
                        "192.0.2.7:0");
    assert_string_equal(client("Forwarded: proto=http;host=\"a,b;for=6.6.6.6\"; "
                               "for=\"[2001:db8::7]:81\"\r\n"),
                        "[2001:db8::7]:81");
    assert_string_equal(client("Forwarded: for=_hidden\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("Forwarded: for=1.1.1.1;by=x, proto=http\r\n"), "10.0.0.1:4000");
    assert_string_equal(client("Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\n"),
                        "192.0.2.7:0");
}

static void an_open_quote_hides_nothing_behind_it(void **state)
{
    (void)state;
    assert_string_equal(client("Forwarded: for=\"1.1.1.1, for=192.0.2.7\r\n"), "192.0.2.7:0");
    assert_string_equal(client("Forwarded: for=\"1.1.1.1, for=\"192.0.2.7\"\r\n"), "192.0.2.7:0");
}

static void a_made_up_chain_is_not_followed_without_end(void **state)
{
    char lines[4096] = "X-Forwarded-For: 10.9.9.9";
    (void)state;

    for (unsigned i = 0; i < FORWARDED_HOPS_MAX; i++)
        strcat(lines, ", 10.0.0.9");
    strcat(lines, "\r\n");
    assert_string_equal(client(lines), "10.0.0.9:0");
}

static struct slice request_id(const char *lines, bool trusted)
{
    static char text[REQUEST_ID_BYTES_MAX];
    const uint64_t random[2] = {0x0123456789abcdef, 0xfedcba9876543210};

    parse(lines);
    return (struct slice){text, forwarded_request_id(&request, trusted, random, text)};
}

static void is_made(struct slice id)
{
    unsigned counts[128] = {0};

    assert_int_equal(id.length, 32);
    for (size_t i = 0; i < id.length; i++)
        counts[(unsigned char)id.data[i]]++;
    for (const char *digit = "0123456789abcdef"; *digit != 0; digit++)
        assert_int_equal(counts[(unsigned char)*digit], 2); /* each nibble is twice in `random` */
}

static void request_id_is_kept_from_trusted_proxies_only(void **state)
{
    const char *line = "X-Request-Id: 3f2504e0-4f89:11d3/A+b=@~_.\r\n";
    (void)state;

    assert_true(slice_equals(request_id(line, true), SLICE("3f2504e0-4f89:11d3/A+b=@~_.")));
    is_made(request_id(line, false));
    is_made(request_id("", true));
}

static void request_id_that_is_not_fit_for_a_log_is_made_anew(void **state)
{
    static const char *const bad[] = {"a b", "a\"b", "a,b", "\x80", "",
                                      "a;b", "<a>",  "%0a", "[",    "`"};
    char lines[256];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(lines, sizeof(lines), "X-Request-Id: %s\r\n", bad[i]);
        is_made(request_id(lines, true));
    }
    is_made(request_id("X-Request-Id: a\r\nX-Request-Id: a\r\n", true));
    memset(lines, 'a', sizeof(lines));
    memcpy(lines, "X-Request-Id: ", 14);
    memcpy(lines + 14 + REQUEST_ID_BYTES_MAX, "\r\n", 3);
    assert_int_equal(request_id(lines, true).length, REQUEST_ID_BYTES_MAX);
    memcpy(lines + 14 + REQUEST_ID_BYTES_MAX, "a\r\n", 4);
    is_made(request_id(lines, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rightmost_untrusted_is_the_client),
        cmocka_unit_test(where_all_are_trusted_the_first_is),
        cmocka_unit_test(what_cannot_be_read_ends_the_walk),
        cmocka_unit_test(ports_and_brackets_are_understood),
        cmocka_unit_test(forwarded_is_read_where_it_is_alone),
        cmocka_unit_test(an_open_quote_hides_nothing_behind_it),
        cmocka_unit_test(a_made_up_chain_is_not_followed_without_end),
        cmocka_unit_test(request_id_is_kept_from_trusted_proxies_only),
        cmocka_unit_test(request_id_that_is_not_fit_for_a_log_is_made_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
