#include "worker.h"

#include "access_log.h"
#include "admission.h"
#include "adoption.h"
#include "base/check.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "board/tickets.h"
#include "client.h"
#include "drain.h"
#include "ends.h"
#include "error_pages.h"
#include "file_check.h"
#include "holds.h"
#include "http1.h"
#include "listener.h"
#include "mirror.h"
#include "queue.h"
#include "relay.h"
#include "rotation.h"
#include "tls.h"
#include "tls_backend.h"
#include "upstream.h"
#include "user_key.h"

#include <sys/random.h>
#include <sys/resource.h>

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TICK_SECONDS 1.0

/* --- for the others ----------------------------------------------------------------------- */

void worker_doom(struct worker *worker, struct doomed *doomed)
{
    list_append(&worker->doomed, &doomed->node);
}

void worker_count_connection(struct worker *worker, int change)
{
    worker->connection_count = (uint32_t)((int64_t)worker->connection_count + change);
    if (worker->accept_waits && !worker->accept_held)
        listeners_resume(worker);
}

/* --- each turn, each second --------------------------------------------------------------- */

static void on_turn(struct ev_loop *loop, ev_check *watcher, int events)
{
    struct worker *worker = container_of(watcher, struct worker, clock_watcher);

    (void)loop;
    (void)events;
    worker->now_us = clock_us();
    worker->now_ms = worker->now_us / 1000;
}

static void on_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct worker *worker = container_of(watcher, struct worker, reaper);

    (void)events;
    if (worker->queue_due)
        queue_turn(worker);
    mirror_turn(worker);
    pressure_check(worker, &worker->pressure);
    while (!list_is_empty(&worker->doomed)) {
        struct doomed *doomed = container_of(list_take_first(&worker->doomed), struct doomed, node);
        doomed->free(doomed);
    }
    if (worker->holds_changed && worker->now_us >= worker->holds_due_us)
        holds_publish(worker);
    if (worker->stopping && worker->connection_count == 0)
        ev_break(loop, EVBREAK_ALL);
}

static void renew_date(struct worker *worker)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct worker *worker = container_of(watcher, struct worker, tick);

    (void)loop;
    (void)events;
    score_set(&worker->row->heartbeat_ms, clock_ms());
    scoreboard_look(&worker->scores);
    score_set(&worker->row->memory_held, held_bytes());
    renew_date(worker);
    adoption_check(worker);
    rotation_tick(worker);
    queue_wake(worker);
    for (size_t i = 0; i < worker->config->service_count; i++)
        retry_budget_forget(&worker->retry_budgets[i]);
    if (worker->table.draining_count > 0)
        worker->holds_changed = true;
    if (worker->access_log != NULL)
        access_log_flush(worker->access_log);
    ends_look_again(worker);
    if (worker->stopping)
        drain_end_overdue(worker);
}

static void on_bell(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct worker *worker = container_of(watcher, struct worker, bell);

    (void)loop;
    (void)events;
    bell_clear(watcher->fd);
    adoption_check(worker);
    if (rotation_is_stale(worker))
        rotation_renew_all(worker);
    queue_wake(worker);
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct worker *worker = container_of(watcher, struct worker, terminate);

    (void)loop;
    (void)events;
    drain_stop(worker);
}

static void on_retire(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    drain_retire(container_of(watcher, struct worker, retire));
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

/* --- start -------------------------------------------------------------------------------- */

struct arguments {
    unsigned row, rows, slot, generation;
    unsigned tolerate; /* so many files for TLS may be unusable, no more: else it is to refuse */
};

static int parse_arguments(int argc, char **argv, struct arguments *ret_arguments)
{
    static const struct option options[] = {
        {"row", required_argument, NULL, 'r'},      {"rows", required_argument, NULL, 'n'},
        {"slot", required_argument, NULL, 's'},     {"generation", required_argument, NULL, 'g'},
        {"tolerate", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.tolerate = UINT32_MAX};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t value;
        if (option == '?' || slice_to_u64(slice_from_string(optarg), &value) < 0 ||
            value > UINT32_MAX)
            return -EINVAL;
        *(option == 'r'   ? &arguments.row
          : option == 'n' ? &arguments.rows
          : option == 's' ? &arguments.slot
          : option == 't' ? &arguments.tolerate
                          : &arguments.generation) = (unsigned)value;
    }
    if (arguments.rows == 0 || arguments.rows > ROWS_MAX || arguments.row >= arguments.rows)
        return -EINVAL;
    *ret_arguments = arguments;
    return 0;
}

static int map_boards(struct worker *worker, unsigned row_count)
{
    int error = routing_board_map(DESCRIPTOR_ROUTING, false, &worker->routing);

    if (error == 0)
        error = verdicts_board_map(DESCRIPTOR_VERDICTS, false, &worker->verdicts);
    if (error == 0)
        error = tickets_board_map(DESCRIPTOR_TICKETS, false, &worker->tickets);
    if (error == 0)
        error = scoreboard_map(&worker->scores, DESCRIPTOR_ROW_FIRST, row_count,
                               (int)worker->row_index);
    if (error == 0)
        worker->row = worker->scores.rows[worker->row_index];
    return error;
}

/* As many descriptors as this process may have. Returns the highest for a client's connection. */
static int raise_descriptor_limit(void)
{
    struct rlimit limit, raised;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max > INT_MAX)
        return INT_MAX;
    raised = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) < 0)
        log_event(LOG_WARNING, "descriptor-limit-stays", NULL, NULL);
    else
        limit = raised;
    return (int)(limit.rlim_cur - limit.rlim_cur / DESCRIPTOR_SHARE_KEPT);
}

