/* `rollout.drain`: how long each class of exchange may take to finish, and what comes then. */
#include "reader.h"
#include "value.h"

#define MINUTE_MS (60u * 1000)

/* As enum config_on_timeout. */
const char *const config_on_timeout_words[] = {"close", "wait", "fail", NULL};

const char *const config_drain_keys[KIND_COUNT] = {
    [KIND_REQUEST] = "requests",     [KIND_UPLOAD] = "uploads", [KIND_STREAM] = "streams",
    [KIND_WEBSOCKET] = "websockets", [KIND_TCP] = "tcp",
};

static const struct field budget_fields[] = {
    {.key = "timeout",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_drain_budget, timeout_ms),
     .max = DURATION_MAX_MS},
    {.key = "on_timeout",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_drain_budget, on_timeout),
     .words = config_on_timeout_words},
};
const struct table drain_budget_table = TABLE("drain_budget", budget_fields);

/* The common word lands with requests, from where drain_read() passes it on. */
static const struct field drain_fields[] = {
    {.key = "requests", .kind = FIELD_OTHER},
    {.key = "uploads", .kind = FIELD_OTHER},
    {.key = "streams", .kind = FIELD_OTHER},
    {.key = "websockets", .kind = FIELD_OTHER},
    {.key = "tcp", .kind = FIELD_OTHER},
    {.key = "on_timeout",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_drain, budgets[KIND_REQUEST].on_timeout),
     .words = config_on_timeout_words,
     .fallback = ON_TIMEOUT_CLOSE},
    {.key = "close_spread",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_drain, close_spread_ms),
     .max = 60 * MINUTE_MS,
     .fallback = 5000},
    {.key = "stream_after",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_drain, stream_after_ms),
     .max = DURATION_MAX_MS,
     .fallback = 20 * 1000},
};
const struct table drain_table = TABLE("drain", drain_fields);

void drain_defaults(struct config_drain *drain)
{
    table_defaults(&drain_table, drain);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        drain->budgets[kind] = (struct config_drain_budget){
            .timeout_ms =
                kind == KIND_WEBSOCKET || kind == KIND_TCP ? 5 * MINUTE_MS : MINUTE_MS / 2,
            .on_timeout = ON_TIMEOUT_CLOSE,
        };
}

/* `30s`, or `{ timeout: 30s, on_timeout: wait }`. Returns whether a timeout was given. */
static bool read_budget(struct reader *reader, const struct node *node,
                        struct config_drain_budget *budget)
{
    if (node == NULL)
        return false;
    size_t mark = reader_enter(reader, node->key);
    bool given = node->kind != NODE_MAPPING || node_get(node, "timeout") != NULL;
    if (node->kind == NODE_MAPPING)
        table_read(reader, node, &drain_budget_table, budget);
    else if (node->kind != NODE_SCALAR ||
             config_parse_duration(node->text, &budget->timeout_ms) < 0)
        reader_refuse(reader, node,
                      "a duration from 0 to 720h, such as 500ms, 30s, 5m, 1m30s, or a mapping of "
                      "timeout and on_timeout");
    reader_leave(reader, mark);
    return given;
}

void drain_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_drain *drain = &((struct config_rollout *)target)->drain;

    table_read(reader, node, &drain_table, drain);
    if (node->kind != NODE_MAPPING)
        return;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        drain->budgets[kind].on_timeout = drain->budgets[KIND_REQUEST].on_timeout;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        bool given =
            read_budget(reader, node_get(node, config_drain_keys[kind]), &drain->budgets[kind]);
        if (!given && (kind == KIND_UPLOAD || kind == KIND_STREAM))
            drain->budgets[kind].timeout_ms = drain->budgets[KIND_REQUEST].timeout_ms;
    }
}
