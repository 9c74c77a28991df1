/* Loaded before libc (LD_PRELOAD): the wall clock is so many seconds ahead as the file that
 * SLUICE_TEST_CLOCK names says. The monotonic clock is left alone, as when somebody sets the time.
 */
#include <sys/syscall.h>

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static time_t shift(void)
{
    const char *path = getenv("SLUICE_TEST_CLOCK");
    char text[32] = "";
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, time);

    if (result == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += shift();
    return result;
}
