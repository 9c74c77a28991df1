#include "tcp.h"

#include "admission.h"
#include "hash_key.h"
#include "listener.h"
#include "tunnel.h"
#include "upstream.h"
#include "user.h"

#include <stdlib.h>
#include <unistd.h>

struct tcp {
    struct doomed doomed;
    struct stream *stream; /* the client's */
    struct exchange exchange;
    struct tunnel tunnel;
    uint64_t ticket; /* admission_enter() */
};

static void free_tcp(struct doomed *doomed)
{
    free(container_of(doomed, struct tcp, doomed));
}

static void end(struct tcp *tcp, enum exchange_why why)
{
    struct worker *worker = tcp->exchange.worker;
    bool orderly = exchange_ends_in_order(&tcp->exchange, why);

    exchange_end_upstream(&tcp->exchange, why);
    exchange_end(&tcp->exchange, why);
    exchange_done(&tcp->exchange);
    if (orderly)
        stream_close(tcp->stream);
    else
        stream_reset(tcp->stream);
    tcp->stream = NULL;
    held_subtract(sizeof(*tcp));
    worker_doom(worker, &tcp->doomed);
    admission_leave(worker, tcp->ticket);
    worker_count_connection(worker, -1);
}

static void on_tunnel_end(struct tunnel *tunnel, enum exchange_why why)
{
    end(container_of(tunnel, struct tcp, tunnel), why);
}

static void on_client(void *owner, enum stream_event event)
{
    struct tcp *tcp = owner;

    if (tcp->exchange.state == EXCHANGE_TUNNELLING)
        tunnel_on_client(&tcp->tunnel, event);
    else if (event == STREAM_ERROR)
        end(tcp, WHY_CLIENT_CLOSED);
}

static struct tcp *tcp_of(struct exchange *x)
{
    return container_of(x, struct tcp, exchange);
}

static void on_placed(struct exchange *x)
{
    struct tcp *tcp = tcp_of(x);

    exchange_enter(x, EXCHANGE_TUNNELLING);
    x->answered_us = x->worker->now_us;
    tcp->tunnel = (struct tunnel){.exchange = x,
                                  .client = tcp->stream,
                                  .upstream = x->upstream->stream,
                                  .on_end = on_tunnel_end};
    tunnel_start(&tcp->tunnel);
}

static void on_refused(struct exchange *x, enum exchange_why why)
{
    static const enum refusal refusals[WHY_COUNT] = {
        [WHY_HELD] = REFUSAL_HELD,
        [WHY_NO_BACKEND] = REFUSAL_NO_BACKEND,
        [WHY_QUEUE_FULL] = REFUSAL_QUEUE_FULL,
        [WHY_QUEUE_TIMEOUT] = REFUSAL_QUEUE_TIMEOUT,
        [WHY_CONNECT_FAILED] = REFUSAL_CONNECT_FAILED,
        [WHY_RETRY_BUDGET] = REFUSAL_RETRY_BUDGET,
        [WHY_MEMORY] = REFUSAL_MEMORY,
        [WHY_ENDED] = REFUSAL_ENDED,
        [WHY_STOPPED] = REFUSAL_ENDED,
    };

    score_add(&x->worker->row->refusals[refusals[why]], 1);
    end(tcp_of(x), why);
}

static void on_upstream(struct exchange *x, enum stream_event event)
{
    if (event == STREAM_ERROR)
        score_add(&worker_cell(x->worker, x->slot, x->generation)->resets, 1);
    tunnel_on_upstream(&tcp_of(x)->tunnel, event);
}

static void on_timeout(struct exchange *x)
{
    tunnel_on_timeout(&tcp_of(x)->tunnel);
}

static bool on_farewell(struct exchange *x, enum exchange_why why)
{
    if (x->state == EXCHANGE_TUNNELLING)
        tunnel_say_goodbye(&tcp_of(x)->tunnel);
    else
        on_refused(x, why);
    return true;
}

static void on_abort(struct exchange *x, enum exchange_why why)
{
    end(tcp_of(x), why);
}

static struct slice request_line(const struct exchange *x)
{
    return slice_from_string(exchange_service(x)->name);
}

static const struct exchange_protocol protocol = {
    .on_placed = on_placed,
    .on_refused = on_refused,
    .on_upstream = on_upstream,
    .on_timeout = on_timeout,
    .on_farewell = on_farewell,
    .on_abort = on_abort,
    .request_line = request_line,
};

void tcp_accept(struct listener *listener, int fd, const struct address *client,
                const struct address *local, uint16_t service)
{
    struct worker *worker = listener->worker;
    uint64_t ticket;

    if (!admission_enter(worker, client, &ticket)) {
        close(fd);
        return;
    }
    struct tcp *tcp = calloc(1, sizeof(*tcp));
    if (tcp != NULL)
        tcp->stream = stream_new(worker->hub, fd, on_client, tcp);
    if (tcp == NULL || tcp->stream == NULL) {
        admission_leave(worker, ticket);
        score_add(&worker->row->refusals[REFUSAL_MEMORY], 1);
        free(tcp);
        close(fd);
        return;
    }
    held_add(sizeof(*tcp));
    tcp->doomed.free = free_tcp;
    tcp->ticket = ticket;
    stream_want_input(tcp->stream, false); /* until there is somebody to send it to */
    worker_count_connection(worker, 1);
    exchange_init(&tcp->exchange, worker);
    exchange_start(&tcp->exchange, KIND_TCP, service, client, &protocol);
    tcp->exchange.port = listener->config->port;
    tcp->exchange.local = *local;
    user_identify_connection(&tcp->exchange);
    hash_key_set_of_connection(&tcp->exchange);
    exchange_place(&tcp->exchange);
}
