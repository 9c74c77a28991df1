/* How a request becomes a relay, or is answered here: the beginning of relay.c. */
#include "access_log.h"
#include "admission.h"
#include "asset.h"
#include "client.h"
#include "forward.h"
#include "hash_key.h"
#include "listener.h"
#include "redirect.h"
#include "relay.h"
#include "tls.h"
#include "user.h"

#include <stdlib.h>

/* --- life --------------------------------------------------------------------------------- */

static struct relay *take_relay(struct worker *worker)
{
    struct relay *relay;

    if (list_is_empty(&worker->free_relays)) {
        relay = calloc(1, sizeof(*relay));
        if (relay != NULL)
            exchange_init(&relay->exchange, worker);
        return relay;
    }
    relay = container_of(list_take_first(&worker->free_relays), struct relay, node);
    worker->free_relay_count--;
    return relay;
}

/* Its timer stays armed: the next exchange only moves the deadline. */
void relay_give_back(struct relay *relay)
{
    struct worker *worker = relay->exchange.worker;

    held_subtract(sizeof(*relay));
    relay->client->relay = NULL;
    relay->client = NULL;
    buffer_release(&relay->head);
    buffer_release(&relay->replay);
    if (worker->free_relay_count < RELAYS_FREE_MAX) {
        list_append(worker->free_relays.next, &relay->node); /* in front */
        worker->free_relay_count++;
        return;
    }
    /* Nothing refers to it: its streams are closed or another's, and a timer that fires looks at
     * nothing after its function. */
    exchange_done(&relay->exchange);
    free(relay);
}

void relay_free_kept(struct worker *worker)
{
    while (!list_is_empty(&worker->free_relays)) {
        struct list *node = list_take_first(&worker->free_relays);
        struct relay *relay = container_of(node, struct relay, node);
        exchange_done(&relay->exchange);
        free(relay);
    }
    worker->free_relay_count = 0;
}

/* RFC 9110 §9.2.2 */
static bool is_idempotent(enum http_method method)
{
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
           method == HTTP_PUT || method == HTTP_DELETE;
}

/* --- requests ----------------------------------------------------------------------------- */

static bool is_whole(const struct http1_request *request)
{
    return request->framing == HTTP_BODY_NONE ||
           (request->framing == HTTP_BODY_LENGTH && request->content_length == 0);
}

static bool must_close(const struct client *client, const struct http1_request *request)
{
    return !is_whole(request) || !request->keep_alive || request->minor_version == 0 ||
           !worker_keeps_alive(client->worker);
}

static void go_on(struct client *client, bool whole, bool close)
{
    if (close)
        client_finish(client, whole);
    else
        client_next(client);
}

/* Answers instead of a backend. */
static void answer(struct client *client, const struct http1_request *request, int service,
                   unsigned status)
{
    bool whole = is_whole(request), close = must_close(client, request);

    client_answer(client, service,
                  &(struct answer){
                      .status = status, .close = close, .head_only = request->method == HTTP_HEAD});
    go_on(client, whole, close);
}

/* `request` lies in the client's input: it is logged before that is consumed. */
static void refuse(struct client *client, const struct http1_request *request,
                   const struct address *asker, int service, size_t head_length,
                   enum exchange_why why)
{
    unsigned status = relay_count_refusal(client->worker, why);

    access_log_refused(client->worker, asker, request, status, exchange_why_name(why));
    stream_consume(client->stream, head_length);
    answer(client, request, service, status);
}

/* `request` lies in the client's input: the answer is written before that is consumed. */
static void redirect(struct client *client, const struct http1_request *request,
                     const struct address *asker, size_t head_length)
{
    struct worker *worker = client->worker;
    bool whole = is_whole(request), close = must_close(client, request);
    struct redirect_options options = {
        .port = client->listener->config->redirect_port,
        .close = close,
        .head_only = request->method == HTTP_HEAD,
        .date = worker->date,
    };
    struct slice location = {worker->head, 0};
    enum exchange_why why =
        admission_ask(worker, asker, client_asker_name(client, asker), -1) ? WHY_DONE : WHY_RATE;

    if (why == WHY_DONE)
        location.length = redirect_write(worker->head, HEAD_OUT_BYTES_MAX, request, &options);
    if (location.length == 0) {
        refuse(client, request, asker, SERVICE_NONE, head_length,
               why == WHY_DONE ? WHY_BAD_REQUEST : why);
        return;
    }
    access_log_refused(worker, asker, request, 308, "redirected");
    stream_consume(client->stream, head_length);
    client_write_answer(client, location, (struct slice){NULL, 0});
    go_on(client, whole, close);
}

/* The name of the cookie that the proxy sets for this service; empty: none. */
static struct slice own_cookie(const struct config_service *service)
{
    return service->sticky.kind == STICKY_COOKIE ? slice_from_string(service->sticky.name)
                                                 : (struct slice){"", 0};
}

