/* Progress and intents: what is written before anything is done, and the results after. */
#include "base/memory.h"
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The values of a rollout's row that a plan changes, in the order of both statements below. */
#define PLAN_VALUES(rollout, observed, progress, more)                                             \
    VALUES(TEXT(rollout), TEXT(plan_phase_name((progress)->phase)),                                \
           TEXT(plan_outcome_name((progress)->outcome)), NUMBER((progress)->step),                 \
           NUMBER((progress)->step_entered), NUMBER((progress)->step_since_ms),                    \
           NUMBER((progress)->changed_ms), NUMBER((progress)->promote_wanted),                     \
           NUMBER((progress)->aborted), NUMBER((progress)->seen[0]), NUMBER((progress)->seen[1]),  \
           TEXT((progress)->why), NUMBER((observed)->weight), NUMBER((observed)->wish_promote),    \
           NUMBER((progress)->phase != PHASE_FORWARD),                                             \
           NUMBER((progress)->phase == PHASE_ENDED ? (observed)->now_ms : 0), TEXT(more))

static int is_unchanged(struct journal *journal, const char *rollout,
                        const struct plan_observed *observed, const struct plan_progress *progress,
                        const char *more, bool *ret_unchanged)
{
    sqlite3_stmt *statement;
    int result;
    int error = journal_query(
        journal,
        "SELECT (phase, outcome, step, step_entered, step_since_ms, changed_ms, promote_wanted,"
        " aborted, seen_low, seen_high, why, weight, more) IS (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
        " ?11, ?12, ?13, ?17) AND NOT (wish_promote AND ?14)"
        " AND NOT ((wish_abort OR wish_promote OR wish_pause) AND ?15)"
        " AND NOT (?16 AND ended_ms = 0) FROM rollouts WHERE id = ?1",
        PLAN_VALUES(rollout, observed, progress, more), &statement);

    if (error != 0)
        return error;
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *ret_unchanged = sqlite3_column_int(statement, 0) != 0;
    else
        error = result == SQLITE_DONE ? -ENOENT : journal_fail(journal, result);
    sqlite3_finalize(statement);
    return error;
}

static int save_progress(struct journal *journal, const char *rollout,
                         const struct plan_observed *observed, const struct plan_progress *progress,
                         const char *more)
{
    return journal_run(
        journal,
        "UPDATE rollouts SET phase = ?2, outcome = ?3, step = ?4, step_entered = ?5,"
        " step_since_ms = ?6, changed_ms = ?7, promote_wanted = ?8, aborted = ?9, seen_low = ?10,"
        " seen_high = ?11, why = ?12, weight = ?13, more = ?17,"
        " wish_promote = wish_promote AND NOT ?14 AND NOT ?15,"
        " wish_abort = wish_abort AND NOT ?15, wish_pause = wish_pause AND NOT ?15,"
        " ended_ms = iif(ended_ms = 0, ?16, ended_ms) WHERE id = ?1",
        PLAN_VALUES(rollout, observed, progress, more), NULL);
}

static int save_intents(struct journal *journal, const char *rollout,
                        const struct plan_observed *observed, const struct plan *plan,
                        int64_t *ret_ids)
{
    int error = 0;

    for (unsigned i = 0; error == 0 && i < plan->action_count; i++) {
        const struct plan_action *planned = &plan->actions[i];
        bool has_container = plan_action_has_container(planned->kind);
        struct journal_action action = {
            .rollout = rollout,
            .kind = plan_action_name(planned->kind),
            .container = has_container ? observed->containers[planned->container].id : NULL,
            .ordinal = has_container || planned->kind == ACTION_CREATE ? (int)planned->ordinal : -1,
            .detail = planned->why,
            .started_ms = observed->now_ms,
        };

        error = journal_action_begin(journal, &action, &ret_ids[i]);
    }
    return error;
}

