#include "exchange.h"

#include "access_log.h"
#include "base/check.h"
#include "choose.h"
#include "ends.h"
#include "holds.h"
#include "queue.h"
#include "rotation.h"
#include "upstream.h"
#include "worker.h"

#include <errno.h>

#define BIT(state) (1u << (state))

static const struct {
    const char *name;
    unsigned next; /* bit per allowed successor */
} states[EXCHANGE_STATE_COUNT] = {
    [EXCHANGE_PLACING] = {"placing", BIT(EXCHANGE_QUEUED) | BIT(EXCHANGE_CONNECTING) |
                                         BIT(EXCHANGE_ASKING) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_QUEUED] = {"queued", BIT(EXCHANGE_PLACING) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_CONNECTING] = {"connecting",
                             BIT(EXCHANGE_PLACING) | BIT(EXCHANGE_ASKING) | BIT(EXCHANGE_DONE)},
    [EXCHANGE_ASKING] = {"asking", BIT(EXCHANGE_PLACING) /* dead pooled connection */ |
                                       BIT(EXCHANGE_ANSWERING) | BIT(EXCHANGE_TUNNELLING) |
                                       BIT(EXCHANGE_DONE)},
    [EXCHANGE_ANSWERING] = {"answering", BIT(EXCHANGE_DONE)},
    [EXCHANGE_TUNNELLING] = {"tunnelling", BIT(EXCHANGE_DONE)},
    [EXCHANGE_DONE] = {"done", 0},
};

static const char *const why_names[WHY_COUNT] = {
    [WHY_DONE] = "done",
    [WHY_CLIENT_CLOSED] = "client-closed",
    [WHY_BAD_REQUEST] = "bad-request",
    [WHY_SLOW_CLIENT] = "slow-client",
    [WHY_SLOW_BODY] = "slow-body",
    [WHY_SLOW_READ] = "slow-read",
    [WHY_BODY_SIZE] = "body-size",
    [WHY_RATE] = "rate",
    [WHY_NO_ROUTE] = "no-route",
    [WHY_NO_BACKEND] = "no-backend",
    [WHY_NO_CANARY] = "no-canary",
    [WHY_MISDIRECTED] = "misdirected",
    [WHY_HELD] = "held",
    [WHY_QUEUE_FULL] = "queue-full",
    [WHY_QUEUE_TIMEOUT] = "queue-timeout",
    [WHY_CONNECT_FAILED] = "connect-failed",
    [WHY_RETRY_BUDGET] = "retry-budget",
    [WHY_BAD_RESPONSE] = "bad-response",
    [WHY_BACKEND_BROKE] = "backend-broke-off",
    [WHY_RESPONSE_TIMEOUT] = "response-timeout",
    [WHY_TUNNEL_SILENT] = "tunnel-silent",
    [WHY_TUNNEL_LIFETIME] = "tunnel-lifetime",
    [WHY_MEMORY] = "out-of-memory",
    [WHY_ENDED] = "ended",
    [WHY_STOPPED] = "worker-stopped",
};

const char *exchange_state_name(enum exchange_state state)
{
    return states[state].name;
}

const char *exchange_why_name(enum exchange_why why)
{
    return why_names[why];
}

static struct score_cell *cell_of(const struct exchange *x)
{
    return worker_cell(x->worker, x->slot, x->generation);
}

/* --- state -------------------------------------------------------------------------------- */

void exchange_enter(struct exchange *x, enum exchange_state next)
{
    check((states[x->state].next >> next & 1u) != 0);
    if (x->state == EXCHANGE_QUEUED)
        queue_remove(x);
    list_remove(&x->node);
    x->state = next;
    if (next == EXCHANGE_QUEUED)
        queue_add(x);
    if (next != EXCHANGE_DONE)
        list_append(&x->worker->exchanges[next], &x->node);
}

void exchange_set_timeout(struct exchange *x, uint64_t after_ms)
{
    if (after_ms == 0)
        timer_rest(&x->timer);
    else
        timer_start_at(x->worker->loop, &x->timer, x->worker->now_ms + after_ms, x->worker->now_ms);
}

