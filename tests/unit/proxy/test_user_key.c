/* Users' cookies: written and read back, and nothing else is taken. */
#include "proxy/cookies.h"
#include "proxy/http1.h"
#include "proxy/user_key.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static const uint8_t secret[ROUTING_SECRET_BYTES] = "a secret of thirty-two bytes....";
static const uint8_t other_secret[ROUTING_SECRET_BYTES] = "another one of thirty-two bytes.";

static int setup(void **state)
{
    struct user_key *key = user_key_new();

    assert_non_null(key);
    assert_int_equal(user_key_set(key, secret), 0);
    *state = key;
    return 0;
}

static int teardown(void **state)
{
    user_key_free(*state);
    return 0;
}

static struct slice cookie(const char text[USER_COOKIE_BYTES])
{
    return (struct slice){text, USER_COOKIE_BYTES};
}

static void user_is_read_back_wherever_the_secret_is(void **state)
{
    static const uint64_t users[] = {0, 1, 0x0123456789abcdef, UINT64_MAX};
    struct user_key *elsewhere = user_key_new();
    char text[USER_COOKIE_BYTES];

    assert_non_null(elsewhere);
    assert_int_equal(user_key_set(elsewhere, secret), 0);
    for (unsigned i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        uint64_t user = 42;
        assert_true(user_key_write_cookie(*state, users[i], text));
        for (unsigned again = 0; again < 2; again++) { /* the second time it was found good */
            assert_true(user_key_read_cookie(elsewhere, cookie(text), &user));
            assert_true(user == users[i]);
        }
    }
    user_key_free(elsewhere);
}

/* HMAC-SHA-256 by another hand (python3: hmac, hashlib), so that a later version reads it too. */
static void cookie_is_what_it_always_was(void **state)
{
    char text[USER_COOKIE_BYTES];

    assert_true(user_key_write_cookie(*state, 0x0123456789abcdef, text));
    assert_memory_equal(text, "782riWdFIwGp0qoatLL4LuvyjChiwUuo", USER_COOKIE_BYTES);
}

static void changed_cookie_is_nobodys(void **state)
{
    char text[USER_COOKIE_BYTES], changed[USER_COOKIE_BYTES];
    uint64_t user = 42;

    assert_true(user_key_write_cookie(*state, 4711, text));
    assert_true(user_key_read_cookie(*state, cookie(text), &user)); /* the good one is known now */
    user = 42;
    for (unsigned i = 0; i < USER_COOKIE_BYTES; i++)
        for (unsigned byte = 0; byte < 256; byte++) {
            if ((char)byte == text[i])
                continue;
            memcpy(changed, text, sizeof(changed));
            changed[i] = (char)byte;
            assert_false(user_key_read_cookie(*state, cookie(changed), &user));
        }
    for (size_t length = 0; length < USER_COOKIE_BYTES; length++)
        assert_false(user_key_read_cookie(*state, (struct slice){text, length}, &user));
    assert_false(user_key_read_cookie(*state, SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), &user));
    assert_true(user == 42);
}

static void another_secret_takes_nothing_of_the_first(void **state)
{
    char text[USER_COOKIE_BYTES];
    uint64_t user, before = user_key_hash(*state, SLICE("somebody"));

    assert_true(user_key_write_cookie(*state, 4711, text));
    assert_true(user_key_read_cookie(*state, cookie(text), &user));
    assert_int_equal(user_key_set(*state, secret), 0);
    assert_true(user_key_read_cookie(*state, cookie(text), &user));
    assert_int_equal(user_key_set(*state, other_secret), 0);
    assert_false(user_key_read_cookie(*state, cookie(text), &user));
    assert_false(user_key_hash(*state, SLICE("somebody")) == before);
}

