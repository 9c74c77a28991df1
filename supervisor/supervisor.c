#include "supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <sys/wait.h>

#include <signal.h>
#include <string.h>

struct child *supervisor_find(struct supervisor *supervisor, pid_t pid)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        if (supervisor->children[i].state == CHILD_RUNNING && supervisor->children[i].pid == pid)
            return &supervisor->children[i];
    return NULL;
}

/* The entry of a worker is the row it writes: entries from row_count on are health and updater. */
struct child *supervisor_add(struct supervisor *supervisor, enum role role)
{
    unsigned first = role == ROLE_WORKER ? 0 : ROWS_MAX;
    unsigned end = role == ROLE_WORKER ? supervisor->boards.row_count : CHILDREN_MAX;

    for (unsigned i = first; i < end; i++) {
        struct child *child = &supervisor->children[i];
        if (child->state != CHILD_NONE)
            continue;
        *child =
            (struct child){.supervisor = supervisor, .role = role, .row = i, .log_channel = -1};
        ev_init(&child->ready_watcher, NULL);
        ev_init(&child->restart_timer, NULL);
        return child;
    }
    return NULL;
}

void supervisor_take_unusable(struct supervisor *supervisor)
{
    supervisor->unusable = 0;
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->ready && child->generation == supervisor->setup.generation &&
            child->unusable > supervisor->unusable)
            supervisor->unusable = child->unusable;
    }
}

void supervisor_on_ready(struct supervisor *supervisor)
{
    bool all = true;

    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->state != CHILD_NONE && !child->stopping && !child->ready)
            all = false;
    }
    reload_look(supervisor);
    if (!supervisor->announced && (!all || supervisor->stopping))
        return;
    endpoints_write(supervisor);
    if (!supervisor->announced) {
        supervisor_take_unusable(supervisor);
        log_event(LOG_INFO, "ready", "version", SLUICE_VERSION);
    }
    supervisor->announced = true;
}

/* --- stopping --------------------------------------------------------------------------------- */

static unsigned count_running(const struct supervisor *supervisor, bool workers)
{
    unsigned count = 0;

    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        count += child->state == CHILD_RUNNING && (child->role == ROLE_WORKER) == workers;
    }
    return count;
}

static void signal_workers(struct supervisor *supervisor, int signal_number)
{
    for (unsigned i = 0; i < ROWS_MAX; i++)
        if (supervisor->children[i].state != CHILD_NONE)
            child_stop(&supervisor->children[i], signal_number);
}

static void stop_control(struct supervisor *supervisor)
{
    for (unsigned i = ROWS_MAX; i < CHILDREN_MAX; i++) {
        struct child *child = &supervisor->children[i];
        if (child->state != CHILD_NONE && !child->stopping)
            child_stop(child, SIGTERM);
    }
}

/* Workers finish what they have; the others serve them until then. */
static void continue_stop(struct supervisor *supervisor)
{
    if (count_running(supervisor, true) > 0)
        return;
    if (count_running(supervisor, false) > 0)
        stop_control(supervisor);
    else
        ev_break(supervisor->loop, EVBREAK_ALL);
}

void supervisor_stop(struct supervisor *supervisor, int exit_code)
{
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    supervisor->exit_code = exit_code;
    ev_timer_stop(supervisor->loop, &supervisor->reload_deadline);
    log_event(LOG_INFO, "stopping", NULL, NULL);
    signal_workers(supervisor, SIGTERM);
    continue_stop(supervisor);
}

/* --- events ------------------------------------------------------------------------------------
 */

static void on_stop_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct supervisor *supervisor = watcher->data;

    (void)loop;
    (void)events;
    if (supervisor->stopping) { /* asked twice: does not wait for exchanges any longer */
        log_event(LOG_WARNING, "stopping-now", NULL, NULL);
        signal_workers(supervisor, SIGKILL);
        return;
    }
    supervisor_stop(supervisor, EXIT_FINISHED);
}

static void on_reload_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    reload_start(watcher->data);
}

static void on_reopen_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    access_log_reopen(watcher->data);
}

static void on_child(struct ev_loop *loop, ev_child *watcher, int events)
{
    struct supervisor *supervisor = watcher->data;
    struct child *child = supervisor_find(supervisor, watcher->rpid);

    (void)loop;
    (void)events;
    if (child == NULL || (!WIFEXITED(watcher->rstatus) && !WIFSIGNALED(watcher->rstatus)))
        return;
    child_ended(child, watcher->rstatus);
    if (supervisor->stopping) {
        continue_stop(supervisor);
        return;
    }
    if (supervisor->announced) {
        endpoints_write(supervisor);
        reload_ended(child);
        reload_look(supervisor);
    } else if (child->state == CHILD_GIVEN_UP) {
        log_event(LOG_ERROR, "start-failed", "child", child_name(child));
        supervisor_stop(supervisor, 1);
    }
}

