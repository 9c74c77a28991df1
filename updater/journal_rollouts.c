#include "base/memory.h"
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "id, service, strategy, spec, image, image_id, digest, previous_image, previous_image_id,"     \
    " reason, user, created_ms, ended_ms, replicas, weight, wish_pause, wish_promote, wish_abort," \
    " phase, outcome, step, step_entered, step_since_ms, changed_ms, promote_wanted, aborted,"     \
    " seen_low, seen_high, why, more"

static enum plan_phase phase_of(const char *name)
{
    for (enum plan_phase phase = PHASE_FORWARD; phase < PHASE_ENDED; phase++) {
        if (name != NULL && strcmp(name, plan_phase_name(phase)) == 0)
            return phase;
    }
    return PHASE_ENDED; /* the safe reading: nothing is done */
}

static enum plan_outcome outcome_of(const char *name)
{
    for (enum plan_outcome outcome = OUTCOME_NONE; outcome < OUTCOME_NEEDS_ATTENTION; outcome++) {
        if (name != NULL && strcmp(name, plan_outcome_name(outcome)) == 0)
            return outcome;
    }
    return OUTCOME_NEEDS_ATTENTION;
}

static uint64_t number(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

static void read_progress(sqlite3_stmt *statement, struct plan_progress *progress, char **cursor)
{
    const char *why;

    progress->phase = phase_of(journal_take(statement, 18, cursor));
    progress->outcome = outcome_of(journal_take(statement, 19, cursor));
    progress->step = (uint32_t)number(statement, 20);
    progress->step_entered = number(statement, 21) != 0;
    progress->step_since_ms = number(statement, 22);
    progress->changed_ms = number(statement, 23);
    progress->promote_wanted = number(statement, 24) != 0;
    progress->aborted = number(statement, 25) != 0;
    progress->seen[0] = number(statement, 26);
    progress->seen[1] = number(statement, 27);
    why = journal_take(statement, 28, cursor);
    if (why != NULL)
        (void)slice_copy_string(slice_from_string(why), progress->why, sizeof(progress->why));
    journal_progress_read(journal_take(statement, 29, cursor), progress);
}

static void read_rollout(sqlite3_stmt *statement, void *item)
{
    struct journal_rollout *rollout = item;
    char *cursor = rollout->text = journal_row_text(statement);

    rollout->id = journal_take(statement, 0, &cursor);
    rollout->service = journal_take(statement, 1, &cursor);
    rollout->strategy = journal_take(statement, 2, &cursor);
    rollout->spec = journal_take(statement, 3, &cursor);
    rollout->image = journal_take(statement, 4, &cursor);
    rollout->image_id = journal_take(statement, 5, &cursor);
    rollout->digest = journal_take(statement, 6, &cursor);
    rollout->previous_image = journal_take(statement, 7, &cursor);
    rollout->previous_image_id = journal_take(statement, 8, &cursor);
    rollout->reason = journal_take(statement, 9, &cursor);
    rollout->user = journal_take(statement, 10, &cursor);
    rollout->created_ms = number(statement, 11);
    rollout->ended_ms = number(statement, 12);
    rollout->replicas = (uint32_t)number(statement, 13);
    rollout->weight = (uint32_t)number(statement, 14);
    rollout->wish_pause = number(statement, 15) != 0;
    rollout->wish_promote = number(statement, 16) != 0;
    rollout->wish_abort = number(statement, 17) != 0;
    read_progress(statement, &rollout->progress, &cursor);
}

int journal_rollout_add(struct journal *journal, const struct journal_rollout *rollout)
{
    const struct plan_progress *progress = &rollout->progress;
    char *more = journal_progress_write(progress);
    int error = journal_run(
        journal,
        "INSERT INTO rollouts (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        VALUES(TEXT(rollout->id), TEXT(rollout->service), TEXT(rollout->strategy),
               TEXT(rollout->spec), TEXT(rollout->image), TEXT(rollout->image_id),
               TEXT(rollout->digest), TEXT(rollout->previous_image),
               TEXT(rollout->previous_image_id), TEXT(rollout->reason), TEXT(rollout->user),
               NUMBER(rollout->created_ms), NUMBER(rollout->ended_ms), NUMBER(rollout->replicas),
               NUMBER(rollout->weight), NUMBER(rollout->wish_pause), NUMBER(rollout->wish_promote),
               NUMBER(rollout->wish_abort), TEXT(plan_phase_name(progress->phase)),
               TEXT(plan_outcome_name(progress->outcome)), NUMBER(progress->step),
               NUMBER(progress->step_entered), NUMBER(progress->step_since_ms),
               NUMBER(progress->changed_ms), NUMBER(progress->promote_wanted),
               NUMBER(progress->aborted), NUMBER(progress->seen[0]), NUMBER(progress->seen[1]),
               TEXT(progress->why), TEXT(more)),
        NULL);

    free(more);
    return error;
}

