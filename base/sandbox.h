/* What a process of each role gives up at its start: one table, one function (sandbox.c).
 *
 * As root: supplementary groups, gid and uid of `user`, the capabilities that the role does not
 * need, and for workers the file system. Always: no new privileges, death with the parent; workers
 * also every system call that the data plane does not make, core dumps and being looked into. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

enum role { ROLE_SUPERVISOR, ROLE_WORKER, ROLE_HEALTH, ROLE_UPDATER, ROLE_COUNT };

/* Files, keys and sockets that the role needs are open before. A role that
 * keeps its user is given one where it runs commands as that one, else NULL. `user` is ignored
 * where the process is not root. Returns 0 or -errno: -ENOENT for an unknown user; -ESRCH where the
 * parent is gone already. Some containers forbid root a part of this; then *ret_missing names it,
 * for the log, and the rest holds. NULL: nothing is missing. */
int sandbox_enter(enum role role, const char *user, const char **ret_missing)
    __attribute__((warn_unused_result));

#endif
