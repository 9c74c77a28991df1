#include "client.h"

#include "access_log.h"
#include "admission.h"
#include "base/check.h"
#include "forwarded.h"
#include "http1.h"
#include "listener.h"
#include "relay.h"

#include <stdlib.h>
#include <unistd.h>

static void set_deadline(struct client *client, uint64_t after_ms)
{
    uint64_t now_ms = client->worker->now_ms;

    stream_set_deadline(client->stream, after_ms > 0 ? now_ms + after_ms : 0, now_ms);
}

/* --- the end ------------------------------------------------------------------------------ */

static void leave(struct client *client)
{
    check(client->state != CLIENT_CLOSED && client->relay == NULL);
    client->state = CLIENT_CLOSED;
    held_subtract(sizeof(*client));
    client->stream = NULL;
    list_remove(&client->doomed.node);
    worker_doom(client->worker, &client->doomed);
    score_subtract(&client->worker->row->clients, 1);
    admission_leave(client->worker, client->ticket);
    worker_count_connection(client->worker, -1);
}

void client_close(struct client *client)
{
    stream_close(client->stream);
    leave(client);
}

void client_reset(struct client *client)
{
    stream_reset(client->stream);
    leave(client);
}

/* What is left of an answer waits for the client; the exchange is over, so nothing is added. */
static void watch_reader(struct client *client)
{
    const struct config *config = client->worker->config;

    reader_rest(&client->reader);
    reader_watch(&client->reader, client->worker->now_ms);
    set_deadline(client, reader_wait_ms(&config->limits.traffic, config->timeouts.response_ms));
}

static void judge_reader(struct client *client)
{
    struct worker *worker = client->worker;
    const struct config *config = worker->config;
    enum reader_verdict verdict =
        reader_judge(&client->reader, client->stream, &config->limits.traffic,
                     config->timeouts.response_ms, worker->now_ms);

    if (verdict == READER_TAKES) {
        set_deadline(client, reader_wait_ms(&config->limits.traffic, config->timeouts.response_ms));
        return;
    }
    enum refusal refusal = verdict == READER_IS_SLOW ? REFUSAL_SLOW_READ : REFUSAL_SLOW_CLIENT;
    score_add(&worker->row->refusals[refusal], 1);
    access_log_refused(worker, &client->address, NULL, 0, refusal_name(refusal));
    client_reset(client); /* an orderly close would leave it all with the kernel */
}

void client_finish(struct client *client, bool whole)
{
    bool silent = whole && stream_input(client->stream).length == 0;

    if ((silent || client->ended) && stream_pending(client->stream) == 0) {
        client_close(client);
        return;
    }
    client->state = CLIENT_LINGERING;
    client->scanned = 0;
    stream_consume(client->stream, stream_input(client->stream).length);
    stream_shutdown(client->stream);
    stream_want_input(client->stream, true);
    if (stream_pending(client->stream) > 0)
        watch_reader(client);
    else
        set_deadline(client, LINGER_MS);
}

static void linger(struct client *client, enum stream_event event)
{
    switch (event) {
    case STREAM_DATA:
        client->scanned += stream_input(client->stream).length;
        stream_consume(client->stream, stream_input(client->stream).length);
        if (client->scanned > LINGER_BYTES_MAX)
            client_close(client);
        break;
    case STREAM_DRAINED:
        if (client->ended)
            client_close(client);
        else
            set_deadline(client, LINGER_MS);
        break;
    case STREAM_EOF:
        client->ended = true;
        if (stream_pending(client->stream) == 0)
            client_close(client);
        break;
    case STREAM_TIMEOUT:
        if (stream_pending(client->stream) > 0)
            judge_reader(client);
        else
            client_close(client);
        break;
    case STREAM_ERROR:
        client_close(client);
        break;
    case STREAM_CONNECTED:
        break;
    }
}

/* --- requests ----------------------------------------------------------------------------- */

/* With what the listener adds to every answer, behind the status line. */
void client_write_answer(struct client *client, struct slice head, struct slice body)
{
    struct slice hsts = slice_from_string(client->listener->hsts);
    const char *end = memchr(head.data, '\n', head.length);
    size_t line = end != NULL ? (size_t)(end - head.data) + 1 : 0;
    struct slice pieces[4];
    unsigned count = 0;

    if (hsts.length > 0 && stream_tls(client->stream) != NULL) {
        pieces[count++] = (struct slice){head.data, line};
        pieces[count++] = hsts;
        head = (struct slice){head.data + line, head.length - line};
    }
    pieces[count++] = head;
    if (body.length > 0)
        pieces[count++] = body;
    stream_write(client->stream, pieces, count);
}

void client_answer(struct client *client, int service, const struct answer *answer)
{
    const struct worker *worker = client->worker;
    const struct answer_page *page = error_pages_find(worker->pages, service, answer->status);
    char buffer[ANSWER_BYTES_MAX];
    struct slice head = {buffer, answer_write(buffer, answer, page, worker->date)};
    struct slice none = {NULL, 0};

    client_write_answer(client, head, page != NULL && !answer->head_only ? page->body : none);
}

