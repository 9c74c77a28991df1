/* The access log's file: workers cannot open it, and must have it anew when it was renamed. */
#include "base/log.h"
#include "supervisor.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE 0640

static void log_trouble(const char *event, const char *path, int error)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR, event);
    log_string(&line, "file", path);
    log_string(&line, "error",
               error == -EINVAL ? "no regular file: leave `file` out for stderr"
                                : strerror(-error));
    log_end(&line);
}

/* Nothing that could block, and no way to be led elsewhere by a link. */
static int open_file(const char *path)
{
    struct stat status;
    int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
             FILE_MODE);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode)))
        return fd;
    close(fd);
    return -EINVAL;
}

static int send_file(const struct child *child, const char *path)
{
    int fd = open_file(path);
    int error = fd < 0 ? fd : descriptor_send(child->log_channel, fd);

    if (fd >= 0)
        close(fd);
    return error;
}

int access_log_check(const struct config *config)
{
    int fd = config->access_log.file == NULL ? -1 : open_file(config->access_log.file);

    if (fd >= 0)
        close(fd);
    else if (config->access_log.file != NULL)
        log_trouble("access-log-refused", config->access_log.file, fd);
    return config->access_log.file == NULL || fd >= 0 ? 0 : fd;
}

int access_log_start(struct child *child)
{
    const char *path = child->supervisor->setup.config->access_log.file;
    int pair[2];

    child->log_channel = -1;
    if (child->role != ROLE_WORKER || path == NULL)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        log_trouble("access-log-not-opened", path, -errno);
        return -1;
    }
    child->log_channel = descriptor_raise(pair[0]);
    int end = descriptor_raise(pair[1]);
    /* One way: the worker's end only takes. */
    int error = end < 0 ? end : shutdown(end, SHUT_WR) < 0 ? -errno : send_file(child, path);
    if (error < 0)
        log_trouble("access-log-not-opened", path, error);
    return end < 0 ? -1 : end;
}

void access_log_end(struct child *child)
{
    if (child->log_channel >= 0)
        close(child->log_channel);
    child->log_channel = -1;
}

void access_log_reopen(struct supervisor *supervisor)
{
    const char *path = supervisor->setup.config->access_log.file;
    unsigned count = 0;

    for (unsigned i = 0; path != NULL && i < CHILDREN_MAX; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->state != CHILD_RUNNING || child->log_channel < 0)
            continue;
        int error = send_file(child, path);
        if (error < 0)
            log_trouble("access-log-not-reopened", path, error);
        else
            count++;
    }
    struct log_line line;
    log_begin(&line, LOG_INFO, "access-log-reopened");
    log_u64(&line, "workers", count);
    log_end(&line);
}
