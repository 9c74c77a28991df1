#include "journal.h"

#include "base/memory.h"
#include "journal_parts.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 5000 /* people look into the file with sqlite3(1); WAL makes waits rare */

static int errno_of(struct journal *journal, int result)
{
    switch (result & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CONSTRAINT:
        return result == SQLITE_CONSTRAINT_FOREIGNKEY ? -ENOENT : -EEXIST;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_NOTADB:
        return -EINVAL;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
        int error = sqlite3_system_errno(journal->database);

        return error == ENOSPC || error == EROFS || error == EACCES ? -error : -EIO;
    }
    default:
        return -EIO;
    }
}

int journal_fail(struct journal *journal, int result)
{
    int error = errno_of(journal, result);

    snprintf(journal->error, sizeof(journal->error), "%s (%s)", sqlite3_errmsg(journal->database),
             sqlite3_errstr(result));
    return error;
}

const char *journal_error(const struct journal *journal)
{
    return journal->error;
}

int journal_query(struct journal *journal, const char *sql, const struct journal_value *values,
                  size_t value_count, sqlite3_stmt **ret_statement)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(journal->database, sql, -1, &statement, NULL);

    for (size_t i = 0; result == SQLITE_OK && i < value_count; i++) {
        int index = (int)i + 1;

        if (!values[i].is_text)
            result = sqlite3_bind_int64(statement, index, values[i].number);
        else if (values[i].text == NULL)
            result = sqlite3_bind_null(statement, index);
        else
            result = sqlite3_bind_text(statement, index, values[i].text, -1, SQLITE_STATIC);
    }
    if (result != SQLITE_OK) {
        int error = journal_fail(journal, result);

        sqlite3_finalize(statement);
        return error;
    }
    *ret_statement = statement;
    return 0;
}

int journal_run(struct journal *journal, const char *sql, const struct journal_value *values,
                size_t value_count, int *ret_changed)
{
    sqlite3_stmt *statement = NULL;
    int error = journal_query(journal, sql, values, value_count, &statement);
    int result;

    if (error != 0)
        return error;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW)
        continue;
    if (result != SQLITE_DONE)
        error = journal_fail(journal, result);
    sqlite3_finalize(statement);
    if (error == 0 && ret_changed != NULL)
        *ret_changed = sqlite3_changes(journal->database);
    return error;
}

int journal_begin(struct journal *journal)
{
    return journal_run(journal, "BEGIN IMMEDIATE", NULL, 0, NULL);
}

int journal_commit(struct journal *journal, int error)
{
    if (error == 0) {
        error = journal_run(journal, "COMMIT", NULL, 0, NULL);
        if (error == 0)
            return 0;
    }
    if (!sqlite3_get_autocommit(journal->database)) {
        /* The failure's words are the ones that matter, and SQLite rolls back by itself at close.
         */
        (void)sqlite3_exec(journal->database, "ROLLBACK", NULL, NULL, NULL);
    }
    return error;
}

char *journal_row_text(sqlite3_stmt *statement)
{
    size_t size = 1;

    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_TEXT)
            size += (size_t)sqlite3_column_bytes(statement, i) + 1;
    }
    return memory_new(size);
}

const char *journal_take(sqlite3_stmt *statement, int column, char **cursor)
{
    const void *text;
    char *copy = *cursor;
    size_t length;

    if (sqlite3_column_type(statement, column) != SQLITE_TEXT)
        return NULL;
    text = sqlite3_column_text(statement, column);
    length = (size_t)sqlite3_column_bytes(statement, column);
    if (text != NULL)
        memcpy(copy, text, length);
    copy[length] = '\0';
    *cursor = copy + length + 1;
    return copy;
}

int journal_read_all(struct journal *journal, sqlite3_stmt *statement, size_t size,
                     journal_reader *read, void **ret_items, size_t *ret_count)
{
    char *items = NULL;
    size_t count = 0;
    int result, error = 0;

    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        if ((count & (count - 1)) == 0)
            items = memory_resize(items, (count == 0 ? 1 : 2 * count) * size);
        memset(items + count * size, 0, size);
        read(statement, items + count * size);
        count++;
    }
    /* What was read before a failure is handed over too, so that the caller frees it. */
    if (result != SQLITE_DONE)
        error = journal_fail(journal, result);
    sqlite3_finalize(statement);
    *ret_items = items;
    *ret_count = count;
    return error;
}

int journal_read_one(struct journal *journal, sqlite3_stmt *statement, size_t size,
                     journal_reader *read, void *ret_item)
{
    int result = sqlite3_step(statement);
    int error = result == SQLITE_ROW ? 0 : -ENOENT;

    if (result != SQLITE_ROW && result != SQLITE_DONE)
        error = journal_fail(journal, result);
    if (error == 0) {
        memset(ret_item, 0, size);
        read(statement, ret_item);
        if (sqlite3_step(statement) == SQLITE_ROW)
            error = -EEXIST;
    }
    sqlite3_finalize(statement);
    return error;
}

/* --- opening ------------------------------------------------------------------------------- */

static int refuse(char why[JOURNAL_WHY_BYTES], int error, const char *path, const char *what)
{
    snprintf(why, JOURNAL_WHY_BYTES, "%.150s: %.96s", path, what);
    return error;
}

static int refuse_locked(int fd, const char *path, char why[JOURNAL_WHY_BYTES])
{
    char holder[24] = "";
    ssize_t length = pread(fd, holder, sizeof(holder) - 1, 0);

    holder[length > 0 ? length : 0] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    snprintf(why, JOURNAL_WHY_BYTES,
             "%.120s: another updater (process %s) works in this state directory; stop it, or give "
             "this one a directory of its own",
             path, holder[0] != '\0' ? holder : "unknown");
    return -EBUSY;
}

