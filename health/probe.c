#include "probe.h"

#include "base/address.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/list.h"
#include "base/script.h"
#include "tls_files.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* --- results -------------------------------------------------------------------------------- */

/* Backends and scripts have a say in it: only printable ASCII passes. */
static void make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

__attribute__((format(printf, 2, 3))) static void fail(struct probe *probe, const char *format, ...)
{
    va_list arguments;

    probe->result.passed = false;
    va_start(arguments, format);
    vsnprintf(probe->result.reason, sizeof(probe->result.reason), format, arguments);
    va_end(arguments);
    make_printable(probe->result.reason);
}

static void close_connect(struct probe *probe)
{
    if (probe->connect.fd < 0)
        return;
    ev_io_stop(probe->tools->loop, &probe->connect);
    close(probe->connect.fd);
    probe->connect.fd = -1;
}

/* Tells the result that stands in probe->result. */
static void finish(struct probe *probe)
{
    struct probe_result result;
    uint64_t took_us = clock_us() - probe->started_us;

    check(probe->running);
    timer_stop(probe->tools->loop, &probe->timeout);
    close_connect(probe);
    probe->request = NULL;
    probe->script = NULL;
    probe->running = false;
    result = probe->result;
    result.latency_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
    probe->on_done(probe, &result);
}

/* For results that are there before probe_start() returns. */
static void finish_soon(struct probe *probe)
{
    probe->has_result = true;
    timer_start(probe->tools->loop, &probe->timeout, 0);
}

static void on_timeout(struct timer *timer)
{
    struct probe *probe = container_of(timer, struct probe, timeout);

    if (!probe->has_result)
        fail(probe, "no answer within %u ms", probe->timeout_ms);
    if (probe->script != NULL) {
        probe->timed_out = true;
        script_kill(probe->script); /* its end tells the result */
        return;
    }
    finish(probe);
}

/* --- HTTP ----------------------------------------------------------------------------------- */

static void judge_status(struct probe *probe, unsigned status)
{
    if (status >= probe->status_min && status <= probe->status_max)
        probe->result.passed = true;
    else if (probe->status_min == probe->status_max)
        fail(probe, "status %u, wanted %u", status, probe->status_min);
    else
        fail(probe, "status %u, wanted %u-%u", status, probe->status_min, probe->status_max);
}

static void judge_body(struct probe *probe, struct slice body)
{
    size_t wanted = strlen(probe->body);

    if (wanted > 0 &&
        memmem(body.data != NULL ? body.data : "", body.length, probe->body, wanted) == NULL)
        fail(probe, "body lacks \"%.80s\"", probe->body);
}

static void on_answer(void *context, const struct http_answer *answer)
{
    struct probe *probe = context;
    bool cut = answer->error == -EMSGSIZE && answer->body.length == PROBE_BODY_BYTES;

    if (!probe->running || probe->request == NULL)
        return; /* stopped */
    if (answer->error == 0 || cut) {
        judge_status(probe, answer->status);
        if (probe->result.passed)
            judge_body(probe, answer->body);
    } else if (answer->error == -ETIMEDOUT) {
        fail(probe, "no answer within %u ms", probe->timeout_ms);
    } else if (answer->error == -EIO || answer->error == -EMSGSIZE) {
        fail(probe, "%s", answer->detail);
    } else {
        fail(probe, "connect: %s", strerror(-answer->error));
    }
    finish(probe);
}

/* The name that the backend's certificate must have; false: its address, as the URL has it. */
static bool name_of(const struct probe_subject *subject, char name[256])
{
    const char *told = subject->tls != NULL ? subject->tls->name : NULL;
    struct slice host = slice_from_string(told != NULL ? told : subject->backend->name);
    const char *colon = told == NULL ? strrchr(subject->backend->name, ':') : NULL;
    struct address address;

    if (subject->tls == NULL)
        return false;
    if (colon != NULL)
        host.length = (size_t)(colon - subject->backend->name);
    if (host.length == 0 || host.data[0] == '[' || address_from_ip(host, 0, &address) == 0)
        return told != NULL && slice_copy_string(host, name, 256);
    return slice_copy_string(host, name, 256);
}

