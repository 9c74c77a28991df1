#include "preface.h"

#include "access_log.h"
#include "admission.h"
#include "base/timer.h"
#include "client_hello.h"
#include "listener.h"
#include "proxy_protocol.h"
#include "worker.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TLS_DECODE_ERROR      50 /* RFC 8446 §6 */
#define TLS_UNRECOGNIZED_NAME 112

struct preface {
    struct doomed doomed;
    struct list node; /* worker->prefaces */
    uint64_t accepted_ms;
    struct listener *listener;
    int fd;
    ev_io watcher;
    struct timer deadline;
    struct address client, local;
    uint64_t ticket;    /* admission_leave(); while a ClientHello is waited for */
    bool header_wanted; /* and not taken yet */
    bool resting;       /* SO_RCVLOWAT is not the usual */
    size_t seen;        /* bytes that were there at the last look */
};

bool preface_is_wanted(const struct config_listener *listener)
{
    return listener->proxy_protocol || listener->sni_count > 0;
}

/* --- the end ------------------------------------------------------------------------------ */

static void free_preface(struct doomed *doomed)
{
    free(container_of(doomed, struct preface, doomed));
}

/* The socket is another's, or closed. */
static void leave(struct preface *preface)
{
    struct worker *worker = preface->listener->worker;

    list_remove(&preface->node);
    ev_io_stop(worker->loop, &preface->watcher);
    timer_stop(worker->loop, &preface->deadline);
    held_subtract(sizeof(*preface));
    admission_leave(worker, preface->ticket);
    worker_doom(worker, &preface->doomed);
    worker_count_connection(worker, -1);
}

static void refuse(struct preface *preface, enum refusal refusal, const char *why)
{
    struct listener *listener = preface->listener;

    score_add(&listener->worker->row->refusals[refusal], 1);
    access_log_refused_connection(listener->worker, &preface->client, why);
    close(preface->fd);
    leave(preface);
}

static void hang_up(struct preface *preface)
{
    close(preface->fd);
    leave(preface);
}

/* A fatal alert. What was sent must be read first, or the close would be a reset that overtakes it;
 * a client waits after its ClientHello, so no more is on its way. */
static void send_alert(struct preface *preface, uint8_t description)
{
    static char dropped[CLIENT_HELLO_BYTES_MAX];
    const uint8_t alert[] = {21, 3, 3, 0, 2, 2, description};

    while (recv(preface->fd, dropped, sizeof(dropped), 0) == (ssize_t)sizeof(dropped))
        ;
    /* A client that is gone has no use for it. */
    (void)!send(preface->fd, alert, sizeof(alert), MSG_NOSIGNAL);
}

static void hand_on(struct preface *preface, int service)
{
    leave(preface);
    listener_serve(preface->listener, preface->fd, &preface->client, &preface->local, service);
}

/* --- looking ------------------------------------------------------------------------------ */

/* Whether the client sends no more: then what is there is all there will be. */
static bool has_ended(const struct preface *preface)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);

    return getsockopt(preface->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
           info.tcpi_state != TCP_ESTABLISHED;
}

/* The loop wakes up for so many bytes, or an end. */
static bool set_low_water(struct preface *preface, size_t bytes)
{
    int value = (int)bytes;

    preface->resting = bytes > 1;
    if (setsockopt(preface->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)) == 0)
        return true;
    hang_up(preface);
    return false;
}

/* Too little has come. A peek leaves it where it is, so the loop is to wake up for more only. */
static void wait_for_more(struct preface *preface, size_t seen, enum refusal refusal,
                          const char *why)
{
    struct worker *worker = preface->listener->worker;

    /* Only where nothing came since the last look: more may have come just before the end. */
    if (seen > 0 && seen == preface->seen && has_ended(preface)) {
        refuse(preface, refusal, why);
        return;
    }
    if (seen > 0 && !set_low_water(preface, seen + 1))
        return;
    preface->seen = seen;
    if (!ev_is_active(&preface->watcher))
        ev_io_start(worker->loop, &preface->watcher);
}

/* What the socket holds, up to the size of the longest preface. False where it was closed: a check
 * of whether this port is open, which is nobody's fault. */
static bool peek(struct preface *preface, struct slice *ret_bytes)
{
    static union {
        char proxy_header[PROXY_PROTOCOL_BYTES_MAX], client_hello[CLIENT_HELLO_BYTES_MAX];
    } room; /* for either */
    ssize_t got = recv(preface->fd, &room, sizeof(room), MSG_PEEK);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        hang_up(preface);
        return false;
    }
    *ret_bytes = (struct slice){(const char *)&room, got > 0 ? (size_t)got : 0};
    return true;
}

/* --- the PROXY header --------------------------------------------------------------------- */

static bool consume(struct preface *preface, size_t length)
{
    static char dropped[PROXY_PROTOCOL_BYTES_MAX];

    return recv(preface->fd, dropped, length, 0) == (ssize_t)length;
}

