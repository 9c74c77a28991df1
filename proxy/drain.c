#include "drain.h"

#include "base/log.h"
#include "client.h"
#include "listener.h"
#include "mirror.h"
#include "upstream.h"
#include "worker.h"

static void log_start(const struct worker *worker, const char *event)
{
    struct log_line line;

    log_begin(&line, LOG_INFO, event);
    log_u64(&line, "connections", worker->connection_count);
    log_end(&line);
}

static void finish(struct worker *worker)
{
    if (worker->stopping)
        return;
    worker->stopping = true;
    listeners_stop(worker);
    client_stop_idle(worker);
    mirror_end_all(worker);
    for (uint32_t i = 0; i < worker->table.backend_count; i++)
        upstream_close_idle(worker, i);
}

void drain_retire(struct worker *worker)
{
    if (worker->stopping)
        return;
    log_start(worker, "worker-retires");
    finish(worker);
}

void drain_stop(struct worker *worker)
{
    if (worker->stopping_since_ms != 0)
        return;
    worker->stopping_since_ms = worker->now_ms;
    log_start(worker, "worker-drains");
    finish(worker);
}

static bool is_overdue(const struct exchange *x)
{
    const struct config_drain *drain = &exchange_service(x)->rollout.drain;
    const uint32_t budgets[KIND_COUNT] = {
        [KIND_REQUEST] = drain->requests_ms,
        [KIND_WEBSOCKET] = drain->websockets_ms,
        [KIND_TCP] = drain->tcp_ms,
    };

    return x->worker->now_ms - x->worker->stopping_since_ms >= budgets[x->kind];
}

static struct exchange *find_overdue(struct worker *worker)
{
    for (unsigned s = 0; s < EXCHANGE_DONE; s++) {
        struct list *head = &worker->exchanges[s];
        for (struct list *node = head->next; node != head; node = node->next) {
            struct exchange *x = container_of(node, struct exchange, node);
            if (is_overdue(x))
                return x;
        }
    }
    return NULL;
}

void drain_end_overdue(struct worker *worker)
{
    struct exchange *x;

    if (worker->stopping_since_ms == 0)
        return;
    while ((x = find_overdue(worker)) != NULL)
        exchange_abort(x, WHY_STOPPED);
}
