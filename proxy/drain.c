#include "drain.h"

#include "base/log.h"
#include "client.h"
#include "ends.h"
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

/* What lasts is told from what finishes. */
static void note_streams(struct worker *worker)
{
    for (unsigned s = 0; s < EXCHANGE_DONE; s++) {
        struct list *head = &worker->exchanges[s];
        for (struct list *node = head->next; node != head; node = node->next)
            exchange_note_stream(container_of(node, struct exchange, node));
    }
}

void drain_end_overdue(struct worker *worker)
{
    if (worker->stopping_since_ms == 0)
        return;
    note_streams(worker);
    ends_of_worker(worker);
}
