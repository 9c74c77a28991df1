/* sluice-health: probes backends and writes the verdicts board. Started by the supervisor with the
 * descriptors of base/descriptors.h; does nothing else, and holds neither listener nor engine. */
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "base/slice.h"
#include "board/routing.h"
#include "board/verdicts.h"
#include "config/config.h"
#include "prober.h"
#include "tls_files.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEARTBEAT_SECONDS 1.

struct health {
    struct ev_loop *loop;
    struct config *config;
    struct tls_files *tls;
    struct routing_board *routing;
    struct verdicts_board *verdicts;
    struct prober *prober;
    ev_io bell;
    ev_timer heartbeat;
    ev_signal terminate;
};

static void beat(struct health *health)
{
    atomic_store_explicit(&health->verdicts->heartbeat_ms, clock_ms(), memory_order_relaxed);
}

/* Held back until the loop watches it: told to end while it starts, it ends well. */
static void hold_terminate(int how)
{
    sigset_t held;

    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigprocmask(how, &held, NULL);
}

static void on_bell(struct ev_loop *loop, ev_io *io, int events)
{
    struct health *health = io->data;

    (void)loop;
    (void)events;
    bell_clear(io->fd);
    prober_sync(health->prober);
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct health *health = timer->data;

    (void)loop;
    (void)events;
    beat(health);
    prober_sync(health->prober); /* one load; and a bell that was lost does not matter */
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)watcher;
    (void)events;
    signal(SIGTERM, SIG_IGN); /* told again while it ends, it still ends well */
    ev_break(loop, EVBREAK_ALL);
}

/* Returns 0, or the exit code. */
static int map_boards(struct health *health)
{
    int error = routing_board_map(DESCRIPTOR_ROUTING, false, &health->routing);

    if (error == 0)
        error = verdicts_board_map(DESCRIPTOR_VERDICTS, true, &health->verdicts);
    if (error == 0)
        return 0;
    log_event(LOG_ERROR, "boards-unusable", "error", strerror(-error));
    return error == -ENOMEM ? EXIT_TRY_AGAIN : EXIT_NO_RESTART;
}

static int enter_sandbox(const struct config *config)
{
    const char *missing;
    int error = sandbox_enter(ROLE_HEALTH, config->user, &missing);
    struct log_line line;

    if (error == 0 && missing != NULL)
        log_event(LOG_WARNING, "sandbox-incomplete", "missing", missing);
    if (error == 0)
        return 0;
    if (error == -ESRCH)
        return EXIT_TRY_AGAIN; /* the supervisor is gone: nobody reads this */
    log_begin(&line, LOG_ERROR, "sandbox-failed");
    log_string(&line, "user", config->user);
    log_errno(&line, error);
    log_end(&line);
    return error == -ENOENT ? EXIT_NO_RESTART : EXIT_TRY_AGAIN;
}

static int set_up(struct health *health, unsigned row_count)
{
    struct prober_options options;
    int code, error = descriptors_close_on_exec();

    if (error == 0)
        error = config_read_fd(DESCRIPTOR_CONFIG, &health->config);
    if (error != 0) {
        log_event(LOG_ERROR, "config-unusable", "error", strerror(-error));
        return EXIT_NO_RESTART;
    }
    health->tls = tls_files_read(health->config);
    code = map_boards(health);
    if (code == 0)
        code = enter_sandbox(health->config);
    if (code != 0)
        return code;
    /* Not the default loop: script.h says why. */
    health->loop = ev_loop_new(EVFLAG_AUTO);
    if (health->loop == NULL)
        return EXIT_TRY_AGAIN;
    options = (struct prober_options){
        .loop = health->loop,
        .config = health->config,
        .routing = health->routing,
        .verdicts = health->verdicts,
        .tls = health->tls,
        .row_count = row_count,
    };
    health->prober = prober_open(&options);
    return health->prober != NULL ? 0 : EXIT_TRY_AGAIN;
}

static void serve(struct health *health)
{
    ssize_t written;

    /* These come from the terminal; the supervisor says when to end. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    ev_io_init(&health->bell, on_bell, DESCRIPTOR_BELL_HEALTH, EV_READ);
    health->bell.data = health;
    ev_io_start(health->loop, &health->bell);
    ev_timer_init(&health->heartbeat, on_heartbeat, HEARTBEAT_SECONDS, HEARTBEAT_SECONDS);
    health->heartbeat.data = health;
    ev_timer_start(health->loop, &health->heartbeat);
    ev_signal_init(&health->terminate, on_terminate, SIGTERM);
    ev_signal_start(health->loop, &health->terminate);
    hold_terminate(SIG_UNBLOCK);

    beat(health);
    prober_sync(health->prober);
    written = write(DESCRIPTOR_READY, "1", 1);
    if (written < 0)
        log_event(LOG_WARNING, "ready-not-told", "error", strerror(errno));
    close(DESCRIPTOR_READY);
    ev_run(health->loop, 0);
}

static void tear_down(struct health *health)
{
    if (health->loop != NULL) {
        prober_close(health->prober);
        ev_io_stop(health->loop, &health->bell);
        ev_timer_stop(health->loop, &health->heartbeat);
        /* The signal watcher is not stopped: that would bring SIGTERM's default back. */
        ev_loop_destroy(health->loop);
    }
    verdicts_board_unmap(health->verdicts);
    routing_board_unmap(health->routing);
    if (health->config != NULL)
        tls_files_free(health->tls, health->config->service_count);
    config_free(health->config);
}

static int read_rows(int count, char **arguments, unsigned *ret_rows)
{
    uint64_t rows;

    if (count != 3 || strcmp(arguments[1], "--rows") != 0 ||
        slice_to_u64(slice_from_string(arguments[2]), &rows) != 0 || rows < 1 || rows > ROWS_MAX)
        return -EINVAL;
    *ret_rows = (unsigned)rows;
    return 0;
}

int main(int count, char **arguments)
{
    struct health health = {0};
    unsigned row_count;
    int code;

    hold_terminate(SIG_BLOCK);

    log_init("health");
    if (read_rows(count, arguments, &row_count) != 0) {
        fprintf(stderr, "usage: sluice-health --rows COUNT\n"
                        "Started by the supervisor, with its boards as open descriptors.\n");
        return EXIT_NO_RESTART;
    }
    srandom((unsigned)(clock_us() ^ (uint64_t)getpid()));
    code = set_up(&health, row_count);
    if (code == 0)
        serve(&health);
    tear_down(&health);
    return code;
}
