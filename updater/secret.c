#include "secret.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"

#include <sys/random.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_whole(const char *path, uint8_t secret[ROUTING_SECRET_BYTES])
{
    uint8_t bytes[ROUTING_SECRET_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : 0;

    if (fd >= 0)
        close(fd);
    if (length != (ssize_t)ROUTING_SECRET_BYTES)
        return false;
    memcpy(secret, bytes, ROUTING_SECRET_BYTES);
    return true;
}

/* Written whole beside it, then renamed over it: never half a secret, not even after a power cut.
 */
static void write_whole(const char *path, const uint8_t secret[ROUTING_SECRET_BYTES])
{
    char *beside = memory_format("%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 &&
                write(fd, secret, ROUTING_SECRET_BYTES) == (ssize_t)ROUTING_SECRET_BYTES &&
                fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    if (!good || rename(beside, path))
        log_event(LOG_WARNING, "secret-not-kept", "reason", strerror(errno));
    free(beside);
}

void secret_open(const char *state, uint8_t secret[ROUTING_SECRET_BYTES])
{
    static const uint8_t none[ROUTING_SECRET_BYTES];
    char *path = memory_format("%s/secret", state);

    if (!read_whole(path, secret)) {
        if (memcmp(secret, none, sizeof(none)) == 0)
            check(getrandom(secret, ROUTING_SECRET_BYTES, 0) == (ssize_t)ROUTING_SECRET_BYTES);
        write_whole(path, secret);
    }
    free(path);
}
