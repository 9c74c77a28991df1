/* The journal's file: opened, brought up to date, and whatever happens to it. */
#include "journal_fixture.h"
#include "updater/journal_parts.h"

#include <sys/mount.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>

#define NAME_(macro)    #macro
#define NAME(macro)     NAME_(macro)
#define VERSION(number) "PRAGMA user_version=" NAME(number)

static void a_second_opener_is_refused_and_told_who_has_it(void **state)
{
    struct journal *journal = open_journal();
    struct journal *second = NULL;
    char pid[16];

    (void)state;
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_int_equal(journal_open(directory, &second, why), -EBUSY);
    assert_non_null(strstr(why, pid));
    assert_null(second);
    journal_close(journal);
    journal_close(open_journal()); /* free again; the file with the pid is still there */
}

static void execute(const char *sql)
{
    char path[128];
    sqlite3 *database;

    snprintf(path, sizeof(path), "%s/journal.db", directory);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void a_journal_of_a_newer_sluice_is_refused_untouched(void **state)
{
    struct journal *journal = open_journal();

    (void)state;
    add_rollout(journal, "a", "web", 1);
    journal_close(journal);
    execute(VERSION(1000));
    assert_int_equal(journal_open(directory, &journal, why), -ENOTSUP);
    assert_non_null(strstr(why, "newer"));
    execute(VERSION(JOURNAL_SCHEMA));
    journal_close(open_journal());
}

/* As the first Sluice left it, with a rollout in progress. */
static void a_journal_of_an_older_sluice_is_brought_up_to_date(void **state)
{
    struct journal_rollout rollout;
    struct journal *journal;

    (void)state;
    execute(journal_way_from(0));
    execute("PRAGMA application_id=" NAME(JOURNAL_APPLICATION) "; PRAGMA user_version=1");
    execute(
        "INSERT INTO rollouts VALUES ('a', 'web', 'canary', '{}', 'web:v2', NULL, NULL, NULL,"
        " NULL, NULL, NULL, 1, 0, 3, 500, 0, 0, 0, 'forward', 'none', 2, 1, 7, 8, 0, 0, 1, 0, '')");
    journal = open_journal();
    assert_int_equal(journal_rollout_in_progress(journal, "web", &rollout), 0);
    assert_string_equal(rollout.id, "a");
    assert_int_equal(rollout.progress.step, 2);
    journal_rollout_done(&rollout);
    assert_int_equal(
        journal_note_add(journal, "a", &(struct journal_note){.time_ms = 1, .message = "kept"}), 0);
    journal_close(journal);
    journal_close(open_journal());
}

static void a_file_that_is_no_journal_is_refused(void **state)
{
    struct journal *journal = NULL;
    char path[128];
    int fd;

    (void)state;
    execute("CREATE TABLE other (x)");
    assert_int_equal(journal_open(directory, &journal, why), -EINVAL);
    snprintf(path, sizeof(path), "%s/journal.db", directory);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "this is not a database at all, but text\n", 40), 40);
    close(fd);
    assert_int_equal(journal_open(directory, &journal, why), -EINVAL);
    assert_non_null(strstr(why, "journal.db"));
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    struct journal *journal = NULL;

    (void)state;
    assert_int_equal(journal_open("/nowhere/at/all", &journal, why), -ENOENT);
    assert_non_null(strstr(why, "/nowhere/at/all"));
}

static void the_journal_is_private(void **state)
{
    struct stat status;
    char path[128];

    (void)state;
    journal_close(open_journal());
    snprintf(path, sizeof(path), "%s/journal.db", directory);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* Writes until it is killed; tells over the pipe what has been written durably. */
static void write_until_killed(int fd)
{
    struct journal *journal = NULL;
    static struct plan_observed observed;
    static struct plan plan;
    int64_t ids[PLAN_ACTIONS_MAX];

    if (journal_open(directory, &journal, why) != 0)
        _exit(1);
    fill_plan(&observed, &plan);
    for (uint32_t step = 1;; step++) {
        plan.progress.step = step;
        if (journal_save_plan(journal, "a", &observed, &plan, ids) != 0 ||
            write(fd, &step, sizeof(step)) != sizeof(step))
            _exit(1);
    }
}

static void kill_9_in_the_middle_of_writing_loses_nothing_that_was_answered(void **state)
{
    struct journal *journal = open_journal();

    (void)state;
    add_rollout(journal, "a", "web", 1);
    journal_close(journal);
    for (int round = 0; round < 10; round++) {
        struct journal_rollout rollout;
        struct journal_action *actions;
        uint32_t step = 0, last = 0;
        size_t count;
        int pipe_fds[2];
        pid_t child;

        assert_int_equal(pipe(pipe_fds), 0);
        child = fork();
        if (child == 0)
            write_until_killed(pipe_fds[1]);
        close(pipe_fds[1]);
        while (last < 3u + (uint32_t)round && read(pipe_fds[0], &step, sizeof(step)) > 0)
            last = step;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(pipe_fds[0], &step, sizeof(step)) == sizeof(step))
            last = step;
        close(pipe_fds[0]);
        journal = open_journal();
        assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
        /* the one that was being written when it died may be there or not, but never in part */
        assert_in_range(rollout.progress.step, last, last + 1);
        assert_int_equal(journal_action_list(journal, "a", true, &actions, &count), 0);
        assert_int_equal(count % 2, 0);
        journal_actions_free(actions, count);
        journal_rollout_done(&rollout);
        journal_close(journal);
    }
}

static void a_full_disk_is_told_and_what_was_written_stays(void **state)
{
    struct journal *journal;
    struct journal_rollout rollout;
    char text[4096];
    const struct journal_note note = {.time_ms = 1, .message = text};
    int error = 0;

    (void)state;
    if (mount("sluice-test", directory, "tmpfs", 0, "size=512k") != 0)
        skip();
    journal = open_journal();
    add_rollout(journal, "a", "web", 1);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 1000 && error == 0; i++)
        error = journal_log(journal, "a", 1, "fill", text);
    assert_int_equal(error, -ENOSPC);
    assert_string_not_equal(journal_error(journal), "");
    /* Told apart from a rollout that has as many notes as it may have. */
    assert_int_equal(journal_note_add(journal, "a", &note), -ENOSPC);
    assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
    journal_rollout_done(&rollout);
    journal_close(journal);
    journal_close(open_journal());
    assert_int_equal(umount(directory), 0);
}

static void a_read_only_directory_is_told(void **state)
{
    struct journal *journal = NULL;
    bool is_mounted = mount("sluice-test", directory, "tmpfs", MS_RDONLY, "size=64k") == 0;
    int error;

    (void)state;
    if (!is_mounted && geteuid() == 0)
        skip(); /* root may write where modes forbid it, so without the mount nothing is shown */
    if (!is_mounted)
        assert_int_equal(chmod(directory, 0500), 0);
    error = journal_open(directory, &journal, why);
    assert_int_equal(error, is_mounted ? -EROFS : -EACCES);
    assert_non_null(strstr(why, directory));
    if (is_mounted)
        assert_int_equal(umount(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_opener_is_refused_and_told_who_has_it),
        TEST(a_journal_of_a_newer_sluice_is_refused_untouched),
        TEST(a_journal_of_an_older_sluice_is_brought_up_to_date),
        TEST(a_file_that_is_no_journal_is_refused),
        TEST(a_directory_that_is_not_there_is_named),
        TEST(the_journal_is_private),
        TEST(kill_9_in_the_middle_of_writing_loses_nothing_that_was_answered),
        TEST(a_full_disk_is_told_and_what_was_written_stays),
        TEST(a_read_only_directory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
