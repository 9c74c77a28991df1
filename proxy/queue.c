#include "queue.h"

#include "worker.h"

bool queue_has_room(const struct worker *worker, uint16_t service)
{
    return worker->waiting_count[service] < QUEUE_MAX;
}

static void show(struct worker *worker, uint16_t service)
{
    int row = worker->table.by_config[service];

    if (row >= 0)
        score_set(&worker->row->queued[row], worker->waiting_count[service]);
}

void queue_add(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;

    list_append(&worker->waiting[exchange->service], &exchange->waiting_node);
    worker->waiting_count[exchange->service]++;
    worker->held_count[exchange->service] += exchange->held;
    show(worker, exchange->service);
}

void queue_remove(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;

    list_remove(&exchange->waiting_node);
    worker->waiting_count[exchange->service]--;
    worker->held_count[exchange->service] -= exchange->held;
    exchange->held = false;
    show(worker, exchange->service);
}

static bool any_can_serve(const struct worker *worker, uint16_t service)
{
    int row = worker->table.by_config[service];

    if (row < 0)
        return false;
    const struct service *found = &worker->table.services[row];
    return found->in_rotation[GROUP_STABLE] + found->in_rotation[GROUP_CANARY] > 0;
}

/* The hold is over: they wait for a backend from now on, like all others. */
static void release(struct worker *worker, uint16_t service)
{
    struct list *head = &worker->waiting[service];
    uint32_t wait_ms = worker->config->services[service].timeouts.queue_ms;

    for (struct list *node = head->next; node != head; node = node->next) {
        struct exchange *x = container_of(node, struct exchange, waiting_node);
        if (!x->held)
            continue;
        x->held = false;
        exchange_set_timeout(x, wait_ms > 0 ? wait_ms : 1);
    }
    worker->held_count[service] = 0;
}

void queue_wake(struct worker *worker)
{
    uint16_t services = (uint16_t)worker->config->service_count;

    for (uint16_t service = 0; service < services; service++) {
        /* As many as wait now: a client's next request may join the queue meanwhile. */
        uint32_t count = worker->waiting_count[service];
        if (count == 0 || worker_holds(worker, service))
            continue;
        if (worker->held_count[service] > 0)
            release(worker, service);
        while (count-- > 0 && !list_is_empty(&worker->waiting[service]) &&
               any_can_serve(worker, service)) {
            struct exchange *x =
                container_of(worker->waiting[service].next, struct exchange, waiting_node);
            exchange_set_timeout(x, 0);
            exchange_enter(x, EXCHANGE_PLACING);
            exchange_place(x);
        }
    }
}

void queue_publish(struct worker *worker)
{
    uint16_t services = (uint16_t)worker->config->service_count;

    for (uint32_t row = 0; row < worker->table.service_count; row++)
        score_set(&worker->row->queued[row], 0);
    for (uint16_t service = 0; service < services; service++)
        show(worker, service);
}
