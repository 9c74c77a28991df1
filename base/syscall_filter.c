/* The default action is a trap and not a kill, so that the call can be named: a worker that dies of
 * a library's new system call must not be a riddle. It is no weaker. The call is not made. The
 * handler cannot be replaced, for rt_sigaction is not in the list; where SIGSYS is blocked, or
 * raised within the handler, the kernel kills. */
#include "syscall_filter.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of a SIGSYS from a filter */
#endif

#define CONDITIONS_MAX 3u
#define NAMES_MAX      512
#define NAME_BYTES     32
#define SOCKET_TYPE    (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

struct rule {
    int call;
    unsigned count; /* of conditions, all of which must hold */
    struct scmp_arg_cmp when[CONDITIONS_MAX];
};

#define ALLOW(name)                                                                                \
    {                                                                                              \
        .call = SCMP_SYS(name)                                                                     \
    }
#define ALLOW_WHERE(name, argument, value)                                                         \
    {                                                                                              \
        .call = SCMP_SYS(name), .count = 1, .when = {                                              \
            {.arg = (argument), .op = SCMP_CMP_EQ, .datum_a = (value)}                             \
        }                                                                                          \
    }
#define ALLOW_SOCKET(family)                                                                       \
    {                                                                                              \
        .call = SCMP_SYS(socket), .count = 3, .when = {                                            \
            {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (family)},                                    \
            {.arg = 1, .op = SCMP_CMP_EQ, .datum_a = SOCKET_TYPE},                                 \
            {.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0}                                            \
        }                                                                                          \
    }
#define ALLOW_NOT_EXECUTABLE(name)                                                                 \
    {                                                                                              \
        .call = SCMP_SYS(name), .count = 1, .when = {                                              \
            {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0}               \
        }                                                                                          \
    }

static const struct rule rules[] = {
    /* connections: TCP only, no other family, no listening, no binding */
    ALLOW_SOCKET(AF_INET),
    ALLOW_SOCKET(AF_INET6),
    ALLOW(accept4),
    ALLOW(connect),
    ALLOW(recvfrom),
    ALLOW(recvmsg),
    ALLOW(sendto),
    ALLOW(sendmsg),
    ALLOW(shutdown),
    ALLOW(getsockname),
    ALLOW(getpeername),
    ALLOW(getsockopt),
    ALLOW_WHERE(setsockopt, 1, SOL_SOCKET),
    ALLOW_WHERE(setsockopt, 1, IPPROTO_TCP),
    ALLOW_WHERE(setsockopt, 1, SOL_TLS),
    /* what is open: bells, logs (at their end only: no flag is unset, nothing is cut or sought),
     * pipes between sockets */
    ALLOW(read),
    ALLOW(readv),
    ALLOW(write),
    ALLOW(writev),
    ALLOW(close),
    ALLOW_WHERE(pipe2, 1, O_NONBLOCK | O_CLOEXEC),
    ALLOW(splice),
    ALLOW_WHERE(fcntl, 1, F_SETPIPE_SZ),
    ALLOW_WHERE(fcntl, 1, F_GETFD),
    ALLOW_WHERE(fcntl, 1, F_GETFL),
    ALLOW_WHERE(fcntl, 1, F_DUPFD_CLOEXEC),
    /* the loop */
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
    ALLOW(restart_syscall),
    ALLOW(rt_sigreturn),
    /* memory */
    ALLOW(brk),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW_NOT_EXECUTABLE(mmap),
    ALLOW_NOT_EXECUTABLE(mprotect),
    /* time and chance; the clock is mostly read without a call */
    ALLOW(clock_gettime),
    ALLOW(gettimeofday),
    ALLOW(getrandom),
    /* C library and OpenSSL: locks, abort() and the end */
    ALLOW(futex),
    ALLOW(getpid),
    ALLOW(gettid),
    ALLOW(rt_sigprocmask),
    ALLOW(sysinfo), /* qsort() asks how much memory there is */
    ALLOW(exit),
    ALLOW(exit_group),
#ifdef INSTRUMENTED
    /* Reports of sanitizers and coverage: they read and write files, the leak check stops the
     * process by a tracer of its own, and a symbolizer is run. */
    ALLOW(open),
    ALLOW(openat),
    ALLOW(stat),
    ALLOW(fstat),
    ALLOW(newfstatat),
    ALLOW(access),
    ALLOW(lseek),
    ALLOW(ftruncate),
    ALLOW(fcntl),
    ALLOW(mkdir),
    ALLOW(readlink),
    ALLOW(getdents),
    ALLOW(getdents64),
    ALLOW(lstat),
    ALLOW(dup),
    ALLOW(pread64),
    ALLOW(clone),
    ALLOW(ptrace),
    ALLOW(wait4),
    ALLOW(prctl),
    ALLOW(getppid),
    ALLOW(sigaltstack),
    ALLOW(rt_sigaction),
    ALLOW(sched_yield),
    ALLOW(sched_getaffinity),
    ALLOW(prlimit64),
    ALLOW(getrusage),
    ALLOW(uname),
    ALLOW(ioctl),
    ALLOW(execve),
    ALLOW(pipe),
    ALLOW(dup2),
    ALLOW(mmap),
    ALLOW(mprotect),
    ALLOW(arch_prctl),
    ALLOW(tgkill),
    ALLOW(process_vm_readv),
#endif
};

/* Found at the start, for a handler of signals may not allocate. */
static char names[NAMES_MAX][NAME_BYTES];

static void find_names(void)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
        snprintf(names[i], sizeof(names[i]), "%s", name != NULL ? name : "unknown");
        free(name);
    }
}

static size_t put(char *line, size_t length, const char *text)
{
    size_t count = strlen(text);

    memcpy(line + length, text, count);
    return length + count;
}

static void on_violation(int signal_number, siginfo_t *info, void *context)
{
    int call = info->si_code == SYS_SECCOMP ? info->si_syscall : -1;
    char line[128 + NAME_BYTES];
    size_t length = put(line, 0, "level=error role=worker event=sandbox-violation syscall=");

    (void)context;
    length = put(line, length, call >= 0 && call < NAMES_MAX ? names[call] : "unknown");
    length = put(line, length, "\n");
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
    raise(signal_number); /* the handler was removed when it was entered */
    _exit(128 + SIGSYS);
}

static int add_rules(scmp_filter_ctx filter)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < sizeof(rules) / sizeof(rules[0]); i++)
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].count,
                                       rules[i].when);
    /* Signals, such as abort() sends, to itself only. */
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    return error;
}

int syscall_filter_enter(void)
{
    struct sigaction action = {.sa_sigaction = on_violation,
                               .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);

    if (filter == NULL)
        return -ENOMEM;
    find_names();
    int error = add_rules(filter);
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* Nothing of a stranger's making runs in here: the filter need not slow speculation down. */
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (error == 0 && sigaction(SIGSYS, &action, NULL) < 0)
        error = -errno;
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}
