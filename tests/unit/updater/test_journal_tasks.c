/* Hooks, verifications and what was looked up at the end, in the journal. */
#include "tests/unit/unit.h"
#include "updater/journal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static struct journal *journal;

static int set_up(void **state)
{
    const struct journal_rollout rollout = {.id = "a", .service = "web", .spec = "{}"};
    char why[JOURNAL_WHY_BYTES];

    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/slt-journal-XXXXXX");
    if (!mkdtemp(directory) || journal_open(directory, &journal, why) != 0)
        return -1;
    return journal_rollout_add(journal, &rollout);
}

static int tear_down(void **state)
{
    DIR *folder = opendir(directory);
    const struct dirent *entry;

    (void)state;
    journal_close(journal);
    while (folder && (entry = readdir(folder)) != NULL)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        (void)closedir(folder);
    return rmdir(directory);
}

static void save(uint32_t step, const char *state, uint64_t started_ms, const char *user)
{
    const struct journal_task task = {.position = 2,
                                      .step = step,
                                      .name = "smoke",
                                      .point = "verify_canary",
                                      .kind = "http",
                                      .state = state,
                                      .attempts = 3,
                                      .started_ms = started_ms,
                                      .user = user,
                                      .message = "status 500"};

    assert_int_equal(journal_task_save(journal, "a", &task), 0);
}

static void a_task_is_a_row_for_each_step_and_its_last_state_counts(void **state)
{
    struct journal_task *tasks;
    size_t count;

    (void)state;
    save(4, "running", 20, NULL);
    save(1, "running", 10, NULL);
    save(1, "passed", 10, "ada");
    assert_int_equal(journal_task_list(journal, "a", &tasks, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(tasks[0].step, 1); /* in the order of their begin */
    assert_string_equal(tasks[0].state, "passed");
    assert_string_equal(tasks[0].user, "ada");
    assert_string_equal(tasks[0].message, "status 500");
    assert_int_equal(tasks[0].attempts, 3);
    assert_string_equal(tasks[1].state, "running");
    assert_null(tasks[1].user);
    journal_tasks_free(tasks, count);
}

static void a_task_of_no_rollout_is_refused(void **state)
{
    const struct journal_task task = {
        .name = "x", .point = "rollout", .kind = "gate", .state = "running"};

    (void)state;
    assert_int_equal(journal_task_save(journal, "b", &task), -ENOENT);
}

static void checks_are_replaced_together_and_added_one_by_one(void **state)
{
    const struct journal_check first[] = {{.name = "names", .passed = true, .message = "3 of 3"},
                                          {.name = "left", .passed = false, .message = "1: web-1"}};
    const struct journal_check more = {.name = "volumes", .passed = true, .message = "0 of 1"};
    struct journal_check *checks;
    size_t count;

    (void)state;
    assert_int_equal(journal_checks_save(journal, "a", first, 2), 0);
    assert_int_equal(journal_check_add(journal, "a", &more), 0);
    assert_int_equal(journal_check_list(journal, "a", &checks, &count), 0);
    assert_int_equal(count, 3);
    assert_true(checks[0].passed);
    assert_false(checks[1].passed);
    assert_string_equal(checks[1].message, "1: web-1");
    assert_string_equal(checks[2].name, "volumes");
    journal_checks_free(checks, count);
    assert_int_equal(journal_checks_save(journal, "a", first, 1), 0);
    assert_int_equal(journal_check_list(journal, "a", &checks, &count), 0);
    assert_int_equal(count, 1);
    journal_checks_free(checks, count);
}

static void what_is_to_go_with_a_container_is_kept(void **state)
{
    const struct journal_container with = {
        .id = "c1", .name = "web-1", .attached = "{\"volumes\":[\"v\"],\"networks\":[]}"};
    const struct journal_container without = {.id = "c2", .name = "web-2", .ordinal = 1};
    struct journal_container *containers;
    size_t count;

    (void)state;
    assert_int_equal(journal_container_save(journal, "a", &with), 0);
    assert_int_equal(journal_container_save(journal, "a", &without), 0);
    assert_int_equal(journal_container_list(journal, "a", &containers, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(containers[0].attached, with.attached);
    assert_null(containers[1].attached);
    journal_containers_free(containers, count);
}

static char task_name[] = "warm", task_url[] = "https://desk.example/ask?token=x";

static void the_hooks_of_a_spec_come_back(void **state)
{
    const struct config_task task = {.name = task_name,
                                     .point = POINT_CONFIRM_PROMOTION,
                                     .kind = TASK_WEBHOOK,
                                     .url = task_url,
                                     .timeout_ms = 1500,
                                     .interval_ms = 20,
                                     .wait_ms = 60000,
                                     .on_failure = ON_FAILURE_PAUSE};
    const struct plan_spec in = {.replicas = 1, .tasks = &task, .task_count = 1};
    char *json = journal_spec_write(&in, NULL);
    struct config_step *steps;
    struct plan_spec out;

    (void)state;
    assert_int_equal(journal_spec_read(json, &out, &steps), 0);
    assert_int_equal(out.task_count, 1);
    assert_string_equal(out.tasks[0].name, "warm");
    assert_string_equal(out.tasks[0].url, task_url);
    assert_int_equal(out.tasks[0].point, POINT_CONFIRM_PROMOTION);
    assert_int_equal(out.tasks[0].kind, TASK_WEBHOOK);
    assert_int_equal(out.tasks[0].timeout_ms, 1500);
    assert_int_equal(out.tasks[0].interval_ms, 20);
    assert_int_equal(out.tasks[0].wait_ms, 60000);
    assert_int_equal(out.tasks[0].on_failure, ON_FAILURE_PAUSE);
    journal_spec_done(&out);
    free(steps);
    free(json);
}

static void a_spec_of_an_older_sluice_has_none(void **state)
{
    const struct plan_spec in = {.replicas = 1};
    char *json = journal_spec_write(&in, NULL);
    struct config_step *steps;
    struct plan_spec out;

    (void)state;
    assert_null(strstr(json, "tasks"));
    assert_int_equal(journal_spec_read(json, &out, &steps), 0);
    assert_int_equal(out.task_count, 0);
    journal_spec_done(&out);
    free(steps);
    free(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_is_a_row_for_each_step_and_its_last_state_counts),
        TEST(a_task_of_no_rollout_is_refused),
        TEST(checks_are_replaced_together_and_added_one_by_one),
        TEST(what_is_to_go_with_a_container_is_kept),
        TEST(the_hooks_of_a_spec_come_back),
        TEST(a_spec_of_an_older_sluice_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
