/* What a process of each role gives up at its start: one table, one function (sandbox.c).
 *
 * As root: supplementary groups, gid and uid of `user`, for roles that run unprivileged. Always:
 * no new privileges, death with the parent. What more each role gives up stands in the table. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

enum role { ROLE_SUPERVISOR, ROLE_WORKER, ROLE_HEALTH, ROLE_UPDATER, ROLE_COUNT };

/* `user` is ignored for roles that keep theirs, and where the process is not root. Returns 0 or
 * -errno: -ENOENT for an unknown user; -ESRCH where the parent is gone already. */
int sandbox_enter(enum role role, const char *user) __attribute__((warn_unused_result));

#endif
