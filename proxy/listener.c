#include "listener.h"

#include "base/log.h"
#include "base/memory.h"
#include "client.h"
#include "preface.h"
#include "tcp.h"
#include "tls.h"
#include "worker.h"

#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int reserve_descriptor(void)
{
    return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 256);
}

static void on_pause_over(struct timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, pause);

    if (!listener->worker->stopping && !listener->worker->accept_held)
        ev_io_start(listener->worker->loop, &listener->watcher);
}

static void log_shortage(struct listener *listener, const char *event)
{
    struct worker *worker = listener->worker;

    if (worker->shortage_logged_ms != 0 &&
        worker->now_ms - worker->shortage_logged_ms < SHORTAGE_LOG_MS)
        return;
    worker->shortage_logged_ms = worker->now_ms;
    log_event(LOG_WARNING, event, "listener", listener->config->name);
}

static void pause_accepting(struct listener *listener, enum refusal reason)
{
    score_add(&listener->worker->row->refusals[reason], 1);
    ev_io_stop(listener->worker->loop, &listener->watcher);
    timer_start(listener->worker->loop, &listener->pause, ACCEPT_PAUSE_MS);
}

static bool is_full(const struct worker *worker)
{
    uint32_t most = worker->config->limits.connections;

    return most != 0 && worker->connection_count >= most;
}

/* Those first that have not even said where they want to go. */
unsigned listeners_shed(struct worker *worker, unsigned count)
{
    unsigned closed = prefaces_shed(worker, count);

    return closed > 0 ? closed : clients_shed_idle(worker, count);
}

/* Somebody waits to be accepted. At limits.connections the longest idle one makes room; where all
 * are busy, new ones wait in the kernel's queue until one of those ends. */
static bool has_room(struct listener *listener)
{
    struct worker *worker = listener->worker;

    if (!is_full(worker))
        return true;
    log_shortage(listener, "connection-limit");
    if (listeners_shed(worker, 1) > 0)
        return true;
    worker->accept_waits = true;
    pause_accepting(listener, REFUSAL_CONNECTIONS);
    return false;
}

/* No descriptors: idle connections make room. Where there are none, one client is turned away, and
 * accepting rests, so that there is no spinning. */
static void rest(struct listener *listener)
{
    log_shortage(listener, "out-of-descriptors");
    if (listeners_shed(listener->worker, SHED_BATCH) > 0)
        return;
    if (listener->reserve >= 0) {
        close(listener->reserve);
        int fd = accept4(listener->watcher.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        listener->reserve = reserve_descriptor();
    }
    pause_accepting(listener, REFUSAL_DESCRIPTORS);
}

/* Past the descriptors that clients may have (others are kept for backends). The descriptor's
 * number stands for their count: the kernel gives the lowest free one. */
static bool is_past_share(struct listener *listener, int fd)
{
    if (fd <= listener->worker->accept_fd_max)
        return false;
    log_shortage(listener, "out-of-descriptors");
    if (listeners_shed(listener->worker, SHED_BATCH) > 0)
        return false;
    close(fd);
    pause_accepting(listener, REFUSAL_DESCRIPTORS);
    return true;
}

static struct address own_address(int fd)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    struct address address;

    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0 ||
        address_from_sockaddr(&storage, &address) < 0)
        address = (struct address){0};
    return address;
}

void listener_serve(struct listener *listener, int fd, const struct address *client,
                    const struct address *local, int service)
{
    struct address own;

    if (local->family == 0 && listener->tells_local) {
        own = own_address(fd);
        local = &own;
    }
    if (listener->config->protocol == PROTOCOL_TCP)
        tcp_accept(listener, fd, client, local, (uint16_t)service);
    else
        client_accept(listener, fd, client, local);
}

static void take(struct listener *listener, int fd, const struct sockaddr_storage *storage)
{
    static const struct address not_told;
    struct address address;

    if (address_from_sockaddr(storage, &address) < 0)
        address = (struct address){0};
    score_add(&listener->worker->row->accepted, 1);
    if (preface_is_wanted(listener->config))
        preface_accept(listener, fd, &address);
    else
        listener_serve(listener, fd, &address, &not_told, listener->config->service);
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct listener *listener = container_of(watcher, struct listener, watcher);

    (void)loop;
    (void)events;
    if (!has_room(listener))
        return;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && (i == 0 || !is_full(listener->worker)); i++) {
        struct sockaddr_storage storage;
        socklen_t length = sizeof(storage);
        int fd = accept4(watcher->fd, (struct sockaddr *)&storage, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && is_past_share(listener, fd))
            return;
        if (fd >= 0) {
            take(listener, fd, &storage);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener);
        /* ECONNABORTED, EPROTO and the like belong to one connection: the next event tells. */
        return;
    }
}

