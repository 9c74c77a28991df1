/* What operators ordered for the drains of a rollout: extensions, and classes that were ended. */
#include "journal_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int journal_drain_orders_save(struct journal *journal, const char *rollout,
                              const struct plan_drain_orders *orders)
{
    int error = journal_begin(journal);

    if (error != 0)
        return error;
    for (unsigned kind = 0; error == 0 && kind < KIND_COUNT; kind++)
        error =
            journal_run(journal,
                        "INSERT OR REPLACE INTO drain_orders (rollout, kind, extend_ms, ended_ms)"
                        " VALUES (?, ?, ?, ?)",
                        VALUES(TEXT(rollout), TEXT(exchange_kind_name((enum exchange_kind)kind)),
                               NUMBER(orders->extend_ms[kind]), NUMBER(orders->ended_ms[kind])),
                        NULL);
    return journal_commit(journal, error);
}

struct order {
    const char *kind;
    uint64_t extend_ms, ended_ms;
    char *text;
};

static void read_order(sqlite3_stmt *statement, void *item)
{
    struct order *order = item;
    char *cursor = order->text = journal_row_text(statement);

    order->kind = journal_take(statement, 0, &cursor);
    order->extend_ms = (uint64_t)sqlite3_column_int64(statement, 1);
    order->ended_ms = (uint64_t)sqlite3_column_int64(statement, 2);
}

static void take_order(struct plan_drain_orders *orders, const struct order *order)
{
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (order->kind == NULL ||
            strcmp(order->kind, exchange_kind_name((enum exchange_kind)kind)) != 0)
            continue;
        orders->extend_ms[kind] = order->extend_ms;
        orders->ended_ms[kind] = order->ended_ms;
    }
}

int journal_drain_orders_load(struct journal *journal, const char *rollout,
                              struct plan_drain_orders *ret_orders)
{
    struct plan_drain_orders orders = {0};
    struct order *read = NULL;
    sqlite3_stmt *statement;
    void *items = NULL;
    size_t count = 0;
    int error = journal_query(journal,
                              "SELECT kind, extend_ms, ended_ms FROM drain_orders"
                              " WHERE rollout = ?",
                              VALUES(TEXT(rollout)), &statement);

    if (error == 0)
        error =
            journal_read_all(journal, statement, sizeof(struct order), read_order, &items, &count);
    read = items;
    for (size_t i = 0; i < count; i++) {
        take_order(&orders, &read[i]);
        free(read[i].text);
    }
    free(items);
    if (error == 0)
        *ret_orders = orders;
    return error;
}
