#include "base/address.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

static struct slice text(const char *string)
{
    return slice_from_string(string);
}

static void case_is_ignored_for_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(slice_equals_ignoring_case(SLICE("Content-LENGTH"), SLICE("content-length")));
    assert_false(slice_equals_ignoring_case(SLICE("a[b"), SLICE("a{b")));
    assert_false(slice_equals_ignoring_case(SLICE("ab"), SLICE("abc")));
    assert_false(slice_equals_ignoring_case(SLICE("\xc4"), SLICE("\xe4")));
}

static void trims_blanks_and_nothing_else(void **state)
{
    (void)state;
    assert_true(slice_equals(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_true(slice_equals(slice_trim(SLICE("\r\na")), SLICE("\r\na")));
    assert_int_equal(slice_trim(SLICE(" \t ")).length, 0);
    assert_int_equal(slice_trim((struct slice){NULL, 0}).length, 0);
}

static void numbers_are_digits_within_range(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_int_equal(slice_to_u64(SLICE("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    value = 7;
    assert_int_equal(slice_to_u64(SLICE("18446744073709551616"), &value), -ERANGE);
    assert_int_equal(slice_to_u64(SLICE("99999999999999999999"), &value), -ERANGE);
    assert_int_equal(slice_to_u64(SLICE(""), &value), -EINVAL);
    assert_int_equal(slice_to_u64(SLICE("+1"), &value), -EINVAL);
    assert_int_equal(slice_to_u64(SLICE(" 1"), &value), -EINVAL);
    assert_int_equal(slice_to_u64(SLICE("1x"), &value), -EINVAL);
    assert_int_equal(value, 7); /* untouched */
    assert_int_equal(slice_to_u64(SLICE("0042"), &value), 0);
    assert_int_equal(value, 42);
}

static void copies_say_whether_they_fit(void **state)
{
    char buffer[4];

    (void)state;
    assert_true(slice_copy_string(SLICE("abc"), buffer, sizeof(buffer)));
    assert_string_equal(buffer, "abc");
    assert_false(slice_copy_string(SLICE("abcd"), buffer, sizeof(buffer)));
    assert_string_equal(buffer, "abc");
}

static void addresses_read_back_as_they_were_written(void **state)
{
    static const char *const same[] = {"127.0.0.1:80", "[::1]:443", "0.0.0.0:0", "[fe80::1]:65535"};
    char written[ADDRESS_TEXT_BYTES];
    struct address address, back;
    struct sockaddr_storage storage;

    (void)state;
    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(address_parse(text(same[i]), &address), 0);
        address_format(&address, written);
        assert_string_equal(written, same[i]);
        address_to_sockaddr(&address, &storage);
        assert_int_equal(address_from_sockaddr(&storage, &back), 0);
        assert_true(address_equals(&address, &back));
    }
    assert_int_equal(address_parse(SLICE(":8080"), &address), 0);
    address_format(&address, written);
    assert_string_equal(written, "0.0.0.0:8080");
    assert_int_equal(address_parse(SLICE("localhost:1"), &address), 0);
    address_format(&address, written);
    assert_string_equal(written, "127.0.0.1:1");
}

static void odd_addresses_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "80",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "::1:80",
                                      "[::1]",
                                      "[127.0.0.1]:80",
                                      "1.2.3:80",
                                      "a.b:80",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:+1",
                                      "1.2.3.4:1 ",
                                      "[::1%lo]:80",
                                      "1.2.3.4:000080"};
    struct address address;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (address_parse(text(bad[i]), &address) == 0)
            fail_msg("'%s' was taken for an address", bad[i]);
}

static void wall_time_is_written_as_rfc_3339(void **state)
{
    char written[CLOCK_TEXT_BYTES];

    (void)state;
    clock_format(1795409791123u, written);
    assert_string_equal(written, "2026-11-23T04:56:31.123Z");
    clock_format(0, written);
    assert_string_equal(written, "1970-01-01T00:00:00.000Z");
}

static void formatted_memory_holds_the_whole_text(void **state)
{
    char *formatted = memory_format("%s-%03d", "row", 7);

    (void)state;
    assert_string_equal(formatted, "row-007");
    free(formatted);
    assert_null(memory_copy_string(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(trims_blanks_and_nothing_else),
        cmocka_unit_test(numbers_are_digits_within_range),
        cmocka_unit_test(copies_say_whether_they_fit),
        cmocka_unit_test(addresses_read_back_as_they_were_written),
        cmocka_unit_test(odd_addresses_are_refused),
        cmocka_unit_test(wall_time_is_written_as_rfc_3339),
        cmocka_unit_test(formatted_memory_holds_the_whole_text),
    };

    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
