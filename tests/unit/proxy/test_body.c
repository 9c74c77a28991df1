/* Bodies taken apart and framed anew. */
#include "proxy/body.h"
#include "tests/unit/unit.h"

static void chunks_are_moved_together_into_one_piece(void **state)
{
    char bytes[] = "3\r\nabc\r\n1\r\nd\r\n4;x=y\r\nefgh\r\n0\r\n\r\nNEXT";
    struct body body;
    struct slice data;
    size_t consumed;

    (void)state;
    body_init(&body, HTTP_BODY_CHUNKED, 0);
    assert_int_equal(body_decode(&body, bytes, sizeof(bytes) - 1, &consumed, &data), HTTP1_DONE);
    assert_true(body.done);
    assert_int_equal(consumed, sizeof(bytes) - 1 - 4);
    assert_true(slice_equals(data, SLICE("abcdefgh")));
    assert_memory_equal(bytes + consumed, "NEXT", 4);
}

static void body_of_known_length_leaves_what_is_behind_it(void **state)
{
    char bytes[] = "abcdefNEXT";
    struct body body;
    struct slice data;
    size_t consumed;

    (void)state;
    body_init(&body, HTTP_BODY_LENGTH, 6);
    assert_int_equal(body_decode(&body, bytes, 4, &consumed, &data), HTTP1_MORE);
    assert_int_equal(consumed, 4);
    assert_int_equal(body_decode(&body, bytes + 4, 6, &consumed, &data), HTTP1_DONE);
    assert_int_equal(consumed, 2);
    assert_true(slice_equals(data, SLICE("ef")));
}

static void empty_bodies_are_done_at_once(void **state)
{
    struct body body;

    (void)state;
    body_init(&body, HTTP_BODY_NONE, 0);
    assert_true(body.done);
    body_init(&body, HTTP_BODY_LENGTH, 0);
    assert_true(body.done);
    body_init(&body, HTTP_BODY_CHUNKED, 0);
    assert_false(body.done);
}

static void bad_chunk_is_refused(void **state)
{
    char bytes[] = "3\r\nabcX\r\n";
    struct body body;
    struct slice data;
    size_t consumed;

    (void)state;
    body_init(&body, HTTP_BODY_CHUNKED, 0);
    assert_int_equal(body_decode(&body, bytes, sizeof(bytes) - 1, &consumed, &data),
                     HTTP1_BAD_CHUNK);
}

static void check_encoded(struct slice data, bool chunked, bool last, const char *expected)
{
    char head[HTTP1_CHUNK_HEAD_BYTES], text[64] = "";
    struct slice pieces[BODY_PIECES_MAX];
    unsigned count = body_encode(data, chunked, last, head, pieces);

    for (unsigned i = 0; i < count; i++)
        strncat(text, pieces[i].data, pieces[i].length);
    assert_string_equal(text, expected);
}

static void pieces_are_framed_for_the_other_side(void **state)
{
    (void)state;
    check_encoded(SLICE("0123456789abcdef"), true, false, "10\r\n0123456789abcdef\r\n");
    check_encoded(SLICE("x"), true, true, "1\r\nx\r\n0\r\n\r\n");
    check_encoded(SLICE(""), true, true, "0\r\n\r\n");
    check_encoded(SLICE(""), true, false, ""); /* an empty chunk would be the last */
    check_encoded(SLICE("x"), false, true, "x");
    check_encoded(SLICE(""), false, true, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_moved_together_into_one_piece),
        cmocka_unit_test(body_of_known_length_leaves_what_is_behind_it),
        cmocka_unit_test(empty_bodies_are_done_at_once),
        cmocka_unit_test(bad_chunk_is_refused),
        cmocka_unit_test(pieces_are_framed_for_the_other_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
