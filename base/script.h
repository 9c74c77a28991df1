/* A command in flight (a check script, a credential helper): a process in a group of its own.
 *
 * Owner: the script itself, from script_start() until the process is reaped; then it frees itself
 * as its last act. Whoever started it may let go of it at any moment by script_abandon().
 *
 * The process is watched through a pidfd and reaped here, not by libev: so its group can be killed
 * while the leader still is a zombie and no other process can have taken its number. The loop must
 * therefore not be libev's default loop, which reaps every child. */
#ifndef BASE_SCRIPT_H
#define BASE_SCRIPT_H

#include "slice.h"

#include <sys/types.h>

#include <stdbool.h>

struct ev_loop;
struct list;
struct script;

#define SCRIPT_OUTPUT_BYTES     128u /* kept of what it prints; the rest is read and lost */
#define SCRIPT_OUTPUT_BYTES_MAX (64u * 1024)

struct script_user { /* whom it becomes, without groups; needs CAP_SETUID, CAP_SETGID, CAP_KILL */
    bool is_set;
    uid_t uid;
    gid_t gid;
};

struct script_options {
    char *const *argv;        /* NULL-terminated; argv[0] is looked up in a fixed PATH */
    char *const *environment; /* "NAME=value", NULL-terminated */
    struct list *running;     /* the list that it sits on while its process lives */
    struct slice input;       /* what it reads on stdin; empty: nothing */
    size_t output_bytes;      /* kept of what it prints; 0: SCRIPT_OUTPUT_BYTES */
    struct script_user user;  /* not set: it stays who we are */
    bool errors_apart;        /* what it prints on stderr is thrown away, not mixed in */
    /* Called once, when the process has ended, unless abandoned. `status` as of waitpid(2);
     * `output`: the beginning of what it printed on stdout and stderr; a zero byte follows. */
    void (*on_end)(void *context, int status, struct slice output);
    void *context;
};

/* Returns 0 or -errno. Strings are not used after the return. */
int script_start(struct ev_loop *loop, const struct script_options *options,
                 struct script **ret_script) __attribute__((warn_unused_result));
/* SIGTERM to the whole group. */
void script_terminate(struct script *script);
/* Kills the whole group; on_end follows when it has ended. */
void script_kill(struct script *script);
/* Kills the whole group; on_end is not called. It is reaped when it has ended. */
void script_abandon(struct script *script);
/* Kills and reaps all of a list, at the end of the process. */
void script_end_all(struct list *running);

#endif
