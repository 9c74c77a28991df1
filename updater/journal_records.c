/* What belongs to a rollout: steps, containers, drains, log. And what is kept of services. */
#include "base/memory.h"
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

struct rows {
    void *items;
    size_t count;
};

/* Every row of a rollout, in the order that the statement gives. */
static int read_rows(struct journal *journal, const char *sql, const char *rollout, size_t size,
                     journal_reader *read, struct rows *ret_rows)
{
    sqlite3_stmt *statement;
    int error = journal_query(journal, sql, VALUES(TEXT(rollout)), &statement);

    if (error != 0)
        return error;
    return journal_read_all(journal, statement, size, read, &ret_rows->items, &ret_rows->count);
}

/* --- steps --------------------------------------------------------------------------------- */

int journal_step_save(struct journal *journal, const char *rollout, const struct journal_step *step)
{
    return journal_run(
        journal,
        "INSERT INTO steps (rollout, position, started_ms, ended_ms, figures, analysis)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (rollout, position) DO UPDATE SET"
        " started_ms = iif(excluded.started_ms = 0, started_ms, excluded.started_ms),"
        " ended_ms = iif(excluded.ended_ms = 0, ended_ms, excluded.ended_ms),"
        " figures = coalesce(excluded.figures, figures),"
        " analysis = coalesce(excluded.analysis, analysis)",
        VALUES(TEXT(rollout), NUMBER(step->index), NUMBER(step->started_ms), NUMBER(step->ended_ms),
               TEXT(step->figures), TEXT(step->analysis)),
        NULL);
}

static void read_step(sqlite3_stmt *statement, void *item)
{
    struct journal_step *step = item;
    char *cursor = step->text = journal_row_text(statement);

    step->index = (uint32_t)number(statement, 0);
    step->started_ms = number(statement, 1);
    step->ended_ms = number(statement, 2);
    step->figures = journal_take(statement, 3, &cursor);
    step->analysis = journal_take(statement, 4, &cursor);
}

int journal_step_list(struct journal *journal, const char *rollout, struct journal_step **ret_steps,
                      size_t *ret_count)
{
    struct rows rows = {NULL, 0};
    int error = read_rows(journal,
                          "SELECT position, started_ms, ended_ms, figures, analysis FROM steps"
                          " WHERE rollout = ? ORDER BY position",
                          rollout, sizeof(struct journal_step), read_step, &rows);

    if (error != 0) {
        journal_steps_free(rows.items, rows.count);
        return error;
    }
    *ret_steps = rows.items;
    *ret_count = rows.count;
    return 0;
}

void journal_steps_free(struct journal_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(steps[i].text);
    free(steps);
}

/* --- containers ---------------------------------------------------------------------------- */

int journal_container_save(struct journal *journal, const char *rollout,
                           const struct journal_container *container)
{
    return journal_run(
        journal,
        "INSERT OR REPLACE INTO containers (rollout, id, name, final_name, image_id, ordinal,"
        " is_new, slot, generation, created_ms, started_ms, published_ms, stopped_ms, removed_ms,"
        " attached) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        VALUES(TEXT(rollout), TEXT(container->id), TEXT(container->name),
               TEXT(container->final_name), TEXT(container->image_id), NUMBER(container->ordinal),
               NUMBER(container->is_new), NUMBER(container->slot), NUMBER(container->generation),
               NUMBER(container->created_ms), NUMBER(container->started_ms),
               NUMBER(container->published_ms), NUMBER(container->stopped_ms),
               NUMBER(container->removed_ms), TEXT(container->attached)),
        NULL);
}

static void read_container(sqlite3_stmt *statement, void *item)
{
    struct journal_container *container = item;
    char *cursor = container->text = journal_row_text(statement);

    container->id = journal_take(statement, 0, &cursor);
    container->name = journal_take(statement, 1, &cursor);
    container->final_name = journal_take(statement, 2, &cursor);
    container->image_id = journal_take(statement, 3, &cursor);
    container->ordinal = (uint16_t)number(statement, 4);
    container->is_new = number(statement, 5) != 0;
    container->slot = (uint32_t)number(statement, 6);
    container->generation = (uint32_t)number(statement, 7);
    container->created_ms = number(statement, 8);
    container->started_ms = number(statement, 9);
    container->published_ms = number(statement, 10);
    container->stopped_ms = number(statement, 11);
    container->removed_ms = number(statement, 12);
    container->attached = journal_take(statement, 13, &cursor);
}

int journal_container_list(struct journal *journal, const char *rollout,
                           struct journal_container **ret_containers, size_t *ret_count)
{
    struct rows rows = {NULL, 0};
    int error = read_rows(journal,
                          "SELECT id, name, final_name, image_id, ordinal, is_new, slot,"
                          " generation, created_ms, started_ms, published_ms, stopped_ms,"
                          " removed_ms, attached FROM containers WHERE rollout = ?"
                          " ORDER BY is_new, ordinal, id",
                          rollout, sizeof(struct journal_container), read_container, &rows);

    if (error != 0) {
        journal_containers_free(rows.items, rows.count);
        return error;
    }
    *ret_containers = rows.items;
    *ret_count = rows.count;
    return 0;
}

void journal_containers_free(struct journal_container *containers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(containers[i].text);
    free(containers);
}

/* --- drains -------------------------------------------------------------------------------- */

