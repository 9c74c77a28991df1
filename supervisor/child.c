#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "supervisor.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXEC_FAILED 127

static const struct {
    const char *name, *program;
} roles[ROLE_COUNT] = {
    [ROLE_SUPERVISOR] = {"supervisor", "sluice-supervisor"},
    [ROLE_WORKER] = {"worker", "sluice-worker"},
    [ROLE_HEALTH] = {"health", "sluice-health"},
    [ROLE_UPDATER] = {"updater", "sluice-updater"},
};

const char *child_name(const struct child *child)
{
    return roles[child->role].name;
}

static void log_child(enum log_level level, const char *event, const struct child *child,
                      const char *key, int value)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_string(&line, "child", child_name(child));
    if (child->role == ROLE_WORKER)
        log_u64(&line, "row", child->row);
    log_u64(&line, "generation", child->generation);
    log_i64(&line, "pid", child->pid);
    if (key != NULL)
        log_i64(&line, key, value);
    log_end(&line);
}

/* --- in the new process, between fork and exec -------------------------------------------- */

static void give(int fd, int as)
{
    /* The copy that dup2 makes is not close-on-exec: it is what the child keeps. */
    if (dup2(fd, as) < 0)
        _exit(EXIT_TRY_AGAIN);
}

static void give_descriptors(const struct child *child, int ready_fd, int log_end)
{
    const struct supervisor *supervisor = child->supervisor;
    const struct boards *boards = &supervisor->boards;
    bool worker = child->role == ROLE_WORKER;

    give(supervisor->setup.config_fd, DESCRIPTOR_CONFIG);
    give(child->role == ROLE_UPDATER ? boards->routing_rw : boards->routing_ro, DESCRIPTOR_ROUTING);
    give(child->role == ROLE_HEALTH ? boards->verdicts_rw : boards->verdicts_ro,
         DESCRIPTOR_VERDICTS);
    give(boards->bell_updater, DESCRIPTOR_BELL_UPDATER);
    if (!worker)
        give(boards->bell_health, DESCRIPTOR_BELL_HEALTH);
    else
        give(boards->tickets_ro, DESCRIPTOR_TICKETS);
    give(ready_fd, DESCRIPTOR_READY);
    if (log_end >= 0)
        give(log_end, DESCRIPTOR_LOG_CHANNEL);
    for (unsigned row = 0; row < boards->row_count; row++) {
        bool own = worker && row == child->row;
        give(own ? boards->rows_rw[row] : boards->rows_ro[row], DESCRIPTOR_ROW_FIRST + (int)row);
        if (own || !worker)
            give(boards->row_bells[row], DESCRIPTOR_BELL_ROW_FIRST + (int)row);
    }
    for (size_t i = 0; worker && i < supervisor->setup.config->listener_count; i++)
        give(supervisor->setup.listening[i].fds[child->slot], DESCRIPTOR_LISTENER_FIRST + (int)i);
}

