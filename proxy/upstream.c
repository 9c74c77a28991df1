#include "upstream.h"

#include "base/check.h"
#include "holds.h"
#include "proxy_protocol.h"
#include "tls_backend.h"

#include <errno.h>
#include <stdlib.h>

static struct score_cell *cell_of(const struct upstream *upstream)
{
    return worker_cell(upstream->worker, upstream->slot, upstream->generation);
}

static struct backend *backend_of(const struct upstream *upstream)
{
    return &upstream->worker->table.backends[upstream->slot];
}

static void on_event(void *owner, enum stream_event event)
{
    struct upstream *upstream = owner;
    struct exchange *x = upstream->exchange;

    if (x == NULL) {
        /* Idle: it was closed, or speaks unasked, or was idle for long enough. */
        upstream_close(upstream);
    } else if (upstream->connected) {
        x->protocol->on_upstream(x, event);
    } else if (event == STREAM_CONNECTED) {
        struct score_cell *cell = cell_of(upstream);
        upstream->connected = true;
        score_add(&cell->open, 1);
        score_subtract(&cell->connecting, 1);
        exchange_connected(x);
    } else {
        if (x->worker->backend_tls[x->service] != NULL)
            tls_backend_tell(x->worker->backend_tls[x->service], upstream);
        exchange_connect_failed(x);
    }
}

static void free_upstream(struct doomed *doomed)
{
    free(container_of(doomed, struct upstream, doomed));
}

/* Says who the client is, ahead of everything. */
static int announce(const struct exchange *x, struct stream *stream)
{
    char bytes[PROXY_PROTOCOL_OUT_BYTES_MAX];
    struct slice header = {bytes, 0};

    if (!exchange_announces(x))
        return 0;
    header.length = proxy_protocol_write(bytes, exchange_service(x)->send_proxy_protocol,
                                         &x->client, &x->local);
    return stream_set_preamble(stream, header);
}

int upstream_open(struct exchange *x, struct upstream **ret_upstream)
{
    struct worker *worker = x->worker;
    struct upstream *upstream = calloc(1, sizeof(*upstream));

    if (upstream == NULL)
        return -ENOMEM;
    struct address address = worker->table.backends[x->slot].address;
    if (x->port != 0)
        address.port = x->port;
    upstream->doomed.free = free_upstream;
    list_init(&upstream->node);
    upstream->worker = worker;
    upstream->exchange = x;
    upstream->slot = x->slot;
    upstream->generation = x->generation;
    int error = stream_connect(worker->hub, &address, on_event, upstream, &upstream->stream);
    if (error == 0)
        error = announce(x, upstream->stream);
    if (error == 0 && worker->backend_tls[x->service] != NULL)
        error = tls_backend_start(worker->backend_tls[x->service], upstream);
    if (error < 0) {
        stream_close(upstream->stream);
        free(upstream);
        return error;
    }
    held_add(sizeof(*upstream));
    score_add(&worker_cell(worker, x->slot, x->generation)->connecting, 1);
    *ret_upstream = upstream;
    return 0;
}

static void leave_pool(struct upstream *upstream)
{
    list_remove(&upstream->node);
    backend_of(upstream)->idle_count--;
    score_subtract(&cell_of(upstream)->idle, 1);
}

/* In a later turn the loop has asked the kernel about those, too. */
static void begin_turn(struct backend *backend, const struct worker *worker)
{
    if (backend->kept_us == worker->now_us)
        return;
    backend->kept_us = worker->now_us;
    list_put_all_before(&backend->idle, &backend->kept);
}

/* The first that no byte and no end has come on; others are closed, for that is no request's
 * answer. NULL: there is none. */
static struct upstream *take_first(struct list *idle, bool look)
{
    while (!list_is_empty(idle)) {
        struct upstream *upstream = container_of(idle->next, struct upstream, node);
        check(upstream->generation == backend_of(upstream)->generation);
        if (stream_is_quiet(upstream->stream, look))
            return upstream;
        upstream_close(upstream);
    }
    return NULL;
}

struct upstream *upstream_take(struct worker *worker, uint32_t slot, bool look)
{
    struct backend *backend = &worker->table.backends[slot];

    begin_turn(backend, worker);
    struct upstream *upstream = take_first(&backend->idle, look);
    if (upstream == NULL)
        upstream = take_first(&backend->kept, true);
    if (upstream == NULL)
        return NULL;
    leave_pool(upstream);
    stream_set_deadline(upstream->stream, 0, 0);
    upstream->reused = true;
    return upstream;
}

void upstream_keep(struct upstream *upstream)
{
    struct worker *worker = upstream->worker;
    struct backend *backend = backend_of(upstream);

    if (backend->state != BACKEND_READY || backend->generation != upstream->generation ||
        backend->idle_count >= POOL_MAX || worker->stopping) {
        upstream_close(upstream);
        return;
    }
    upstream->exchange = NULL;
    begin_turn(backend, worker);
    list_append(backend->kept.next, &upstream->node); /* before the first: at the front */
    stream_want_input(upstream->stream, true);
    backend->idle_count++;
    score_add(&cell_of(upstream)->idle, 1);
    stream_set_deadline(upstream->stream, worker->now_ms + POOL_IDLE_MS, worker->now_ms);
}

void upstream_set_reset(struct upstream *upstream)
{
    stream_set_reset(upstream->stream);
}

void upstream_close(struct upstream *upstream)
{
    struct worker *worker = upstream->worker;
    struct score_cell *cell = cell_of(upstream);

    if (upstream->exchange == NULL)
        leave_pool(upstream);
    if (upstream->connected)
        score_subtract(&cell->open, 1);
    else
        score_subtract(&cell->connecting, 1);
    stream_close(upstream->stream);
    upstream->stream = NULL;
    held_subtract(sizeof(*upstream));
    worker_doom(worker, &upstream->doomed);
    holds_check_drained(worker, upstream->slot);
}

void upstream_close_idle(struct worker *worker, uint32_t slot)
{
    struct backend *backend = &worker->table.backends[slot];

    list_put_all_before(&backend->idle, &backend->kept);
    while (!list_is_empty(&backend->idle))
        upstream_close(container_of(backend->idle.next, struct upstream, node));
}
