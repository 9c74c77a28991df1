#include "mirror.h"

#include "base/check.h"
#include "body.h"
#include "http1.h"
#include "mirror_answer.h"
#include "relay.h"
#include "split.h"
#include "upstream.h"

#include <stdlib.h>

struct mirror {
    struct doomed doomed;
    struct list node; /* worker->mirrors_due, then worker->mirrors; until it is over */
    struct exchange exchange;
    struct relay *relay; /* the client's; NULL: over */
    struct buffer head;
    enum http_method method;
    bool over; /* its own exchange is */
    bool failed;
    bool answering; /* the final head was read */
    bool keep_alive;
    unsigned interim_count;
    size_t scanned; /* http1_parse_response()'s memory */
    struct body body;
    struct mirror_answer original, copy;
};

static struct mirror *mirror_of(struct exchange *x)
{
    return container_of(x, struct mirror, exchange);
}

static struct worker *worker_of(const struct mirror *mirror)
{
    return mirror->exchange.worker;
}

static struct score_cell *cell_of(const struct mirror *mirror)
{
    const struct exchange *x = &mirror->exchange;

    return worker_cell(x->worker, x->slot, x->generation);
}

/* --- the end ------------------------------------------------------------------------------ */

static void free_mirror(struct doomed *doomed)
{
    struct mirror *mirror = container_of(doomed, struct mirror, doomed);

    exchange_done(&mirror->exchange);
    free(mirror);
}

/* Both sides are over. */
static void conclude(struct mirror *mirror)
{
    if (mirror->failed) {
        score_add(&cell_of(mirror)->mirror_failures, 1);
    } else if (mirror->original.whole && mirror->copy.whole) {
        enum mirror_verdict verdict = mirror_answer_compare(&mirror->original, &mirror->copy);
        score_add(&cell_of(mirror)->mirror_compared, 1);
        if (verdict == MIRROR_STATUS_DIFFERS)
            score_add(&cell_of(mirror)->mirror_status_differs, 1);
        else if (verdict == MIRROR_BODY_DIFFERS)
            score_add(&cell_of(mirror)->mirror_body_differs, 1);
    }
    held_subtract(sizeof(*mirror));
    worker_doom(worker_of(mirror), &mirror->doomed);
}

/* The copy's own exchange is over; its connection was given back or is closed here. */
static void end(struct mirror *mirror, enum exchange_why why)
{
    struct exchange *x = &mirror->exchange;

    exchange_close_upstream(x);
    exchange_end(x, why);
    buffer_release(&mirror->head);
    list_remove(&mirror->node);
    worker_of(mirror)->mirror_count--;
    mirror->over = true;
    if (mirror->relay == NULL)
        conclude(mirror);
}

static void fail(struct mirror *mirror, enum exchange_why why)
{
    mirror->failed = true;
    end(mirror, why);
}

/* As much of the answer is here as is compared. */
static void finish(struct mirror *mirror)
{
    struct exchange *x = &mirror->exchange;
    struct upstream *upstream = x->upstream;

    mirror->copy.whole = true;
    if (mirror->keep_alive && mirror->body.done && !exchange_announces(x) &&
        stream_input(upstream->stream).length == 0 && stream_pending(upstream->stream) == 0) {
        x->upstream = NULL;
        upstream_keep(upstream);
    }
    end(mirror, WHY_DONE);
}

/* --- its answer --------------------------------------------------------------------------- */

/* Heads until the final one. Returns false where it is not there yet, or the mirror has ended. */
static bool take_head(struct mirror *mirror)
{
    struct exchange *x = &mirror->exchange;
    struct stream *stream = x->upstream->stream;
    struct http1_response *response = x->worker->response;

    while (!mirror->answering) {
        size_t length = 0;
        struct slice input = stream_input(stream);
        if (input.length == 0)
            return false;
        enum http1_result result =
            http1_parse_response(input, mirror->method, &mirror->scanned, response, &length);
        if (result == HTTP1_MORE)
            return false;
        mirror->scanned = 0;
        if (result != HTTP1_DONE || response->status == 101 ||
            (response->status < 200 && ++mirror->interim_count > INTERIM_MAX)) {
            fail(mirror, WHY_BAD_RESPONSE);
            return false;
        }
        x->bytes_in += length;
        x->head_bytes_in = x->bytes_in;
        mirror->answering = response->status >= 200;
        stream_consume(stream, length);
    }
    return true;
}

