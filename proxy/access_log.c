#include "access_log.h"

#include "access_line.h"
#include "base/log.h"
#include "base/memory.h"
#include "http1.h"
#include "worker.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct access_log {
    struct worker *worker;
    const struct config_access_log *config;
    int fd; /* -1: has not come yet */
    bool is_socket;
    int error;     /* of the last write; 0: it went well */
    bool cut;      /* the last line that was written lacks its end */
    uint64_t lost; /* lines since it went wrong */
    struct access_clock clock;
    ev_io channel;
    size_t length;
    char buffer[ACCESS_LOG_BYTES_MAX];
};

/* --- writing ------------------------------------------------------------------------------ */

static uint64_t count_lines(const char *bytes, size_t length)
{
    uint64_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += bytes[i] == '\n';
    return count;
}

static ssize_t write_some(const struct access_log *log, const char *bytes, size_t length)
{
    return log->is_socket ? send(log->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL)
                          : write(log->fd, bytes, length);
}

/* Told when it begins and when it is over. A stderr that takes nothing would not take this. */
static void tell(struct access_log *log, int error)
{
    struct log_line line;

    if ((log->error != 0) == (error != 0))
        return;
    log->error = error;
    if (error != 0 && log->config->file == NULL)
        return;
    log_begin(&line, LOG_ERROR, error != 0 ? "access-log-fails" : "access-log-works-again");
    log_string(&line, "file", log->config->file);
    if (error != 0)
        log_errno(&line, error);
    else
        log_u64(&line, "lost", log->lost);
    log_end(&line);
    log->lost = 0;
}

static void lose(struct access_log *log, const char *bytes, size_t length, int error)
{
    uint64_t lines = count_lines(bytes, length);

    score_add(&log->worker->row->access_log_lost, lines);
    tell(log, error);
    log->lost += lines;
}

/* A line that a full disk cut is ended before the next, which must not become its tail. */
static bool end_cut_line(struct access_log *log)
{
    if (log->cut && write_some(log, "\n", 1) != 1)
        return false;
    log->cut = false;
    return true;
}

void access_log_flush(struct access_log *log)
{
    size_t length = log->length, done = 0;
    ssize_t written = -1;
    bool is_full = length > sizeof(log->buffer) - ACCESS_LINE_BYTES_MAX;

    if (length == 0 || (log->fd < 0 && !is_full))
        return;
    log->length = 0;
    errno = ENOENT; /* of a file that has not come */
    if (log->fd >= 0 && end_cut_line(log))
        written = write_some(log, log->buffer, length);
    int error = written < 0 ? errno : ENOSPC;
    if (written > 0) {
        done = (size_t)written;
        log->cut = log->buffer[done - 1] != '\n';
    }
    if (done < length)
        lose(log, log->buffer + done, length - done, error);
    else
        tell(log, 0);
}

static void add(struct access_log *log, const struct access_record *record)
{
    if (sizeof(log->buffer) - log->length < ACCESS_LINE_BYTES_MAX)
        access_log_flush(log);
    log->length += access_line_write(log->buffer + log->length, log->config->format,
                                     log->config->query, &log->clock, clock_wall_ms(), record);
    if (log->config->file == NULL)
        access_log_flush(log);
}

/* --- what is written ---------------------------------------------------------------------- */

/* Faults of backends and our own are logged always; what strangers can cause as often as they like
 * is not, or a flood of it would go around `sample`. */
static bool is_fault(unsigned status, enum exchange_why why)
{
    return status >= 500 || why == WHY_NO_BACKEND || why == WHY_CONNECT_FAILED ||
           why == WHY_BAD_RESPONSE || why == WHY_BACKEND_BROKE || why == WHY_RESPONSE_TIMEOUT ||
           why == WHY_MEMORY || why == WHY_STOPPED || why == WHY_RETRY_BUDGET;
}

static bool is_sampled(const struct access_log *log)
{
    return log->config->sample == WEIGHT_MAX ||
           worker_random(log->worker) % WEIGHT_MAX < log->config->sample;
}

static void fill_times(const struct exchange *x, struct access_record *record)
{
    record->queue_us = record->connect_us = record->first_byte_us = ACCESS_NONE;
    record->total_us = x->worker->now_us - x->started_us;
    if (x->placed_us != 0)
        record->queue_us = x->placed_us - x->started_us;
    if (x->connected_us != 0)
        record->connect_us = x->connected_us - x->placed_us;
    if (x->answered_us != 0 && x->kind != KIND_TCP)
        record->first_byte_us = x->answered_us - x->connected_us;
}

