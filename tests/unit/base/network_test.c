#include "base/network.h"
#include "tests/unit/unit.h"

#include <errno.h>

static struct network parse(const char *text)
{
    struct network network;

    assert_int_equal(network_parse(slice_from_string(text), &network), 0);
    return network;
}

static bool contains(const char *network, const char *ip)
{
    struct network parsed = parse(network);
    struct address address;

    assert_int_equal(address_from_ip(slice_from_string(ip), 4711, &address), 0);
    return network_contains(&parsed, &address);
}

static void a_prefix_decides_bit_by_bit(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("192.168.4.0/22", "192.168.7.255"));
    assert_false(contains("192.168.4.0/22", "192.168.8.0"));
    assert_false(contains("192.168.4.0/22", "192.168.3.255"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::"));
    assert_true(contains("0.0.0.0/0", "203.0.113.9"));
    assert_true(contains("203.0.113.9/32", "203.0.113.9"));
}

static void an_address_alone_is_a_network_of_one(void **state)
{
    (void)state;
    assert_true(contains("127.0.0.1", "127.0.0.1"));
    assert_false(contains("127.0.0.1", "127.0.0.2"));
    assert_true(contains("::1", "::1"));
    assert_false(contains("::1", "::2"));
}

static void families_are_apart_and_mapped_addresses_are_ipv4(void **state)
{
    (void)state;
    assert_false(contains("::/0", "10.0.0.1"));
    assert_false(contains("0.0.0.0/0", "::1"));
    assert_false(contains("::/0", "::ffff:10.0.0.1"));
    assert_true(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_false(contains("10.0.0.0/8", "::ffff:11.0.0.1"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(contains("::ffff:10.0.0.1", "::ffff:10.0.0.1"));
    struct network mapped = parse("::ffff:10.0.0.0/104"), plain = parse("10.0.0.0/8");
    assert_true(network_equals(&mapped, &plain));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "/",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10.0.0/8",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/8 ",
                                      "10.0.0.0/08",
                                      "10.0.0.0/8/8",
                                      "[::1]",
                                      "example.org",
                                      "10.0.0.0/1000",
                                      "::1%lo"};
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(network_parse(slice_from_string(bad[i]), &network), -EINVAL);
    assert_int_equal(network_parse(SLICE("10.0.0.1/8"), &network), -EDOM);
    assert_int_equal(network_parse(SLICE("10.128.0.0/8"), &network), -EDOM);
    assert_int_equal(network_parse(SLICE("10.0.1.0/23"), &network), -EDOM);
    assert_int_equal(network_parse(SLICE("::1/127"), &network), -EDOM);
    assert_int_equal(network_parse(SLICE("::ffff:10.0.0.1/104"), &network), -EDOM);
}

static void printed_it_reads_back_to_the_same(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8",    "127.0.0.1/32", "::1/128",
                                        "2001:db8::/32", "0.0.0.0/0",    "::/0"};
    char text[NETWORK_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct network network = parse(texts[i]);
        network_format(&network, text);
        assert_string_equal(text, texts[i]);
    }
}

static void any_of_several_will_do(void **state)
{
    struct network networks[] = {parse("10.0.0.0/8"), parse("::1")};
    struct address address;

    (void)state;
    assert_int_equal(address_from_ip(SLICE("::1"), 0, &address), 0);
    assert_true(network_any_contains(networks, 2, &address));
    assert_false(network_any_contains(networks, 1, &address));
    assert_false(network_any_contains(NULL, 0, &address));
    address = (struct address){0};
    assert_false(network_any_contains(networks, 2, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_decides_bit_by_bit),
        cmocka_unit_test(an_address_alone_is_a_network_of_one),
        cmocka_unit_test(families_are_apart_and_mapped_addresses_are_ipv4),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(printed_it_reads_back_to_the_same),
        cmocka_unit_test(any_of_several_will_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
