/* Chunked bodies as raw bytes, each also byte by byte and in every two parts. */
#include "base/memory.h"
#include "http1_case.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END  "0\r\n\r\n"
#define X16  "xxxxxxxxxxxxxxxx"
#define X64  X16 X16 X16 X16
#define X256 X64 X64 X64 X64

struct chunked_case {
    const char *section;
    const char *name;
    struct slice raw;
    enum http1_result result;
    const char *body;
    size_t rest; /* bytes behind the body that were left alone */
};

static const struct chunked_case cases[] = {
#include "http1_chunked_cases.inc"
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

struct outcome {
    enum http1_result result;
    size_t consumed;
    size_t body_bytes;
    char body[16 * 1024];
};

/* Decodes one part of the input, as much as there is of it. */
static void feed(struct http1_chunked *chunked, struct slice part, struct outcome *outcome)
{
    while (part.length > 0 && outcome->result == HTTP1_MORE) {
        size_t consumed = 0;
        struct slice data = {NULL, 0};
        outcome->result = http1_chunked_decode(chunked, part, &consumed, &data);
        if (outcome->result > HTTP1_MORE)
            return;
        assert_true(consumed > 0 && consumed <= part.length);
        assert_true(data.length == 0 ||
                    (data.data >= part.data && data.data + data.length <= part.data + consumed));
        assert_true(outcome->body_bytes + data.length <= sizeof(outcome->body));
        if (data.length > 0)
            memcpy(outcome->body + outcome->body_bytes, data.data, data.length);
        outcome->body_bytes += data.length;
        outcome->consumed += consumed;
        part.data += consumed;
        part.length -= consumed;
    }
}

static void compare(const struct chunked_case *wanted, const struct outcome *outcome)
{
    if (outcome->result != wanted->result)
        print_error("%s: %s\n", wanted->section, http1_result_name(outcome->result));
    assert_int_equal(outcome->result, wanted->result);
    if (wanted->result != HTTP1_DONE)
        return;
    assert_int_equal(outcome->consumed, wanted->raw.length - wanted->rest);
    assert_true(slice_equals((struct slice){outcome->body, outcome->body_bytes},
                             slice_from_string(wanted->body)));
}

static void decodes_as_its_rule_says(void **state)
{
    const struct chunked_case *wanted = *state;
    struct outcome *outcome = memory_new(sizeof(*outcome));
    struct http1_chunked chunked = {0};

    outcome->result = HTTP1_MORE;
    feed(&chunked, wanted->raw, outcome);
    compare(wanted, outcome);

    memset(outcome, 0, sizeof(*outcome));
    chunked = (struct http1_chunked){0};
    outcome->result = HTTP1_MORE;
    for (size_t i = 0; i < wanted->raw.length; i++)
        feed(&chunked, (struct slice){wanted->raw.data + i, 1}, outcome);
    compare(wanted, outcome);

    for (size_t i = 1; i < wanted->raw.length; i++) {
        outcome->result = HTTP1_MORE;
        outcome->consumed = outcome->body_bytes = 0;
        chunked = (struct http1_chunked){0};
        feed(&chunked, (struct slice){wanted->raw.data, i}, outcome);
        feed(&chunked, (struct slice){wanted->raw.data + i, wanted->raw.length - i}, outcome);
        compare(wanted, outcome);
    }
    free(outcome);
}

/* Feeds `piece` behind `start` until it is refused; returns how often it was taken. */
static unsigned feed_until_refused(const char *start, const char *piece, unsigned limit)
{
    struct outcome *outcome = memory_new(sizeof(*outcome));
    struct http1_chunked chunked = {0};
    unsigned count = 0;

    outcome->result = HTTP1_MORE;
    feed(&chunked, slice_from_string(start), outcome);
    while (count < limit) {
        outcome->body_bytes = 0;
        feed(&chunked, slice_from_string(piece), outcome);
        if (outcome->result != HTTP1_MORE)
            break;
        count++;
    }
    free(outcome);
    return count;
}

static void refuses_a_flood_of_extensions(void **state)
{
    (void)state;
    unsigned count = feed_until_refused("", "1;" X64 X64 "\r\nx\r\n", 1000);
    assert_in_range(count, 100, 200);
}

static void limits_trailers(void **state)
{
    (void)state;
    assert_int_equal(feed_until_refused("0\r\n", "X: y\r\n", 10000), HTTP1_TRAILER_BYTES_MAX / 6);
}

static void takes_any_number_of_small_chunks(void **state)
{
    (void)state;
    assert_int_equal(feed_until_refused("", "1\r\nx\r\n", 100000), 100000);
}

static void writes_the_head_of_a_chunk(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *text;
    } heads[] = {{0, "0\r\n"},   {1, "1\r\n"},        {15, "f\r\n"},
                 {16, "10\r\n"}, {65535, "ffff\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char buffer[HTTP1_CHUNK_HEAD_BYTES];
        size_t length = http1_chunk_head(heads[i].size, buffer);
        assert_true(slice_equals((struct slice){buffer, length}, slice_from_string(heads[i].text)));
    }
}

int main(void)
{
    static struct CMUnitTest tests[CASE_COUNT + 4] = {
        cmocka_unit_test(refuses_a_flood_of_extensions),
        cmocka_unit_test(limits_trailers),
        cmocka_unit_test(takes_any_number_of_small_chunks),
        cmocka_unit_test(writes_the_head_of_a_chunk),
    };
    static char names[CASE_COUNT][128];

    for (size_t i = 0; i < CASE_COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "%s: %s", cases[i].section, cases[i].name);
        union {
            const void *in;
            void *out;
        } state = {&cases[i]};
        tests[4 + i] = (struct CMUnitTest){
            .name = names[i], .test_func = decodes_as_its_rule_says, .initial_state = state.out};
    }
    return cmocka_run_group_tests_name("http1_chunked", tests, NULL, NULL);
}
