#include "sandbox.h"

#include "check.h"

#include <sys/prctl.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    bool unprivileged; /* becomes `user` where it was started as root */
    bool dies_with_parent;
} roles[ROLE_COUNT] = {
    [ROLE_SUPERVISOR] = {.unprivileged = false, .dies_with_parent = false},
    [ROLE_WORKER] = {.unprivileged = true, .dies_with_parent = true},
    [ROLE_HEALTH] = {.unprivileged = true, .dies_with_parent = true},
    [ROLE_UPDATER] = {.unprivileged = false, .dies_with_parent = true},
};

static int become(const char *user)
{
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL)
        return errno != 0 ? -errno : -ENOENT;
    if (setgroups(0, NULL) < 0 || setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0)
        return -errno;
    return 0;
}

/* The parent may have died before the signal was asked for: then nobody would send it. */
static int die_with_parent(void)
{
    const char *parent = getenv("SLUICE_SUPERVISOR_PID");

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    if (parent != NULL && strtol(parent, NULL, 10) != getppid())
        return -ESRCH;
    return 0;
}

int sandbox_enter(enum role role, const char *user)
{
    int error = 0;

    check((unsigned)role < ROLE_COUNT);
    if (roles[role].unprivileged && geteuid() == 0)
        error = become(user);
    if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        error = -errno;
    /* Last, for setresuid() clears it. */
    if (error == 0 && roles[role].dies_with_parent)
        error = die_with_parent();
    return error;
}