/* What the supervisor gives a worker (base/descriptors.h). */
static bool is_given(void *context, int fd)
{
    const struct worker *worker = context;
    int row = fd - DESCRIPTOR_ROW_FIRST, listener = fd - DESCRIPTOR_LISTENER_FIRST;

    return fd < DESCRIPTOR_CONFIG || fd == DESCRIPTOR_CONFIG || fd == DESCRIPTOR_ROUTING ||
           fd == DESCRIPTOR_VERDICTS || fd == DESCRIPTOR_TICKETS || fd == DESCRIPTOR_BELL_UPDATER ||
           fd == DESCRIPTOR_READY || (row >= 0 && row < (int)worker->row_count) ||
           fd == DESCRIPTOR_BELL_ROW_FIRST + (int)worker->row_index ||
           (worker->config->access_log.file != NULL && fd == DESCRIPTOR_LOG_CHANNEL) ||
           (listener >= 0 && listener < (int)worker->config->listener_count);
}

/* Something that leaked through an exec would be within reach of whoever takes this process over.
 */
static int refuse_strange_descriptors(struct worker *worker)
{
    struct log_line line;
    int fd = -1;
    int error = descriptors_check(is_given, worker, &fd);

    if (error == -EEXIST) {
        log_begin(&line, LOG_ERROR, "strange-descriptor");
        log_u64(&line, "descriptor", (uint64_t)fd);
        log_end(&line);
    }
    return error;
}

static void init_lists(struct worker *worker)
{
    for (unsigned i = 0; i < EXCHANGE_STATE_COUNT; i++)
        list_init(&worker->exchanges[i]);
    queue_init(worker);
    ends_init(worker);
    list_init(&worker->clients);
    list_init(&worker->prefaces);
    list_init(&worker->doomed);
    list_init(&worker->free_relays);
    list_init(&worker->mirrors_due);
    list_init(&worker->mirrors);
}

static void start_watchers(struct worker *worker)
{
    ev_check_init(&worker->clock_watcher, on_turn);
    ev_set_priority(&worker->clock_watcher, EV_MAXPRI); /* before everything of its turn */
    ev_check_start(worker->loop, &worker->clock_watcher);
    ev_prepare_init(&worker->reaper, on_turn_end);
    ev_prepare_start(worker->loop, &worker->reaper);
    ev_timer_init(&worker->tick, on_tick, TICK_SECONDS, TICK_SECONDS);
    ev_timer_start(worker->loop, &worker->tick);
    ev_io_init(&worker->bell, on_bell, DESCRIPTOR_BELL_ROW_FIRST + (int)worker->row_index, EV_READ);
    ev_io_start(worker->loop, &worker->bell);
    ev_signal_init(&worker->terminate, on_terminate, SIGTERM);
    ev_signal_start(worker->loop, &worker->terminate);
    ev_signal_init(&worker->retire, on_retire, SIGQUIT);
    ev_signal_start(worker->loop, &worker->retire);
    ev_signal_init(&worker->hangup, on_hangup, SIGHUP);
    ev_signal_start(worker->loop, &worker->hangup);
}

static bool needs_user_key(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].sticky.kind != STICKY_NONE ||
            config->services[i].hash.kind != HASH_NONE)
            return true;
    return false;
}

static int worker_open(struct worker *worker, const struct arguments *arguments)
{
    worker->row_index = arguments->row;
    worker->row_count = arguments->rows;
    worker->slot = arguments->slot;
    init_lists(worker);
    if (getrandom(&worker->random_state, sizeof(worker->random_state), 0) < 0)
        return -errno;
    worker->random_state |= 1;
    int error = config_read_fd(DESCRIPTOR_CONFIG, &worker->config);
    if (error == 0)
        error = refuse_strange_descriptors(worker);
    if (error == 0)
        error = map_boards(worker, arguments->rows);
    if (error < 0)
        return error;
    worker->loop = ev_loop_new(EVBACKEND_EPOLL);
    if (worker->loop == NULL)
        return -ENOMEM;
    worker->hub = stream_hub_new(worker->loop, READ_BYTES_MAX);
    if (worker->hub == NULL)
        return -ENOMEM;
    unsigned pipes = (unsigned)worker->accept_fd_max / DESCRIPTORS_PER_PIPE;
    stream_hub_set_pipes(worker->hub, pipes < PIPES_MAX ? pipes : PIPES_MAX, PIPE_BYTES);
    if (needs_user_key(worker->config) && (worker->user_key = user_key_new()) == NULL)
        return -ENOMEM;
    worker->published = memory_new(sizeof(*worker->published));
    worker->request = memory_new(sizeof(*worker->request));
    worker->response = memory_new(sizeof(*worker->response));
    worker->head = memory_new(HEAD_OUT_BYTES_MAX);
    route_table_init(&worker->routes, worker->config);
    table_init(&worker->table, worker);
    on_turn(worker->loop, &worker->clock_watcher, 0);
    renew_date(worker);
    tls_backends_open(worker);
    access_log_open(worker);
    worker->pages = error_pages_open(worker->config);
    pressure_init(worker);
    error = admission_open(worker);
    return error == 0 ? listeners_open(worker) : error;
}