static int start_tls(struct listener *listener)
{
    const struct config_tls *config = &listener->config->tls;

    if (config->certificate_count == 0)
        return 0;
    if (config->hsts_s > 0)
        snprintf(listener->hsts, sizeof(listener->hsts),
                 "Strict-Transport-Security: max-age=%u%s\r\n", config->hsts_s,
                 config->hsts_subdomains ? "; includeSubDomains" : "");
    return tls_listener_open(listener->config, listener->worker->tickets, &listener->tls);
}

/* A system call per connection, spared where nobody asks. */
static bool tells_local(const struct config *config, const struct config_listener *listener)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].send_proxy_protocol != SEND_PROXY_PROTOCOL_NONE &&
            config->services[i].protocol == listener->protocol)
            return true;
    return false;
}

/* Seconds for which the kernel keeps a connection that says nothing (tcp(7), TCP_DEFER_ACCEPT).
 * Set where it is off, too: the socket outlives the configuration that it was opened for. */
static int set_deferral(int fd, const struct config *config, const struct config_listener *listener)
{
    int seconds = listener->defer_accept ? (int)((config->timeouts.header_ms + 999) / 1000) : 0;

    return setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

int listeners_open(struct worker *worker)
{
    size_t count = worker->config->listener_count;

    worker->listeners = memory_new_array(count > 0 ? count : 1, sizeof(*worker->listeners));
    for (size_t i = 0; i < count; i++) {
        struct listener *listener = &worker->listeners[i];
        int fd = DESCRIPTOR_LISTENER_FIRST + (int)i, on = 1;
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
        /* Inherited by what is accepted: one call here spares one per connection. */
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
            return -errno;
        if (set_deferral(fd, worker->config, &worker->config->listeners[i]) < 0)
            return -errno;
        listener->worker = worker;
        listener->config = &worker->config->listeners[i];
        int error = start_tls(listener);
        if (error < 0)
            return error;
        listener->reserve = reserve_descriptor();
        listener->tells_local = tells_local(worker->config, listener->config);
        route_table_init_names(&listener->names, listener->config);
        timer_init(&listener->pause, on_pause_over);
        ev_io_init(&listener->watcher, on_acceptable, fd, EV_READ);
    }
    return 0;
}

unsigned listeners_unusable(const struct worker *worker)
{
    unsigned count = 0;

    for (size_t i = 0; i < worker->config->listener_count; i++)
        if (worker->listeners[i].tls != NULL)
            count += tls_listener_unusable(worker->listeners[i].tls);
    return count;
}

void listeners_start(struct worker *worker)
{
    for (size_t i = 0; i < worker->config->listener_count; i++)
        ev_io_start(worker->loop, &worker->listeners[i].watcher);
}

void listeners_hold(struct worker *worker)
{
    worker->accept_held = true;
    for (size_t i = 0; i < worker->config->listener_count; i++)
        ev_io_stop(worker->loop, &worker->listeners[i].watcher);
}

void listeners_resume(struct worker *worker)
{
    worker->accept_held = worker->accept_waits = false;
    if (worker->stopping)
        return;
    for (size_t i = 0; i < worker->config->listener_count; i++) {
        timer_stop(worker->loop, &worker->listeners[i].pause);
        ev_io_start(worker->loop, &worker->listeners[i].watcher);
    }
}

void listeners_stop(struct worker *worker)
{
    for (size_t i = 0; i < worker->config->listener_count; i++) {
        ev_io_stop(worker->loop, &worker->listeners[i].watcher);
        timer_stop(worker->loop, &worker->listeners[i].pause);
    }
}

void listeners_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->config->listener_count; i++) {
        tls_listener_close(worker->listeners[i].tls);
        route_table_done(&worker->listeners[i].names);
    }
    free(worker->listeners);
    worker->listeners = NULL;
}
