#include "admin_socket.h"

#include "base/memory.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG     64
#define SOCKET_MODE 0660

static int address_of(const char *path, struct sockaddr_un *ret_address)
{
    if (path[0] == '\0')
        return -EINVAL;
    if (strlen(path) >= sizeof ret_address->sun_path)
        return -ENAMETOOLONG;
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Asks whether somebody listens: 0 nobody does and nothing is there now, else -errno. */
static int take_over(const char *path, const struct sockaddr_un *address)
{
    struct stat found;
    if (lstat(path, &found) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(found.st_mode))
        return -EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
        error = errno;
    close(fd);
    /* EAGAIN: it listens, its backlog is full. */
    if (error == 0 || error == EAGAIN || error == EINPROGRESS)
        return -EADDRINUSE;
    if (error != ECONNREFUSED && error != ENOENT)
        return -error;
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

static void make_folder(const char *path)
{
    char *copy = memory_copy_string(path);
    /* A failure shows in bind(), which says it better. */
    if (mkdir(dirname(copy), 0755) < 0)
        errno = 0;
    free(copy);
}

int admin_socket_open(const char *path, int *ret_fd, struct stat *ret_identity)
{
    struct sockaddr_un address;
    int error = address_of(path, &address);
    if (error < 0)
        return error;
    make_folder(path);
    error = take_over(path, &address);
    if (error < 0)
        return error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* The mode must be right from the first moment on; chmod() after bind() would leave a gap. */
    mode_t before = umask(0777 & ~SOCKET_MODE);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    error = bound < 0 ? -errno : 0;
    umask(before);
    if (error == 0 && (listen(fd, BACKLOG) < 0 || lstat(path, ret_identity) < 0))
        error = -errno;
    if (error < 0) {
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

void admin_socket_remove(const char *path, const struct stat *identity)
{
    struct stat found;
    if (lstat(path, &found) == 0 && found.st_dev == identity->st_dev &&
        found.st_ino == identity->st_ino)
        unlink(path);
}
