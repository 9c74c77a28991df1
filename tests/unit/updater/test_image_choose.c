/* Which images may go. */
#include "tests/unit/unit.h"
#include "updater/image_choose.h"

#include <string.h>

#define ROLLOUT(of, brought, found, kept, ...)                                                     \
    {                                                                                              \
        .service = (of), .image_id = (brought), .previous_image_id = (found), .keep = (kept),      \
        __VA_ARGS__                                                                                \
    }
#define DONE(of, brought, found, kept)    ROLLOUT(of, brought, found, kept, .completed = true)
#define FAILED(of, brought, found, kept)  ROLLOUT(of, brought, found, kept, .completed = false)
#define RUNNING(of, brought, found, kept) ROLLOUT(of, brought, found, kept, .in_progress = true)
#define COUNT(array)                      (sizeof(array) / sizeof((array)[0]))

/* The ids that may go, in a row: "a b". */
static const char *chosen(const struct image_rollout *rollouts, size_t count, const char *service)
{
    static char text[256];
    const char *ids[64];
    size_t chosen_count = image_choose(rollouts, count, service, ids);

    text[0] = '\0';
    for (size_t i = 0; i < chosen_count; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, ids[i]);
    }
    return text;
}

static void the_newest_versions_stay(void **state)
{
    static const struct image_rollout history[] = {
        DONE("web", "5", "4", 3), DONE("web", "4", "3", 3), DONE("web", "3", "2", 3),
        DONE("web", "2", "1", 3)};

    (void)state;
    assert_string_equal(chosen(history, COUNT(history), "web"), "2 1");
    assert_string_equal(chosen(history, COUNT(history), "other"), "");
    assert_string_equal(chosen(history, 0, "web"), "");
}

static void a_version_that_came_back_counts_once_and_as_new(void **state)
{
    static const struct image_rollout history[] = {
        DONE("web", "1", "2", 2), DONE("web", "2", "1", 2), DONE("web", "1", "2", 2),
        DONE("web", "2", "0", 2)};

    (void)state;
    assert_string_equal(chosen(history, COUNT(history), "web"), "0");
}

static void what_failed_is_no_version_to_keep(void **state)
{
    static const struct image_rollout history[] = {
        DONE("web", "4", "1", 2), FAILED("web", "3", "1", 2), FAILED("web", "2", "1", 2),
        FAILED("web", NULL, "1", 2), FAILED("web", "", "1", 2)};

    (void)state;
    assert_string_equal(chosen(history, COUNT(history), "web"), "3 2");
}

static void what_another_service_may_go_back_to_stays(void **state)
{
    static const struct image_rollout history[] = {DONE("web", "5", "4", 1),
                                                   DONE("jobs", "4", "3", 2),
                                                   DONE("web", "4", "3", 1),
                                                   DONE("jobs", "3", "2", 2),
                                                   DONE("web", "3", "2", 1),
                                                   DONE("web", "2", "1", 1),
                                                   DONE("gone", "1", "0", IMAGE_KEEP_ALL)};

    (void)state;
    assert_string_equal(chosen(history, COUNT(history), "web"), "2");
    assert_string_equal(chosen(history, COUNT(history), "jobs"), "2");
    assert_string_equal(chosen(history, COUNT(history), "gone"), "");
}

static void what_a_rollout_is_about_stays(void **state)
{
    static const struct image_rollout history[] = {
        RUNNING("jobs", "1", "2", 1), DONE("web", "5", "4", 1), DONE("web", "4", "3", 1),
        DONE("web", "3", "2", 1), DONE("web", "2", "1", 1)};

    (void)state;
    assert_string_equal(chosen(history, COUNT(history), "web"), "4 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_versions_stay),
        cmocka_unit_test(a_version_that_came_back_counts_once_and_as_new),
        cmocka_unit_test(what_failed_is_no_version_to_keep),
        cmocka_unit_test(what_another_service_may_go_back_to_stays),
        cmocka_unit_test(what_a_rollout_is_about_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
