/* PROXY headers, versions 1 and 2: what is taken, what is refused, what is written. */
#include "proxy/proxy_protocol.h"
#include "tests/unit/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4      SIGNATURE "\x21\x11\x00\x0c\x0a\x01\x02\x03\xc0\x00\x02\x07\x9c\x40\x01\xbb"
#define IP6       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"

static char text[ADDRESS_TEXT_BYTES];

static const char *format(const struct address *address)
{
    address_format(address, text);
    return text;
}

/* Whole, and in every two pieces: the first is never more than "so far it may be one". */
static enum proxy_protocol_result parse(struct slice bytes, struct proxy_protocol *told,
                                        size_t *length)
{
    enum proxy_protocol_result whole = proxy_protocol_parse(bytes, told, length);

    for (size_t i = 0; i < bytes.length; i++) {
        struct proxy_protocol piece;
        size_t ignored;
        enum proxy_protocol_result result =
            proxy_protocol_parse((struct slice){bytes.data, i}, &piece, &ignored);
        assert_true(result == PROXY_PROTOCOL_MORE || result == whole);
        if (whole == PROXY_PROTOCOL_DONE)
            assert_int_equal(result == PROXY_PROTOCOL_DONE, i >= *length);
    }
    return whole;
}

static void check_told(struct slice bytes, const char *source, const char *destination)
{
    struct proxy_protocol told;
    size_t length = 0;

    assert_int_equal(parse(bytes, &told, &length), PROXY_PROTOCOL_DONE);
    assert_int_equal(length, bytes.length);
    assert_true(told.told);
    assert_string_equal(format(&told.source), source);
    assert_string_equal(format(&told.destination), destination);
}

static void check_not_told(struct slice bytes)
{
    struct proxy_protocol told;
    size_t length = 0;

    assert_int_equal(parse(bytes, &told, &length), PROXY_PROTOCOL_DONE);
    assert_int_equal(length, bytes.length);
    assert_false(told.told);
}

static void check_refused(struct slice bytes, enum proxy_protocol_result expected)
{
    struct proxy_protocol told;
    size_t length = 0;

    assert_int_equal(parse(bytes, &told, &length), expected);
}

