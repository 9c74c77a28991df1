#include "queue.h"

#include "choose.h"
#include "worker.h"

/* Times round before the loop goes on: each may end exchanges that others wait for. */
#define ROUNDS_PER_TURN 4u

static int row_of(const struct worker *worker, uint16_t service)
{
    return worker->table.by_config[service];
}

static uint64_t since_ms(const struct list *waiting)
{
    return list_is_empty(waiting)
               ? 0
               : container_of(waiting->next, const struct exchange, waiting_node)->queued_ms;
}

static void show(struct worker *worker, uint16_t service)
{
    int row = row_of(worker, service);

    if (row < 0)
        return;
    score_set(&worker->row->queued[row], worker->waiting_count[service]);
    for (unsigned g = 0; g < GROUP_COUNT; g++)
        score_set(&worker->row->queued_since_ms[row][g], since_ms(&worker->waiting[service][g]));
}

void queue_publish(struct worker *worker)
{
    uint16_t services = (uint16_t)worker->config->service_count;

    for (uint32_t row = 0; row < worker->table.service_count; row++) {
        score_set(&worker->row->queued[row], 0);
        for (unsigned g = 0; g < GROUP_COUNT; g++)
            score_set(&worker->row->queued_since_ms[row][g], 0);
    }
    for (uint16_t service = 0; service < services; service++)
        show(worker, service);
}

/* --- coming and going --------------------------------------------------------------------- */

bool queue_has_room(const struct worker *worker, uint16_t service)
{
    uint32_t max = worker->config->services[service].queue.max;
    uint32_t count = worker->waiting_count[service];
    int row = row_of(worker, service);

    for (unsigned i = 0; row >= 0 && i < worker->scores.row_count; i++)
        if (i != worker->row_index)
            count += score_get(&worker->scores.rows[i]->queued[row]);
    return count < max;
}

/* Before the first that began later: what was woken in vain, or comes from the list of those
 * without a group, keeps its place. */
static void add_in_order(struct list *waiting, struct exchange *x)
{
    struct list *node = waiting;

    if (!list_is_empty(waiting) &&
        container_of(waiting->prev, struct exchange, waiting_node)->id > x->id)
        for (node = waiting->next; container_of(node, struct exchange, waiting_node)->id < x->id;
             node = node->next)
            continue;
    list_append(node, &x->waiting_node);
}

static void start_looking(struct worker *worker, uint16_t service)
{
    if (worker->config->services[service].max_connections > 0 && !ev_is_active(&worker->queue_look))
        ev_timer_again(worker->loop, &worker->queue_look);
}

void queue_add(struct exchange *x)
{
    struct worker *worker = x->worker;

    add_in_order(&worker->waiting[x->service][x->group], x);
    if (x->queued_ms == 0)
        x->queued_ms = worker->now_ms;
    worker->waiting_count[x->service]++;
    worker->held_count[x->service] += x->held;
    show(worker, x->service);
    start_looking(worker, x->service);
}

void queue_remove(struct exchange *x)
{
    struct worker *worker = x->worker;

    list_remove(&x->waiting_node);
    worker->waiting_count[x->service]--;
    worker->held_count[x->service] -= x->held;
    x->held = false;
    show(worker, x->service);
}

/* --- whose turn it is --------------------------------------------------------------------- */

/* A worker that has not ticked for so long hangs, or is about to be reaped: not waited for. */
#define TICK_MS_MAX 1500u

static bool has_waited_longer(const struct score_row *row, uint32_t service, enum group group,
                              uint64_t since, uint64_t now_ms)
{
    uint64_t others = score_get(&row->queued_since_ms[service][group]);

    return others != 0 && others + QUEUE_FAIR_MS < since &&
           score_get(&row->heartbeat_ms) + TICK_MS_MAX > now_ms;
}

static bool others_come_first(const struct worker *worker, int row, enum group group,
                              uint64_t since)
{
    for (unsigned i = 0; row >= 0 && i < worker->scores.row_count; i++)
        if (i != worker->row_index &&
            has_waited_longer(worker->scores.rows[i], (uint32_t)row, group, since, worker->now_ms))
            return true;
    return false;
}

