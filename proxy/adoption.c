#include "adoption.h"

#include "base/log.h"
#include "holds.h"
#include "mirror.h"
#include "queue.h"
#include "upstream.h"
#include "user_key.h"
#include "worker.h"

#include <errno.h>

static bool is_ended(const struct worker *worker, const struct exchange *x)
{
    const struct routing_table *table = worker->published;

    for (uint32_t i = 0; i < table->end_count; i++)
        if (table->ends[i] == x->id)
            return true;
    return x->placed && x->slot < table->backend_count &&
           table->backends[x->slot].generation == x->generation &&
           (table->backends[x->slot].end_kinds >> x->kind & 1u) != 0;
}

static bool ends_anything(const struct routing_table *table)
{
    for (uint32_t i = 0; i < table->backend_count; i++)
        if (table->backends[i].end_kinds != 0)
            return true;
    return table->end_count > 0;
}

/* An end may start the client's next exchange, so the list is looked through anew after each. */
static struct exchange *find_ended(const struct worker *worker)
{
    for (unsigned s = 0; s < EXCHANGE_DONE; s++) {
        const struct list *head = &worker->exchanges[s];
        for (struct list *node = head->next; node != head; node = node->next) {
            struct exchange *x = container_of(node, struct exchange, node);
            if (is_ended(worker, x))
                return x;
        }
    }
    return NULL;
}

static void adopt(struct worker *worker)
{
    const struct routing_table *published = worker->published;
    struct exchange *x;

    for (uint32_t i = 0; i < worker->table.backend_count; i++)
        if (!table_keeps_pool(&worker->table, published, i))
            upstream_close_idle(worker, i);
    table_adopt(&worker->table, worker, published);
    scoreboard_look(&worker->scores);
    if (worker->user_key != NULL && user_key_set(worker->user_key, published->secret) < 0)
        log_event(LOG_ERROR, "users-not-told-apart", "reason", "out of memory");
    mirror_end_leaving(worker);
    queue_publish(worker);
    if (ends_anything(published))
        while ((x = find_ended(worker)) != NULL)
            exchange_abort(x, WHY_ENDED);
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
