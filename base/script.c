#include "script.h"

#include "check.h"
#include "list.h"
#include "memory.h"

#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPE_BYTES (64u * 1024) /* pipe(7) */

struct script {
    struct list node;
    struct ev_loop *loop;
    ev_io end;    /* on the pidfd: readable when the process has ended */
    ev_io output; /* on the pipe */
    pid_t pid;    /* of the process and of its group */
    char *text;
    size_t length, room; /* of text, whose last byte stays zero */
    void (*on_end)(void *context, int status, struct slice output); /* NULL: abandoned */
    void *context;
};

/* --- the child's side, between fork and exec ------------------------------------------------ */

static void reset_signals(void)
{
    static const int changed[] = {SIGPIPE, SIGINT, SIGHUP, SIGTERM};
    sigset_t none;

    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++)
        signal(changed[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Before the parent-death signal, which a change of user clears. */
static int become(const struct script_user *user)
{
    if (setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return -errno;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

_Noreturn static void run(const struct script_options *options, int input, int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int errors = options->errors_apart ? null : output;

    setpgid(0, 0);
    if (options->user.is_set && become(&options->user) < 0)
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    reset_signals();
    if (dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || chdir("/") < 0)
        _exit(126);
    syscall(SYS_close_range, 3u, ~0u, 0);
    execvpe(options->argv[0], options->argv, options->environment);
    dprintf(STDOUT_FILENO, "cannot run %s: %s\n", options->argv[0], strerror(errno));
    _exit(127);
}

/* --- the parent's side ---------------------------------------------------------------------- */

/* Reads what there is, as much as a pipe holds: one that never stops printing must not hold the
 * loop. Returns false at the end of the output. */
static bool read_output(struct script *script)
{
    char bytes[512];
    ssize_t got = 1;

    for (unsigned i = 0; i < PIPE_BYTES / sizeof(bytes) && got > 0; i++) {
        got = read(script->output.fd, bytes, sizeof(bytes));
        if (got <= 0)
            break;
        size_t fits = script->room - 1 - script->length;
        size_t take = (size_t)got < fits ? (size_t)got : fits;
        memcpy(script->text + script->length, bytes, take);
        script->length += take;
        if ((size_t)got < sizeof(bytes))
            return true;
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_output(struct ev_loop *loop, ev_io *io, int events)
{
    struct script *script = container_of(io, struct script, output);

    (void)events;
    if (!read_output(script))
        ev_io_stop(loop, io);
}

static void kill_group(const struct script *script)
{
    kill(-script->pid, SIGKILL);
}

/* It leaves the list, with its descriptors; the struct stays for its last words. */
static void script_close(struct script *script)
{
    ev_io_stop(script->loop, &script->end);
    ev_io_stop(script->loop, &script->output);
    close(script->end.fd);
    close(script->output.fd);
    list_remove(&script->node);
}

static void on_process_end(struct ev_loop *loop, ev_io *io, int events)
{
    struct script *script = container_of(io, struct script, end);
    int status = 0;

    (void)loop;
    (void)events;
    kill_group(script); /* what it left behind; its own number is still taken by the zombie */
    if (waitpid(script->pid, &status, WNOHANG) == 0)
        return;
    read_output(script);
    script_close(script);
    if (script->on_end != NULL)
        script->on_end(script->context, status, (struct slice){script->text, script->length});
    free(script->text);
    free(script);
}

static void watch(struct script *script, int pidfd, int output)
{
    ev_io_init(&script->end, on_process_end, pidfd, EV_READ);
    ev_io_init(&script->output, on_output, output, EV_READ);
    ev_io_start(script->loop, &script->end);
    ev_io_start(script->loop, &script->output);
}

/* A file in memory that holds the input, read from its beginning: nobody waits for a reader. -1
 * where there is none; else a descriptor or -errno. */
static int input_make(struct slice input)
{
    int fd, error;

    if (input.length == 0)
        return -1;
    fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, input.data, input.length) == (ssize_t)input.length && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    error = errno != 0 ? -errno : -EIO;
    close(fd);
    return error;
}

static struct script *script_new(struct ev_loop *loop, const struct script_options *options,
                                 pid_t pid)
{
    struct script *script = memory_new(sizeof(*script));

    *script = (struct script){
        .loop = loop, .pid = pid, .on_end = options->on_end, .context = options->context};
    script->room = (options->output_bytes != 0 ? options->output_bytes : SCRIPT_OUTPUT_BYTES) + 1;
    script->text = memory_new(script->room);
    list_init(&script->node);
    list_append(options->running, &script->node);
    return script;
}

int script_start(struct ev_loop *loop, const struct script_options *options,
                 struct script **ret_script)
{
    struct script *script;
    int pipe_fds[2] = {-1, -1};
    int error = 0, pidfd, input;
    pid_t pid;

    check(options->argv != NULL && options->argv[0] != NULL);
    check(options->output_bytes <= SCRIPT_OUTPUT_BYTES_MAX);
    input = input_make(options->input);
    if (input < -1)
        return input;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        error = -errno;
        goto out;
    }
    fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
    pid = fork();
    if (pid == 0)
        run(options, input, pipe_fds[1]);
    if (pid < 0) {
        error = -errno;
        goto out;
    }
    setpgid(pid, pid); /* here as well: whoever comes first */
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        error = -errno;
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
        goto out;
    }
    script = script_new(loop, options, pid);
    watch(script, pidfd, pipe_fds[0]);
    pipe_fds[0] = -1;
    *ret_script = script;
out:
    if (pipe_fds[0] >= 0)
        close(pipe_fds[0]);
    if (pipe_fds[1] >= 0)
        close(pipe_fds[1]);
    if (input >= 0)
        close(input);
    return error;
}

void script_terminate(struct script *script)
{
    kill(-script->pid, SIGTERM);
}

void script_kill(struct script *script)
{
    kill_group(script);
}

void script_abandon(struct script *script)
{
    script->on_end = NULL;
    kill_group(script);
}

void script_end_all(struct list *running)
{
    while (!list_is_empty(running)) {
        struct script *script = container_of(list_take_first(running), struct script, node);
        kill_group(script);
        waitpid(script->pid, NULL, 0);
        script_close(script);
        free(script->text);
        free(script);
    }
}
