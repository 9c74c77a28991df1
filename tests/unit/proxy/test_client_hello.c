/* ClientHellos: real ones (tests/fuzz/corpus/client_hello) and those that nobody ought to send. */
#include "proxy/client_hello.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define BYTES_MAX (64u << 10)

static char bytes[BYTES_MAX];

/* --- making one --------------------------------------------------------------------------- */

struct maker { /* of a ClientHello's body */
    char data[BYTES_MAX];
    size_t length;
};

static struct maker body, extensions, list;

static void put(struct maker *maker, struct slice piece)
{
    assert_true(maker->length + piece.length <= sizeof(maker->data));
    if (piece.length > 0)
        memcpy(maker->data + maker->length, piece.data, piece.length);
    maker->length += piece.length;
}

static void put_number(struct maker *maker, size_t number, unsigned count)
{
    while (count-- > 0) {
        char byte = (char)(number >> 8 * count);
        put(maker, (struct slice){&byte, 1});
    }
}

static void put_vector(struct maker *maker, struct slice piece, unsigned count)
{
    put_number(maker, piece.length, count);
    put(maker, piece);
}

static struct slice made(const struct maker *maker)
{
    return (struct slice){maker->data, maker->length};
}

static void add_extension(unsigned type, struct slice content)
{
    put_number(&extensions, type, 2);
    put_vector(&extensions, content, 2);
}

static void add_name(struct slice name)
{
    struct maker entry = {.length = 0};

    put_number(&entry, 0, 1);
    put_vector(&entry, name, 2);
    list.length = 0;
    put_vector(&list, made(&entry), 2);
    add_extension(0, made(&list));
}

static void begin(void)
{
    body.length = extensions.length = 0;
}

/* The whole as records of `record_bytes` of the message each. */
static struct slice finish_in_records(size_t record_bytes)
{
    static const char random[32];
    static struct maker message, records;

    put(&body, SLICE("\x03\x03"));
    put(&body, (struct slice){random, sizeof(random)});
    put_vector(&body, SLICE(""), 1);
    put_vector(&body, SLICE("\x13\x01"), 2);
    put_vector(&body, SLICE("\0"), 1);
    if (extensions.length > 0)
        put_vector(&body, made(&extensions), 2);
    message.length = records.length = 0;
    put_number(&message, 1, 1);
    put_vector(&message, made(&body), 3);
    for (size_t at = 0; at < message.length; at += record_bytes) {
        size_t rest = message.length - at;
        put(&records, SLICE("\x16\x03\x01"));
        put_vector(&records,
                   (struct slice){message.data + at, rest < record_bytes ? rest : record_bytes}, 2);
    }
    return made(&records);
}

static struct slice finish(void)
{
    return finish_in_records(1u << 14);
}

/* --- checking one ------------------------------------------------------------------------- */

/* Whole, and in every two pieces: nothing is decided before it can be. */
static enum client_hello_result parse(struct slice hello, struct client_hello *ret_hello)
{
    enum client_hello_result whole = client_hello_parse(hello, ret_hello);

    for (size_t i = 0; i < hello.length; i++) {
        struct client_hello piece;
        enum client_hello_result result = client_hello_parse((struct slice){hello.data, i}, &piece);
        assert_true(result == CLIENT_HELLO_MORE || result == whole);
    }
    return whole;
}

static void check_name(struct slice hello, const char *name)
{
    struct client_hello told;

    assert_int_equal(parse(hello, &told), CLIENT_HELLO_DONE);
    assert_string_equal(told.name, name);
}

static void check_refused(struct slice hello, enum client_hello_result expected)
{
    struct client_hello told;

    assert_int_equal(parse(hello, &told), expected);
}

static struct slice read_corpus(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", CLIENT_HELLO_CORPUS, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(length > 0);
    return (struct slice){bytes, length};
}

static void real_clients_are_understood(void **state)
{
    static const char *const named[] = {"python", "python-tls12",  "python-alpn", "openssl",
                                        "curl",   "openssl-tls12", "in-records"};
    static const char *const nameless[] = {"python-no-name", "openssl-no-name"};

    (void)state;
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        check_name(read_corpus(named[i]), "db.example");
    for (size_t i = 0; i < sizeof(nameless) / sizeof(nameless[0]); i++)
        check_name(read_corpus(nameless[i]), "");
    check_refused(read_corpus("http"), CLIENT_HELLO_NOT_TLS);
    check_refused(read_corpus("postgres"), CLIENT_HELLO_NOT_TLS);
}

static void a_name_is_found_among_other_extensions_and_over_records(void **state)
{
    (void)state;
    for (size_t record = 1; record < 40; record++) {
        begin();
        add_extension(0x2b, SLICE("\x02\x03\x04"));
        add_name(SLICE("Db.Example"));
        add_extension(0xff01, SLICE("\0"));
        check_name(finish_in_records(record), "Db.Example");
    }
}

static void a_hello_without_extensions_has_no_name(void **state)
{
    (void)state;
    begin();
    check_name(finish(), "");
}

static void names_of_other_types_are_skipped(void **state)
{
    (void)state;
    begin();
    add_extension(0, SLICE("\0\x09\x07\0\x01x\0\0\x02"
                           "ab"));
    check_name(finish(), "ab");
}