/* True where the header was taken and the connection goes on. */
static bool take_header(struct preface *preface)
{
    struct proxy_protocol told;
    struct slice bytes;
    size_t length;

    if (!peek(preface, &bytes))
        return false;
    enum proxy_protocol_result result = proxy_protocol_parse(bytes, &told, &length);
    if (result == PROXY_PROTOCOL_MORE) {
        wait_for_more(preface, bytes.length, REFUSAL_PROXY_HEADER,
                      proxy_protocol_result_name(result));
        return false;
    }
    if (result != PROXY_PROTOCOL_DONE) {
        refuse(preface, REFUSAL_PROXY_HEADER, proxy_protocol_result_name(result));
        return false;
    }
    if (!consume(preface, length)) {
        hang_up(preface);
        return false;
    }
    if (told.told) {
        preface->client = told.source;
        preface->local = told.destination;
    }
    preface->header_wanted = false;
    preface->seen = 0;
    return !preface->resting || set_low_water(preface, 1);
}

/* --- the ClientHello ---------------------------------------------------------------------- */

static void route_hello(struct preface *preface, enum client_hello_result result,
                        const struct client_hello *hello)
{
    const struct listener *listener = preface->listener;
    int service = listener->config->service;

    if (result == CLIENT_HELLO_DONE) {
        int named = route_find(&listener->names, slice_from_string(hello->name), SLICE("/"));
        service = named >= 0 ? named : service;
    }
    if (service >= 0) {
        hand_on(preface, service);
        return;
    }
    if (result == CLIENT_HELLO_DONE)
        send_alert(preface, TLS_UNRECOGNIZED_NAME);
    refuse(preface, REFUSAL_NO_ROUTE,
           result == CLIENT_HELLO_DONE ? "no-route" : client_hello_result_name(result));
}

static void take_hello(struct preface *preface)
{
    struct client_hello hello;
    struct slice bytes;

    if (!peek(preface, &bytes))
        return;
    enum client_hello_result result = client_hello_parse(bytes, &hello);
    switch (result) {
    case CLIENT_HELLO_MORE:
        wait_for_more(preface, bytes.length, REFUSAL_BAD_HELLO, client_hello_result_name(result));
        break;
    case CLIENT_HELLO_DONE:
    case CLIENT_HELLO_NOT_TLS:
        if (!preface->resting || set_low_water(preface, 1))
            route_hello(preface, result, &hello);
        break;
    case CLIENT_HELLO_BROKEN:
    case CLIENT_HELLO_TOO_LONG:
    case CLIENT_HELLO_RESULT_COUNT:
        send_alert(preface, TLS_DECODE_ERROR);
        refuse(preface, REFUSAL_BAD_HELLO, client_hello_result_name(result));
        break;
    }
}

/* --- events ------------------------------------------------------------------------------- */

static void advance(struct preface *preface)
{
    const struct config_listener *config = preface->listener->config;

    if (preface->header_wanted && !take_header(preface))
        return;
    if (config->sni_count == 0)
        hand_on(preface, config->service);
    else if (preface->ticket != 0 ||
             admission_enter(preface->listener->worker, &preface->client, &preface->ticket))
        take_hello(preface);
    else
        hang_up(preface);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    advance(container_of(watcher, struct preface, watcher));
}

static void on_deadline(struct timer *timer)
{
    struct preface *preface = container_of(timer, struct preface, deadline);

    refuse(preface, REFUSAL_SLOW_CLIENT,
           preface->header_wanted ? "proxy-header-late" : "hello-late");
}

void preface_accept(struct listener *listener, int fd, const struct address *peer)
{
    struct worker *worker = listener->worker;
    const struct config *config = worker->config;
    struct preface *preface = calloc(1, sizeof(*preface));

    if (preface == NULL) {
        score_add(&worker->row->refusals[REFUSAL_MEMORY], 1);
        close(fd);
        return;
    }
    held_add(sizeof(*preface));
    preface->doomed.free = free_preface;
    preface->listener = listener;
    preface->accepted_ms = worker->now_ms;
    list_append(&worker->prefaces, &preface->node);
    preface->fd = fd;
    preface->client = *peer;
    preface->header_wanted = listener->config->proxy_protocol;
    ev_io_init(&preface->watcher, on_readable, fd, EV_READ);
    timer_init(&preface->deadline, on_deadline);
    worker_count_connection(worker, 1);
    if (preface->header_wanted &&
        !network_any_contains(config->trusted_proxies, config->trusted_proxy_count, peer)) {
        refuse(preface, REFUSAL_UNTRUSTED_PROXY, "untrusted-proxy");
        return;
    }
    timer_start_at(worker->loop, &preface->deadline, worker->now_ms + config->timeouts.header_ms,
                   worker->now_ms);
    advance(preface); /* most have sent it by now */
}

/* They are in the order of arrival, so those that have had their time are the first. */
unsigned prefaces_shed(struct worker *worker, unsigned count)
{
    unsigned closed = 0;

    while (closed < count && !list_is_empty(&worker->prefaces)) {
        struct preface *preface = container_of(worker->prefaces.next, struct preface, node);
        if (worker->now_ms - preface->accepted_ms < SHED_GRACE_MS)
            break;
        refuse(preface, REFUSAL_SHED, "shed");
        closed++;
    }
    return closed;
}
