/* sluice-updater --rows COUNT: engine API, rollouts, journal, admin API. Started by the supervisor
 * with the descriptors of base/descriptors.h. */
#include "admin.h"
#include "api.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "crash.h"
#include "credentials.h"
#include "discovery.h"
#include "engine.h"
#include "hold.h"
#include "journal.h"
#include "notify.h"
#include "preflight.h"
#include "rollout.h"
#include "runner.h"
#include "secret.h"
#include "static.h"
#include "steady.h"
#include "task.h"
#include "turn.h"
#include "updater.h"

#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct service *updater_service(const struct updater *updater, const char *name)
{
    for (size_t i = 0; i < updater->service_count; i++) {
        if (strcmp(service_name(&updater->services[i]), name) == 0)
            return &updater->services[i];
    }
    return NULL;
}

struct service *updater_service_of_row(const struct updater *updater, int row)
{
    for (size_t i = 0; i < updater->service_count; i++) {
        if (updater->services[i].row == row)
            return &updater->services[i];
    }
    return NULL;
}

static int refuse(const char *event, const char *why)
{
    log_event(LOG_ERROR, event, "reason", why);
    return EXIT_NO_RESTART;
}

static int rows_parse(int argc, char **argv, unsigned *ret_rows)
{
    uint64_t rows;

    if (argc != 3 || strcmp(argv[1], "--rows") != 0 ||
        slice_to_u64(slice_from_string(argv[2]), &rows) || rows == 0 || rows > ROWS_MAX)
        return -EINVAL;
    *ret_rows = (unsigned)rows;
    return 0;
}

/* What can only be wrong if the supervisor is: no use to start again. */
static int inherited_open(struct updater *updater)
{
    int error = config_read_fd(DESCRIPTOR_CONFIG, &updater->config);

    if (!error)
        error = routing_board_map(DESCRIPTOR_ROUTING, true, &updater->board);
    if (!error)
        error = verdicts_board_map(DESCRIPTOR_VERDICTS, false, &updater->verdicts);
    if (!error)
        error = scoreboard_map(&updater->scores, DESCRIPTOR_ROW_FIRST, updater->row_count, -1);
    if (!error)
        error = descriptors_close_on_exec();
    return error;
}

/* Missing parents are made too: 0700, for the journal names people and images. */
static int state_make(const char *path)
{
    char *copy = memory_copy_string(path);
    int error = 0;

    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) && errno != EEXIST)
            error = -errno;
        *slash = '/';
    }
    if (mkdir(copy, 0700) == 0)
        error = 0;
    else
        error = errno == EEXIST ? 0 : error ? error : -errno;
    free(copy);
    return error;
}

static int journal_start(struct updater *updater)
{
    const char *path = updater->config->state;
    char why[JOURNAL_WHY_BYTES] = "";
    int error = state_make(path);
    struct log_line line;

    if (!error)
        error = journal_open(path, &updater->journal, why);
    if (!error)
        return 0;
    log_begin(&line, LOG_ERROR, "journal-refused");
    log_string(&line, "state", path);
    log_string(&line, "reason", why[0] ? why : strerror(-error));
    log_end(&line);
    return error == -ENOSPC || error == -EIO ? EXIT_TRY_AGAIN : EXIT_NO_RESTART;
}

static int table_start(struct updater *updater)
{
    struct routing_table *published = memory_new(sizeof(*published));
    int error = 0;

    updater->table = table_new();
    if (routing_board_epoch(updater->board) > 0) {
        do {
            error = routing_board_read(updater->board, published);
        } while (error == -EAGAIN);
        if (!error)
            table_adopt(updater->table, published, steady_wall_ms(), clock_ms());
    }
    free(published);
    return error;
}

static void secret_give(struct updater *updater)
{
    uint8_t secret[ROUTING_SECRET_BYTES];

    memcpy(secret, updater->table->draft.secret, sizeof(secret));
    secret_open(updater->config->state, secret);
    table_set_secret(updater->table, secret);
}

