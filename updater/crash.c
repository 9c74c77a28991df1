#include "crash.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *point;  /* NULL: none, or it has been reached before */
static char *marker; /* the file that says so */

void crash_open(const char *state)
{
    const char *wanted = getenv("SLUICE_TEST_CRASH");

    if (!wanted)
        return;
    marker = memory_format("%s/crashed", state);
    if (access(marker, F_OK) != 0)
        point = memory_copy_string(wanted);
}

void crash_at(const char *what, const char *when)
{
    size_t length = strlen(what);
    int fd;

    if (!point || strncmp(point, what, length) != 0 || point[length] != ':' ||
        strcmp(point + length + 1, when) != 0)
        return;
    fd = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    check(fd >= 0);
    close(fd);
    log_event(LOG_WARNING, "crash-wanted", "point", point);
    (void)kill(getpid(), SIGKILL);
}
