/* What the journal's files share: the open database, and SQL with bound values.
 *
 * Owner: journal_open(). Life: until journal_close(). */
#ifndef UPDATER_JOURNAL_PARTS_H
#define UPDATER_JOURNAL_PARTS_H

#include "journal.h"

#include <sqlite3.h>

#define JOURNAL_ERROR_BYTES 256u

struct journal {
    sqlite3 *database;
    int lock_fd;
    char error[JOURNAL_ERROR_BYTES];
};

/* A value to bind: a text (NULL is SQL's) or a number. */
struct journal_value {
    bool is_text;
    const char *text;
    int64_t number;
};
#define TEXT(string)  ((struct journal_value){.is_text = true, .text = (string)})
#define NUMBER(value) ((struct journal_value){.number = (int64_t)(value)})
#define VALUES(...)                                                                                \
    (const struct journal_value[]){__VA_ARGS__},                                                   \
        sizeof((const struct journal_value[]){__VA_ARGS__}) / sizeof(struct journal_value)

/* Notes what SQLite says of its last failure; returns -errno. */
int journal_fail(struct journal *journal, int result);

/* Runs a statement that gives no rows. `ret_changed` (may be NULL): how many rows it changed. */
int journal_run(struct journal *journal, const char *sql, const struct journal_value *values,
                size_t value_count, int *ret_changed) __attribute__((warn_unused_result));
/* Prepares and binds; the caller steps through it and finalizes. */
int journal_query(struct journal *journal, const char *sql, const struct journal_value *values,
                  size_t value_count, sqlite3_stmt **ret_statement)
    __attribute__((warn_unused_result));

int journal_begin(struct journal *journal) __attribute__((warn_unused_result));
/* Commits where error is 0, else rolls back. Returns error, or the commit's. */
int journal_commit(struct journal *journal, int error) __attribute__((warn_unused_result));

/* One row's texts go into one block: room for all, then column by column. */
char *journal_row_text(sqlite3_stmt *statement);
const char *journal_take(sqlite3_stmt *statement, int column, char **cursor);

/* Reads every row into an array of items of `size` bytes. Finalizes the statement. `read` fills a
 * zeroed item. */
typedef void journal_reader(sqlite3_stmt *statement, void *item);
int journal_read_all(struct journal *journal, sqlite3_stmt *statement, size_t size,
                     journal_reader *read, void **ret_items, size_t *ret_count)
    __attribute__((warn_unused_result));
/* The same for one row: -ENOENT where there is none, -EEXIST where there are more. */
int journal_read_one(struct journal *journal, sqlite3_stmt *statement, size_t size,
                     journal_reader *read, void *ret_item) __attribute__((warn_unused_result));

/* The SQL that leads from this schema to the next; 0 is an empty file. */
const char *journal_way_from(int version);
/* Progress beyond the columns. NULL: nothing to be said. The caller frees it. */
char *journal_progress_write(const struct plan_progress *progress)
    __attribute__((warn_unused_result));
void journal_progress_read(const char *text, struct plan_progress *progress);

#endif