static int services_start(struct updater *updater)
{
    const struct config *config = updater->config;

    table_services_keep(updater->table, config, steady_wall_ms());
    updater->service_count = config->service_count;
    updater->services = memory_new_array(config->service_count + 1, sizeof(*updater->services));
    for (size_t i = 0; i < config->service_count; i++) {
        struct service *service = &updater->services[i];

        service->updater = updater;
        service->config = &config->services[i];
        service->is_static = service->config->label_key == NULL;
        service->changed = true;
        list_init(&service->containers);
        list_init(&service->dry_runs);
        service->row = table_service_row(updater->table, service_name(service));
        if (service->row == TABLE_NONE)
            return refuse("updater-refused", "no row left in the routing table");
        table_service_set(updater->table, service->row, service->config);
        hold_load(service);
        if (service->is_static)
            static_enter(service);
        else if (rollout_load(service)) /* without it new containers would be taken for old */
            return EXIT_TRY_AGAIN;
    }
    return 0;
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static int loop_start(struct updater *updater)
{
    updater->loop = ev_loop_new(EVBACKEND_EPOLL); /* not the default one: base/script.h says why */
    if (!updater->loop)
        return -ENOSYS;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* the supervisor starts a new updater for a new config */
    ev_signal_init(&updater->terminated, on_signal, SIGTERM);
    ev_signal_start(updater->loop, &updater->terminated);
    ev_signal_init(&updater->interrupted, on_signal, SIGINT);
    ev_signal_start(updater->loop, &updater->interrupted);
    turn_init(updater);
    return 0;
}

static int admin_start(struct updater *updater)
{
    const char *path = updater->config->admin_socket;
    struct log_line line;
    int error = admin_open(updater->loop, path, api_handle, updater, &updater->admin);

    if (!error)
        return 0;
    log_begin(&line, LOG_ERROR, "admin-socket-refused");
    log_string(&line, "path", path);
    log_errno(&line, error);
    log_end(&line);
    return error == -EADDRINUSE || error == -ENAMETOOLONG ? EXIT_NO_RESTART : EXIT_TRY_AGAIN;
}

static void ready_tell(void)
{
    ssize_t written = write(DESCRIPTOR_READY, "r", 1);

    if (written != 1)
        log_event(LOG_WARNING, "ready-not-told", "reason", strerror(errno));
    (void)close(DESCRIPTOR_READY);
}

static int updater_start(struct updater *updater)
{
    const char *missing;
    int code;

    if (inherited_open(updater))
        return refuse("updater-refused", "the supervisor's descriptors are not as expected");
    if (runner_open(updater))
        return refuse("updater-refused", "there is no such user as `user` names");
    if (sandbox_enter(ROLE_UPDATER,
                      runner_is_needed(updater->config) ? updater->config->user : NULL, &missing))
        return EXIT_TRY_AGAIN;
    if (missing != NULL)
        log_event(LOG_WARNING, "sandbox-incomplete", "missing", missing);
    if (loop_start(updater))
        return refuse("updater-refused", "no epoll");
    updater->web = http_client_open(updater->loop);
    if (!updater->web)
        return EXIT_TRY_AGAIN;
    code = journal_start(updater);
    if (code)
        return code;
    steady_open(updater->config->state);
    crash_open(updater->config->state);
    if (table_start(updater))
        return refuse("updater-refused", "the routing board's content makes no sense");
    secret_give(updater);
    code = services_start(updater);
    if (code)
        return code;
    notify_open(updater);
    code = admin_start(updater);
    if (code)
        return code;
    discovery_start(updater);
    turn_start(updater);
    turn_publish(updater);
    ready_tell();
    return 0;
}

static void updater_stop(struct updater *updater)
{
    turn_stop(updater);
    for (size_t i = 0; i < updater->service_count; i++)
        hold_stop(&updater->services[i]);
    for (size_t i = 0; i < updater->service_count; i++)
        preflight_stop(&updater->services[i]);
    credentials_end_all();
    discovery_stop(updater); /* answers that wait for the engine are given */
    admin_close(updater->admin);
    updater->admin = NULL;
    for (size_t i = 0; i < updater->service_count; i++) {
        if (updater->services[i].rollout)
            tasks_stop(updater->services[i].rollout);
    }
    notify_close(updater);
    http_client_close(updater->web);
    runner_close(updater);
    journal_close(updater->journal);
}

int main(int argc, char **argv)
{
    struct updater *updater = memory_new(sizeof(*updater));
    struct log_line line;
    int code;

    log_init("updater");
    if (rows_parse(argc, argv, &updater->row_count))
        return refuse("usage", "sluice-updater --rows COUNT; the supervisor starts it");
    code = updater_start(updater);
    if (code) {
        journal_close(updater->journal);
        return code;
    }
    log_begin(&line, LOG_INFO, "updater-started");
    log_u64(&line, "services", updater->service_count);
    log_u64(&line, "epoch", updater->table->draft.epoch);
    log_end(&line);
    ev_run(updater->loop, 0);
    updater_stop(updater);
    log_event(LOG_INFO, "updater-stopped", NULL, NULL);
    return EXIT_FINISHED;
}
