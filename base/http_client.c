#include "http_client.h"

#include "check.h"
#include "clock.h"
#include "http_setup.h"
#include "list.h"
#include "timer.h"

#include <curl/curl.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES_DEFAULT ((size_t)16 * 1024 * 1024)
#define HEAD_BYTES_MAX     ((size_t)256 * 1024) /* all header lines of one answer */

struct http_client {
    struct ev_loop *loop;
    CURLM *multi;
    ev_timer timeout;     /* libcurl's */
    struct list requests; /* in flight */
    struct list waiting;  /* started from inside libcurl: handed to it once it has returned */
    struct list doomed;   /* ended: freed when nobody up the stack can hold them */
    struct list spare_sockets;
    unsigned depth; /* of our callbacks on the stack */
    bool in_curl;   /* libcurl is on the stack: its functions must not be called */
    bool closing;
};

struct socket_watcher {
    struct list node; /* on spare_sockets while libcurl does not use it */
    ev_io io;
};

struct http_request {
    struct list node;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct timer silence;
    uint32_t silence_ms;
    uint64_t started_us;
    bool added;  /* libcurl has it */
    bool ended;  /* on_done was called */
    int verdict; /* why we broke it off ourselves; 0: we did not */
    size_t head_bytes;
    size_t max_bytes;
    char *body;
    size_t body_length, body_size;
    bool (*on_data)(void *context, unsigned status, struct slice piece);
    void (*on_done)(void *context, const struct http_answer *answer);
    void *context;
    char detail[CURL_ERROR_SIZE];
};

/* --- the end of a request ------------------------------------------------------------------- */

static void request_free(struct http_request *request)
{
    if (request->added)
        curl_multi_remove_handle(request->client->multi, request->easy);
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->connect_to);
    free(request->body);
    free(request);
}

static unsigned request_status(const struct http_request *request)
{
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    return status > 0 ? (unsigned)status : 0;
}

static void request_end(struct http_request *request, int error, const char *detail)
{
    struct http_client *client = request->client;
    uint64_t took_us = clock_us() - request->started_us;
    struct http_answer answer = {
        .error = error,
        .detail = error != 0 ? detail : "",
        .latency_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX,
    };

    check(!request->ended);
    request->ended = true;
    timer_stop(client->loop, &request->silence);
    list_remove(&request->node);
    list_append(&client->doomed, &request->node);
    if (error == 0 || error == -EMSGSIZE) {
        answer.status = request_status(request);
        answer.body = (struct slice){request->body, request->body_length};
    }
    client->depth++;
    request->on_done(request->context, &answer);
    client->depth--;
}

static int error_of_curl(CURL *easy, CURLcode code)
{
    long os_error = 0;

    if (code == CURLE_OPERATION_TIMEDOUT)
        return -ETIMEDOUT;
    if (code == CURLE_OUT_OF_MEMORY)
        return -ENOMEM;
    if (code != CURLE_COULDNT_CONNECT)
        return -EIO;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
    return os_error > 0 ? -(int)os_error : -ECONNREFUSED;
}

static void on_message(const CURLMsg *message)
{
    CURL *easy = message->easy_handle;
    CURLcode code = message->data.result;
    struct http_request *request = NULL;
    const char *detail;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
    check(request != NULL);
    if (request->ended)
        return; /* cancelled from inside one of its callbacks */
    detail = request->detail[0] != '\0' ? request->detail : curl_easy_strerror(code);
    if (request->verdict == -EMSGSIZE)
        request_end(request, -EMSGSIZE, "the answer is larger than allowed");
    else if (request->verdict != 0)
        request_end(request, request->verdict, "cancelled");
    else if (code != CURLE_OK)
        request_end(request, error_of_curl(easy, code), detail);
    else
        request_end(request, 0, "");
}

static int hand_over(struct http_request *request)
{
    if (curl_multi_add_handle(request->client->multi, request->easy) != CURLM_OK)
        return -EIO;
    request->added = true;
    return 0;
}