static void copy_expectations(struct probe *probe, const struct routing_check *wanted)
{
    probe->status_min = wanted->status_min;
    probe->status_max = wanted->status_max;
    slice_copy_string((struct slice){wanted->body, strnlen(wanted->body, sizeof(wanted->body))},
                      probe->body, sizeof(probe->body));
}

static void start_http(struct probe *probe, const struct probe_subject *subject)
{
    const struct routing_check *wanted = subject->check;
    char url[sizeof("https://:65535") + 256 + sizeof(wanted->path)];
    char host[sizeof("Host: ") + sizeof(wanted->host)];
    char address[ADDRESS_TEXT_BYTES], place[sizeof("::") + ADDRESS_TEXT_BYTES], name[256];
    bool named = name_of(subject, name);
    const char *headers[] = {host, NULL};
    struct http_request_options options = {
        .method = "GET",
        .url = url,
        .headers = wanted->host[0] != '\0' || named ? headers : NULL,
        .tls = subject->tls != NULL ? &subject->tls->http : NULL,
        .connect_to = named ? place : NULL,
        .timeout_ms = probe->timeout_ms,
        .max_bytes = PROBE_BODY_BYTES,
        .says_proxy = subject->proxy_protocol != SEND_PROXY_PROTOCOL_NONE,
        .fresh_connection = true,
        .on_done = on_answer,
        .context = probe,
    };

    if (subject->tls != NULL && subject->tls->reason[0] != '\0') {
        fail(probe, "%.120s", subject->tls->reason);
        finish_soon(probe);
        return;
    }
    address_format(&subject->backend->address, address);
    snprintf(place, sizeof(place), "::%s", address);
    if (named)
        snprintf(url, sizeof(url), "https://%s:%u%.*s", name, subject->backend->address.port,
                 (int)sizeof(wanted->path), wanted->path);
    else
        snprintf(url, sizeof(url), "http%s://%s%.*s", subject->tls != NULL ? "s" : "", address,
                 (int)sizeof(wanted->path), wanted->path);
    if (wanted->host[0] != '\0')
        snprintf(host, sizeof(host), "Host: %.*s", (int)sizeof(wanted->host), wanted->host);
    else
        snprintf(host, sizeof(host), "Host: %s", address);
    copy_expectations(probe, wanted);
    probe->request = http_client_start(probe->tools->client, &options);
    if (probe->request == NULL) {
        fail(probe, "not a URL: %.90s", url);
        finish_soon(probe);
    }
}

/* --- TCP ------------------------------------------------------------------------------------ */

/* Speaks for nobody, or backends that wait for a header would log every check as broken. That it
 * cannot be sent shows nothing that the connect did not: the backend may have closed at once. */
static void send_header(struct probe *probe, int fd)
{
    static const char unknown[] = "PROXY UNKNOWN\r\n";
    static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0"; /* and its own last 0 */
    ssize_t sent = 0;

    if (probe->proxy_protocol == SEND_PROXY_PROTOCOL_V1)
        sent = send(fd, unknown, sizeof(unknown) - 1, MSG_NOSIGNAL);
    else if (probe->proxy_protocol == SEND_PROXY_PROTOCOL_V2)
        sent = send(fd, local, sizeof(local), MSG_NOSIGNAL);
    (void)sent;
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events)
{
    struct probe *probe = container_of(io, struct probe, connect);
    int error = 0;
    socklen_t length = sizeof(error);

    (void)loop;
    (void)events;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error == 0) {
        send_header(probe, io->fd);
        probe->result.passed = true;
    } else {
        fail(probe, "connect: %s", strerror(error));
    }
    finish(probe);
}

