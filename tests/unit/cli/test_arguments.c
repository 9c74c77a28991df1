#include "cli/arguments.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

/* A table of its own, so that the commands' may change. */
const struct command commands[] = {
    {.name = "rollout",
     .usage = "SERVICE --image IMAGE",
     .options = {{"image", "IMAGE", ""}, {"detach", NULL, ""}},
     .arguments_min = 1,
     .arguments_max = 1},
    {.name = "status", .usage = "[SERVICE]", .arguments_max = 1},
    {.name = NULL},
};

static struct invocation invocation;
static char why[ARGUMENTS_WHY_BYTES];

#define READ(...)  read_words((char *[]){(char[]){"sluice"}, __VA_ARGS__, NULL})
#define WORD(text) ((char[]){text})

static int read_words(char *const *words)
{
    int count = 0;
    while (words[count] != NULL)
        count++;
    memset(&invocation, 0, sizeof invocation);
    why[0] = '\0';
    return arguments_read(count, words, &invocation, why);
}

static void reads_options_before_and_after_words(void **state)
{
    (void)state;
    assert_int_equal(READ(WORD("--json"), WORD("rollout"), WORD("--image=web:v2"), WORD("web"),
                          WORD("--admin"), WORD("a.sock"), WORD("--detach")),
                     0);
    assert_string_equal(invocation.command->name, "rollout");
    assert_string_equal(invocation.arguments[0], "web");
    assert_string_equal(invocation_option(&invocation, "image"), "web:v2");
    assert_string_equal(invocation_option(&invocation, "detach"), "");
    assert_string_equal(invocation.admin, "a.sock");
    assert_true(invocation.json);
    assert_null(invocation_option(&invocation, "none"));
}

static void takes_words_after_two_dashes_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(READ(WORD("status"), WORD("--"), WORD("--json")), 0);
    assert_string_equal(invocation.arguments[0], "--json");
    assert_false(invocation.json);
}

static void help_needs_no_arguments(void **state)
{
    (void)state;
    assert_int_equal(READ(WORD("rollout"), WORD("-h")), 0);
    assert_true(invocation.help);
    assert_int_equal(READ(WORD("rollout")), -EINVAL);
    assert_non_null(strstr(why, "something is missing"));
}

static void an_empty_value_is_a_value(void **state)
{
    (void)state;
    assert_int_equal(READ(WORD("rollout"), WORD("web"), WORD("--image=")), 0);
    assert_string_equal(invocation_option(&invocation, "image"), "");
    assert_int_equal(READ(WORD("rollout"), WORD("web"), WORD("--image")), -EINVAL);
}

static void guesses_what_was_meant_but_not_wildly(void **state)
{
    (void)state;
    assert_int_equal(READ(WORD("stauts")), -EINVAL);
    assert_non_null(strstr(why, "did you mean 'status'?"));
    assert_int_equal(READ(WORD("roll")), -EINVAL);
    assert_non_null(strstr(why, "did you mean 'rollout'?"));
    assert_int_equal(READ(WORD("xyzzy")), -EINVAL);
    assert_null(strstr(why, "did you mean"));
    assert_int_equal(READ(WORD("rollout"), WORD("--imag=x")), -EINVAL);
    assert_non_null(strstr(why, "did you mean '--image'?"));
    /* of another command */
    assert_int_equal(READ(WORD("status"), WORD("--detach")), -EINVAL);
    assert_null(strstr(why, "did you mean"));
}

static void counts_changed_added_missing_and_swapped_letters(void **state)
{
    (void)state;
    assert_int_equal(arguments_distance("status", "status"), 0);
    assert_int_equal(arguments_distance("stauts", "status"), 1);
    assert_int_equal(arguments_distance("statu", "status"), 1);
    assert_int_equal(arguments_distance("sstatus", "status"), 1);
    assert_int_equal(arguments_distance("stbtus", "status"), 1);
    assert_int_equal(arguments_distance("", "abc"), 3);
    assert_int_equal(arguments_distance("kitten", "sitting"), 3);
    assert_true(arguments_distance("a-word-that-is-longer-than-all-of-ours", "status") > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_options_before_and_after_words),
        cmocka_unit_test(takes_words_after_two_dashes_as_they_are),
        cmocka_unit_test(help_needs_no_arguments),
        cmocka_unit_test(an_empty_value_is_a_value),
        cmocka_unit_test(guesses_what_was_meant_but_not_wildly),
        cmocka_unit_test(counts_changed_added_missing_and_swapped_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