static _Noreturn void become_child(const struct child *child, int ready_fd, int log_end)
{
    const struct supervisor *supervisor = child->supervisor;
    char path[PATH_MAX + 32];
    char numbers[5][12];
    sigset_t none;

    for (int number = 1; number < SIGRTMIN; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    give_descriptors(child, ready_fd, log_end);
    snprintf(path, sizeof(path), "%s/%s", supervisor->settings.libexec, roles[child->role].program);
    snprintf(numbers[0], sizeof(numbers[0]), "%u", supervisor->boards.row_count);
    snprintf(numbers[1], sizeof(numbers[1]), "%u", child->row);
    snprintf(numbers[2], sizeof(numbers[2]), "%u", child->slot);
    snprintf(numbers[3], sizeof(numbers[3]), "%u", child->generation);
    /* Where there are others that serve, it may refuse; else it makes do with what there is. */
    snprintf(numbers[4], sizeof(numbers[4]), "%u",
             supervisor->reloading ? supervisor->unusable : UINT32_MAX);
    if (child->role == ROLE_WORKER)
        execl(path, roles[child->role].program, "--rows", numbers[0], "--row", numbers[1], "--slot",
              numbers[2], "--generation", numbers[3], "--tolerate", numbers[4], (char *)NULL);
    else
        execl(path, roles[child->role].program, "--rows", numbers[0], (char *)NULL);
    _exit(EXEC_FAILED);
}

/* --- in the supervisor ---------------------------------------------------------------------- */

static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct child *child = container_of(watcher, struct child, ready_watcher);
    unsigned char byte;
    ssize_t got = read(watcher->fd, &byte, 1);

    (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    ev_io_stop(loop, watcher);
    close(watcher->fd);
    if (got != 1)
        return; /* it died before it served; SIGCHLD tells the rest */
    child->ready = true;
    child->unusable = child->role == ROLE_WORKER ? byte : 0;
    log_child(LOG_INFO, "child-ready", child, NULL, 0);
    supervisor_on_ready(child->supervisor);
}

static void claim_row(struct child *child)
{
    struct score_row *row = child->supervisor->boards.score.rows[child->row];

    score_set(&row->seen_epoch, 0);
    score_set(&row->worker_generation, child->generation);
    score_set(&row->heartbeat_ms, clock_ms());
    atomic_store_explicit(&row->state, ROW_LIVE, memory_order_release);
    child->heartbeat_ms = score_get(&row->heartbeat_ms);
    child->heartbeat_ticks = 0;
}

/* Signals wait while the child still has our handlers: one that came then would be told to us by
 * libev's pipe, which both have, and never to the child. */
static pid_t fork_child(const struct child *child, int ready_fd, int log_end)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become_child(child, ready_fd, log_end);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

int child_start(struct supervisor *supervisor, struct child *child)
{
    int ready[2];

    check(child->state != CHILD_RUNNING);
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    /* A pipe's low numbers are those that the child's descriptors get. */
    ready[0] = descriptor_raise(ready[0]);
    ready[1] = descriptor_raise(ready[1]);
    if (ready[0] < 0 || ready[1] < 0) {
        int failed = ready[0] < 0 ? ready[0] : ready[1];

        if (ready[0] >= 0)
            close(ready[0]);
        if (ready[1] >= 0)
            close(ready[1]);
        return failed;
    }
    child->generation = supervisor->setup.generation;
    child->ready = child->stopping = false;
    child->started_ms = clock_ms();
    if (child->role == ROLE_WORKER)
        claim_row(child);
    int log_end = access_log_start(child);
    pid_t pid = fork_child(child, ready[1], log_end);
    int error = errno;
    close(ready[1]);
    if (log_end >= 0)
        close(log_end);
    if (pid < 0) {
        access_log_end(child);
        close(ready[0]);
        if (child->role == ROLE_WORKER)
            score_row_bury(supervisor->boards.score.rows[child->row]);
        return -error;
    }
    child->pid = pid;
    child->state = CHILD_RUNNING;
    if (child->role == ROLE_WORKER)
        score_set(&supervisor->boards.score.rows[child->row]->pid, pid);
    ev_io_init(&child->ready_watcher, on_ready, ready[0], EV_READ);
    ev_io_start(supervisor->loop, &child->ready_watcher);
    log_child(LOG_INFO, "child-started", child, NULL, 0);
    return 0;
}

void child_stop(struct child *child, int signal_number)
{
    struct ev_loop *loop = child->supervisor->loop;

    if (!child->stopping)
        child->stopping_ticks = 0;
    child->stopping = true;
    if (child->state == CHILD_RUNNING)
        kill(child->pid, signal_number);
    if (child->state == CHILD_WAITING)
        ev_timer_stop(loop, &child->restart_timer);
    if (child->state == CHILD_WAITING || child->state == CHILD_GIVEN_UP)
        child->state = CHILD_NONE;
}

static void on_restart(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct child *child = container_of(watcher, struct child, restart_timer);

    (void)events;
    ev_timer_stop(loop, watcher);
    int error = child_start(child->supervisor, child);
    if (error < 0) {
        log_child(LOG_ERROR, "child-start-failed", child, "errno", -error);
        ev_timer_set(watcher, RESTART_WAIT_MAX_S, 0.);
        ev_timer_start(loop, watcher);
    }
}

/* Back-off: 0, 1, 2, 4, ... 30 s. */
static void restart_later(struct child *child)
{
    unsigned wait_s = child->failures == 0 ? 0 : 1u << (child->failures - 1);

    if (wait_s > RESTART_WAIT_MAX_S)
        wait_s = RESTART_WAIT_MAX_S;
    if (child->failures < 6)
        child->failures++;
    child->state = CHILD_WAITING;
    log_child(child->stopping ? LOG_INFO : LOG_WARNING, "child-restarts", child, "wait_s",
              (int)wait_s);
    ev_timer_init(&child->restart_timer, on_restart, wait_s, 0.);
    ev_timer_start(child->supervisor->loop, &child->restart_timer);
}

static void log_end_of(const struct child *child, int status)
{
    bool asked = child->stopping && ((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                                     (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));

    bool refused = child->role == ROLE_WORKER && !child->ready &&
                   (child->supervisor->reloading || child->stopping) && WIFEXITED(status) &&
                   WEXITSTATUS(status) == EXIT_NO_RESTART;

    if (refused)
        log_child(LOG_ERROR, "worker-refused", child, NULL, 0);
    else if (asked) /* by SIGTERM where it was told before it could listen to it */
        log_child(LOG_INFO, "child-ended", child, NULL, 0);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) /* its last line names the call */
        log_child(LOG_ERROR, "child-killed-by-sandbox", child, "signal", SIGSYS);
    else if (WIFSIGNALED(status))
        log_child(LOG_ERROR, "child-killed", child, "signal", WTERMSIG(status));
    else
        log_child(LOG_ERROR, "child-ended", child, "exit", WEXITSTATUS(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED)
        log_event(LOG_ERROR, "child-missing", "path", child->supervisor->settings.libexec);
}

void child_ended(struct child *child, int status)
{
    struct supervisor *supervisor = child->supervisor;
    bool fatal = WIFEXITED(status) &&
                 (WEXITSTATUS(status) == EXIT_NO_RESTART || WEXITSTATUS(status) == EXEC_FAILED);

    log_end_of(child, status);
    if (ev_is_active(&child->ready_watcher)) {
        ev_io_stop(supervisor->loop, &child->ready_watcher);
        close(child->ready_watcher.fd);
    }
    if (child->role == ROLE_WORKER) {
        score_row_bury(supervisor->boards.score.rows[child->row]);
        /* A drain may have waited for what it had. */
        bell_ring(supervisor->boards.bell_updater);
    }
    access_log_end(child);
    child->pid = 0;
    child->ready = false;
    /* `stopping`: health or updater, asked to end so that it starts with the new config. */
    if (child->stopping || clock_ms() - child->started_ms >= RESTART_FORGIVE_MS)
        child->failures = 0;
    bool replaced = child->role == ROLE_WORKER &&
                    (child->stopping || child->generation != supervisor->setup.generation);
    if (replaced || supervisor->stopping)
        child->state = CHILD_NONE;
    else if (fatal)
        child->state = CHILD_GIVEN_UP;
    else
        restart_later(child);
}