static int found(int error, int changed)
{
    return error == 0 && changed == 0 ? -ENOENT : error;
}

int journal_rollout_set_images(struct journal *journal, const char *rollout, const char *image_id,
                               const char *digest)
{
    int changed = 0;
    int error = journal_run(journal,
                            "UPDATE rollouts SET image_id = coalesce(?2, image_id),"
                            " digest = coalesce(?3, digest) WHERE id = ?1",
                            VALUES(TEXT(rollout), TEXT(image_id), TEXT(digest)), &changed);

    return found(error, changed);
}

int journal_rollout_set_wishes(struct journal *journal, const char *rollout, bool wish_pause,
                               bool wish_promote, bool wish_abort)
{
    int changed = 0;
    int error = journal_run(
        journal,
        "UPDATE rollouts SET wish_pause = ?2, wish_promote = ?3,"
        " wish_abort = ?4 WHERE id = ?1",
        VALUES(TEXT(rollout), NUMBER(wish_pause), NUMBER(wish_promote), NUMBER(wish_abort)),
        &changed);

    return found(error, changed);
}

static int find_one(struct journal *journal, const char *sql, const char *key,
                    struct journal_rollout *ret_rollout)
{
    struct journal_rollout rollout = {0};
    sqlite3_stmt *statement;
    int error = journal_query(journal, sql, VALUES(TEXT(key)), &statement);

    if (error == 0)
        error = journal_read_one(journal, statement, sizeof(rollout), read_rollout, &rollout);
    if (error != 0) {
        journal_rollout_done(&rollout);
        return error;
    }
    *ret_rollout = rollout;
    return 0;
}

int journal_rollout_in_progress(struct journal *journal, const char *service,
                                struct journal_rollout *ret_rollout)
{
    return find_one(journal,
                    "SELECT " COLUMNS " FROM rollouts WHERE service = ? AND phase <> 'ended'",
                    service, ret_rollout);
}

int journal_rollout_find(struct journal *journal, const char *prefix,
                         struct journal_rollout *ret_rollout)
{
    int error;

    if (prefix[0] == '\0')
        return -ENOENT;
    error = find_one(journal, "SELECT " COLUMNS " FROM rollouts WHERE id = ?", prefix, ret_rollout);
    if (error != -ENOENT)
        return error;
    return find_one(journal,
                    "SELECT " COLUMNS " FROM rollouts WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2",
                    prefix, ret_rollout);
}

int journal_rollout_list(struct journal *journal, const char *service, uint32_t limit,
                         struct journal_rollout **ret_rollouts, size_t *ret_count)
{
    sqlite3_stmt *statement;
    void *items = NULL;
    size_t count = 0;
    int error = journal_query(journal,
                              "SELECT " COLUMNS " FROM rollouts WHERE ?1 IS NULL OR service = ?1"
                              " ORDER BY created_ms DESC, id DESC LIMIT ?2",
                              VALUES(TEXT(service), NUMBER(limit)), &statement);

    if (error == 0)
        error = journal_read_all(journal, statement, sizeof(struct journal_rollout), read_rollout,
                                 &items, &count);
    if (error != 0) {
        journal_rollouts_free(items, count);
        return error;
    }
    *ret_rollouts = items;
    *ret_count = count;
    return 0;
}

void journal_rollout_done(struct journal_rollout *rollout)
{
    free(rollout->text);
    memset(rollout, 0, sizeof(*rollout));
}

void journal_rollouts_free(struct journal_rollout *rollouts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rollouts[i].text);
    free(rollouts);
}

#define PRUNABLE                                                                                   \
    "SELECT id FROM rollouts WHERE service = ?1 AND phase = 'ended'"                               \
    " ORDER BY created_ms DESC, id DESC LIMIT -1 OFFSET ?2"

static int tell_going(struct journal *journal, const char *service, uint32_t keep,
                      void (*going)(void *context, const char *rollout), void *context)
{
    sqlite3_stmt *statement;
    int error = journal_query(journal, PRUNABLE, VALUES(TEXT(service), NUMBER(keep)), &statement);
    int result;

    if (error != 0)
        return error;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW)
        going(context, (const char *)sqlite3_column_text(statement, 0));
    if (result != SQLITE_DONE)
        error = journal_fail(journal, result);
    sqlite3_finalize(statement);
    return error;
}

int journal_prune(struct journal *journal, const char *service, uint32_t keep,
                  void (*going)(void *context, const char *rollout), void *context)
{
    int error = going != NULL ? tell_going(journal, service, keep, going, context) : 0;

    if (error != 0)
        return error;
    return journal_run(journal, "DELETE FROM rollouts WHERE id IN (" PRUNABLE ")",
                       VALUES(TEXT(service), NUMBER(keep)), NULL);
}