static void log_hang(const char *event, const struct child *child)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR, event);
    log_string(&line, "child", child_name(child));
    log_i64(&line, "pid", child->pid);
    log_end(&line);
}

static void look_at_heartbeat(struct child *child)
{
    const struct score_row *row = child->supervisor->boards.score.rows[child->row];
    uint64_t heartbeat_ms = score_get(&row->heartbeat_ms);

    if (heartbeat_ms != child->heartbeat_ms) {
        child->heartbeat_ms = heartbeat_ms;
        child->heartbeat_ticks = 0;
        return;
    }
    /* Counted in our own ticks: a machine that was suspended kills nobody. */
    if (++child->heartbeat_ticks < HEARTBEAT_TICKS_MAX)
        return;
    log_hang("worker-hangs", child);
    child->heartbeat_ticks = 0;
    kill(child->pid, SIGKILL);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct supervisor *supervisor = watcher->data;

    (void)loop;
    (void)events;
    watch_tick(supervisor);
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &supervisor->children[i];
        if (child->state != CHILD_RUNNING)
            continue;
        if (child->role == ROLE_WORKER)
            look_at_heartbeat(child);
        else if (child->stopping && ++child->stopping_ticks > CONTROL_STOP_TICKS_MAX) {
            log_hang("child-does-not-end", child);
            kill(child->pid, SIGKILL);
        }
    }
}

static void start_watchers(struct supervisor *supervisor)
{
    struct ev_loop *loop = supervisor->loop;

    ev_signal_init(&supervisor->on_term, on_stop_signal, SIGTERM);
    ev_signal_init(&supervisor->on_int, on_stop_signal, SIGINT);
    ev_signal_init(&supervisor->on_hup, on_reload_signal, SIGHUP);
    ev_signal_init(&supervisor->on_usr1, on_reopen_signal, SIGUSR1);
    ev_child_init(&supervisor->on_child, on_child, 0, 0);
    ev_timer_init(&supervisor->tick, on_tick, 1., 1.);
    supervisor->on_term.data = supervisor->on_int.data = supervisor->on_hup.data =
        supervisor->on_usr1.data = supervisor;
    supervisor->on_child.data = supervisor->tick.data = supervisor;
    ev_signal_start(loop, &supervisor->on_term);
    ev_signal_start(loop, &supervisor->on_int);
    ev_signal_start(loop, &supervisor->on_hup);
    ev_signal_start(loop, &supervisor->on_usr1);
    ev_child_start(loop, &supervisor->on_child);
    ev_timer_start(loop, &supervisor->tick);
    reload_init(supervisor);
}

static int start_children(struct supervisor *supervisor)
{
    /* An entry is free until its child runs, so each is taken and started before the next. */
    int error = child_start(supervisor, supervisor_add(supervisor, ROLE_UPDATER));

    if (error == 0)
        error = child_start(supervisor, supervisor_add(supervisor, ROLE_HEALTH));
    for (unsigned slot = 0; error == 0 && slot < supervisor->worker_count; slot++) {
        struct child *worker = supervisor_add(supervisor, ROLE_WORKER);
        worker->slot = slot;
        error = child_start(supervisor, worker);
    }
    return error;
}

int supervisor_run(struct supervisor *supervisor)
{
    /* Not the default loop's choice: LIBEV_FLAGS could select a backend that aborts under load. */
    supervisor->loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (supervisor->loop == NULL)
        return EXIT_TRY_AGAIN;
    start_watchers(supervisor);
    watch_begin(supervisor);
    int error = start_children(supervisor);
    if (error < 0) {
        log_event(LOG_ERROR, "start-failed", "error", strerror(-error));
        supervisor_stop(supervisor, 1);
    }
    if (!supervisor->stopping || count_running(supervisor, true) + count_running(supervisor, false))
        ev_run(supervisor->loop, 0);
    endpoints_remove(supervisor);
    log_event(LOG_INFO, "stopped", NULL, NULL);
    setup_close(&supervisor->setup, &(struct setup){.config_fd = -1});
    return supervisor->exit_code;
}