/* The kernel drops the lock with its holder, so a stale file never keeps anybody out. */
static int take_lock(const char *directory, int *ret_fd, char why[JOURNAL_WHY_BYTES])
{
    char path[PATH_MAX];
    int fd, error = 0;

    if ((size_t)snprintf(path, sizeof(path), "%s/lock", directory) >= sizeof(path))
        return refuse(why, -ENAMETOOLONG, directory, strerror(ENAMETOOLONG));
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        error = -errno;
        return refuse(why, error, path, strerror(-error));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        error = errno == EWOULDBLOCK ? refuse_locked(fd, path, why)
                                     : refuse(why, -errno, path, strerror(errno));
    else if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
        error = refuse(why, -errno, path, strerror(errno));
    if (error != 0) {
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int read_number(struct journal *journal, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement;
    int error = journal_query(journal, sql, NULL, 0, &statement);
    int result;

    if (error != 0)
        return error;
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else
        error = journal_fail(journal, result);
    sqlite3_finalize(statement);
    return error;
}

/* Whose file is it, and of which schema? Asked before anything is written to it. */
static int identify(struct journal *journal, int *ret_version, char why[JOURNAL_WHY_BYTES])
{
    int64_t application = 0, version = 0, tables = 0;
    int error = read_number(journal, "PRAGMA application_id", &application);

    if (error == 0)
        error = read_number(journal, "PRAGMA user_version", &version);
    if (error == 0)
        error = read_number(journal, "SELECT count(*) FROM sqlite_schema", &tables);
    if (error != 0) {
        snprintf(why, JOURNAL_WHY_BYTES, "%s", journal->error);
        return error;
    }
    if (application == 0 && version == 0 && tables == 0) {
        *ret_version = 0;
        return 0;
    }
    if (application != JOURNAL_APPLICATION || version < 1) {
        snprintf(why, JOURNAL_WHY_BYTES, "it is not a journal of Sluice");
        return -EINVAL;
    }
    if (version > JOURNAL_SCHEMA) {
        snprintf(why, JOURNAL_WHY_BYTES,
                 "a newer Sluice made it (schema %d, this one knows %d): run the newer one",
                 (int)version, JOURNAL_SCHEMA);
        return -ENOTSUP;
    }
    *ret_version = (int)version;
    return 0;
}

/* From the file's schema to ours in one transaction: a crash leaves it as it was. */
static int bring_up_to_date(struct journal *journal, int version)
{
    char *identity;
    int result = SQLITE_OK;
    int error;

    if (version == JOURNAL_SCHEMA)
        return 0;
    error = journal_begin(journal);
    if (error != 0)
        return error;
    identity = memory_format("PRAGMA application_id=%d; PRAGMA user_version=%d",
                             JOURNAL_APPLICATION, JOURNAL_SCHEMA);
    for (; result == SQLITE_OK && version < JOURNAL_SCHEMA; version++)
        result = sqlite3_exec(journal->database, journal_way_from(version), NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(journal->database, identity, NULL, NULL, NULL);
    error = journal_commit(journal, result == SQLITE_OK ? 0 : journal_fail(journal, result));
    free(identity);
    return error;
}

static int set_up(struct journal *journal, char why[JOURNAL_WHY_BYTES])
{
    static const char *const pragmas[] = {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                                          "PRAGMA foreign_keys=ON", "PRAGMA trusted_schema=OFF"};
    int version = 0;
    int error;

    sqlite3_extended_result_codes(journal->database, 1);
    sqlite3_busy_timeout(journal->database, BUSY_TIMEOUT_MS);
    error = identify(journal, &version, why);
    if (error != 0)
        return error;
    for (size_t i = 0; error == 0 && i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
        error = journal_run(journal, pragmas[i], NULL, 0, NULL);
    if (error == 0)
        error = bring_up_to_date(journal, version);
    if (error != 0)
        snprintf(why, JOURNAL_WHY_BYTES, "%s", journal->error);
    return error;
}

/* SQLite would make it readable for all; its -wal and -shm files take over the mode. */
static int make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int open_database(struct journal *journal, const char *directory,
                         char why[JOURNAL_WHY_BYTES])
{
    char path[PATH_MAX];
    char reason[JOURNAL_WHY_BYTES] = "";
    int error = 0;
    int result;

    if ((size_t)snprintf(path, sizeof(path), "%s/journal.db", directory) >= sizeof(path))
        return refuse(why, -ENAMETOOLONG, directory, strerror(ENAMETOOLONG));
    error = make_private(path);
    if (error != 0)
        return refuse(why, error, path, strerror(-error));
    result =
        sqlite3_open_v2(path, &journal->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (result != SQLITE_OK) {
        error = journal_fail(journal, result);
        return refuse(why, error, path, journal->error);
    }
    error = set_up(journal, reason);
    return error == 0 ? 0 : refuse(why, error, path, reason);
}

int journal_open(const char *directory, struct journal **ret_journal, char why[JOURNAL_WHY_BYTES])
{
    struct journal *journal = memory_new(sizeof(*journal));
    int error;

    journal->lock_fd = -1;
    why[0] = '\0';
    error = take_lock(directory, &journal->lock_fd, why);
    if (error == 0)
        error = open_database(journal, directory, why);
    if (error != 0) {
        journal_close(journal);
        return error;
    }
    *ret_journal = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    sqlite3_close_v2(journal->database);
    if (journal->lock_fd >= 0)
        close(journal->lock_fd);
    free(journal);
}