int journal_drain_save(struct journal *journal, const char *rollout,
                       const struct journal_drain *drain)
{
    return journal_run(
        journal,
        "INSERT OR REPLACE INTO drains (rollout, id, container, slot, generation, is_new, forced,"
        " epoch, started_ms, drained_ms, duration_ms, stopped_ms, removed_ms, notice_us, proof,"
        " ends) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        VALUES(TEXT(rollout), TEXT(drain->id), TEXT(drain->container), NUMBER(drain->slot),
               NUMBER(drain->generation), NUMBER(drain->is_new), NUMBER(drain->forced),
               NUMBER(drain->epoch), NUMBER(drain->started_ms), NUMBER(drain->drained_ms),
               NUMBER(drain->duration_ms), NUMBER(drain->stopped_ms), NUMBER(drain->removed_ms),
               NUMBER(drain->notice_us), TEXT(drain->proof), TEXT(drain->ends)),
        NULL);
}

static void read_drain(sqlite3_stmt *statement, void *item)
{
    struct journal_drain *drain = item;
    char *cursor = drain->text = journal_row_text(statement);

    drain->id = journal_take(statement, 0, &cursor);
    drain->container = journal_take(statement, 1, &cursor);
    drain->slot = (uint32_t)number(statement, 2);
    drain->generation = (uint32_t)number(statement, 3);
    drain->is_new = number(statement, 4) != 0;
    drain->forced = number(statement, 5) != 0;
    drain->epoch = number(statement, 6);
    drain->started_ms = number(statement, 7);
    drain->drained_ms = number(statement, 8);
    drain->duration_ms = number(statement, 9);
    drain->stopped_ms = number(statement, 10);
    drain->removed_ms = number(statement, 11);
    drain->notice_us = sqlite3_column_int64(statement, 12);
    drain->proof = journal_take(statement, 13, &cursor);
    drain->ends = journal_take(statement, 14, &cursor);
}

int journal_drain_list(struct journal *journal, const char *rollout,
                       struct journal_drain **ret_drains, size_t *ret_count)
{
    struct rows rows = {NULL, 0};
    int error = read_rows(journal,
                          "SELECT id, container, slot, generation, is_new, forced, epoch,"
                          " started_ms, drained_ms, duration_ms, stopped_ms, removed_ms,"
                          " notice_us, proof, ends FROM drains WHERE rollout = ?"
                          " ORDER BY started_ms, container, id",
                          rollout, sizeof(struct journal_drain), read_drain, &rows);

    if (error != 0) {
        journal_drains_free(rows.items, rows.count);
        return error;
    }
    *ret_drains = rows.items;
    *ret_count = rows.count;
    return 0;
}

void journal_drains_free(struct journal_drain *drains, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(drains[i].text);
    free(drains);
}

/* --- log ----------------------------------------------------------------------------------- */

int journal_log(struct journal *journal, const char *rollout, uint64_t time_ms, const char *event,
                const char *message)
{
    int error = journal_begin(journal);

    if (error != 0)
        return error;
    error = journal_run(journal,
                        "INSERT INTO log (rollout, time_ms, event, message) VALUES (?, ?, ?, ?)",
                        VALUES(TEXT(rollout), NUMBER(time_ms), TEXT(event), TEXT(message)), NULL);
    if (error == 0)
        error = journal_run(journal,
                            "DELETE FROM log WHERE rollout = ?1 AND id <= (SELECT id FROM log"
                            " WHERE rollout = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                            VALUES(TEXT(rollout), NUMBER(JOURNAL_LOG_MAX)), NULL);
    return journal_commit(journal, error);
}

static void read_line(sqlite3_stmt *statement, void *item)
{
    struct journal_line *line = item;
    char *cursor = line->text = journal_row_text(statement);

    line->time_ms = number(statement, 0);
    line->event = journal_take(statement, 1, &cursor);
    line->message = journal_take(statement, 2, &cursor);
}

int journal_log_list(struct journal *journal, const char *rollout, struct journal_line **ret_lines,
                     size_t *ret_count)
{
    struct rows rows = {NULL, 0};
    int error =
        read_rows(journal, "SELECT time_ms, event, message FROM log WHERE rollout = ? ORDER BY id",
                  rollout, sizeof(struct journal_line), read_line, &rows);

    if (error != 0) {
        journal_lines_free(rows.items, rows.count);
        return error;
    }
    *ret_lines = rows.items;
    *ret_count = rows.count;
    return 0;
}

void journal_lines_free(struct journal_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(lines[i].text);
    free(lines);
}

/* --- services ------------------------------------------------------------------------------ */

int journal_service_save(struct journal *journal, const struct journal_service *service)
{
    return journal_run(journal,
                       "INSERT OR REPLACE INTO services (name, stable_rollout, options, weight)"
                       " VALUES (?, ?, ?, ?)",
                       VALUES(TEXT(service->name), TEXT(service->stable_rollout),
                              TEXT(service->options), NUMBER(service->weight)),
                       NULL);
}

static void read_service(sqlite3_stmt *statement, void *item)
{
    struct journal_service *service = item;
    char *cursor = service->text = journal_row_text(statement);

    service->name = journal_take(statement, 0, &cursor);
    service->stable_rollout = journal_take(statement, 1, &cursor);
    service->options = journal_take(statement, 2, &cursor);
    service->weight = (uint32_t)number(statement, 3);
}

int journal_service_load(struct journal *journal, const char *name,
                         struct journal_service *ret_service)
{
    sqlite3_stmt *statement;
    int error = journal_query(journal,
                              "SELECT name, stable_rollout, options, weight FROM services"
                              " WHERE name = ?",
                              VALUES(TEXT(name)), &statement);

    if (error != 0)
        return error;
    return journal_read_one(journal, statement, sizeof(*ret_service), read_service, ret_service);
}

void journal_service_done(struct journal_service *service)
{
    free(service->text);
    memset(service, 0, sizeof(*service));
}