static void on_timer(struct timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, timer);

    switch (x->state) {
    case EXCHANGE_QUEUED:
        x->protocol->on_refused(x, x->held             ? WHY_HELD
                                   : x->waits_for_room ? WHY_QUEUE_TIMEOUT
                                                       : WHY_NO_BACKEND);
        break;
    case EXCHANGE_CONNECTING:
        score_add(&cell_of(x)->timeouts, 1);
        exchange_connect_failed(x);
        break;
    case EXCHANGE_ASKING:
    case EXCHANGE_ANSWERING:
    case EXCHANGE_TUNNELLING:
        x->protocol->on_timeout(x);
        break;
    case EXCHANGE_PLACING:
    case EXCHANGE_DONE:
    case EXCHANGE_STATE_COUNT:
        break;
    }
}

void exchange_init(struct exchange *x, struct worker *worker)
{
    *x = (struct exchange){.worker = worker, .state = EXCHANGE_DONE};
    list_init(&x->node);
    list_init(&x->waiting_node);
    list_init(&x->ending_node);
    timer_init(&x->timer, on_timer);
}

void exchange_done(struct exchange *x)
{
    timer_stop(x->worker->loop, &x->timer);
}

static void begin(struct exchange *x, enum exchange_kind kind, uint16_t service,
                  const struct address *client, const struct exchange_protocol *protocol)
{
    struct worker *worker = x->worker;

    check(x->state == EXCHANGE_DONE);
    uint64_t counter = score_get(&worker->row->next_exchange_id) + 1;
    score_set(&worker->row->next_exchange_id, counter);
    x->protocol = protocol;
    x->id = (uint64_t)worker->row_index << 56 | counter;
    x->state = EXCHANGE_PLACING;
    x->kind = kind;
    x->service = service;
    x->config = &worker->config->services[service];
    x->port = 0;
    x->client = *client;
    x->upstream = NULL;
    x->placed = x->fresh = x->unrepeatable = x->from_backend = false;
    x->group = x->asked = GROUP_COUNT;
    x->keeps_group = x->is_copy = false;
    x->has_user = x->has_key = x->held = x->owes_retry = x->waits_for_room = false;
    x->try_count = x->join_count = x->retry_count = 0;
    x->queued_ms = 0;
    x->ending = ENDING_NOT;
    x->started_us = worker->now_us;
    x->placed_us = x->connected_us = x->answered_us = 0;
    x->head_bytes_in = x->bytes_in = x->bytes_out = x->counted_in = x->counted_out = 0;
    x->status = 0;
    list_append(&worker->exchanges[EXCHANGE_PLACING], &x->node);
}

void exchange_start(struct exchange *x, enum exchange_kind kind, uint16_t service,
                    const struct address *client, const struct exchange_protocol *protocol)
{
    begin(x, kind, service, client, protocol);
    retry_budget_earn(&x->worker->retry_budgets[service]);
}

void exchange_start_copy(struct exchange *x, const struct exchange *original,
                         const struct exchange_protocol *protocol)
{
    begin(x, KIND_REQUEST, original->service, &original->client, protocol);
    x->local = original->local;
    x->group = GROUP_CANARY;
    x->keeps_group = x->is_copy = true;
    x->unrepeatable = true; /* it is not tried again */
    x->has_user = original->has_user;
    x->user = original->user;
    x->has_key = original->has_key;
    x->key = original->key;
}

/* --- a backend ---------------------------------------------------------------------------- */

/* Counts first and looks then, with a fence between, as all others do: of several workers that
 * take a last place at once, none or one stays, so the bound holds exactly, without a lock. */
static bool has_place(const struct exchange *x, uint32_t slot, uint32_t generation)
{
    uint32_t most = exchange_most_active(x);

    if (most == UINT32_MAX)
        return true;
    atomic_thread_fence(memory_order_seq_cst);
    return scoreboard_active_everywhere(&x->worker->scores, slot, generation) <= most;
}

