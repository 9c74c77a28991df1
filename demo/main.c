/* sluice-demo [NAME=VALUE ...] | sluice-demo check
 *
 *   VERSION     what it says it is; default v1
 *   PORT        HTTP; default 8080; 0: any, told in the first line
 *   TCP_PORT    TCP echo; default 9000; 0: any
 *   HEALTH      ok | fail | slow | fail-after=SECONDS
 *   FAIL        per cent of the answers of / that are 500, evenly spread; default 0
 *   DELAY_MS    before each answer of /; default 0
 *   LOG_ENDS    1: a line on stdout when an exchange ends
 *
 * SIGTERM and SIGINT: accepts no more, ends when nothing is in flight, after 5 s at the latest. */
#include "demo.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOP_US (5 * 1000 * 1000)

struct settings settings;

static atomic_bool stopping;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle; /* on CLOCK_MONOTONIC */
static unsigned active;     /* exchanges; under the mutex */

uint64_t monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void sleep_ms(uint64_t ms)
{
    struct timespec wait = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    while (nanosleep(&wait, &wait) < 0 && errno == EINTR)
        ;
}

void log_line(const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length;
    size = size < sizeof(line) - 1 ? size : sizeof(line) - 2;
    line[size++] = '\n';
    if (write(STDOUT_FILENO, line, size) < 0)
        return; /* nobody reads: no reason to stop serving */
}

bool is_stopping(void)
{
    return atomic_load(&stopping);
}

void exchange_begin(void)
{
    pthread_mutex_lock(&mutex);
    active++;
    pthread_mutex_unlock(&mutex);
}

void exchange_end(const char *kind, const char *path)
{
    if (settings.log_ends)
        log_line("end kind=%s monotonic_us=%" PRIu64 " path=%.200s", kind, monotonic_us(), path);
    pthread_mutex_lock(&mutex);
    if (--active == 0)
        pthread_cond_signal(&idle);
    pthread_mutex_unlock(&mutex);
}

struct service {
    int fd;
    void (*serve)(struct connection *connection);
    struct connection connection;
};

static void *connection_thread(void *argument)
{
    struct service *service = argument;

    service->serve(&service->connection);
    shutdown(service->connection.fd, SHUT_RDWR);
    close(service->connection.fd);
    free(service);
    return NULL;
}

static void accept_one(const struct service *listener, const pthread_attr_t *attributes)
{
    int one = 1;
    pthread_t thread;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            sleep_ms(50);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct service *service = calloc(1, sizeof(*service));
    if (service != NULL) {
        service->serve = listener->serve;
        service->connection.fd = fd;
    }
    if (service == NULL || pthread_create(&thread, attributes, connection_thread, service) != 0) {
        close(fd);
        free(service);
    }
}

/* On every address, IPv4 and, where there is one, IPv6. Returns the port, 0 on failure. */
static uint16_t listen_on(uint16_t port, int *ret_fd)
{
    int one = 1, zero = 0;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof(bound);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool v6 = fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) == 0;

    if (v6) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        v6 = bind(fd, (struct sockaddr *)(void *)&in6, sizeof(in6)) == 0;
    }
    if (!v6) {
        if (fd >= 0)
            close(fd);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return 0;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)(void *)&in, sizeof(in)) < 0)
            return 0;
    }
    if (listen(fd, 1024) < 0 || getsockname(fd, (struct sockaddr *)(void *)&bound, &length) < 0)
        return 0;
    *ret_fd = fd;
    /* The port lies at the same place in both. */
    return ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port);
}

static uint16_t port_setting(const char *name, uint16_t fallback)
{
    const char *text = getenv(name);
    char *end = NULL;

    if (text == NULL || *text == '\0')
        return fallback;
    unsigned long port = strtoul(text, &end, 10);
    if (*end != '\0' || port > UINT16_MAX) {
        fprintf(stderr, "sluice-demo: %s: found %s, allowed 0 to 65535\n", name, text);
        exit(2);
    }
    return (uint16_t)port;
}

