/* What is kept of an answer comes to the same however its body is cut, and differs where it does.
 */
#include "proxy/limits.h"
#include "proxy/mirror_answer.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct mirror_answer answer_of(const char *body, size_t length, size_t step)
{
    struct mirror_answer answer = {.status = 200};

    for (size_t i = 0; i < length; i += step)
        (void)mirror_answer_add(&answer,
                                (struct slice){body + i, length - i < step ? length - i : step});
    return answer;
}

static void cuts_do_not_count(void **state)
{
    static const char body[] =
        "The quick brown fox jumps over the lazy dog, and so on for a while.";

    (void)state;
    for (size_t length = 0; length < sizeof(body); length++) {
        struct mirror_answer whole = answer_of(body, length, sizeof(body));
        for (size_t step = 1; step <= length; step++) {
            struct mirror_answer cut = answer_of(body, length, step);
            assert_int_equal(mirror_answer_compare(&whole, &cut), MIRROR_SAME);
        }
    }
}

static void each_byte_counts(void **state)
{
    char body[64] = {0};
    struct mirror_answer zeros = answer_of(body, sizeof(body), 7);

    (void)state;
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = 1;
        struct mirror_answer other = answer_of(body, sizeof(body), 5);
        assert_int_equal(mirror_answer_compare(&zeros, &other), MIRROR_BODY_DIFFERS);
        body[i] = 0;
    }
    for (size_t length = 0; length < sizeof(body); length++) {
        struct mirror_answer shorter = answer_of(body, length, 3);
        assert_int_equal(mirror_answer_compare(&zeros, &shorter), MIRROR_BODY_DIFFERS);
    }
}

static void two_words_that_change_places_differ(void **state)
{
    struct mirror_answer a = answer_of("aaaaaaaabbbbbbbb", 16, 16);
    struct mirror_answer b = answer_of("bbbbbbbbaaaaaaaa", 16, 16);

    (void)state;
    assert_int_equal(mirror_answer_compare(&a, &b), MIRROR_BODY_DIFFERS);
}

static void the_status_comes_first(void **state)
{
    struct mirror_answer a = {.status = 200}, b = {.status = 404};

    (void)state;
    (void)mirror_answer_add(&a, SLICE("x"));
    assert_int_equal(mirror_answer_compare(&a, &b), MIRROR_STATUS_DIFFERS);
    assert_int_equal(mirror_answer_compare(&b, &b), MIRROR_SAME);
}

static void past_the_bound_nothing_counts(void **state)
{
    size_t length = MIRROR_BODY_BYTES_MAX + 100;
    char *body = calloc(1, length);
    struct mirror_answer a = {.status = 200}, b = {.status = 200};

    (void)state;
    assert_non_null(body);
    assert_false(mirror_answer_add(&a, (struct slice){body, MIRROR_BODY_BYTES_MAX - 1}));
    assert_true(mirror_answer_add(&a, (struct slice){body, 101}));
    assert_int_equal(a.bytes, MIRROR_BODY_BYTES_MAX);
    memset(body + MIRROR_BODY_BYTES_MAX, 1, 100);
    assert_true(mirror_answer_add(&b, (struct slice){body, length}));
    assert_int_equal(mirror_answer_compare(&a, &b), MIRROR_SAME);
    assert_true(mirror_answer_add(&b, (struct slice){body, length}));
    assert_int_equal(mirror_answer_compare(&a, &b), MIRROR_SAME);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_do_not_count),
        cmocka_unit_test(each_byte_counts),
        cmocka_unit_test(two_words_that_change_places_differ),
        cmocka_unit_test(the_status_comes_first),
        cmocka_unit_test(past_the_bound_nothing_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
