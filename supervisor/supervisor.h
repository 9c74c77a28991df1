/* The supervisor: opens listeners and boards, starts the other processes, restarts what dies.
 *
 * It is boring on purpose: it reads no network, holds no engine socket, parses nothing but the
 * operator's own config file. Everything that must outlive a crash of the others lives here.
 *
 * Owner: main(). Life: the whole process. One struct, shown to the files of this folder only. */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/descriptors.h"
#include "base/sandbox.h"
#include "board/scoreboard.h"
#include "config/config.h"

#include <sys/types.h>

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX         (ROWS_MAX / 2) /* both generations of a reload have rows */
#define CHILDREN_MAX        (ROWS_MAX + 2)
#define SUPERVISOR_FD_FIRST 512 /* own descriptors lie above those handed to children */
#define HEARTBEAT_TICKS_MAX 5u  /* seconds without a worker's heartbeat */
#define CONTROL_STOP_TICKS_MAX                                                                     \
    10u /* seconds for health and updater to end; workers take their time */
#define RESTART_WAIT_MAX_S 30u
#define RESTART_FORGIVE_MS 60000u /* a child that lived so long starts its back-off anew */
#define RELOAD_DEADLINE_MS 15000u /* for new workers to serve, else the old ones stay */

enum child_state {
    CHILD_NONE, /* the entry is free */
    CHILD_RUNNING,
    CHILD_WAITING,  /* died; starts again when its timer fires */
    CHILD_GIVEN_UP, /* exit 100: does not restart */
};

struct supervisor;
struct tickets_board;

struct child {
    struct supervisor *supervisor;
    enum child_state state;
    enum role role;
    unsigned row, slot;  /* workers */
    unsigned generation; /* of the config it runs */
    pid_t pid;
    bool ready;              /* said that it serves */
    unsigned char unusable;  /* workers: files for TLS that they serve without, as they said */
    bool stopping;           /* was asked to end */
    unsigned stopping_ticks; /* health, updater: for so long */
    unsigned failures;       /* in a row, for the back-off */
    uint64_t started_ms;
    uint64_t heartbeat_ms;    /* as last seen */
    unsigned heartbeat_ticks; /* for how long it has not moved */
    int log_channel;          /* workers with an access log's file: where it is sent to; else -1 */
    ev_io ready_watcher;
    ev_timer restart_timer;
};

struct listening { /* one listener of the config: a socket per worker slot */
    char *name;
    struct address wanted; /* as configured */
    struct address bound;  /* with the port that the kernel gave */
    int fds[WORKERS_MAX];
};

struct boards { /* descriptors, read-write and read-only ones of the same memory */
    int routing_rw, routing_ro, verdicts_rw, verdicts_ro, tickets_rw, tickets_ro;
    int rows_rw[ROWS_MAX], rows_ro[ROWS_MAX], row_bells[ROWS_MAX];
    int bell_updater, bell_health;
    unsigned row_count;
    struct tickets_board *tickets;
    struct scoreboard score; /* mapped writable: dead workers' rows are cleared here */
};

struct settings { /* from the command line */
    const char *config_path;
    const char *endpoints_path; /* NULL: not written */
    struct config_overrides overrides;
    char libexec[4096];
};

struct setup { /* what one generation of children runs with */
    unsigned generation;
    struct config *config;
    int config_fd;
    struct listening *listening; /* config->listener_count of them, in the same order */
};

struct watch {           /* watch.c */
    uint64_t known;      /* what the files were when they were read last */
    uint64_t seen;       /* what they were at the last look */
    uint64_t way_back;   /* what those of the generation before were when a reload began */
    uint64_t rotated_ms; /* ticket keys */
    unsigned ticks;
};

struct supervisor {
    struct settings settings;
    struct ev_loop *loop;
    struct setup setup;
    struct setup previous; /* while reloading: the way back */
    unsigned worker_count; /* fixed at start: it is the number of sockets per listener */
    struct boards boards;
    struct child children[CHILDREN_MAX];
    ev_signal on_term, on_int, on_hup, on_usr1;
    ev_child on_child;
    ev_timer tick; /* heartbeats, once a second */
    ev_timer reload_deadline;
    bool reloading; /* workers of `setup` start while those of `previous` serve */
    bool stopping;
    bool announced;    /* everything served at least once */
    unsigned unusable; /* files for TLS that the generation that was taken last does without */
    struct watch watch;
    int exit_code;
};

/* boards.c: all of them, or -errno. */
int boards_create(struct boards *boards, unsigned row_count) __attribute__((warn_unused_result));

/* listening.c: opens what the config names; sockets that `old` has open already are shared with it.
 * On failure logs what to do and returns -errno. `old` may be empty (config NULL). */
int listening_open(const struct setup *old, const struct config *config, unsigned worker_count,
                   struct listening **ret_listening) __attribute__((warn_unused_result));

/* setup.c: reads the config file and opens what it asks for. What is wrong with it is logged.
 * Returns 0 or -errno. */
int setup_open(const struct settings *settings, const struct setup *old, unsigned worker_count,
               struct setup *ret_setup) __attribute__((warn_unused_result));
/* Closes its sockets, but for those that `kept` has too, and frees the rest. */
void setup_close(struct setup *setup, const struct setup *kept);

/* child.c */
int child_start(struct supervisor *supervisor, struct child *child)
    __attribute__((warn_unused_result));
void child_stop(struct child *child, int signal_number);
/* What to do after it ended: restart, give up, or nothing. `status` is waitpid's. */
void child_ended(struct child *child, int status);
const char *child_name(const struct child *child); /* "worker", ... */

/* access_log.c. Whether the file that the config names can be written; says why not. */
int access_log_check(const struct config *config) __attribute__((warn_unused_result));
/* For a child that is about to start: a channel with the file in it. Returns the child's end, the
 * caller's to close, or -1 where it needs none or gets none: a worker serves without a log too. */
int access_log_start(struct child *child) __attribute__((warn_unused_result));
void access_log_end(struct child *child);
/* SIGUSR1: the file was renamed, every worker gets the new one. */
void access_log_reopen(struct supervisor *supervisor);

/* endpoints.c: writes the file of addresses and pids, atomically. */
void endpoints_write(const struct supervisor *supervisor);
void endpoints_remove(const struct supervisor *supervisor);

/* reload.c */
void reload_start(struct supervisor *supervisor);
void reload_look(struct supervisor *supervisor); /* a child became ready or ended */
void reload_ended(const struct child *child);
void reload_init(struct supervisor *supervisor);

/* watch.c: once the files are about to be read; and each second */
void watch_begin(struct supervisor *supervisor);
void watch_go_back(struct supervisor *supervisor); /* a reload failed */
void watch_tick(struct supervisor *supervisor);

/* supervisor.c */
struct child *supervisor_find(struct supervisor *supervisor, pid_t pid);
struct child *supervisor_add(struct supervisor *supervisor, enum role role);
void supervisor_on_ready(struct supervisor *supervisor);
/* What the workers of the present generation do without becomes what a reload may do without. */
void supervisor_take_unusable(struct supervisor *supervisor);
/* Starts ending: workers first, then health and updater, then the loop. */
void supervisor_stop(struct supervisor *supervisor, int exit_code);
int supervisor_run(struct supervisor *supervisor);

/* Moves a descriptor above those handed to children, close-on-exec. Takes `fd` over; passes on a
 * negative one. Returns the new one or -errno. */
int descriptor_raise(int fd) __attribute__((warn_unused_result));

#endif