bool queue_is_behind(const struct worker *worker, uint16_t service, enum group group)
{
    return !list_is_empty(&worker->waiting[service][group]) ||
           others_come_first(worker, row_of(worker, service), group, worker->now_ms);
}

/* --- waking ------------------------------------------------------------------------------- */

/* Whether the first of the group's can be placed now. */
static bool is_due(struct worker *worker, uint16_t service, unsigned group)
{
    int row = row_of(worker, service);
    const struct list *waiting = &worker->waiting[service][group];

    if (row < 0 || list_is_empty(waiting))
        return false;
    const struct service *found = &worker->table.services[row];
    if (group == GROUP_COUNT || found->in_rotation[group] == 0)
        return found->in_rotation[GROUP_STABLE] + found->in_rotation[GROUP_CANARY] > 0;
    return choose_finds_room(worker, (uint32_t)row, group) &&
           !others_come_first(worker, row, group, since_ms(waiting));
}

static void wake(struct worker *worker, uint16_t service, unsigned group)
{
    struct list *waiting = &worker->waiting[service][group];
    /* As many as wait now: a client's next request may join the queue meanwhile. */
    uint32_t count = worker->waiting_count[service];

    while (count-- > 0 && is_due(worker, service, group)) {
        struct list *node = waiting->next;
        struct exchange *x = container_of(node, struct exchange, waiting_node);
        exchange_set_timeout(x, 0);
        exchange_enter(x, EXCHANGE_PLACING);
        exchange_place(x);
        if (waiting->next == node)
            return; /* it is back: another worker was faster */
    }
}

static void release_list(struct list *head, uint32_t wait_ms)
{
    for (struct list *node = head->next; node != head; node = node->next) {
        struct exchange *x = container_of(node, struct exchange, waiting_node);
        if (!x->held)
            continue;
        x->held = false;
        x->queued_ms = x->worker->now_ms;
        exchange_set_timeout(x, wait_ms > 0 ? wait_ms : 1);
    }
}

/* The hold is over: they wait for a backend from now on, like all others. */
static void release(struct worker *worker, uint16_t service)
{
    uint32_t wait_ms = worker->config->services[service].timeouts.queue_ms;

    for (unsigned group = 0; group <= GROUP_COUNT; group++)
        release_list(&worker->waiting[service][group], wait_ms);
    worker->held_count[service] = 0;
    show(worker, service);
    start_looking(worker, service);
}

void queue_wake(struct worker *worker)
{
    uint16_t services = (uint16_t)worker->config->service_count;

    for (uint16_t service = 0; service < services; service++) {
        if (worker->waiting_count[service] == 0 || worker_holds(worker, service))
            continue;
        if (worker->held_count[service] > 0)
            release(worker, service);
        for (unsigned group = 0; group <= GROUP_COUNT; group++)
            wake(worker, service, group);
    }
}

void queue_note_room(struct worker *worker, uint16_t service, uint32_t slot)
{
    if (worker->waiting_count[service] == 0)
        return;
    worker->freed_slot = slot;
    worker->queue_due = true;
}

void queue_turn(struct worker *worker)
{
    for (unsigned i = 0; i < ROUNDS_PER_TURN && worker->queue_due; i++) {
        worker->queue_due = false;
        queue_wake(worker);
    }
}

static bool any_wait_for_room(const struct worker *worker)
{
    for (size_t i = 0; i < worker->config->service_count; i++)
        if (worker->waiting_count[i] > worker->held_count[i] &&
            worker->config->services[i].max_connections > 0)
            return true;
    return false;
}

static void on_look(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct worker *worker = container_of(watcher, struct worker, queue_look);

    (void)events;
    queue_wake(worker);
    if (!any_wait_for_room(worker))
        ev_timer_stop(loop, watcher);
}

void queue_init(struct worker *worker)
{
    for (size_t i = 0; i < CONFIG_SERVICES_MAX; i++)
        for (unsigned group = 0; group <= GROUP_COUNT; group++)
            list_init(&worker->waiting[i][group]);
    ev_timer_init(&worker->queue_look, on_look, 0., QUEUE_LOOK_MS / 1000.);
}
