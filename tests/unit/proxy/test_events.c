/* Where an event of a stream ends, however its bytes come. */
#include "proxy/events.h"
#include "tests/unit/unit.h"

#include <string.h>

static const struct {
    const char *text;
    bool at_end;
} texts[] = {
    {"", true},
    {"data: a\n\n", true},
    {"data: a\r\n\r\n", true},
    {"data: a\r\r", true},
    {": ping\n\r\n", true},
    {"data: a\r\n\n", true},
    {"data: a\n\ndata: b\n\n", true},
    {"data: a", false},
    {"data: a\n", false},
    {"data: a\r\n", false},
    {"data: a\r", false},
    {"data: a\r\n\r", false}, /* cut within its blank line */
    {"data: a\n\ndata: b\n", false},
    {"data: a\n\nd", false},
};

static void ends_are_seen_at_each_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t length = strlen(texts[i].text);
        for (size_t cut = 0; cut <= length; cut++) {
            struct events events;
            events_init(&events, false);
            events_follow(&events, (struct slice){texts[i].text, cut});
            events_follow(&events, (struct slice){texts[i].text + cut, length - cut});
            assert_int_equal(events_are_at_end(&events), texts[i].at_end);
        }
    }
}

static void the_last_end_in_what_came_is_found(void **state)
{
    const char *text = "data: a\n\ndata: b\n\ndata: c\n";
    size_t ends[] = {9, 18}, length = strlen(text);

    (void)state;
    for (size_t cut = 0; cut <= length; cut++) {
        struct events events;
        size_t last = ends[1] > cut ? ends[1] - cut : 0;
        events_init(&events, false);
        events_follow(&events, (struct slice){text, cut});
        assert_int_equal(events_find_end(&events, (struct slice){text + cut, length - cut}), last);
    }
}

static void what_is_compressed_ends_with_each_piece(void **state)
{
    struct events events;

    (void)state;
    events_init(&events, true);
    events_follow(&events, SLICE("\x1f\x8b"));
    assert_true(events_are_at_end(&events));
    assert_int_equal(events_find_end(&events, SLICE("xyz")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_seen_at_each_cut),
        cmocka_unit_test(the_last_end_in_what_came_is_found),
        cmocka_unit_test(what_is_compressed_ends_with_each_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