static void begin_answer(struct mirror *mirror)
{
    struct exchange *x = &mirror->exchange;
    const struct http1_response *response = x->worker->response;

    mirror->keep_alive = response->keep_alive && response->framing != HTTP_BODY_CLOSE;
    mirror->copy.status = response->status;
    body_init(&mirror->body, response->framing, response->content_length);
    x->status = response->status;
    x->from_backend = true;
    x->answered_us = x->worker->now_us;
    exchange_enter(x, EXCHANGE_ANSWERING);
}

/* What is here; `ended`: no more will come. */
static void take(struct mirror *mirror, bool ended)
{
    struct exchange *x = &mirror->exchange;

    if (!mirror->answering) {
        if (!take_head(mirror))
            return;
        bool endless = relay_is_event_stream(x->worker->response);
        begin_answer(mirror);
        if (endless) { /* there is nothing to wait for, and nothing to compare it with */
            end(mirror, WHY_DONE);
            return;
        }
    }
    struct stream *stream = x->upstream->stream;
    bool enough = false;
    while (!mirror->body.done && !enough && stream_input(stream).length > 0) {
        size_t consumed = 0;
        struct slice data = {NULL, 0};
        enum http1_result result = body_decode(&mirror->body, stream_input_bytes(stream),
                                               stream_input(stream).length, &consumed, &data);
        if ((result != HTTP1_DONE && result != HTTP1_MORE) || consumed == 0) {
            fail(mirror, WHY_BAD_RESPONSE);
            return;
        }
        enough = mirror_answer_add(&mirror->copy, data);
        x->bytes_in += consumed;
        stream_consume(stream, consumed);
    }
    mirror->body.done = mirror->body.done || ended;
    if (mirror->body.done || enough)
        finish(mirror);
}

/* --- its exchange ------------------------------------------------------------------------- */

static void on_placed(struct exchange *x)
{
    struct mirror *mirror = mirror_of(x);
    uint32_t most_ms = exchange_service(x)->timeouts.response_ms;
    struct slice head = buffer_slice(&mirror->head);

    /* Once for all of it: no trickle makes it longer. */
    exchange_set_timeout(x, most_ms < MIRROR_MS_MAX ? most_ms : MIRROR_MS_MAX);
    x->bytes_out += head.length;
    stream_want_input(x->upstream->stream, true);
    stream_write(x->upstream->stream, &head, 1);
}

static void on_refused(struct exchange *x, enum exchange_why why)
{
    if (why == WHY_CONNECT_FAILED)
        fail(mirror_of(x), why);
    else
        end(mirror_of(x), why); /* no room, no memory: it is left out */
}

static void on_backend_gone(struct mirror *mirror)
{
    const struct exchange *x = &mirror->exchange;
    bool was_idle = x->upstream->reused && x->bytes_in == 0;

    score_add(&cell_of(mirror)->resets, 1);
    if (was_idle) { /* closed just before: that says nothing of how it answers */
        score_add(&cell_of(mirror)->stale, 1);
        end(mirror, WHY_BACKEND_BROKE);
    } else {
        fail(mirror, WHY_BACKEND_BROKE);
    }
}

static void on_upstream(struct exchange *x, enum stream_event event)
{
    struct mirror *mirror = mirror_of(x);

    switch (event) {
    case STREAM_DATA:
        take(mirror, false);
        break;
    case STREAM_EOF:
        if (mirror->answering && mirror->body.framing == HTTP_BODY_CLOSE &&
            !stream_was_cut(x->upstream->stream))
            take(mirror, true);
        else
            on_backend_gone(mirror);
        break;
    case STREAM_ERROR:
        on_backend_gone(mirror);
        break;
    case STREAM_CONNECTED:
    case STREAM_DRAINED:
    case STREAM_TIMEOUT:
        break;
    }
}

static void on_timeout(struct exchange *x)
{
    score_add(&cell_of(mirror_of(x))->timeouts, 1);
    fail(mirror_of(x), WHY_RESPONSE_TIMEOUT);
}

/* Nobody waits for its answer. */
static bool on_farewell(struct exchange *x, enum exchange_why why)
{
    end(mirror_of(x), why);
    return true;
}

static void on_abort(struct exchange *x, enum exchange_why why)
{
    end(mirror_of(x), why);
}

static struct slice request_line(const struct exchange *x)
{
    const struct mirror *mirror =
        (const void *)((const char *)x - offsetof(struct mirror, exchange));

    return relay_line_of(buffer_slice(&mirror->head));
}