static void refuse(struct client *client, unsigned status, enum refusal refusal, const char *why)
{
    score_add(&client->worker->row->refusals[refusal], 1);
    access_log_refused(client->worker, &client->address, NULL, status, why);
    client_answer(client, SERVICE_NONE, &(struct answer){.status = status, .close = true});
    client_finish(client, false);
}

static void wait_for_head(struct client *client, bool begun)
{
    const struct config_timeouts *timeouts = &client->worker->config->timeouts;

    if (client->ended && begun) {
        refuse(client, 400, REFUSAL_BAD_REQUEST, "cut-head");
        return;
    }
    if (client->ended) {
        client_finish(client, true);
        return;
    }
    /* Its last answer did not say that the connection ends: the worker was told to stop in the
     * middle of it. The next request may be on its way. */
    if (!begun && client->served && client->worker->stopping)
        set_deadline(client, DRAIN_IDLE_MS);
    if (begun && !client->head_begun)
        set_deadline(client, timeouts->header_ms);
    client->head_begun = begun;
    stream_want_input(client->stream, true);
}

/* The operator's limits, where they are below those of the parser. `length`: of the head, or of
 * what there is of it. */
static enum http1_result apply_head_limits(const struct client *client, enum http1_result result,
                                           size_t length)
{
    const struct config_limits *limits = &client->worker->config->limits;

    if (result != HTTP1_MORE && result != HTTP1_DONE)
        return result;
    if (length > limits->header_bytes)
        return HTTP1_HEAD_TOO_LARGE;
    if (result == HTTP1_DONE && client->worker->request->field_count > limits->header_count)
        return HTTP1_TOO_MANY_FIELDS;
    return result;
}

static void refuse_head(struct client *client, enum http1_result result)
{
    unsigned status = http1_status(result);
    bool size = status == 414 || status == 431;

    refuse(client, status, size ? REFUSAL_HEAD_SIZE : REFUSAL_BAD_REQUEST,
           http1_result_name(result));
}

/* Parses one request. Returns false where there is none yet. */
static bool take_request(struct client *client)
{
    struct http1_request *request = client->worker->request;
    struct slice input = stream_input(client->stream);
    size_t length = 0;

    if (input.length == 0) {
        wait_for_head(client, false);
        return false;
    }
    enum http1_result result = http1_parse_request(input, &client->scanned, request, &length);
    result = apply_head_limits(client, result, result == HTTP1_MORE ? input.length : length);
    if (result == HTTP1_MORE) {
        wait_for_head(client, true);
        return false;
    }
    client->scanned = 0;
    client->head_begun = false;
    if (result != HTTP1_DONE) {
        refuse_head(client, result);
        return true;
    }
    client->state = CLIENT_BUSY;
    client->recent = true;
    set_deadline(client, 0);
    relay_start(client, request, length);
    return true;
}

/* Requests may lie here already: no more are read than the limit. */
static void wait_to_go_on(struct client *client, bool held_up)
{
    client->yielded = !held_up;
    if (client->yielded)
        set_deadline(client, YIELD_MS);
    stream_want_input(client->stream,
                      held_up && stream_input(client->stream).length < PIPELINED_BYTES_MAX);
}

/* A loop and no recursion: an answer given at once leads back to here. What was answered and not
 * taken yet holds up the next request. */
static void process(struct client *client)
{
    if (client->processing)
        return;
    client->processing = true;
    for (unsigned taken = 0; client->state == CLIENT_READING; taken++) {
        bool held_up = stream_pending(client->stream) > 0;
        if (held_up || taken == REQUESTS_PER_TURN) {
            wait_to_go_on(client, held_up);
            break;
        }
        if (!take_request(client))
            break;
    }
    client->processing = false;
}

void client_next(struct client *client)
{
    const struct config_timeouts *timeouts = &client->worker->config->timeouts;

    client->state = CLIENT_READING;
    client->served = true;
    client->head_begun = false;
    if (stream_pending(client->stream) > 0)
        watch_reader(client);
    else
        set_deadline(client, timeouts->idle_ms);
    process(client);
}

static void read_timeout(struct client *client)
{
    if (client->yielded) {
        client->yielded = false;
        set_deadline(client, client->worker->config->timeouts.idle_ms);
        process(client);
    } else if (stream_pending(client->stream) > 0) {
        judge_reader(client);
    } else if (client->head_begun) {
        refuse(client, 408, REFUSAL_SLOW_CLIENT, "slow-head");
    } else {
        client_close(client);
    }
}

static void read_event(struct client *client, enum stream_event event)
{
    switch (event) {
    case STREAM_DRAINED:
        set_deadline(client, client->worker->config->timeouts.idle_ms);
        process(client);
        break;
    case STREAM_DATA:
        process(client);
        break;
    case STREAM_TIMEOUT:
        read_timeout(client);
        break;
    case STREAM_EOF:
        client->ended = true;
        process(client);
        break;
    case STREAM_ERROR:
        client_close(client);
        break;
    case STREAM_CONNECTED:
        break;
    }
}

