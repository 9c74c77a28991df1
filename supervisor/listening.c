#include "base/log.h"
#include "base/memory.h"
#include "supervisor.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The kernel cuts it to net.core.somaxconn. */
#define LISTEN_BACKLOG 4096

static int open_socket(const struct address *address, bool shared)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(address, &storage);
    const int on = 1;
    int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    bool failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0;
    if (shared)
        failed = failed || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0;
    if (address->family == AF_INET6)
        failed = failed || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0;
    /* Only listen() tells an address that another socket listens on, where both reuse it. */
    if (failed || bind(fd, (struct sockaddr *)&storage, length) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* SO_REUSEPORT would let a second Sluice of the same user share the port in silence and take half
 * of the traffic. A socket without it is refused where anybody listens. */
static int probe_free(const struct address *address)
{
    int fd = open_socket(address, false);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static int read_bound(int fd, struct address *ret_address)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);

    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
        return -errno;
    return address_from_sockaddr(&storage, ret_address);
}

static int open_all(struct listening *listening, unsigned worker_count)
{
    int error = listening->wanted.port != 0 ? probe_free(&listening->wanted) : 0;

    listening->bound = listening->wanted;
    for (unsigned slot = 0; error == 0 && slot < worker_count; slot++) {
        int fd = descriptor_raise(open_socket(&listening->bound, true));
        if (fd < 0)
            return fd;
        listening->fds[slot] = fd;
        if (slot == 0)
            error = read_bound(fd, &listening->bound);
    }
    return error;
}

static void log_failure(const struct listening *listening, int error)
{
    char text[ADDRESS_TEXT_BYTES];
    struct log_line line;

    address_format(&listening->wanted, text);
    log_begin(&line, LOG_ERROR, "listen-failed");
    log_string(&line, "listener", listening->name);
    log_string(&line, "address", text);
    log_errno(&line, error);
    if (error == -EADDRINUSE)
        log_string(&line, "hint", "another program listens there; stop it or change the address");
    else if (error == -EACCES)
        log_string(&line, "hint", "ports below 1024 need root or CAP_NET_BIND_SERVICE");
    else if (error == -EADDRNOTAVAIL)
        log_string(&line, "hint", "this machine has no such address");
    log_end(&line);
}

static const struct listening *find_open(const struct setup *setup,
                                         const struct config_listener *listener)
{
    for (size_t i = 0; setup->config != NULL && i < setup->config->listener_count; i++) {
        const struct listening *open = &setup->listening[i];
        bool same_name = strcmp(open->name, listener->name) == 0;
        if (address_equals(&open->wanted, &listener->address) &&
            (same_name || listener->address.port != 0))
            return open;
    }
    return NULL;
}

int listening_open(const struct setup *old, const struct config *config, unsigned worker_count,
                   struct listening **ret_listening)
{
    struct listening *list = memory_new_array(config->listener_count, sizeof(*list));

    *ret_listening = list;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listening *open = find_open(old, &config->listeners[i]);
        if (open != NULL)
            list[i] = *open;
        list[i].name = memory_copy_string(config->listeners[i].name);
        if (open != NULL)
            continue;
        list[i].wanted = config->listeners[i].address;
        int error = open_all(&list[i], worker_count);
        if (error < 0) {
            log_failure(&list[i], error);
            return error;
        }
    }
    return 0;
}
