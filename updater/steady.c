#include "steady.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JUMP_MS    1000 /* what is less is the clock's being slowed or hastened */
#define BOOT_BYTES 40

static int64_t offset_ms; /* wall clock less monotonic clock, as it was */
static char *anchor_path;
static char boot[BOOT_BYTES]; /* this start of the machine; empty: not known */

static int64_t offset_now(void)
{
    return (int64_t)clock_wall_ms() - (int64_t)clock_ms();
}

static void text_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : 0;

    text[length > 0 ? length : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Written whole beside it, then renamed over it: never half an anchor. */
static void anchor_write(void)
{
    char *beside = memory_format("%s.new", anchor_path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && dprintf(fd, "%s %" PRId64 "\n", boot, offset_ms) > 0;

    if (fd >= 0)
        close(fd);
    if (!good || rename(beside, anchor_path))
        log_event(LOG_WARNING, "clock-not-kept", "reason", strerror(errno));
    free(beside);
}

void steady_open(const char *state)
{
    char text[BOOT_BYTES + 32], of_boot[BOOT_BYTES];
    int64_t kept_ms;

    free(anchor_path);
    anchor_path = memory_format("%s/clock", state);
    text_read("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    boot[strcspn(boot, "\n")] = '\0';
    text_read(anchor_path, text, sizeof(text));
    if (sscanf(text, "%39s %" SCNd64, of_boot, &kept_ms) == 2 && strcmp(of_boot, boot) == 0) {
        offset_ms = kept_ms;
        return;
    }
    offset_ms = offset_now();
    anchor_write();
}

uint64_t steady_wall_ms(void)
{
    int64_t wall_ms = (int64_t)clock_ms() + offset_ms;

    return wall_ms > 0 ? (uint64_t)wall_ms : 0;
}

void steady_follow(void)
{
    int64_t apart_ms = offset_now() - offset_ms;
    struct log_line line;

    if (apart_ms > -JUMP_MS && apart_ms < JUMP_MS)
        return;
    offset_ms += apart_ms;
    anchor_write();
    log_begin(&line, LOG_INFO, "clock-followed");
    log_i64(&line, "jump_ms", apart_ms);
    log_end(&line);
}
