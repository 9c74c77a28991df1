#include "cli/changes.h"
#include "cli/command.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <string.h>

const struct command commands[] = {{.name = NULL}};

static const struct command rollout = {
    .name = "rollout",
    .options = {{"env", "E", ""},
                {"label", "L", ""},
                {"memory", "M", ""},
                {"cpus", "N", ""},
                {"command", "W", ""}},
};

static struct invocation given(const char *const *pairs)
{
    struct invocation invocation = {.command = &rollout};

    for (unsigned i = 0; pairs[i] != NULL; i += 2) {
        for (unsigned option = 0; rollout.options[option].name != NULL; option++)
            if (strcmp(rollout.options[option].name, pairs[i]) == 0)
                invocation.values[option] = pairs[i + 1];
        invocation.given[invocation.given_count].name = pairs[i];
        invocation.given[invocation.given_count++].value = pairs[i + 1];
    }
    return invocation;
}

static void expect(const char *const *pairs, const char *expected)
{
    struct invocation invocation = given(pairs);
    struct cJSON *changes = NULL;
    char why[CHANGES_WHY_BYTES] = "";
    char *text;

    assert_int_equal(changes_make(&invocation, &changes, why), 0);
    text = changes != NULL ? cJSON_PrintUnformatted(changes) : NULL;
    assert_string_equal(text != NULL ? text : "none", expected);
    cJSON_free(text);
    cJSON_Delete(changes);
}

static void options_become_changes(void **state)
{
    (void)state;
    expect((const char *[]){NULL}, "none");
    expect((const char *[]){"env", "A=1", "env", "B=x=y", "env", "C-", "env", "D=", NULL},
           "{\"env\":{\"A\":\"1\",\"B\":\"x=y\",\"C\":null,\"D\":\"\"}}");
    expect((const char *[]){"env", "A=1", "env", "A-", NULL}, "{\"env\":{\"A\":null}}");
    expect((const char *[]){"label", "a.b=1", "memory", "512m", "cpus", "1.5", NULL},
           "{\"labels\":{\"a.b\":\"1\"},\"memory\":\"512m\",\"cpus\":1.5}");
    expect((const char *[]){"command", "/run --now 'two words' \"it's\" a\\ b ''", NULL},
           "{\"command\":[\"/run\",\"--now\",\"two words\",\"it's\",\"a b\",\"\"]}");
    expect((const char *[]){"command", " ", NULL}, "{\"command\":[]}");
}

static void what_cannot_be_read_is_refused(void **state)
{
    static const char *const bad[][2] = {{"env", "A"},  {"env", "=1"},      {"env", "-"},
                                         {"label", ""}, {"cpus", "two"},    {"cpus", "-1"},
                                         {"cpus", ""},  {"cpus", "nan"},    {"command", "'a"},
                                         {"env", ""},   {"command", "a \""}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct invocation invocation = given((const char *[]){bad[i][0], bad[i][1], NULL});
        struct cJSON *changes = NULL;
        char why[CHANGES_WHY_BYTES] = "";

        assert_int_not_equal(changes_make(&invocation, &changes, why), 0);
        assert_null(changes);
        assert_string_not_equal(why, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_become_changes),
        cmocka_unit_test(what_cannot_be_read_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
