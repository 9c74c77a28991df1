#include "sandbox.h"

#include "capabilities.h"
#include "check.h"
#include "empty_root.h"
#include "syscall_filter.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define ALL_CAPABILITIES UINT64_MAX

/* For the engine's and the admin socket and the state folder, whoever owns them. */
#define FILE_CAPABILITIES                                                                          \
    (CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_DAC_OVERRIDE) | CAPABILITY_BIT(CAP_FOWNER))

/* To run commands as `user`, and to end them. */
#define USER_CAPABILITIES                                                                          \
    (CAPABILITY_BIT(CAP_SETUID) | CAPABILITY_BIT(CAP_SETGID) | CAPABILITY_BIT(CAP_KILL))

static const struct {
    bool unprivileged; /* becomes `user` where it was started as root */
    bool dies_with_parent;
    bool faces_strangers;  /* no files, no core, only the data plane's system calls */
    uint64_t capabilities; /* kept, where there are any */
} roles[ROLE_COUNT] = {
    [ROLE_SUPERVISOR] = {.capabilities = ALL_CAPABILITIES},
    [ROLE_WORKER] = {.unprivileged = true, .dies_with_parent = true, .faces_strangers = true},
    [ROLE_HEALTH] = {.unprivileged = true, .dies_with_parent = true},
    [ROLE_UPDATER] = {.dies_with_parent = true, .capabilities = FILE_CAPABILITIES},
};

/* A role that keeps its user is given one only where it runs commands as that one. */
static uint64_t kept_by(enum role role, const char *user)
{
    bool runs_as = !roles[role].unprivileged && user != NULL;

    return roles[role].capabilities | (runs_as ? USER_CAPABILITIES : 0);
}

static int change_user(const struct passwd *entry)
{
    if (setgroups(0, NULL) < 0 || setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
        setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0)
        return -errno;
    return 0;
}

/* What only root can give up, in the order in which each still may. */
static int give_up_root(enum role role, const char *user, const char **ret_missing)
{
    const struct passwd *entry = NULL;
    int error = 0;

    errno = 0;
    if (roles[role].unprivileged && (entry = getpwnam(user)) == NULL)
        return errno != 0 ? -errno : -ENOENT;
    if (kept_by(role, user) != ALL_CAPABILITIES && capabilities_bound(kept_by(role, user)) < 0)
        *ret_missing = "bounding-set"; /* no new privileges holds what it would have held */
#ifndef INSTRUMENTED                   /* sanitizers and coverage read and write files at the end */
    if (roles[role].faces_strangers && empty_root_enter() < 0)
        *ret_missing = *ret_missing != NULL ? "bounding-set, empty-root" : "empty-root";
#endif
    if (entry != NULL)
        error = change_user(entry);
    return error;
}

/* Keys are in its memory: no core has them, and nobody of the same user can look into it. */
static int hide_memory(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
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

int sandbox_enter(enum role role, const char *user, const char **ret_missing)
{
    uint64_t kept = kept_by(role, user);
    int error = 0;

    check((unsigned)role < ROLE_COUNT);
    *ret_missing = NULL;
#ifdef UNCONFINED
    *ret_missing = "all of it: built for bench/instructions";
    return 0;
#endif
    if (geteuid() == 0)
        error = give_up_root(role, user, ret_missing);
    if (error == 0 && kept != ALL_CAPABILITIES)
        error = capabilities_drop(kept);
    if (error == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        error = -errno;
    if (error == 0 && roles[role].faces_strangers)
        error = hide_memory();
    /* After setresuid(), which clears it. */
    if (error == 0 && roles[role].dies_with_parent)
        error = die_with_parent();
    if (error == 0 && roles[role].faces_strangers)
        error = syscall_filter_enter();
    return error;
}