/* After every visit of libcurl or of a callback: carries out what could not be done meanwhile. */
static void settle(struct http_client *client)
{
    if (client->in_curl || client->depth > 0)
        return;
    while (!list_is_empty(&client->waiting)) {
        struct list *node = list_take_first(&client->waiting);
        struct http_request *request = container_of(node, struct http_request, node);
        list_append(&client->requests, &request->node);
        if (hand_over(request) != 0)
            request_end(request, -EIO, "libcurl does not take the request");
    }
    while (!list_is_empty(&client->doomed)) {
        struct list *node = list_take_first(&client->doomed);
        request_free(container_of(node, struct http_request, node));
    }
}

/* --- libcurl on the loop -------------------------------------------------------------------- */

static void act(struct http_client *client, curl_socket_t fd, int events)
{
    int running, left;
    const CURLMsg *message;

    check(!client->in_curl);
    client->in_curl = true;
    curl_multi_socket_action(client->multi, fd, events, &running);
    client->in_curl = false;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE)
            on_message(message);
    settle(client);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct http_client *client = io->data;

    (void)loop;
    act(client, io->fd,
        ((events & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
            ((events & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timeout(CURLM *multi, long timeout_ms, void *context)
{
    struct http_client *client = context;

    (void)multi;
    ev_timer_stop(client->loop, &client->timeout);
    if (timeout_ms >= 0) {
        ev_timer_set(&client->timeout, (ev_tstamp)timeout_ms / 1000.0, 0.);
        ev_timer_start(client->loop, &client->timeout);
    }
    return 0;
}

static struct socket_watcher *take_watcher(struct http_client *client)
{
    struct socket_watcher *watcher;

    if (list_is_empty(&client->spare_sockets)) {
        watcher = calloc(1, sizeof(*watcher));
        if (watcher == NULL)
            return NULL;
        list_init(&watcher->node);
        ev_init(&watcher->io, on_socket);
        watcher->io.data = client;
        return watcher;
    }
    return container_of(list_take_first(&client->spare_sockets), struct socket_watcher, node);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    struct http_client *client = context;
    struct socket_watcher *watcher = socket_context;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watcher != NULL) {
            ev_io_stop(client->loop, &watcher->io);
            list_append(&client->spare_sockets, &watcher->node);
        }
        return 0;
    }
    if (watcher == NULL) {
        watcher = take_watcher(client);
        if (watcher == NULL)
            return -1;
        curl_multi_assign(client->multi, fd, watcher);
    }
    if ((what & CURL_POLL_IN) != 0)
        events |= EV_READ;
    if ((what & CURL_POLL_OUT) != 0)
        events |= EV_WRITE;
    ev_io_stop(client->loop, &watcher->io);
    ev_io_set(&watcher->io, fd, events);
    ev_io_start(client->loop, &watcher->io);
    return 0;
}

/* --- what a request receives ---------------------------------------------------------------- */

static void heard(struct http_request *request)
{
    if (request->silence_ms > 0 && !request->ended)
        timer_start(request->client->loop, &request->silence, request->silence_ms);
}

static void on_silence(struct timer *timer)
{
    struct http_request *request = container_of(timer, struct http_request, silence);
    struct http_client *client = request->client;
    char detail[64];

    snprintf(detail, sizeof(detail), "no byte for %u ms", request->silence_ms);
    request_end(request, -ETIMEDOUT, detail);
    settle(client);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct http_request *request = context;

    (void)data;
    heard(request);
    request->head_bytes += size * count;
    if (request->head_bytes > HEAD_BYTES_MAX) {
        request->verdict = -EMSGSIZE;
        return 0;
    }
    return size * count;
}

/* Keeps what fits. Returns 0, -EMSGSIZE or -ENOMEM. */
static int gather(struct http_request *request, struct slice piece)
{
    size_t fits = request->max_bytes - request->body_length;
    size_t take = piece.length < fits ? piece.length : fits;
    size_t need = request->body_length + take;

    if (need > request->body_size) {
        size_t size = request->body_size > 0 ? request->body_size : 1024;
        char *larger;
        while (size < need)
            size *= 2;
        larger = realloc(request->body, size);
        if (larger == NULL)
            return -ENOMEM;
        request->body = larger;
        request->body_size = size;
    }
    if (take > 0)
        memcpy(request->body + request->body_length, piece.data, take);
    request->body_length = need;
    return take < piece.length ? -EMSGSIZE : 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's */
static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_request *request = context;
    struct http_client *client = request->client;
    struct slice piece = {data, size * count};
    unsigned status = request_status(request);

    if (request->ended)
        return 0;
    heard(request);
    if (request->on_data == NULL || status / 100 != 2) {
        request->verdict = gather(request, piece);
    } else {
        bool go_on;
        client->depth++;
        go_on = request->on_data(request->context, status, piece);
        client->depth--;
        if (!go_on)
            request->verdict = -ECANCELED;
    }
    return request->verdict == 0 && !request->ended ? piece.length : 0;
}

/* --- starting ------------------------------------------------------------------------------- */

static bool set_callbacks(struct http_request *request)
{
    CURL *easy = request->easy;
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->detail);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    return code == CURLE_OK;
}

struct http_request *http_client_start(struct http_client *client,
                                       const struct http_request_options *options)
{
    struct http_request *request = NULL;

    check(options->method != NULL && options->url != NULL && options->on_done != NULL);
    if (client->closing || !http_url_is_valid(options->url))
        return NULL;
    request = calloc(1, sizeof(*request));
    if (request == NULL)
        return NULL;
    list_init(&request->node);
    request->client = client;
    request->started_us = clock_us();
    request->silence_ms = options->silence_ms;
    request->max_bytes = options->max_bytes > 0 ? options->max_bytes : BODY_BYTES_DEFAULT;
    request->on_data = options->on_data;
    request->on_done = options->on_done;
    request->context = options->context;
    timer_init(&request->silence, on_silence);
    request->easy = curl_easy_init();
    if (request->easy == NULL ||
        !http_request_set_up(request->easy, options, &request->headers, &request->connect_to) ||
        !set_callbacks(request))
        goto failed;
    if (client->in_curl) {
        list_append(&client->waiting, &request->node);
    } else {
        if (hand_over(request) != 0)
            goto failed;
        list_append(&client->requests, &request->node);
    }
    heard(request);
    return request;

failed:
    request_free(request);
    return NULL;
}

void http_request_cancel(struct http_request *request)
{
    struct http_client *client = request->client;

    if (request->ended)
        return; /* from inside its own on_done */
    request_end(request, -ECANCELED, "cancelled");
    settle(client);
}

/* --- the client ----------------------------------------------------------------------------- */

struct http_client *http_client_open(struct ev_loop *loop)
{
    struct http_client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return NULL;
    }
    client->multi = curl_multi_init();
    if (client->multi == NULL) {
        curl_global_cleanup();
        free(client);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* TLS writes without MSG_NOSIGNAL */
    client->loop = loop;
    list_init(&client->requests);
    list_init(&client->waiting);
    list_init(&client->doomed);
    list_init(&client->spare_sockets);
    ev_init(&client->timeout, on_timeout);
    client->timeout.data = client;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timeout);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return client;
}

static void cancel_all(struct list *requests)
{
    while (!list_is_empty(requests))
        http_request_cancel(container_of(requests->next, struct http_request, node));
}

void http_client_close(struct http_client *client)
{
    if (client == NULL)
        return;
    check(client->depth == 0 && !client->in_curl);
    client->closing = true;
    cancel_all(&client->requests);
    cancel_all(&client->waiting);
    curl_multi_cleanup(client->multi); /* closes pooled connections: calls watch_socket */
    ev_timer_stop(client->loop, &client->timeout);
    while (!list_is_empty(&client->spare_sockets)) {
        struct list *node = list_take_first(&client->spare_sockets);
        free(container_of(node, struct socket_watcher, node));
    }
    curl_global_cleanup();
    free(client);
}