static struct relay *make_relay(struct client *client, const struct http1_request *request,
                                int service)
{
    struct worker *worker = client->worker;
    struct relay *relay = take_relay(worker);

    if (relay == NULL)
        return NULL;
    uint64_t random[2] = {worker_random(worker), worker_random(worker)};
    relay->request_id_length =
        (uint8_t)forwarded_request_id(request, client->trusted, random, relay->request_id);
    struct forward_request_options options = {
        .tls = stream_tls(client->stream) != NULL,
        .client_certificate = client->certificate,
        .peer_ip = slice_from_string(client->ip),
        .trusted = client->trusted,
        .request_id = {relay->request_id, relay->request_id_length},
        .own_cookie = own_cookie(&worker->config->services[service]),
    };
    size_t length = forward_request(worker->head, HEAD_OUT_BYTES_MAX, request, &options);
    held_add(sizeof(*relay));
    client->relay = relay;
    relay->client = client;
    list_init(&relay->node);
    if (length == 0 || buffer_append(&relay->head, (struct slice){worker->head, length}) < 0) {
        relay_give_back(relay);
        return NULL;
    }
    relay->method = request->method;
    relay->client_minor = request->minor_version;
    relay->keep_alive = request->keep_alive;
    relay->upgrade_asked = request->upgrade && request->framing == HTTP_BODY_NONE;
    if (!slice_copy_string(request->upgrade_protocol, relay->upgrade, sizeof(relay->upgrade)))
        relay->upgrade[0] = 0; /* no answer is like it */
    relay->expects_100 = request->expect_continue;
    relay->body_bytes = 0;
    pace_rest(&relay->body_pace);
    reader_rest(&client->reader);
    body_init(&relay->request_body, request->framing, request->content_length);
    relay->replayable = is_idempotent(request->method);
    relay->head_sent = relay->answered = relay->close = false;
    relay->streams = relay->leaves = false;
    relay->upstream_keep_alive = false;
    relay->scanned = 0;
    relay->interim_count = 0;
    relay->framing = HTTP_BODY_NONE;
    return relay;
}

/* Whether this request may have a backend at all: WHY_DONE, or why not. A chunked body shows only
 * as it comes that it is too large: relay_send_request(). */
static enum exchange_why judge(struct client *client, const struct http1_request *request,
                               const struct address *asker, int service)
{
    struct worker *worker = client->worker;

    if (!admission_ask(worker, asker, client_asker_name(client, asker), service))
        return WHY_RATE;
    if (client->listener->tls != NULL &&
        tls_is_misdirected(stream_tls(client->stream), request->host))
        return WHY_MISDIRECTED;
    if (pressure_is_out(&worker->pressure))
        return WHY_MEMORY;
    if (service == ROUTE_AMBIGUOUS)
        return WHY_BAD_REQUEST;
    if (service < 0)
        return WHY_NO_ROUTE;
    uint64_t most = worker->config->services[service].limits.body_bytes;
    if (most != 0 && request->framing == HTTP_BODY_LENGTH && request->content_length > most)
        return WHY_BODY_SIZE;
    return WHY_DONE;
}

void relay_start(struct client *client, const struct http1_request *request, size_t head_length)
{
    struct worker *worker = client->worker;
    struct address asker = client_asker(client, request);

    if (request->max_forwards == 0 &&
        admission_ask(worker, &asker, client_asker_name(client, &asker),
                      -1)) { /* asks the proxy itself */
        stream_consume(client->stream, head_length);
        answer(client, request, SERVICE_NONE, 200);
        return;
    }
    if (client->listener->config->redirect_port != 0) {
        redirect(client, request, &asker, head_length);
        return;
    }
    const struct config_listener *listener = client->listener->config;
    int service = listener->canary ? listener->service
                                   : route_find(&worker->routes, request->host, request->path);
    enum exchange_why why = judge(client, request, &asker, service);
    struct relay *relay = why == WHY_DONE ? make_relay(client, request, service) : NULL;

    if (relay != NULL) {
        struct exchange *x = &relay->exchange;
        exchange_start(x, KIND_REQUEST, (uint16_t)service, &asker, &relay_protocol);
        x->local = client->local;
        x->unrepeatable = !relay->replayable;
        relay->new_user = user_identify(x, request);
        if (worker->table.match_count > 0)
            user_look_for_match(x, request);
        if (listener->canary) {
            x->group = GROUP_CANARY;
            x->keeps_group = true;
            relay->new_user = false; /* looking at the new version makes nobody its user */
        }
        hash_key_set(x, request);
        relay->secure = relay->new_user && (stream_tls(client->stream) != NULL ||
                                            (client->trusted && user_came_by_tls(request)));
        relay->asset = exchange_service(x)->retry_assets && asset_is_asked(request);
    }
    if (relay == NULL) {
        refuse(client, request, &asker, service, head_length, why == WHY_DONE ? WHY_MEMORY : why);
        return;
    }
    stream_consume(client->stream, head_length);
    relay_update(relay);
    exchange_place(&relay->exchange);
}
