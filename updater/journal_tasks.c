/* What the hooks, verifications and checks of a rollout came to. */
#include "journal_parts.h"

#include <stdlib.h>

int journal_task_save(struct journal *journal, const char *rollout, const struct journal_task *task)
{
    return journal_run(journal,
                       "INSERT OR REPLACE INTO tasks (rollout, position, step, name, point, kind,"
                       " state, attempts, started_ms, ended_ms, user, message)"
                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       VALUES(TEXT(rollout), NUMBER(task->position), NUMBER(task->step),
                              TEXT(task->name), TEXT(task->point), TEXT(task->kind),
                              TEXT(task->state), NUMBER(task->attempts), NUMBER(task->started_ms),
                              NUMBER(task->ended_ms), TEXT(task->user), TEXT(task->message)),
                       NULL);
}

static void read_task(sqlite3_stmt *statement, void *item)
{
    struct journal_task *task = item;
    char *cursor = task->text = journal_row_text(statement);

    task->position = (uint32_t)sqlite3_column_int64(statement, 0);
    task->step = (uint32_t)sqlite3_column_int64(statement, 1);
    task->name = journal_take(statement, 2, &cursor);
    task->point = journal_take(statement, 3, &cursor);
    task->kind = journal_take(statement, 4, &cursor);
    task->state = journal_take(statement, 5, &cursor);
    task->attempts = (uint32_t)sqlite3_column_int64(statement, 6);
    task->started_ms = (uint64_t)sqlite3_column_int64(statement, 7);
    task->ended_ms = (uint64_t)sqlite3_column_int64(statement, 8);
    task->user = journal_take(statement, 9, &cursor);
    task->message = journal_take(statement, 10, &cursor);
}

int journal_task_list(struct journal *journal, const char *rollout, struct journal_task **ret_tasks,
                      size_t *ret_count)
{
    sqlite3_stmt *statement;
    void *items = NULL;
    size_t count = 0;
    int error = journal_query(journal,
                              "SELECT position, step, name, point, kind, state, attempts,"
                              " started_ms, ended_ms, user, message FROM tasks WHERE rollout = ?"
                              " ORDER BY started_ms, position, step",
                              VALUES(TEXT(rollout)), &statement);

    if (error != 0)
        return error;
    error = journal_read_all(journal, statement, sizeof(struct journal_task), read_task, &items,
                             &count);
    if (error != 0) {
        journal_tasks_free(items, count);
        return error;
    }
    *ret_tasks = items;
    *ret_count = count;
    return 0;
}

void journal_tasks_free(struct journal_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(tasks[i].text);
    free(tasks);
}

/* --- checks --------------------------------------------------------------------------------- */

int journal_checks_save(struct journal *journal, const char *rollout,
                        const struct journal_check *checks, size_t count)
{
    int error = journal_begin(journal);

    if (error != 0)
        return error;
    error =
        journal_run(journal, "DELETE FROM checks WHERE rollout = ?", VALUES(TEXT(rollout)), NULL);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = journal_run(journal,
                            "INSERT INTO checks (rollout, position, name, passed, message)"
                            " VALUES (?, ?, ?, ?, ?)",
                            VALUES(TEXT(rollout), NUMBER(i), TEXT(checks[i].name),
                                   NUMBER(checks[i].passed), TEXT(checks[i].message)),
                            NULL);
    return journal_commit(journal, error);
}

int journal_check_add(struct journal *journal, const char *rollout,
                      const struct journal_check *check)
{
    return journal_run(
        journal,
        "INSERT INTO checks (rollout, position, name, passed, message) SELECT ?1,"
        " coalesce(max(position), -1) + 1, ?2, ?3, ?4 FROM checks WHERE rollout = ?1",
        VALUES(TEXT(rollout), TEXT(check->name), NUMBER(check->passed), TEXT(check->message)),
        NULL);
}

static void read_check(sqlite3_stmt *statement, void *item)
{
    struct journal_check *check = item;
    char *cursor = check->text = journal_row_text(statement);

    check->name = journal_take(statement, 0, &cursor);
    check->passed = sqlite3_column_int64(statement, 1) != 0;
    check->message = journal_take(statement, 2, &cursor);
}

int journal_check_list(struct journal *journal, const char *rollout,
                       struct journal_check **ret_checks, size_t *ret_count)
{
    sqlite3_stmt *statement;
    void *items = NULL;
    size_t count = 0;
    int error = journal_query(
        journal, "SELECT name, passed, message FROM checks WHERE rollout = ? ORDER BY position",
        VALUES(TEXT(rollout)), &statement);

    if (error != 0)
        return error;
    error = journal_read_all(journal, statement, sizeof(struct journal_check), read_check, &items,
                             &count);
    if (error != 0) {
        journal_checks_free(items, count);
        return error;
    }
    *ret_checks = items;
    *ret_count = count;
    return 0;
}

void journal_checks_free(struct journal_check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(checks[i].text);
    free(checks);
}
