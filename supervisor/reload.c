/* SIGHUP: a new generation of workers starts beside the old one, on the same listening sockets.
 * When all of it serves, the old one is told to finish (SIGQUIT: its tunnels live on, for no change
 * of the config may cut one); if it does not serve in time, or refuses (its certificates cannot be
 * used where the old one's can), the new one is ended and nothing has changed. Health and updater
 * restart with the new config: that is safe at any moment. */
#include "base/log.h"
#include "supervisor.h"

#include <errno.h>
#include <signal.h>

static void restart_control(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &supervisor->children[i];
        if (child->role != ROLE_HEALTH && child->role != ROLE_UPDATER)
            continue;
        if (child->state == CHILD_RUNNING)
            child_stop(child, SIGTERM);
        else if (child->state == CHILD_GIVEN_UP && child_start(supervisor, child) < 0)
            log_event(LOG_ERROR, "child-start-failed", "child", child_name(child));
    }
}

static void stop_workers(struct supervisor *supervisor, unsigned generation, int signal_number)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &supervisor->children[i];
        if (child->role == ROLE_WORKER && child->generation == generation)
            child_stop(child, signal_number);
    }
}

static unsigned count_ready(const struct supervisor *supervisor, unsigned generation)
{
    unsigned count = 0;

    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        count += child->role == ROLE_WORKER && child->state == CHILD_RUNNING && child->ready &&
                 child->generation == generation;
    }
    return count;
}

static bool control_is_ready(const struct supervisor *supervisor)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        bool control = child->state != CHILD_NONE && child->role != ROLE_WORKER;
        if (control && (!child->ready || child->generation != supervisor->setup.generation))
            return false;
    }
    return true;
}

static void log_reload(enum log_level level, const char *event, unsigned generation)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_u64(&line, "generation", generation);
    log_end(&line);
}

/* Starts one worker of the present generation for `slot`. */
static int start_worker(struct supervisor *supervisor, unsigned slot)
{
    struct child *child = supervisor_add(supervisor, ROLE_WORKER);

    if (child == NULL) {
        log_event(LOG_ERROR, "no-row", "hint",
                  "workers of earlier reloads still finish; reload again when they have ended");
        return -EBUSY;
    }
    child->slot = slot;
    int error = child_start(supervisor, child);
    if (error < 0)
        child->state = CHILD_NONE;
    return error;
}

static void go_back(struct supervisor *supervisor)
{
    unsigned failed = supervisor->setup.generation;

    log_reload(LOG_ERROR, "reload-failed", failed);
    ev_timer_stop(supervisor->loop, &supervisor->reload_deadline);
    supervisor->reloading = false;
    stop_workers(supervisor, failed, SIGTERM);
    setup_close(&supervisor->setup, &supervisor->previous);
    supervisor->setup = supervisor->previous;
    supervisor->previous = (struct setup){.config_fd = -1};
    watch_go_back(supervisor);
    /* Old workers that died meanwhile were not restarted. */
    bool present[WORKERS_MAX] = {false};
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->role == ROLE_WORKER && child->generation == supervisor->setup.generation &&
            (child->state == CHILD_RUNNING || child->state == CHILD_WAITING))
            present[child->slot] = true;
    }
    for (unsigned slot = 0; slot < supervisor->worker_count; slot++)
        if (!present[slot] && start_worker(supervisor, slot) < 0)
            log_event(LOG_ERROR, "child-start-failed", "child", "worker");
    restart_control(supervisor);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    go_back(watcher->data);
}

void reload_init(struct supervisor *supervisor)
{
    ev_timer_init(&supervisor->reload_deadline, on_deadline, RELOAD_DEADLINE_MS / 1000.0, 0.);
    supervisor->reload_deadline.data = supervisor;
}

void reload_start(struct supervisor *supervisor)
{
    struct setup setup;

    if (supervisor->stopping || supervisor->reloading || !supervisor->announced) {
        log_event(LOG_WARNING, "reload-ignored", "reason",
                  supervisor->stopping ? "stopping" : "still starting; send SIGHUP again");
        return;
    }
    if (setup_open(&supervisor->settings, &supervisor->setup, supervisor->worker_count, &setup) <
        0) {
        log_event(LOG_ERROR, "reload-refused", "kept", "the running configuration");
        return;
    }
    if (setup.config->workers != supervisor->worker_count)
        log_event(LOG_WARNING, "workers-unchanged", "hint",
                  "the number of workers changes at a restart only");
    supervisor->previous = supervisor->setup;
    supervisor->setup = setup;
    supervisor->reloading = true;
    watch_begin(supervisor);
    log_reload(LOG_INFO, "reload-started", setup.generation);
    ev_timer_set(&supervisor->reload_deadline, RELOAD_DEADLINE_MS / 1000.0, 0.);
    ev_timer_start(supervisor->loop, &supervisor->reload_deadline);
    for (unsigned slot = 0; slot < supervisor->worker_count; slot++)
        if (start_worker(supervisor, slot) < 0) {
            go_back(supervisor);
            return;
        }
    restart_control(supervisor);
}

/* A worker of the new generation that cannot work ends the reload at once. */
void reload_ended(const struct child *child)
{
    struct supervisor *supervisor = child->supervisor;

    if (supervisor->reloading && child->role == ROLE_WORKER && child->state == CHILD_GIVEN_UP &&
        child->generation == supervisor->setup.generation)
        go_back(supervisor);
}

void reload_look(struct supervisor *supervisor)
{
    if (!supervisor->reloading ||
        count_ready(supervisor, supervisor->setup.generation) < supervisor->worker_count ||
        !control_is_ready(supervisor))
        return;
    ev_timer_stop(supervisor->loop, &supervisor->reload_deadline);
    supervisor->reloading = false;
    supervisor_take_unusable(supervisor);
    stop_workers(supervisor, supervisor->previous.generation, SIGQUIT);
    setup_close(&supervisor->previous, &supervisor->setup);
    log_reload(LOG_INFO, "reload-completed", supervisor->setup.generation);
}
