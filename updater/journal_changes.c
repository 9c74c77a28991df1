/* Changes of configuration that were made with rollouts. */
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int journal_rollout_add_changed(struct journal *journal, const struct journal_rollout *rollout,
                                const struct journal_changes *changes)
{
    int error = journal_begin(journal);

    if (error != 0)
        return error;
    error = journal_rollout_add(journal, rollout);
    if (error == 0)
        error = journal_run(journal, "INSERT INTO changes (rollout, wanted, undo) VALUES (?, ?, ?)",
                            VALUES(TEXT(rollout->id), TEXT(changes->wanted), TEXT(changes->undo)),
                            NULL);
    return journal_commit(journal, error);
}

static void read_changes(sqlite3_stmt *statement, void *item)
{
    struct journal_changes *changes = item;
    char *cursor = changes->text = journal_row_text(statement);

    changes->wanted = journal_take(statement, 0, &cursor);
    changes->undo = journal_take(statement, 1, &cursor);
}

int journal_changes_load(struct journal *journal, const char *rollout,
                         struct journal_changes *ret_changes)
{
    struct journal_changes changes = {0};
    sqlite3_stmt *statement;
    int error = journal_query(journal, "SELECT wanted, undo FROM changes WHERE rollout = ?",
                              VALUES(TEXT(rollout)), &statement);

    if (error == 0)
        error = journal_read_one(journal, statement, sizeof(changes), read_changes, &changes);
    if (error != 0) {
        journal_changes_done(&changes);
        return error;
    }
    *ret_changes = changes;
    return 0;
}

void journal_changes_done(struct journal_changes *changes)
{
    free(changes->text);
    memset(changes, 0, sizeof(*changes));
}