int journal_save_plan(struct journal *journal, const char *rollout,
                      const struct plan_observed *observed, const struct plan *plan,
                      int64_t ret_action_ids[PLAN_ACTIONS_MAX])
{
    bool unchanged = false;
    int64_t ids[PLAN_ACTIONS_MAX];
    char *more = journal_progress_write(&plan->progress);
    int error = is_unchanged(journal, rollout, observed, &plan->progress, more, &unchanged);

    if (error != 0 || (unchanged && plan->action_count == 0))
        goto out;
    error = journal_begin(journal);
    if (error != 0)
        goto out;
    if (!unchanged)
        error = save_progress(journal, rollout, observed, &plan->progress, more);
    if (error == 0)
        error = save_intents(journal, rollout, observed, plan, ids);
    error = journal_commit(journal, error);
    if (error == 0)
        memcpy(ret_action_ids, ids, plan->action_count * sizeof(ids[0]));
out:
    free(more);
    return error;
}

int journal_action_begin(struct journal *journal, const struct journal_action *action,
                         int64_t *ret_id)
{
    int error = journal_run(
        journal,
        "INSERT INTO actions (rollout, kind, container, ordinal, detail, started_ms, ended_ms,"
        " error) VALUES (?, ?, ?, ?, ?, ?, 0, 0)",
        VALUES(TEXT(action->rollout), TEXT(action->kind), TEXT(action->container),
               NUMBER(action->ordinal), TEXT(action->detail), NUMBER(action->started_ms)),
        NULL);

    if (error == 0)
        *ret_id = sqlite3_last_insert_rowid(journal->database);
    return error;
}

int journal_action_end(struct journal *journal, int64_t id, uint64_t ended_ms, int error,
                       const char *message, const char *container)
{
    int changed = 0;
    int failure = journal_run(
        journal,
        "UPDATE actions SET ended_ms = ?2, error = ?3, message = ?4,"
        " container = coalesce(?5, container) WHERE id = ?1",
        VALUES(NUMBER(id), NUMBER(ended_ms), NUMBER(error), TEXT(message), TEXT(container)),
        &changed);

    return failure == 0 && changed == 0 ? -ENOENT : failure;
}

static void read_action(sqlite3_stmt *statement, void *item)
{
    struct journal_action *action = item;
    char *cursor = action->text = journal_row_text(statement);

    action->id = sqlite3_column_int64(statement, 0);
    action->rollout = journal_take(statement, 1, &cursor);
    action->kind = journal_take(statement, 2, &cursor);
    action->container = journal_take(statement, 3, &cursor);
    action->ordinal = sqlite3_column_int(statement, 4);
    action->detail = journal_take(statement, 5, &cursor);
    action->started_ms = (uint64_t)sqlite3_column_int64(statement, 6);
    action->ended_ms = (uint64_t)sqlite3_column_int64(statement, 7);
    action->error = sqlite3_column_int(statement, 8);
    action->message = journal_take(statement, 9, &cursor);
}

int journal_action_list(struct journal *journal, const char *rollout, bool open_only,
                        struct journal_action **ret_actions, size_t *ret_count)
{
    sqlite3_stmt *statement;
    void *items = NULL;
    size_t count = 0;
    int error = journal_query(journal,
                              "SELECT id, rollout, kind, container, ordinal, detail, started_ms,"
                              " ended_ms, error, message FROM actions WHERE rollout = ?1"
                              " AND (NOT ?2 OR ended_ms = 0) ORDER BY id",
                              VALUES(TEXT(rollout), NUMBER(open_only)), &statement);

    if (error == 0)
        error = journal_read_all(journal, statement, sizeof(struct journal_action), read_action,
                                 &items, &count);
    if (error != 0) {
        journal_actions_free(items, count);
        return error;
    }
    *ret_actions = items;
    *ret_count = count;
    return 0;
}

void journal_actions_free(struct journal_action *actions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(actions[i].text);
    free(actions);
}