static void on_event(void *owner, enum stream_event event)
{
    struct client *client = owner;

    switch (client->state) {
    case CLIENT_GREETING:
        client_on_handshake(client, event);
        break;
    case CLIENT_READING:
        read_event(client, event);
        break;
    case CLIENT_BUSY:
        relay_on_client(client->relay, event);
        break;
    case CLIENT_TUNNEL:
        tunnel_on_client(&client->relay->tunnel, event);
        break;
    case CLIENT_LINGERING:
        linger(client, event);
        break;
    case CLIENT_CLOSED:
        break;
    }
}

/* --- life --------------------------------------------------------------------------------- */

static void free_client(struct doomed *doomed)
{
    struct client *client = container_of(doomed, struct client, doomed);

    free(client->certificate);
    free(client);
}

static struct client *client_new(struct worker *worker, int fd, const struct address *address)
{
    const struct config *config = worker->config;
    char ip[ADDRESS_TEXT_BYTES];

    address_format_ip(address, ip);
    size_t size = sizeof(struct client) + strlen(ip) + 1;
    struct client *client = calloc(1, size);
    if (client == NULL)
        return NULL;
    client->stream = stream_new(worker->hub, fd, on_event, client);
    if (client->stream == NULL) {
        free(client);
        return NULL;
    }
    memcpy(client->ip, ip, size - sizeof(struct client));
    client->doomed.free = free_client;
    client->worker = worker;
    client->address = *address;
    client->name = admission_name(worker, address);
    client->trusted =
        network_any_contains(config->trusted_proxies, config->trusted_proxy_count, address);
    held_add(sizeof(*client));
    return client;
}

struct address client_told(const struct client *client, const struct http1_request *request)
{
    const struct config *config = client->worker->config;
    struct address told;

    forwarded_client(request, config->trusted_proxies, config->trusted_proxy_count,
                     &client->address, &told);
    return told;
}

/* Of a connection that serves nobody: there is no certificate, or no memory. */
static void turn_away(struct client *client)
{
    score_add(&client->worker->row->refusals[REFUSAL_TLS], 1);
    client_close(client);
}

void client_accept(struct listener *listener, int fd, const struct address *address,
                   const struct address *local)
{
    struct worker *worker = listener->worker;
    uint64_t ticket;

    if (!admission_enter(worker, address, &ticket)) {
        close(fd);
        return;
    }
    struct client *client = client_new(worker, fd, address);
    if (client == NULL) {
        admission_leave(worker, ticket);
        score_add(&worker->row->refusals[REFUSAL_MEMORY], 1);
        close(fd);
        return;
    }
    client->ticket = ticket;
    client->accepted_ms = worker->now_ms;
    client->listener = listener;
    client->state = CLIENT_READING;
    client->local = *local;
    stream_set_read_max(client->stream, PIPELINED_BYTES_MAX);
    list_append(&worker->clients, &client->doomed.node);
    score_add(&worker->row->clients, 1);
    worker_count_connection(worker, 1);
    if (listener->tls != NULL && !client_start_tls(client)) {
        turn_away(client);
        return;
    }
    /* a worker that stops may have waited for its PROXY header */
    set_deadline(client, listener->tls != NULL || worker->stopping
                             ? worker->config->timeouts.header_ms
                             : worker->config->timeouts.idle_ms);
    if (listener->config->defer_accept)
        stream_read_soon(client->stream);
}

static bool is_idle(const struct client *client)
{
    return (client->state == CLIENT_READING || client->state == CLIENT_GREETING) &&
           !client->head_begun && !client->yielded && !client->processing &&
           stream_pending(client->stream) == 0 && stream_input(client->stream).length == 0;
}

/* Second chance, as a pager's clock does it: the list is in the order of arrival, and who has asked
 * since the last look goes to its end instead. So requests need not keep it in order of use. */
unsigned clients_shed_idle(struct worker *worker, unsigned count)
{
    unsigned looks = 2 * score_get(&worker->row->clients), closed = 0;

    if (looks > SHED_LOOKS_MAX)
        looks = SHED_LOOKS_MAX;
    while (closed < count && looks-- > 0 && !list_is_empty(&worker->clients)) {
        struct client *client = container_of(worker->clients.next, struct client, doomed.node);
        bool may_ask_yet = !client->served && worker->now_ms - client->accepted_ms < SHED_GRACE_MS;
        if (is_idle(client) && !client->recent && !may_ask_yet) {
            client_close(client);
            closed++;
            continue;
        }
        client->recent = false;
        list_remove(&client->doomed.node);
        list_append(&worker->clients, &client->doomed.node);
    }
    score_add(&worker->row->refusals[REFUSAL_SHED], closed);
    return closed;
}

void client_stop_idle(struct worker *worker)
{
    for (struct list *node = worker->clients.next; node != &worker->clients; node = node->next) {
        struct client *client = container_of(node, struct client, doomed.node);
        if (!is_idle(client))
            continue;
        /* One that has not asked yet is about to; its first answer closes it. */
        set_deadline(client, client->served ? DRAIN_IDLE_MS : worker->config->timeouts.header_ms);
    }
}
