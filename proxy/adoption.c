#include "adoption.h"

#include "base/log.h"
#include "ends.h"
#include "holds.h"
#include "mirror.h"
#include "queue.h"
#include "upstream.h"
#include "user_key.h"
#include "worker.h"

#include <errno.h>

static void adopt(struct worker *worker)
{
    const struct routing_table *published = worker->published;

    for (uint32_t i = 0; i < worker->table.backend_count; i++)
        if (!table_keeps_pool(&worker->table, published, i))
            upstream_close_idle(worker, i);
    table_adopt(&worker->table, worker, published);
    scoreboard_look(&worker->scores);
    if (worker->user_key != NULL && user_key_set(worker->user_key, published->secret) < 0)
        log_event(LOG_ERROR, "users-not-told-apart", "reason", "out of memory");
    mirror_end_leaving(worker);
    queue_publish(worker);
    ends_take_table(worker, published);
    holds_publish(worker);
    atomic_store_explicit(&worker->row->seen_epoch, published->epoch, memory_order_release);
    bell_ring(DESCRIPTOR_BELL_UPDATER);
}

void adoption_check(struct worker *worker)
{
    int error = -EAGAIN;

    if (routing_board_epoch(worker->routing) == worker->table.epoch)
        return;
    for (unsigned tries = 0; error == -EAGAIN && tries < ADOPTION_TRIES_MAX; tries++)
        error = routing_board_read(worker->routing, worker->published);
    if (error < 0) {
        struct log_line line;
        log_begin(&line, LOG_ERROR, "routing-table-refused");
        log_errno(&line, error);
        log_end(&line);
        return;
    }
    adopt(worker);
}