/* In the turn of the choice: from here on the backend is not drained. False: it has no room. */
static bool join_backend(struct exchange *x, uint32_t slot)
{
    struct score_cell *cell = &x->worker->row->cells[slot];
    uint32_t generation = x->worker->table.backends[slot].generation;

    score_cell_claim(cell, generation);
    score_add(&cell->active_all, 1);
    score_add(&cell->active[x->kind], 1);
    if (!has_place(x, slot, generation)) {
        score_subtract(&cell->active_all, 1);
        score_subtract(&cell->active[x->kind], 1);
        return false;
    }
    x->slot = (uint16_t)slot;
    x->generation = generation;
    x->group = x->worker->table.backends[slot].group;
    x->placed = true;
    x->queued_ms = 0; /* should it wait again, it is for another backend */
    x->join_count++;
    x->placed_us = x->worker->now_us;
    x->connected_us = 0;
    score_add(&cell->exchanges, 1);
    if (x->is_copy)
        score_add(&cell->mirrored, 1);
    return true;
}

static void count_bytes(struct exchange *x)
{
    struct score_cell *cell = cell_of(x);

    score_add(&cell->bytes_in, x->bytes_in - x->counted_in);
    score_add(&cell->bytes_out, x->bytes_out - x->counted_out);
    x->counted_in = x->bytes_in;
    x->counted_out = x->bytes_out;
}

/* How it left a backend that drains: what proves the drain says it too. */
static void count_leaving(struct exchange *x, struct score_cell *cell)
{
    enum score_left how = x->ending == ENDING_FORCED     ? LEFT_FORCED
                          : x->ending == ENDING_POLITELY ? LEFT_POLITELY
                                                         : LEFT_BY_ITSELF;

    score_add(&cell->left[how][x->kind], 1);
    if (x->ending == ENDING_SOON && x->end_why == WHY_ENDED) { /* elsewhere it may go on */
        ends_forget(x);
        x->ending = ENDING_NOT;
    }
}

static void leave_backend(struct exchange *x)
{
    struct score_cell *cell = cell_of(x);
    unsigned class = x->from_backend ? x->status / 100u : 0;

    count_bytes(x);
    if (x->worker->table.backends[x->slot].state == BACKEND_DRAINING)
        count_leaving(x, cell);
    score_add(&cell->status[class <= 5 ? class : 0], 1);
    if (x->kind <= KIND_UPLOAD && x->from_backend)
        score_add(&cell->latency[histogram_bucket(x->worker->now_us - x->started_us)], 1);
    score_set(&cell->last_end_us, x->worker->now_us);
    score_subtract(&cell->active_all, 1);
    score_subtract(&cell->active[x->kind], 1);
    x->placed = false;
    queue_note_room(x->worker, x->service, x->slot);
    holds_check_drained(x->worker, x->slot);
}

void exchange_change_kind(struct exchange *x, enum exchange_kind kind)
{
    struct score_cell *cell = cell_of(x);

    check(x->placed);
    score_add(&cell->active[kind], 1);
    score_subtract(&cell->active[x->kind], 1);
    x->kind = kind;
    if (x->worker->table.backends[x->slot].state == BACKEND_DRAINING)
        x->worker->holds_changed = true;
}

void exchange_note_stream(struct exchange *x)
{
    uint32_t after_ms = exchange_service(x)->rollout.drain.stream_after_ms;
    /* An upload may be as long as it is: only its answer makes a stream of it. */
    uint64_t since_us = x->kind == KIND_UPLOAD ? x->answered_us : x->placed_us;

    if (x->kind <= KIND_UPLOAD && x->placed && since_us != 0 && after_ms != 0 &&
        x->worker->now_us - since_us >= (uint64_t)after_ms * 1000 &&
        exchange_bytes_left(x) == UINT64_MAX)
        exchange_change_kind(x, KIND_STREAM);
}

/* However often it is woken in vain, it waits for so long in all. */
static uint64_t queue_ms_left(const struct exchange *x)
{
    uint64_t wait_ms = exchange_service(x)->timeouts.queue_ms;
    uint64_t waited_ms = x->queued_ms != 0 ? x->worker->now_ms - x->queued_ms : 0;

    return waited_ms < wait_ms ? wait_ms - waited_ms : 0;
}