static uint32_t number_setting(const char *name, uint32_t max)
{
    const char *text = getenv(name);
    char *end = NULL;

    if (text == NULL || *text == '\0')
        return 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number > max) {
        fprintf(stderr, "sluice-demo: %s: found %s, allowed 0 to %u\n", name, text, max);
        exit(2);
    }
    return (uint32_t)number;
}

static void read_settings(void)
{
    const char *version = getenv("VERSION");
    const char *health = getenv("HEALTH");
    const char *log_ends = getenv("LOG_ENDS");

    settings.version = version == NULL || *version == '\0' ? "v1" : version;
    settings.fail_percent = number_setting("FAIL", 100);
    settings.delay_ms = number_setting("DELAY_MS", 60000);
    settings.log_ends = log_ends != NULL && strcmp(log_ends, "1") == 0;
    if (gethostname(settings.hostname, sizeof(settings.hostname) - 1) < 0)
        settings.hostname[0] = '\0';
    if (health == NULL || *health == '\0' || strcmp(health, "ok") == 0) {
        settings.health = HEALTH_OK;
    } else if (strcmp(health, "fail") == 0) {
        settings.health = HEALTH_FAIL;
    } else if (strcmp(health, "slow") == 0) {
        settings.health = HEALTH_SLOW;
    } else if (strncmp(health, "fail-after=", 11) == 0) {
        settings.health = HEALTH_FAIL_AFTER;
        settings.fail_after_us = monotonic_us() + strtoull(health + 11, NULL, 10) * 1000000;
    } else {
        fprintf(stderr, "sluice-demo: HEALTH: found %s, allowed ok, fail, slow, fail-after=N\n",
                health);
        exit(2);
    }
}

static void wait_until_idle(void)
{
    uint64_t end_us = monotonic_us() + STOP_US;
    struct timespec end = {(time_t)(end_us / 1000000), (long)(end_us % 1000000) * 1000};

    pthread_mutex_lock(&mutex);
    log_line("sigterm monotonic_us=%" PRIu64 " active=%u", monotonic_us(), active);
    while (active > 0 && pthread_cond_timedwait(&idle, &mutex, &end) != ETIMEDOUT)
        ;
    log_line("exit monotonic_us=%" PRIu64 " active=%u", monotonic_us(), active);
    pthread_mutex_unlock(&mutex);
}

static void serve_until_signal(struct service listeners[2], int signals)
{
    pthread_attr_t attributes;
    struct pollfd waits[3] = {{.fd = listeners[0].fd, .events = POLLIN},
                              {.fd = listeners[1].fd, .events = POLLIN},
                              {.fd = signals, .events = POLLIN}};

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    while ((waits[2].revents & POLLIN) == 0) {
        if (poll(waits, 3, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if ((waits[i].revents & POLLIN) != 0)
                accept_one(&listeners[i], &attributes);
    }
}

int main(int argc, char **argv)
{
    struct service listeners[2] = {{.serve = http_serve}, {.serve = tcp_serve}};
    pthread_condattr_t monotonic;
    sigset_t set;

    for (int i = 1; i < argc; i++)
        if (strchr(argv[i], '=') != NULL)
            putenv(argv[i]);
    uint16_t port = port_setting("PORT", 8080);
    uint16_t tcp_port = port_setting("TCP_PORT", 9000);
    if (argc == 2 && strcmp(argv[1], "check") == 0)
        return check_run(port);
    read_settings();
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&idle, &monotonic);
    /* As process 1 a signal without handler is ignored, so they are read, in no thread but this. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    port = listen_on(port, &listeners[0].fd);
    if (port == 0) {
        fprintf(stderr, "sluice-demo: PORT: %s\n", strerror(errno));
        return 1;
    }
    tcp_port = listen_on(tcp_port, &listeners[1].fd);
    if (tcp_port == 0) {
        fprintf(stderr, "sluice-demo: TCP_PORT: %s\n", strerror(errno));
        return 1;
    }
    log_line("listening port=%u tcp_port=%u version=%s", port, tcp_port, settings.version);
    serve_until_signal(listeners, signals);
    atomic_store(&stopping, true);
    close(listeners[0].fd);
    close(listeners[1].fd);
    wait_until_idle();
    _exit(0); /* threads of idle connections still run */
}