static const struct exchange_protocol mirror_protocol = {
    .on_placed = on_placed,
    .on_refused = on_refused,
    .on_upstream = on_upstream,
    .on_timeout = on_timeout,
    .on_farewell = on_farewell,
    .on_abort = on_abort,
    .request_line = request_line,
};

/* --- its beginning ------------------------------------------------------------------------ */

/* A request that changes nothing, of a client of the stable group, and all of it is here. */
static bool is_safe(const struct relay *relay)
{
    return (relay->method == HTTP_GET || relay->method == HTTP_HEAD) && relay->request_body.done &&
           !relay->upgrade_asked && relay->exchange.group == GROUP_STABLE &&
           buffer_length(&relay->head) <= MIRROR_HEAD_BYTES_MAX;
}

/* Whether this one is of the share, and may be copied. */
static bool is_due(const struct relay *relay)
{
    const struct exchange *x = &relay->exchange;
    struct worker *worker = x->worker;
    int row = worker->table.by_config[x->service];

    if (relay->mirror != NULL || x->join_count != 1 || row < 0 || !is_safe(relay))
        return false;
    struct service *service = &worker->table.services[row];
    return service->mirror > 0 && service->in_rotation[GROUP_CANARY] > 0 &&
           split_next(&service->mirror_phase, service->mirror) == GROUP_CANARY &&
           worker->mirror_count < MIRRORS_MAX && worker_keeps_alive(worker);
}

/* The head as it is sent on, with the mark as its last field. */
static int copy_head(struct buffer *head, const struct buffer *original)
{
    struct slice bytes = buffer_slice(original);

    check(bytes.length > 2);
    bytes.length -= 2;
    int error = buffer_append(head, bytes);
    return error == 0 ? buffer_append(head, SLICE("Sluice-Mirror: 1\r\n\r\n")) : error;
}

void mirror_offer(struct relay *relay)
{
    const struct exchange *x = &relay->exchange;
    struct worker *worker = x->worker;

    if (!is_due(relay))
        return;
    struct mirror *mirror = calloc(1, sizeof(*mirror));
    if (mirror == NULL || copy_head(&mirror->head, &relay->head) < 0) {
        if (mirror != NULL)
            buffer_release(&mirror->head);
        free(mirror);
        return;
    }
    exchange_init(&mirror->exchange, worker);
    exchange_start_copy(&mirror->exchange, x, &mirror_protocol);
    mirror->doomed.free = free_mirror;
    mirror->method = relay->method;
    mirror->relay = relay;
    relay->mirror = mirror;
    held_add(sizeof(*mirror));
    worker->mirror_count++;
    list_append(&worker->mirrors_due, &mirror->node);
}

void mirror_send_due(struct worker *worker)
{
    while (!list_is_empty(&worker->mirrors_due)) {
        struct mirror *mirror =
            container_of(list_take_first(&worker->mirrors_due), struct mirror, node);
        list_append(&worker->mirrors, &mirror->node);
        exchange_place(&mirror->exchange);
    }
}

/* --- the client's side -------------------------------------------------------------------- */

void mirror_original_data(struct relay *relay, struct slice data)
{
    if (mirror_answer_add(&relay->mirror->original, data))
        relay->mirror->original.whole = true;
}

void mirror_original_ends(struct relay *relay, bool whole)
{
    const struct exchange *x = &relay->exchange;
    struct mirror *mirror = relay->mirror;

    relay->mirror = NULL;
    mirror->relay = NULL;
    mirror->original.status = x->status;
    /* An answer of the stable group's: an asset may have come from the canary after all. */
    mirror->original.whole =
        (whole || mirror->original.whole) && x->from_backend && x->group == GROUP_STABLE;
    if (mirror->over)
        conclude(mirror);
}

/* --- ends --------------------------------------------------------------------------------- */

void mirror_end_leaving(struct worker *worker)
{
    struct list *next;

    for (struct list *node = worker->mirrors.next; node != &worker->mirrors; node = next) {
        struct exchange *x = &container_of(node, struct mirror, node)->exchange;
        const struct backend *backend = &worker->table.backends[x->slot];
        next = node->next;
        if (backend->state != BACKEND_READY || backend->generation != x->generation)
            exchange_abort(x, WHY_ENDED);
    }
}

void mirror_end_all(struct worker *worker)
{
    mirror_send_due(worker);
    while (!list_is_empty(&worker->mirrors))
        exchange_abort(&container_of(worker->mirrors.next, struct mirror, node)->exchange,
                       WHY_STOPPED);
}