void access_log_exchange(const struct exchange *x, enum exchange_why why)
{
    struct worker *worker = x->worker;
    struct access_log *log = worker->access_log;
    unsigned status = why == WHY_CLIENT_CLOSED && x->status == 0 ? 499 : x->status;

    if (log == NULL || (!is_fault(status, why) && !is_sampled(log)))
        return;
    struct access_record record = {
        .event = "exchange",
        .id = x->id,
        .kind = exchange_kind_name(x->kind),
        .client = x->client,
        .service = exchange_service(x)->name,
        .status = status,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .body_bytes = x->bytes_in - x->head_bytes_in,
        .tries = x->join_count,
        .why = exchange_why_name(why),
    };
    if (x->placed_us != 0) {
        record.group = group_name(x->group);
        record.backend = worker->table.backends[x->slot].name;
    }
    if (x->protocol->describe != NULL)
        x->protocol->describe(x, log->config->format == ACCESS_COMBINED, &record.request);
    fill_times(x, &record);
    add(log, &record);
}

static void describe_refused(const struct http1_request *request, struct access_request *ret)
{
    ret->method = request->method_text;
    ret->target = request->path;
    ret->host = request->host;
    ret->minor_version = request->minor_version;
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (slice_equals_ignoring_case(field->name, SLICE("referer")))
            ret->referer = field->value;
        else if (slice_equals_ignoring_case(field->name, SLICE("user-agent")))
            ret->user_agent = field->value;
    }
}

void access_log_refused(struct worker *worker, const struct address *client,
                        const struct http1_request *request, unsigned status, const char *why)
{
    struct access_log *log = worker->access_log;
    struct access_record record = {
        .event = "request-refused", .client = *client, .status = status, .why = why};

    if (log == NULL || (status < 500 && !is_sampled(log)))
        return;
    if (request != NULL)
        describe_refused(request, &record.request);
    add(log, &record);
}

void access_log_refused_connection(struct worker *worker, const struct address *client,
                                   const char *why)
{
    struct access_record record = {.event = "connection-refused", .client = *client, .why = why};

    if (worker->access_log != NULL && is_sampled(worker->access_log))
        add(worker->access_log, &record);
}

/* --- where it goes -------------------------------------------------------------------------- */

/* The old one is closed first: so there is room for the new one even where no descriptor is left.
 */
static void on_channel(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct access_log *log = container_of(watcher, struct access_log, channel);
    char byte;
    ssize_t got = recv(watcher->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    (void)events;
    if (got == 0)
        ev_io_stop(loop, watcher); /* the supervisor has died, and we shall */
    if (got <= 0)
        return;
    access_log_flush(log);
    if (log->fd >= 0)
        close(log->fd);
    log->fd = descriptor_receive(watcher->fd);
    log->cut = false;
}

/* A pipe or terminal is opened anew, for it must not block and the old one is everybody's. */
static int open_stderr(struct access_log *log)
{
    struct stat status;

    if (fstat(STDERR_FILENO, &status) < 0)
        return STDERR_FILENO;
    log->is_socket = S_ISSOCK(status.st_mode);
    if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
        return STDERR_FILENO;
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? STDERR_FILENO : fd;
}

void access_log_open(struct worker *worker)
{
    const struct config_access_log *config = &worker->config->access_log;

    if (!config->on)
        return;
    struct access_log *log = memory_new(sizeof(*log));
    worker->access_log = log;
    log->worker = worker;
    log->config = config;
    log->fd = -1;
    if (config->file == NULL) {
        log->fd = open_stderr(log);
        return;
    }
    if (fcntl(DESCRIPTOR_LOG_CHANNEL, F_GETFD) < 0)
        return; /* the supervisor said why: the lines are counted as lost */
    ev_io_init(&log->channel, on_channel, DESCRIPTOR_LOG_CHANNEL, EV_READ);
    ev_io_start(worker->loop, &log->channel);
    on_channel(worker->loop, &log->channel, EV_READ); /* the first is there already */
}

void access_log_close(struct worker *worker)
{
    struct access_log *log = worker->access_log;

    if (log == NULL)
        return;
    access_log_flush(log);
    if (log->fd > STDERR_FILENO)
        close(log->fd);
    free(log);
    worker->access_log = NULL;
}
