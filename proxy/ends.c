#include "ends.h"

#include "holds.h"
#include "worker.h"

/* Whether this exchange is to end, and over which time such ends are spread. */
typedef bool wants_end(const struct exchange *x, uint32_t *ret_spread_ms);

static struct exchange *exchange_of(struct list *node)
{
    return container_of(node, struct exchange, ending_node);
}

static const struct list *queue_head(const struct list *queue)
{
    return list_is_empty(queue) ? NULL : queue->next;
}

/* --- whose turn it is ----------------------------------------------------------------------- */

/* What waits for its turn is in its order; so is what was told, for all are given the same time. */
static void arm(struct worker *worker)
{
    uint64_t at_ms = UINT64_MAX;
    struct list *const queues[] = {&worker->ending_soon, &worker->ending_told};

    for (unsigned i = 0; i < 2; i++) {
        if (queue_head(queues[i]) != NULL && exchange_of(queues[i]->next)->end_at_ms < at_ms)
            at_ms = exchange_of(queues[i]->next)->end_at_ms;
    }
    timer_stop(worker->loop, &worker->ends);
    if (at_ms != UINT64_MAX)
        timer_start_at(worker->loop, &worker->ends, at_ms, worker->now_ms);
}

static void wait_turn(struct exchange *x, enum exchange_why why, uint64_t at_ms)
{
    struct list *place = x->worker->ending_soon.prev;

    x->ending = ENDING_SOON;
    x->end_why = why;
    x->end_at_ms = at_ms;
    while (place != &x->worker->ending_soon && exchange_of(place)->end_at_ms > at_ms)
        place = place->prev;
    list_append(place->next, &x->ending_node); /* before the next one */
}

static void force(struct exchange *x)
{
    list_remove(&x->ending_node);
    x->ending = ENDING_FORCED;
    exchange_abort(x, x->end_why);
}

static void say_goodbye(struct exchange *x)
{
    list_remove(&x->ending_node);
    list_append(&x->worker->ending_told, &x->ending_node);
    x->ending = ENDING_POLITELY;
    x->end_at_ms = x->worker->now_ms + FAREWELL_MS;
    if (!x->protocol->on_farewell(x, x->end_why))
        force(x);
}

static struct exchange *first_due(const struct list *queue, uint64_t now_ms)
{
    if (list_is_empty(queue) || exchange_of(queue->next)->end_at_ms > now_ms)
        return NULL;
    return exchange_of(queue->next);
}

/* An end may start the client's next exchange, so each is looked for anew. */
static void run(struct worker *worker)
{
    struct exchange *x;

    while ((x = first_due(&worker->ending_soon, worker->now_ms)) != NULL)
        say_goodbye(x);
    while ((x = first_due(&worker->ending_told, worker->now_ms)) != NULL)
        force(x);
    arm(worker);
}

static void on_timer(struct timer *timer)
{
    run(container_of(timer, struct worker, ends));
}

void ends_forget(struct exchange *x)
{
    list_remove(&x->ending_node);
}

/* --- who is to end -------------------------------------------------------------------------- */

static bool is_of_ended_kind(const struct exchange *x, uint32_t *ret_spread_ms)
{
    const struct backend *backend = &x->worker->table.backends[x->slot];

    *ret_spread_ms = backend->close_spread_ms;
    return x->placed && backend->generation == x->generation &&
           (backend->end_kinds & 1u << x->kind) != 0;
}

static bool has_outlived_worker(const struct exchange *x, uint32_t *ret_spread_ms)
{
    const struct config_drain *drain = &exchange_service(x)->rollout.drain;

    *ret_spread_ms = drain->close_spread_ms;
    return x->worker->now_ms - x->worker->stopping_since_ms >= drain->budgets[x->kind].timeout_ms;
}

/* The i-th of `count` on this worker, as the workers take turns. */
static uint64_t turn_ms(const struct worker *worker, uint32_t i, uint32_t count, uint32_t spread_ms)
{
    uint64_t turn = (uint64_t)i * worker->row_count + worker->row_index;

    return worker->now_ms + spread_ms * turn / ((uint64_t)count * worker->row_count);
}

/* Counts those that are to end and have no turn yet; where `count` is theirs, gives turns. */
static uint32_t give_turns(struct worker *worker, wants_end *wants, enum exchange_why why,
                           uint32_t count)
{
    uint32_t spread_ms, found = 0;

    for (unsigned s = 0; s < EXCHANGE_DONE; s++) {
        struct list *head = &worker->exchanges[s];
        for (struct list *node = head->next; node != head; node = node->next) {
            struct exchange *x = container_of(node, struct exchange, node);
            if (x->ending != ENDING_NOT || !wants(x, &spread_ms))
                continue;
            if (count > 0)
                wait_turn(x, why, turn_ms(worker, found, count, spread_ms));
            found++;
        }
    }
    return found;
}

static void end_all(struct worker *worker, wants_end *wants, enum exchange_why why)
{
    uint32_t count = give_turns(worker, wants, why, 0);

    if (count > 0)
        give_turns(worker, wants, why, count);
}

/* An extension, or a backend that is in rotation again. */
static void take_back(struct worker *worker)
{
    struct list *head = &worker->ending_soon;
    uint32_t spread_ms;

    for (struct list *node = head->next, *next; node != head; node = next) {
        struct exchange *x = exchange_of(node);
        next = node->next;
        if (x->end_why != WHY_ENDED || is_of_ended_kind(x, &spread_ms))
            continue;
        list_remove(node);
        x->ending = ENDING_NOT;
    }
}

static void end_named(struct worker *worker, const struct routing_table *published)
{
    for (unsigned s = 0; s < EXCHANGE_DONE && published->end_count > 0; s++) {
        struct list *head = &worker->exchanges[s];
        for (struct list *node = head->next; node != head; node = node->next) {
            struct exchange *x = container_of(node, struct exchange, node);
            for (uint32_t i = 0; i < published->end_count; i++) {
                if (published->ends[i] != x->id || x->ending > ENDING_SOON)
                    continue;
                list_remove(&x->ending_node);
                wait_turn(x, WHY_ENDED, worker->now_ms);
            }
        }
    }
}

static bool ends_kinds(const struct table *table)
{
    for (uint32_t i = 0; i < table->backend_count; i++)
        if (table->backends[i].end_kinds != 0)
            return true;
    return false;
}

void ends_take_table(struct worker *worker, const struct routing_table *published)
{
    take_back(worker);
    worker->ends_kinds = ends_kinds(&worker->table);
    end_named(worker, published);
    ends_look_again(worker);
}

void ends_look_again(struct worker *worker)
{
    if (worker->ends_kinds)
        end_all(worker, is_of_ended_kind, WHY_ENDED);
    run(worker);
}

void ends_of_worker(struct worker *worker)
{
    if (worker->stopping_since_ms != 0)
        end_all(worker, has_outlived_worker, WHY_STOPPED);
    run(worker);
}

void ends_init(struct worker *worker)
{
    list_init(&worker->ending_soon);
    list_init(&worker->ending_told);
    timer_init(&worker->ends, on_timer);
}