static void a_second_name_is_refused(void **state)
{
    (void)state;
    begin();
    add_name(SLICE("a.example"));
    add_name(SLICE("b.example"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    add_extension(0, SLICE("\0\x08\0\0\x01x\0\0\x01y"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
}

static void a_name_that_is_none_is_refused(void **state)
{
    static const struct slice names[] = {{"a\0b", 3},  {"", 0},    {"a b", 3},     {"[::1]", 5},
                                         {"a:443", 5}, {"a/b", 3}, {"\xc3\xa4", 2}};
    char longest[CLIENT_HELLO_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        begin();
        add_name(names[i]);
        check_refused(finish(), CLIENT_HELLO_BROKEN);
    }
    memset(longest, 'a', sizeof(longest));
    begin();
    add_name((struct slice){longest, CLIENT_HELLO_NAME_MAX + 1});
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    add_name((struct slice){longest, CLIENT_HELLO_NAME_MAX});
    longest[CLIENT_HELLO_NAME_MAX] = 0;
    check_name(finish(), longest);
}

static void lengths_that_lie_are_refused(void **state)
{
    (void)state;
    begin();
    add_extension(0, SLICE("")); /* a server's, not a client's */
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    add_extension(0, SLICE("\0\x05\0\0\x01x"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    add_extension(0, SLICE("\0\x04\0\0\x01xy"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    add_extension(0, SLICE("\0\x04\0\0\x02x"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    put(&extensions, SLICE("\0\x2b\0\x09x"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
    begin();
    put(&extensions, SLICE("\0\x2b\0"));
    check_refused(finish(), CLIENT_HELLO_BROKEN);
}

static void bytes_behind_the_extensions_are_refused(void **state)
{
    (void)state;
    begin();
    add_name(SLICE("a.example"));
    struct slice hello = finish();
    memcpy(bytes, hello.data, hello.length);
    bytes[hello.length] = 'x';
    bytes[4]++; /* the record's length, and the message's */
    bytes[8]++;
    check_refused((struct slice){bytes, hello.length + 1}, CLIENT_HELLO_BROKEN);
}

static void what_follows_the_message_is_not_looked_at(void **state)
{
    (void)state;
    begin();
    add_name(SLICE("a.example"));
    struct slice hello = finish();
    memcpy(bytes, hello.data, hello.length);
    memcpy(bytes + hello.length, "\x17\x03\x03\0\x01x", 6);
    struct client_hello told;
    assert_int_equal(client_hello_parse((struct slice){bytes, hello.length + 6}, &told),
                     CLIENT_HELLO_DONE);
    assert_string_equal(told.name, "a.example");
}

static void records_that_break_the_rules_are_refused(void **state)
{
    (void)state;
    check_refused(SLICE("\x16\x03\x01\0\0"), CLIENT_HELLO_BROKEN);
    check_refused(SLICE("\x16\x03\x01\x40\x01"), CLIENT_HELLO_BROKEN);
    check_refused(SLICE("\x16\x03\x01\0\x01\x02"), CLIENT_HELLO_BROKEN); /* a ServerHello */
    check_refused(SLICE("\x16\x03\x01\0\x02\x01\0\x15\x03\x01"), CLIENT_HELLO_BROKEN);
    check_refused(SLICE("\x15\x03\x01\0\x02\x01\0"), CLIENT_HELLO_NOT_TLS);
    check_refused(SLICE("\x16\x02\x01"), CLIENT_HELLO_NOT_TLS);
    check_refused(SLICE("\x80\x2e\x01\x03\x01"), CLIENT_HELLO_NOT_TLS); /* SSL 2 */
}

static void a_hello_past_the_limit_is_refused(void **state)
{
    static char filler[BYTES_MAX];
    struct client_hello told;

    (void)state;
    check_refused(SLICE("\x16\x03\x01\x40\0\x01\x01\0\0"), CLIENT_HELLO_TOO_LONG);
    begin();
    add_extension(0x15, (struct slice){filler, 15000});
    add_name(SLICE("a.example"));
    assert_int_equal(client_hello_parse(finish(), &told), CLIENT_HELLO_DONE);
    assert_string_equal(told.name, "a.example");
    begin();
    add_extension(0x15, (struct slice){filler, 3000});
    add_name(SLICE("a.example"));
    /* 3 KiB in records of one byte: five of six bytes are heads */
    assert_int_equal(client_hello_parse(finish_in_records(1), &told), CLIENT_HELLO_TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clients_are_understood),
        cmocka_unit_test(a_name_is_found_among_other_extensions_and_over_records),
        cmocka_unit_test(a_hello_without_extensions_has_no_name),
        cmocka_unit_test(names_of_other_types_are_skipped),
        cmocka_unit_test(a_second_name_is_refused),
        cmocka_unit_test(a_name_that_is_none_is_refused),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(bytes_behind_the_extensions_are_refused),
        cmocka_unit_test(what_follows_the_message_is_not_looked_at),
        cmocka_unit_test(records_that_break_the_rules_are_refused),
        cmocka_unit_test(a_hello_past_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
