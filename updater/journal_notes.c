/* What people say of a rollout, and what its hooks, verifications and checks came to. */
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>

static int list(struct journal *journal, const char *sql, const struct journal_value *values,
                size_t value_count, size_t size, journal_reader *read, void **ret_items,
                size_t *ret_count)
{
    sqlite3_stmt *statement;
    int error = journal_query(journal, sql, values, value_count, &statement);

    return error != 0 ? error
                      : journal_read_all(journal, statement, size, read, ret_items, ret_count);
}

/* --- notes --------------------------------------------------------------------------------- */

int journal_note_add(struct journal *journal, const char *rollout, const struct journal_note *note)
{
    int added = 0;
    int error = journal_run(
        journal,
        "INSERT INTO notes (rollout, time_ms, user, is_lesson, message) SELECT ?1, ?2, ?3, ?4, ?5"
        " WHERE (SELECT count(*) FROM notes WHERE rollout = ?1) < ?6",
        VALUES(TEXT(rollout), NUMBER(note->time_ms), TEXT(note->user), NUMBER(note->is_lesson),
               TEXT(note->message), NUMBER(JOURNAL_NOTES_MAX)),
        &added);

    return error == 0 && added == 0 ? -EDQUOT : error;
}

static void read_note(sqlite3_stmt *statement, void *item)
{
    struct journal_note *note = item;
    char *cursor = note->text = journal_row_text(statement);

    note->time_ms = (uint64_t)sqlite3_column_int64(statement, 0);
    note->user = journal_take(statement, 1, &cursor);
    note->is_lesson = sqlite3_column_int64(statement, 2) != 0;
    note->message = journal_take(statement, 3, &cursor);
    note->rollout = journal_take(statement, 4, &cursor);
}

static int list_notes(struct journal *journal, const char *sql, const struct journal_value *values,
                      size_t value_count, struct journal_note **ret_notes, size_t *ret_count)
{
    void *items = NULL;
    size_t count = 0;
    int error = list(journal, sql, values, value_count, sizeof(struct journal_note), read_note,
                     &items, &count);

    if (error != 0) {
        journal_notes_free(items, count);
        return error;
    }
    *ret_notes = items;
    *ret_count = count;
    return 0;
}

int journal_note_list(struct journal *journal, const char *rollout, struct journal_note **ret_notes,
                      size_t *ret_count)
{
    return list_notes(journal,
                      "SELECT time_ms, user, is_lesson, message, rollout FROM notes"
                      " WHERE rollout = ? ORDER BY id",
                      VALUES(TEXT(rollout)), ret_notes, ret_count);
}

int journal_lesson_list(struct journal *journal, const char *service, uint64_t before_ms,
                        uint32_t limit, struct journal_note **ret_notes, size_t *ret_count)
{
    return list_notes(journal,
                      "SELECT notes.time_ms, notes.user, is_lesson, message, rollout FROM notes"
                      " JOIN rollouts ON rollouts.id = notes.rollout"
                      " WHERE rollouts.service = ? AND rollouts.created_ms < ? AND is_lesson"
                      " ORDER BY notes.id DESC LIMIT ?",
                      VALUES(TEXT(service), NUMBER(before_ms), NUMBER(limit)), ret_notes,
                      ret_count);
}

void journal_notes_free(struct journal_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(notes[i].text);
    free(notes);
}