static void start_tcp(struct probe *probe, const struct probe_subject *subject)
{
    struct sockaddr_storage storage;
    socklen_t length = address_to_sockaddr(&subject->backend->address, &storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        fail(probe, "socket: %s", strerror(errno));
        finish_soon(probe);
        return;
    }
    probe->proxy_protocol = subject->proxy_protocol;
    ev_io_set(&probe->connect, fd, EV_WRITE);
    if (connect(fd, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS) {
        fail(probe, "connect: %s", strerror(errno));
        finish_soon(probe);
        return;
    }
    ev_io_start(probe->tools->loop, &probe->connect);
    timer_start(probe->tools->loop, &probe->timeout, probe->timeout_ms);
}

/* --- scripts -------------------------------------------------------------------------------- */

static struct slice first_line(struct slice output)
{
    const char *end = output.length > 0 ? memchr(output.data, '\n', output.length) : NULL;

    if (end != NULL)
        output.length = (size_t)(end - output.data);
    return slice_trim(output);
}

static void on_script_end(void *context, int status, struct slice output)
{
    struct probe *probe = context;
    struct slice line = first_line(output);

    if (probe->timed_out)
        fail(probe, "script killed after %u ms", probe->timeout_ms);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        probe->result.passed = true;
    else if (WIFSIGNALED(status))
        fail(probe, "script ended by signal %d", WTERMSIG(status));
    else if (line.length > 0)
        fail(probe, "%.*s", (int)line.length, line.data);
    else
        fail(probe, "script ended with status %d", WEXITSTATUS(status));
    finish(probe);
}

static void start_script(struct probe *probe, const struct probe_subject *subject)
{
    const struct routing_backend *backend = subject->backend;
    char address[ADDRESS_TEXT_BYTES], ip[ADDRESS_TEXT_BYTES];
    char lines[6][128];
    char path[] = SCRIPT_PATH;
    char *environment[] = {path, lines[0], lines[1], lines[2], lines[3], lines[4], lines[5], NULL};
    struct script_options options = {.argv = subject->argv,
                                     .environment = environment,
                                     .running = probe->tools->scripts,
                                     .on_end = on_script_end,
                                     .context = probe};
    int error;

    if (subject->argv == NULL || subject->argv[0] == NULL) {
        fail(probe, "the configuration has no script for this service");
        finish_soon(probe);
        return;
    }
    address_format(&backend->address, address);
    address_format_ip(&backend->address, ip);
    snprintf(lines[0], sizeof(lines[0]), "SLUICE_SERVICE=%s", subject->service);
    snprintf(lines[1], sizeof(lines[1]), "SLUICE_BACKEND_ADDRESS=%s", address);
    snprintf(lines[2], sizeof(lines[2]), "SLUICE_BACKEND_HOST=%s", ip);
    snprintf(lines[3], sizeof(lines[3]), "SLUICE_BACKEND_PORT=%u", backend->address.port);
    snprintf(lines[4], sizeof(lines[4]), "SLUICE_BACKEND_NAME=%.*s", (int)sizeof(backend->name),
             backend->name);
    snprintf(lines[5], sizeof(lines[5]), "SLUICE_BACKEND_GROUP=%s",
             group_name(backend->group < GROUP_COUNT ? backend->group : GROUP_STABLE));
    error = script_start(probe->tools->loop, &options, &probe->script);
    if (error != 0) {
        fail(probe, "cannot start the script: %s", strerror(-error));
        finish_soon(probe);
        return;
    }
    timer_start(probe->tools->loop, &probe->timeout, probe->timeout_ms);
}

/* --- life ----------------------------------------------------------------------------------- */

void probe_init(struct probe *probe, const struct probe_tools *tools,
                void (*on_done)(struct probe *probe, const struct probe_result *result))
{
    *probe = (struct probe){.tools = tools, .on_done = on_done};
    timer_init(&probe->timeout, on_timeout);
    ev_init(&probe->connect, on_connect);
    probe->connect.fd = -1;
}

void probe_start(struct probe *probe, const struct probe_subject *subject)
{
    check(!probe->running);
    probe->running = true;
    probe->timed_out = probe->has_result = false;
    probe->started_us = clock_us();
    probe->timeout_ms = subject->check->timeout_ms > 0 ? subject->check->timeout_ms : 1;
    probe->result = (struct probe_result){.passed = false};
    switch (subject->check->kind) {
    case CHECK_HTTP:
        start_http(probe, subject);
        break;
    case CHECK_TCP:
        start_tcp(probe, subject);
        break;
    case CHECK_SCRIPT:
        start_script(probe, subject);
        break;
    default:
        fail(probe, "unknown kind of check");
        finish_soon(probe);
        break;
    }
}

void probe_stop(struct probe *probe)
{
    struct http_request *request = probe->request;

    if (!probe->running)
        return;
    probe->running = false;
    probe->request = NULL;
    timer_stop(probe->tools->loop, &probe->timeout);
    close_connect(probe);
    if (probe->script != NULL)
        script_abandon(probe->script);
    probe->script = NULL;
    if (request != NULL)
        http_request_cancel(request);
}
