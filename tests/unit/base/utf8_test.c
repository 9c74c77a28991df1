/* What is no UTF-8 becomes it. */
#include "base/utf8.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static void characters_have_the_length_of_rfc_3629(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"", 0},
        {"\x80", 0},             /* begins nothing */
        {"\xc0\xaf", 0},         /* overlong */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xed\xa0\x80", 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0}, /* past U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xe2\x82", 0}, /* cut */
        {"\xc3(", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(utf8_length(cases[i].text, strlen(cases[i].text)), cases[i].length);
}

static void bytes_of_no_character_are_replaced_and_no_others(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"caf\xe9!", "caf?!"},        /* Latin-1 */
        {"cut: \xe2\x82", "cut: ??"}, /* in the middle of a character */
        {"\xf0\x9f\x98\"", "???\""},  /* what follows stays */
        {"\xff\xfe\xed\xa0\x80", "?????"},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s", cases[i][0]);
        utf8_mend(text);
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_the_length_of_rfc_3629),
        cmocka_unit_test(bytes_of_no_character_are_replaced_and_no_others),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
