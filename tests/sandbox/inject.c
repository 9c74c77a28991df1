/* Makes a running process do one system call, as whoever has taken it over would: stops it where it
 * waits in a call of its own, and has it do this one instead. So a test looks at the real program,
 * which knows nothing of it.
 *
 *     sluice-inject PID CALL [ARGUMENT ...]
 *
 * An argument is a number, or a text that starts with "=", whose address is passed. Prints
 * "returned NUMBER", and the process goes on where it was, or "killed SIGNAL". x86-64 only. */
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 6
#define RED_ZONE      256u    /* below the stack pointer, in use by whom was stopped */
#define SYSCALL_BYTES 0x050fu /* the instruction, as it lies in memory */

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int await(pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, __WALL) < 0)
        die("waitpid");
    return status;
}

static void go_on(pid_t pid, int request, int signal_number)
{
    if (ptrace((enum __ptrace_request)request, pid, 0, signal_number) < 0)
        die("ptrace");
}

/* Puts a text onto the stack; returns its address. */
static unsigned long long put_text(pid_t pid, struct user_regs_struct *at, const char *text)
{
    size_t size = (strlen(text) / sizeof(long) + 1) * sizeof(long);

    at->rsp = (at->rsp - RED_ZONE - size) & ~15ull;
    for (size_t i = 0; i < size; i += sizeof(long)) {
        unsigned long word = 0;
        size_t left = strlen(text) + 1 > i ? strlen(text) + 1 - i : 0;
        memcpy(&word, text + i, left < sizeof(word) ? left : sizeof(word));
        if (ptrace(PTRACE_POKEDATA, pid, at->rsp + i, word) < 0)
            die("poke");
    }
    return at->rsp;
}

static void prepare(pid_t pid, struct user_regs_struct *regs, int count, char **arguments)
{
    unsigned long long values[ARGUMENTS_MAX] = {0};
    int number = seccomp_syscall_resolve_name(arguments[0]);

    errno = EINVAL;
    if (number < 0)
        die(arguments[0]);
    for (int i = 1; i < count; i++)
        values[i - 1] = arguments[i][0] == '=' ? put_text(pid, regs, arguments[i] + 1)
                                               : strtoull(arguments[i], NULL, 0);
    errno = 0;
    if ((ptrace(PTRACE_PEEKTEXT, pid, regs->rip - 2, 0) & 0xffff) != SYSCALL_BYTES)
        die("was not stopped in a system call");
    regs->rip -= 2;
    regs->orig_rax = UINT64_MAX; /* nothing to restart */
    regs->rax = (unsigned long long)number;
    regs->rdi = values[0];
    regs->rsi = values[1];
    regs->rdx = values[2];
    regs->r10 = values[3];
    regs->r8 = values[4];
    regs->r9 = values[5];
}

/* Until it stops for this signal; others are passed on to it. False: SIGSYS came, and it was let
 * run to its end. */
static bool stops_for(pid_t pid, int request, int wanted, int *ret_signal)
{
    go_on(pid, request, 0);
    for (;;) {
        int status = await(pid);
        if (!WIFSTOPPED(status)) {
            *ret_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
            return false;
        }
        int signal_number = WSTOPSIG(status);
        if (signal_number == wanted)
            return true;
        if (signal_number == SIGSYS)
            request = PTRACE_CONT;
        go_on(pid, request, signal_number);
    }
}

int main(int argc, char **argv)
{
    const int at_call = SIGTRAP | 0x80;
    struct user_regs_struct before, regs;
    int killed_by = 0;

    if (argc < 3 || argc > 3 + ARGUMENTS_MAX)
        return 2;
    pid_t pid = (pid_t)strtol(argv[1], NULL, 10);
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        die("attach");
    await(pid);
    if (ptrace(PTRACE_GETREGS, pid, 0, &before) < 0)
        die("registers");
    regs = before;
    prepare(pid, &regs, argc - 2, argv + 2);
    if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0)
        die("registers");
    /* Into the call, out of it, and a step on: a call that was trapped is followed by SIGSYS. */
    if (stops_for(pid, PTRACE_SYSCALL, at_call, &killed_by) &&
        stops_for(pid, PTRACE_SYSCALL, at_call, &killed_by)) {
        if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
            die("registers");
        if (stops_for(pid, PTRACE_SINGLESTEP, SIGTRAP, &killed_by)) {
            printf("returned %lld\n", (long long)regs.rax);
            if (ptrace(PTRACE_SETREGS, pid, 0, &before) < 0)
                die("registers");
            go_on(pid, PTRACE_DETACH, 0);
            return 0;
        }
    }
    printf("killed %d\n", killed_by);
    return 0;
}