static void version_1_tells_both_addresses(void **state)
{
    (void)state;
    check_told(SLICE("PROXY TCP4 10.1.2.3 192.0.2.7 40000 443\r\n"), "10.1.2.3:40000",
               "192.0.2.7:443");
    check_told(SLICE("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), "[2001:db8::1]:1", "[::1]:65535");
    check_told(SLICE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
               "255.255.255.255:65535", "255.255.255.255:65535");
    check_told(SLICE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 0 0\r\n"),
               "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0",
               "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0");
}

static void version_1_unknown_says_nothing_whatever_follows(void **state)
{
    (void)state;
    check_not_told(SLICE("PROXY UNKNOWN\r\n"));
    check_not_told(SLICE("PROXY UNKNOWN ffff::1 \x01 what ever  65535\r\n"));
}

static void version_1_takes_one_spelling_only(void **state)
{
    static const char *const broken[] = {
        "PROXY TCP4 10.1.2.3 192.0.2.7 40000 443\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 40000 443 \r\n",
        "PROXY TCP4  10.1.2.3 192.0.2.7 40000 443\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 40000\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 40000 443 1\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 040000 443\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 +4000 443\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 65536 443\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 40000 \r\n",
        "PROXY TCP4 10.1.2.03 192.0.2.7 40000 443\r\n",
        "PROXY TCP4 10.1.2.256 192.0.2.7 40000 443\r\n",
        "PROXY TCP4 ::1 ::1 40000 443\r\n",
        "PROXY TCP6 10.1.2.3 192.0.2.7 40000 443\r\n",
        "PROXY tcp4 10.1.2.3 192.0.2.7 40000 443\r\n",
        "PROXY UDP4 10.1.2.3 192.0.2.7 40000 443\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.7 40000 443\rX",
        "PROXY UNKNOWN a\nb\r\n",
        "PROXY \r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        check_refused(slice_from_string(broken[i]), PROXY_PROTOCOL_BROKEN);
}

static void version_1_ends_within_107_bytes(void **state)
{
    char line[160];

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    check_not_told((struct slice){line, 107});
    line[105] = 'x';
    memcpy(line + 106, "\r\n", 2);
    check_refused((struct slice){line, 108}, PROXY_PROTOCOL_TOO_LONG);
    line[20] = '\n'; /* as when only those bytes had come */
    check_refused((struct slice){line, 108}, PROXY_PROTOCOL_BROKEN);
}

static void what_is_no_header_is_seen_at_its_first_byte_that_differs(void **state)
{
    (void)state;
    check_refused(SLICE("GET / HTTP/1.1\r\n"), PROXY_PROTOCOL_MISSING);
    check_refused(SLICE("PROXI"), PROXY_PROTOCOL_MISSING);
    check_refused(SLICE("\r\n\r\n\r\n"), PROXY_PROTOCOL_MISSING);
    check_refused(SLICE("\x16\x03\x01"), PROXY_PROTOCOL_MISSING);
    check_refused(SLICE("PROXY\t"), PROXY_PROTOCOL_MISSING);
}

static void version_2_tells_both_addresses(void **state)
{
    (void)state;
    check_told(SLICE(TCP4), "10.1.2.3:40000", "192.0.2.7:443");
    check_told(SLICE(SIGNATURE "\x21\x21\x00\x24" IP6 "\x01" IP6 "\x02\x00\x01\xff\xff"),
               "[2001:db8::1]:1", "[2001:db8::2]:65535");
}

static void version_2_may_say_nothing(void **state)
{
    char unix_stream[16 + 216] = SIGNATURE "\x21\x31\x00\xd8";

    (void)state;
    check_not_told(SLICE(SIGNATURE "\x20\x00\x00\x00"));
    check_not_told(SLICE(SIGNATURE "\x20\xff\x00\x03zzz")); /* LOCAL: its block is dropped */
    check_not_told(SLICE(SIGNATURE "\x21\x00\x00\x00"));
    check_not_told(SLICE(SIGNATURE "\x21\x12\x00\x0c............")); /* UDP over IPv4 */
    check_not_told((struct slice){unix_stream, sizeof(unix_stream)});
}

static void version_2_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    check_refused(SLICE(SIGNATURE "\x11\x11\x00\x0c............"), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(SIGNATURE "\x22\x11\x00\x0c............"), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(SIGNATURE "\x21\x41\x00\x0c............"), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(SIGNATURE "\x21\x13\x00\x0c............"), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(SIGNATURE "\x21\x11\x00\x0b..........."), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(SIGNATURE "\x21\x21\x00\x23..................................."),
                  PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(SIGNATURE "\x21\x11\xff\xff"), PROXY_PROTOCOL_TOO_LONG);
}

#define TCP4_WITH(length)                                                                          \
    SIGNATURE "\x21\x11\x00" length "\x0a\x01\x02\x03\xc0\x00\x02\x07\x9c\x40\x01\xbb"

static void tlvs_are_skipped_within_their_bounds(void **state)
{
    (void)state;
    check_told(SLICE(TCP4_WITH("\x16") "\x01\x00\x02h2\x04\x00\x02\0\0"), "10.1.2.3:40000",
               "192.0.2.7:443");
    check_told(SLICE(TCP4_WITH("\x0f") "\xff\x00\x00"), "10.1.2.3:40000", "192.0.2.7:443");
    check_refused(SLICE(TCP4_WITH("\x0e") "\x01\x00"), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(TCP4_WITH("\x10") "\x01\x00\x02h"), PROXY_PROTOCOL_BROKEN);
    check_refused(SLICE(TCP4_WITH("\x10") "\x01\xff\xffh"), PROXY_PROTOCOL_BROKEN);
}

static void a_checksum_must_be_right_where_there_is_one(void **state)
{
    /* reckoned with another implementation (tests/proxy/test_proxy_protocol.py has it) */
    char good[] = TCP4_WITH("\x13") "\x03\x00\x04\x48\x27\x96\xd8";
    struct slice bytes = {good, sizeof(good) - 1};

    (void)state;
    check_told(bytes, "10.1.2.3:40000", "192.0.2.7:443");
    good[16] ^= 1;
    check_refused(bytes, PROXY_PROTOCOL_CHECKSUM);
    good[16] ^= 1;
    good[sizeof(good) - 2] ^= 1;
    check_refused(bytes, PROXY_PROTOCOL_CHECKSUM);
    check_refused(SLICE(TCP4_WITH("\x12") "\x03\x00\x03\0\0\0"), PROXY_PROTOCOL_BROKEN);
}

static void check_written(enum config_proxy_protocol version, const char *source,
                          const char *destination, struct slice expected)
{
    char buffer[PROXY_PROTOCOL_OUT_BYTES_MAX];
    struct address from = {0}, to = {0};

    if (source != NULL)
        assert_int_equal(address_parse(slice_from_string(source), &from), 0);
    if (destination != NULL)
        assert_int_equal(address_parse(slice_from_string(destination), &to), 0);
    size_t length = proxy_protocol_write(buffer, version, &from, &to);
    assert_true(length <= sizeof(buffer));
    assert_true(slice_equals((struct slice){buffer, length}, expected));
    if (source != NULL && destination != NULL)
        check_told((struct slice){buffer, length}, source, destination);
    else
        check_not_told((struct slice){buffer, length});
}

static void what_is_written_is_what_is_read(void **state)
{
    (void)state;
    check_written(SEND_PROXY_PROTOCOL_V1, "10.1.2.3:40000", "192.0.2.7:443",
                  SLICE("PROXY TCP4 10.1.2.3 192.0.2.7 40000 443\r\n"));
    check_written(SEND_PROXY_PROTOCOL_V1, "[2001:db8::1]:1", "[::1]:443",
                  SLICE("PROXY TCP6 2001:db8::1 ::1 1 443\r\n"));
    check_written(SEND_PROXY_PROTOCOL_V1, NULL, "192.0.2.7:443", SLICE("PROXY UNKNOWN\r\n"));
    check_written(SEND_PROXY_PROTOCOL_V2, "10.1.2.3:40000", "192.0.2.7:443", SLICE(TCP4));
    check_written(SEND_PROXY_PROTOCOL_V2, "[2001:db8::1]:1", "[2001:db8::2]:65535",
                  SLICE(SIGNATURE "\x21\x21\x00\x24" IP6 "\x01" IP6 "\x02\x00\x01\xff\xff"));
    check_written(SEND_PROXY_PROTOCOL_V2, NULL, NULL, SLICE(SIGNATURE "\x20\x00\x00\x00"));
    check_written(SEND_PROXY_PROTOCOL_V1, "[::1]:7", NULL, SLICE("PROXY UNKNOWN\r\n"));
}

static void two_families_are_told_as_ipv6(void **state)
{
    char buffer[PROXY_PROTOCOL_OUT_BYTES_MAX];
    struct address from, to;

    (void)state;
    assert_int_equal(address_parse(SLICE("10.1.2.3:40000"), &from), 0);
    assert_int_equal(address_parse(SLICE("[2001:db8::1]:443"), &to), 0);
    size_t length = proxy_protocol_write(buffer, SEND_PROXY_PROTOCOL_V1, &from, &to);
    assert_true(slice_equals((struct slice){buffer, length},
                             SLICE("PROXY TCP6 ::ffff:10.1.2.3 2001:db8::1 40000 443\r\n")));
    length = proxy_protocol_write(buffer, SEND_PROXY_PROTOCOL_V2, &to, &from);
    check_told((struct slice){buffer, length}, "[2001:db8::1]:443", "[::ffff:10.1.2.3]:40000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_tells_both_addresses),
        cmocka_unit_test(version_1_unknown_says_nothing_whatever_follows),
        cmocka_unit_test(version_1_takes_one_spelling_only),
        cmocka_unit_test(version_1_ends_within_107_bytes),
        cmocka_unit_test(what_is_no_header_is_seen_at_its_first_byte_that_differs),
        cmocka_unit_test(version_2_tells_both_addresses),
        cmocka_unit_test(version_2_may_say_nothing),
        cmocka_unit_test(version_2_refuses_what_it_does_not_know),
        cmocka_unit_test(tlvs_are_skipped_within_their_bounds),
        cmocka_unit_test(a_checksum_must_be_right_where_there_is_one),
        cmocka_unit_test(what_is_written_is_what_is_read),
        cmocka_unit_test(two_families_are_told_as_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
