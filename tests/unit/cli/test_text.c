#include "cli/text.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void width_counts_columns_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(text_width("web"), 3);
    assert_int_equal(text_width("größer"), 6);
    assert_int_equal(text_width("日本"), 4);
    assert_int_equal(text_width(GOOD "ok" PLAIN), 2);
    assert_int_equal(text_width("\xff\xfe"), 2);
}

static void fit_never_cuts_a_character(void **state)
{
    (void)state;
    assert_int_equal(text_fit("größer", 3), 4);
    assert_int_equal(text_fit("日本", 3), 3);
    assert_int_equal(text_fit("web", 80), 3);
    assert_int_equal(text_fit(GOOD "ok" PLAIN, 1), 3);
}

static void control_bytes_become_question_marks(void **state)
{
    struct lines lines = {0};
    (void)state;
    lines_add(&lines, "%s",
              "a\033[2Jb\r\n\x7f\xff"
              "c");
    assert_string_equal(lines.items[0], "a?[2Jb????c");
    lines_add(&lines, "%s",
              "\xc2\x9b"
              "31m é");
    assert_string_equal(lines.items[1], "??31m é");
    lines_add(&lines, "%s", "\x01\033[2J" GOOD); /* behind the byte of a style, too */
    assert_string_equal(lines.items[2], "??[2J" GOOD);
    lines_done(&lines);
    assert_null(lines.items);
}

static void tables_align_by_columns(void **state)
{
    struct table table;
    struct lines lines = {0};
    (void)state;
    table_init(&table, "lrl", "NAME|COUNT|LAST");
    table_cell(&table, "日本");
    table_cell(&table, "%d", 7);
    table_cell(&table, "x");
    table_cell(&table, GOOD "long-name" PLAIN);
    table_cell(&table, "%d", 12345678);
    table_cell(&table, "%s", "");
    table_finish(&table, " ", &lines);
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.items[0], " NAME          COUNT  LAST");
    assert_string_equal(lines.items[1], " 日本              7  x");
    assert_string_equal(lines.items[2], " " GOOD "long-name" PLAIN "  12345678");
    lines_done(&lines);
}

static void prints_colour_only_where_asked(void **state)
{
    struct lines lines = {0};
    char *text = NULL;
    size_t size = 0;
    (void)state;
    lines_add(&lines, GOOD "ok" PLAIN);
    FILE *stream = open_memstream(&text, &size);
    lines_print(&lines, stream, false);
    lines_print(&lines, stream, true);
    fclose(stream);
    assert_string_equal(text, "ok\n\033[32mok\033[0m\n");
    free(text);
    lines_done(&lines);
}

static void durations_are_for_people(void **state)
{
    char text[TEXT_BYTES];
    (void)state;
    assert_string_equal(text_duration(-1, text), "-");
    assert_string_equal(text_duration(0, text), "0ms");
    assert_string_equal(text_duration(999.4, text), "999ms");
    assert_string_equal(text_duration(999.6, text), "1.0s");
    assert_string_equal(text_duration(59949, text), "59.9s");
    assert_string_equal(text_duration(59960, text), "1m 00s");
    assert_string_equal(text_duration(3599000, text), "59m 59s");
    assert_string_equal(text_duration(7380000, text), "2h 03m");
    assert_string_equal(text_latency(310, text), "310us");
    assert_string_equal(text_latency(2100, text), "2.1ms");
    assert_string_equal(text_latency(1300000, text), "1.3s");
    assert_string_equal(text_bytes(812, text), "812 B");
    assert_string_equal(text_bytes(1572864, text), "1.5 MiB");
    assert_string_equal(text_weight(5, text), "5%");
    assert_string_equal(text_weight(0.25, text), "0.25%");
    assert_string_equal(text_weight(99.99, text), "99.99%");
}

static void times_are_local(void **state)
{
    char text[TEXT_BYTES];
    (void)state;
    setenv("TZ", "UTC-2", 1); /* two hours east */
    assert_string_equal(text_time("2026-11-23T23:15:02.5Z", false, text), "01:15:02");
    assert_string_equal(text_time("2026-11-23T23:15:02.5Z", true, text), "2026-11-24 01:15:02");
    assert_string_equal(text_time("", false, text), "-");
    assert_string_equal(text_time("soon", false, text), "-");
    assert_true(text_time_ms("1970-01-01T00:00:01.500Z") > 1499.9);
    assert_true(text_time_ms("1970-01-01T00:00:01.500Z") < 1500.1);
    assert_true(text_time_ms("") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_counts_columns_not_bytes),
        cmocka_unit_test(fit_never_cuts_a_character),
        cmocka_unit_test(control_bytes_become_question_marks),
        cmocka_unit_test(tables_align_by_columns),
        cmocka_unit_test(prints_colour_only_where_asked),
        cmocka_unit_test(durations_are_for_people),
        cmocka_unit_test(times_are_local),
    };
    setenv("LC_ALL", "C.UTF-8", 1);
    text_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