static bool speaks_tls(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].tls.certificate_count > 0)
            return true;
    return false;
}

static unsigned count_unusable(const struct worker *worker)
{
    unsigned count = listeners_unusable(worker) + tls_backends_unusable(worker);

    return count < UINT8_MAX ? count : UINT8_MAX; /* a byte tells it to the supervisor */
}

/* A reload is to lose nothing: what is served by files that were good stays so with the workers
 * that have read them. Which files those are has been logged. */
static bool refuses_reload(const struct worker *worker, const struct arguments *arguments)
{
    unsigned count = count_unusable(worker);
    struct log_line line;

    if (count <= arguments->tolerate)
        return false;
    log_begin(&line, LOG_ERROR, "worker-refuses-reload");
    log_u64(&line, "unusable_files", count);
    log_string(
        &line, "hint",
        "mend what the lines above name; renewals are tried by themselves, else send SIGHUP");
    log_end(&line);
    return true;
}

static void say_ready(struct worker *worker, const struct arguments *arguments)
{
    unsigned char byte = (unsigned char)count_unusable(worker);
    struct log_line line;

    score_set(&worker->row->heartbeat_ms, clock_ms());
    log_begin(&line, LOG_INFO, "worker-started");
    log_u64(&line, "row", arguments->row);
    log_u64(&line, "slot", arguments->slot);
    log_u64(&line, "generation", arguments->generation);
    if (speaks_tls(worker->config))
        log_string(&line, "ktls", tls_kernel_can() ? "yes" : "no");
    log_end(&line);
    if (write(DESCRIPTOR_READY, &byte, 1) < 0)
        log_event(LOG_WARNING, "nobody-waits-for-ready", NULL, NULL);
    close(DESCRIPTOR_READY);
}

static void worker_close(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->table.backend_count; i++)
        upstream_close_idle(worker, i);
    on_turn_end(worker->loop, &worker->reaper, 0);
    relay_free_kept(worker);
    access_log_close(worker);
    error_pages_free(worker->pages);
    stream_hub_free(worker->hub);
    listeners_free(worker);
    tls_backends_close(worker);
    admission_close(worker);
    route_table_done(&worker->routes);
    scoreboard_unmap(&worker->scores);
    verdicts_board_unmap(worker->verdicts);
    tickets_board_unmap(worker->tickets);
    routing_board_unmap(worker->routing);
    config_free(worker->config);
    user_key_free(worker->user_key);
    free(worker->published);
    free(worker->request);
    free(worker->response);
    free(worker->head);
    ev_loop_destroy(worker->loop);
    free(worker);
}

static int fail(const char *what, int error)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR, "worker-cannot-start");
    log_string(&line, "at", what);
    log_errno(&line, error);
    log_end(&line);
    return error == -ENOMEM || error == -EAGAIN ? EXIT_TRY_AGAIN : EXIT_NO_RESTART;
}

int main(int argc, char **argv)
{
    static struct worker
        *worker; /* static: where it cannot start, all of it ends with the process */
    struct arguments arguments;

    log_init("worker");
    if (argc == 2 && strcmp(argv[1], "--check-files") == 0)
        return file_check();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log that is too large is an error of its write */
    signal(SIGUSR1, SIG_IGN); /* the supervisor's: a new file for the access log */
    int error = parse_arguments(argc, argv, &arguments);
    if (error < 0)
        return fail("arguments: --row N --rows COUNT --slot K --generation G", error);
    worker = memory_new(sizeof(*worker));
    worker->accept_fd_max = raise_descriptor_limit();
    error = worker_open(worker, &arguments);
    if (error < 0)
        return fail("setup", error);
    if (refuses_reload(worker, &arguments))
        return EXIT_NO_RESTART;
    start_watchers(worker); /* no handler of signals can be set from within the sandbox */
    const char *missing;
    error = sandbox_enter(ROLE_WORKER, worker->config->user, &missing);
    if (error < 0)
        return fail("sandbox", error);
    if (missing != NULL)
        log_event(LOG_WARNING, "sandbox-incomplete", "missing", missing);
    adoption_check(worker);
    listeners_start(worker);
    say_ready(worker, &arguments);
    ev_run(worker->loop, 0);
    log_event(LOG_INFO, "worker-finished", NULL, NULL);
    worker_close(worker);
    return EXIT_FINISHED;
}