static void refuse_or_queue(struct exchange *x, bool full)
{
    uint64_t wait_ms = queue_ms_left(x);

    x->waits_for_room = full;
    if (x->is_copy) {
        x->protocol->on_refused(x, x->try_count > 0 ? WHY_CONNECT_FAILED
                                   : full           ? WHY_QUEUE_FULL
                                                    : WHY_NO_BACKEND);
    } else if (x->try_count > 0 && !full) {
        x->protocol->on_refused(x, WHY_CONNECT_FAILED);
    } else if (x->keeps_group && !full) {
        x->protocol->on_refused(x, WHY_NO_CANARY); /* there may be none for days */
    } else if (wait_ms == 0 && x->queued_ms != 0) {
        x->protocol->on_refused(x, full ? WHY_QUEUE_TIMEOUT : WHY_NO_BACKEND);
    } else if (wait_ms == 0 || (x->queued_ms == 0 && !queue_has_room(x->worker, x->service))) {
        x->protocol->on_refused(x, full ? WHY_QUEUE_FULL : WHY_NO_BACKEND);
    } else {
        x->try_count = 0; /* what failed it may have come back until it is its turn */
        exchange_enter(x, EXCHANGE_QUEUED);
        exchange_set_timeout(x, wait_ms);
    }
}

/* The service's operator wants it to wait. One that had a backend before goes on. */
static void hold(struct exchange *x)
{
    const struct config_hold *rules = &exchange_service(x)->hold;

    if (x->worker->held_count[x->service] >= rules->max) {
        x->protocol->on_refused(x, WHY_HELD);
        return;
    }
    x->held = true;
    exchange_enter(x, EXCHANGE_QUEUED);
    exchange_set_timeout(x, rules->timeout_ms);
}

/* This backend could not be reached. */
static void count_connect_failure(struct exchange *x)
{
    struct score_cell *cell = cell_of(x);

    score_add(&cell->connect_failures, 1);
    if (!x->is_copy)
        rotation_judge(x, true);
    leave_backend(x);
    x->tried[x->try_count++] = x->slot;
    x->owes_retry = true;
}

/* Another try, where the exchange and the service have one left: counted on the backend that failed
 * it. Returns WHY_DONE, or why there is none. */
static enum exchange_why take_retry(struct exchange *x, enum exchange_why failure)
{
    const struct config_retries *rules = &exchange_service(x)->retries;

    if (x->retry_count >= rules->attempts || x->is_copy)
        return failure;
    if (!retry_budget_take(&x->worker->retry_budgets[x->service], rules->budget_percent))
        return WHY_RETRY_BUDGET;
    x->retry_count++;
    x->owes_retry = false;
    score_add(&cell_of(x)->retries, 1);
    return WHY_DONE;
}

/* By an idle connection, or a new one: it goes on from there, or has ended. False where the backend
 * could not be reached. */
static bool reach(struct exchange *x, uint32_t slot)
{
    if (x->kind != KIND_TCP && !x->fresh && !exchange_announces(x))
        x->upstream = upstream_take(x->worker, slot, x->unrepeatable);
    if (x->upstream != NULL) {
        x->upstream->exchange = x;
        x->connected_us = x->placed_us;
        exchange_enter(x, EXCHANGE_ASKING);
        x->protocol->on_placed(x);
        return true;
    }
    int error = upstream_open(x, &x->upstream);
    if (error == 0) {
        exchange_enter(x, EXCHANGE_CONNECTING);
        exchange_set_timeout(x, exchange_service(x)->timeouts.connect_ms);
        return true;
    }
    if (error == -ENOMEM || error == -EMFILE || error == -ENFILE) {
        leave_backend(x); /* our fault, not the backend's */
        x->protocol->on_refused(x, WHY_MEMORY);
        return true;
    }
    return false;
}