static void nothing_is_good_before_there_is_a_secret(void **state)
{
    struct user_key *key = user_key_new();
    char text[USER_COOKIE_BYTES] = {0};
    uint64_t user;

    (void)state;
    assert_non_null(key);
    assert_false(user_key_write_cookie(key, 0, text));
    assert_false(user_key_read_cookie(key, cookie(text), &user));
    memset(text, 'A', sizeof(text)); /* user 0, signed with zeros */
    assert_false(user_key_read_cookie(key, cookie(text), &user));
    user_key_free(key);
}

static void cookies_are_found_between_semicolons(void **state)
{
    struct slice rest = SLICE("a=1; sluice=x=y ;;  bare;sluice=;b=\"2; 3\"");
    static const char *const pairs[] = {"a=1", "sluice=x=y", "bare", "sluice=", "b=\"2", "3\""};
    static const char *const names[] = {"a", "sluice", "", "sluice", "b", ""};
    struct slice pair, name;
    unsigned count = 0;

    (void)state;
    while (cookies_next(&rest, &pair, &name)) {
        assert_true(slice_equals(pair, slice_from_string(pairs[count])));
        assert_true(slice_equals(name, slice_from_string(names[count])));
        count++;
    }
    assert_int_equal(count, 6);
    assert_true(cookies_have(SLICE("x=1;y=2"), SLICE("y")));
    assert_false(cookies_have(SLICE("x=1;yy=2;y"), SLICE("y")));
    assert_false(cookies_have(SLICE(""), SLICE("y")));
}

static void cookies_are_found_over_several_fields(void **state)
{
    struct http1_request request = {.field_count = 4};
    struct cookies_place place = {0};
    struct slice value;
    static const char *const values[] = {"1", "", "4"};

    (void)state;
    request.fields[0].value = SLICE("y=not a cookie");
    request.fields[1] = (struct http_field){.known = FIELD_COOKIE, .value = SLICE("y=1; x=2; y=")};
    request.fields[2] = (struct http_field){.known = FIELD_COOKIE, .value = SLICE("x=3")};
    request.fields[3] = (struct http_field){.known = FIELD_COOKIE, .value = SLICE("y=4; y")};
    for (unsigned i = 0; i < 3; i++) {
        assert_true(cookies_find(&request, SLICE("y"), &place, &value));
        assert_true(slice_equals(value, slice_from_string(values[i])));
    }
    assert_false(cookies_find(&request, SLICE("y"), &place, &value));
    assert_false(cookies_find(&request, SLICE("y"), &place, &value));
}

static void any_bytes_are_taken_apart_within_their_bounds(void **state)
{
    static const char bytes[] = "=; \ta\"\\\x80";
    char text[24], *exact;
    uint64_t random = 1;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = random % sizeof(text), seen = 0;
        for (size_t i = 0; i < length; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            text[i] = bytes[random >> 33 & 7u];
        }
        random = random * 6364136223846793005u + 1442695040888963407u;
        exact = malloc(length > 0 ? length : 1); /* a sanitizer sees what is read beyond */
        memcpy(exact, text, length);
        struct slice rest = {exact, length}, pair, name;
        while (cookies_next(&rest, &pair, &name)) {
            assert_true(pair.data >= exact && pair.data + pair.length <= exact + length);
            assert_true(name.data == pair.data && name.length < pair.length + (name.length == 0));
            if (name.length > 0)
                assert_true(cookies_value(pair, name).length < pair.length);
            assert_true(++seen <= length);
        }
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(user_is_read_back_wherever_the_secret_is, setup, teardown),
        cmocka_unit_test_setup_teardown(cookie_is_what_it_always_was, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_cookie_is_nobodys, setup, teardown),
        cmocka_unit_test_setup_teardown(another_secret_takes_nothing_of_the_first, setup, teardown),
        cmocka_unit_test(nothing_is_good_before_there_is_a_secret),
        cmocka_unit_test(any_bytes_are_taken_apart_within_their_bounds),
        cmocka_unit_test(cookies_are_found_between_semicolons),
        cmocka_unit_test(cookies_are_found_over_several_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
