/* Requests as raw bytes, each also byte by byte. */
#include "base/memory.h"
#include "http1_case.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define GET            "GET / HTTP/1.1\r\n"
#define HOST           "Host: a.example\r\n"
#define POST           "POST / HTTP/1.1\r\nHost: a.example\r\n"
#define END            "\r\n"
#define X16            "xxxxxxxxxxxxxxxx"
#define X64            X16 X16 X16 X16
#define X256           X64 X64 X64 X64
#define TARGET(target) "GET " target " HTTP/1.1\r\n" HOST END
#define WITH(line)     GET HOST line END
#define SEND(line)     POST line END
#define NAMED(host)    GET "Host: " host "\r\n" END

#define ACCEPTED(rule, sentence, literal, ...)                                                     \
    {                                                                                              \
        .section = (rule), .name = (sentence), .raw = RAW(literal), .result = HTTP1_DONE,          \
        __VA_ARGS__                                                                                \
    }

static const struct http1_case cases[] = {
#include "http1_request_cases.inc"
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

static bool slice_lies_within(struct slice inner, struct slice outer)
{
    return inner.length == 0 ||
           (inner.data >= outer.data && inner.data + inner.length <= outer.data + outer.length);
}

static void compare(const struct http1_case *wanted, const struct http1_request *got)
{
    assert_int_equal(got->framing, wanted->framing);
    assert_int_equal(got->content_length, wanted->content_length);
    assert_int_equal(got->keep_alive, (wanted->flags & KEEP_ALIVE) != 0);
    assert_int_equal(got->expect_continue, (wanted->flags & EXPECT_CONTINUE) != 0);
    assert_int_equal(got->upgrade, (wanted->flags & UPGRADE) != 0);
    if (wanted->host != NULL)
        assert_true(slice_equals(got->host, slice_from_string(wanted->host)));
    if (wanted->path != NULL)
        assert_true(slice_equals(got->path, slice_from_string(wanted->path)));
    assert_true(slice_lies_within(got->target, wanted->raw));
    for (unsigned i = 0; i < got->field_count; i++) {
        assert_true(slice_lies_within(got->fields[i].name, wanted->raw));
        assert_true(slice_lies_within(got->fields[i].value, wanted->raw));
    }
}

/* Parses it whole, then grows it byte by byte: what is known of an earlier part never makes a
 * difference. */
static void runs_as_its_rule_says(void **state)
{
    const struct http1_case *wanted = *state;
    struct http1_request *request = memory_new(sizeof(*request));
    size_t whole_scanned = 0, length = 0, trickled = 0;
    enum http1_result result = http1_parse_request(wanted->raw, &whole_scanned, request, &length);

    if (result != wanted->result)
        print_error("%s: %s\n", wanted->section, http1_result_name(result));
    assert_int_equal(result, wanted->result);
    if (result == HTTP1_DONE) {
        assert_true(length <= wanted->raw.length);
        compare(wanted, request);
    }
    for (size_t i = 1; i <= wanted->raw.length; i++) {
        struct slice part = {wanted->raw.data, i};
        size_t fresh_scanned = 0, fresh_length = 0, trickled_length = 0;
        enum http1_result fresh = http1_parse_request(part, &fresh_scanned, request, &fresh_length);
        result = http1_parse_request(part, &trickled, request, &trickled_length);
        assert_int_equal(result, fresh);
        if (result == HTTP1_DONE)
            assert_int_equal(trickled_length, length);
        if (result != HTTP1_MORE)
            break;
    }
    assert_int_equal(result, wanted->result);
    if (result == HTTP1_DONE)
        compare(wanted, request);
    free(request);
}

int main(void)
{
    static struct CMUnitTest tests[CASE_COUNT];
    static char names[CASE_COUNT][128];

    for (size_t i = 0; i < CASE_COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "%s: %s", cases[i].section, cases[i].name);
        union {
            const void *in;
            void *out;
        } state = {&cases[i]};
        tests[i] = (struct CMUnitTest){
            .name = names[i], .test_func = runs_as_its_rule_says, .initial_state = state.out};
    }
    return cmocka_run_group_tests_name("http1_request", tests, NULL, NULL);
}