void exchange_place(struct exchange *x)
{
    unsigned lost_count = 0;

    if (x->join_count == 0 && worker_holds(x->worker, x->service) && !x->is_copy) {
        hold(x);
        return;
    }
    for (;;) {
        int slot = lost_count < JOIN_TRIES_MAX ? choose_backend(x) : CHOICE_FULL;
        if (slot < 0) {
            refuse_or_queue(x, slot == CHOICE_FULL);
            return;
        }
        enum exchange_why why = x->owes_retry ? take_retry(x, WHY_CONNECT_FAILED) : WHY_DONE;
        if (why != WHY_DONE) {
            x->protocol->on_refused(x, why);
            return;
        }
        if (!join_backend(x, (uint32_t)slot)) {
            lost_count++;
            continue;
        }
        if (reach(x, (uint32_t)slot))
            return;
        count_connect_failure(x);
    }
}

void exchange_connected(struct exchange *x)
{
    x->connected_us = x->worker->now_us;
    exchange_set_timeout(x, 0);
    exchange_enter(x, EXCHANGE_ASKING);
    x->protocol->on_placed(x);
}

void exchange_connect_failed(struct exchange *x)
{
    exchange_set_timeout(x, 0);
    exchange_close_upstream(x);
    count_connect_failure(x);
    exchange_enter(x, EXCHANGE_PLACING);
    exchange_place(x);
}

void exchange_retry(struct exchange *x)
{
    enum exchange_why why = take_retry(x, WHY_BACKEND_BROKE);

    if (why != WHY_DONE) {
        x->protocol->on_refused(x, why);
        return;
    }
    exchange_set_timeout(x, 0);
    exchange_close_upstream(x);
    leave_backend(x);
    x->fresh = true;
    exchange_enter(x, EXCHANGE_PLACING);
    exchange_place(x);
}

/* For or against the backend; what ends for the client's or an operator's reasons says nothing. */
static void judge_backend(const struct exchange *x, enum exchange_why why)
{
    if (exchange_service(x)->ejection.failures == 0 || x->is_copy)
        return;
    if (why == WHY_BAD_RESPONSE || why == WHY_BACKEND_BROKE || why == WHY_RESPONSE_TIMEOUT)
        rotation_judge(x, true);
    else if (x->from_backend || x->answered_us != 0)
        rotation_judge(x, x->from_backend && x->status >= 500);
}

bool exchange_other_group_serves(const struct exchange *x)
{
    return choose_has_other_group(x);
}

void exchange_switch_group(struct exchange *x, uint16_t status)
{
    check(x->upstream == NULL && x->state == EXCHANGE_ASKING);
    exchange_set_timeout(x, 0);
    x->status = status;
    x->from_backend = true;
    score_add(&cell_of(x)->asset_retries, 1);
    judge_backend(x, WHY_DONE);
    leave_backend(x);
    x->status = 0;
    x->from_backend = false;
    x->head_bytes_in = x->bytes_in = x->counted_in = 0; /* of this answer the client gets nothing */
    x->group = GROUP_COUNT - 1 - x->group;
    exchange_enter(x, EXCHANGE_PLACING);
    exchange_place(x);
}

/* --- the end ------------------------------------------------------------------------------ */

void exchange_close_upstream(struct exchange *x)
{
    struct upstream *upstream = x->upstream;

    x->upstream = NULL;
    if (upstream != NULL)
        upstream_close(upstream);
}

void exchange_end_upstream(struct exchange *x, enum exchange_why why)
{
    if (x->upstream != NULL && !exchange_ends_in_order(x, why))
        upstream_set_reset(x->upstream);
    exchange_close_upstream(x);
}

void exchange_end(struct exchange *x, enum exchange_why why)
{
    check(x->upstream == NULL);
    exchange_set_timeout(x, 0);
    if (x->placed) {
        judge_backend(x, why);
        leave_backend(x);
    }
    if (!x->is_copy)
        access_log_exchange(x, why);
    if (x->ending != ENDING_NOT)
        ends_forget(x);
    exchange_enter(x, EXCHANGE_DONE);
}

void exchange_abort(struct exchange *x, enum exchange_why why)
{
    x->protocol->on_abort(x, why);
}
