/* What was checked before a rollout began. */
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>

int journal_preflight_save(struct journal *journal, const char *rollout,
                           const struct journal_preflight *checks, size_t count)
{
    int error = journal_begin(journal);

    if (error != 0)
        return error;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = journal_run(journal,
                            "INSERT OR REPLACE INTO preflight"
                            " (rollout, position, name, outcome, forced, message)"
                            " VALUES (?, ?, ?, ?, ?, ?)",
                            VALUES(TEXT(rollout), NUMBER(i), TEXT(checks[i].name),
                                   TEXT(checks[i].outcome), NUMBER(checks[i].forced),
                                   TEXT(checks[i].message)),
                            NULL);
    return journal_commit(journal, error);
}

static void read_preflight(sqlite3_stmt *statement, void *item)
{
    struct journal_preflight *check = item;
    char *cursor = check->text = journal_row_text(statement);

    check->name = journal_take(statement, 0, &cursor);
    check->outcome = journal_take(statement, 1, &cursor);
    check->forced = sqlite3_column_int64(statement, 2) != 0;
    check->message = journal_take(statement, 3, &cursor);
}

int journal_preflight_list(struct journal *journal, const char *rollout,
                           struct journal_preflight **ret_checks, size_t *ret_count)
{
    sqlite3_stmt *statement;
    void *items = NULL;
    size_t count = 0;
    int error = journal_query(journal,
                              "SELECT name, outcome, forced, message FROM preflight"
                              " WHERE rollout = ? ORDER BY position",
                              VALUES(TEXT(rollout)), &statement);

    if (error == 0)
        error = journal_read_all(journal, statement, sizeof(struct journal_preflight),
                                 read_preflight, &items, &count);
    if (error != 0) {
        journal_preflights_free(items, count);
        return error;
    }
    *ret_checks = items;
    *ret_count = count;
    return 0;
}

void journal_preflights_free(struct journal_preflight *checks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(checks[i].text);
    free(checks);
}
