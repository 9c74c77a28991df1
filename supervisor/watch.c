/* What has to be done from time to time for TLS, without knowing anything of it: workers' ticket
 * keys change, and the files that the configuration names (certificates, keys) are looked at, never
 * read. Where they changed, and have stayed as they are for one look, all is reloaded as by SIGHUP.
 */
#include "base/clock.h"
#include "base/log.h"
#include "board/tickets.h"
#include "supervisor.h"

#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#define LOOK_TICKS 3u /* seconds */

static void add(uint64_t *sum, uint64_t value)
{
    *sum = (*sum ^ value) * UINT64_C(0x100000001b3); /* FNV-1a, by words */
}

/* A renewal is a new file, a new time or a new size; a file that is not there counts too. */
static void add_file(void *context, const char *path)
{
    struct stat status;
    bool there = stat(path, &status) == 0;

    add(context, there ? 0 : (uint64_t)errno);
    if (!there)
        return;
    add(context, status.st_ino);
    add(context, (uint64_t)status.st_size);
    add(context, (uint64_t)status.st_mtim.tv_sec);
    add(context, (uint64_t)status.st_mtim.tv_nsec);
}

static uint64_t look(const struct setup *setup)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    config_each_file(setup->config, add_file, &sum);
    return sum;
}

void watch_begin(struct supervisor *supervisor)
{
    struct watch *watch = &supervisor->watch;

    watch->known = watch->seen = look(&supervisor->setup);
    if (supervisor->reloading)
        watch->way_back = look(&supervisor->previous);
}

/* What has changed since the reload began is a reason for the next one; that there are other files
 * in the config that was refused is none. */
void watch_go_back(struct supervisor *supervisor)
{
    supervisor->watch.known = supervisor->watch.seen = supervisor->watch.way_back;
}

static void rotate_keys(struct supervisor *supervisor)
{
    struct watch *watch = &supervisor->watch;
    uint64_t now_ms = clock_ms();

    if (watch->rotated_ms == 0)
        watch->rotated_ms = now_ms;
    if (now_ms - watch->rotated_ms < TICKETS_INTERVAL_MS)
        return;
    watch->rotated_ms = now_ms;
    int error = tickets_rotate(supervisor->boards.tickets);
    if (error < 0)
        log_event(LOG_ERROR, "ticket-keys-stay", "error", strerror(-error));
}

void watch_tick(struct supervisor *supervisor)
{
    struct watch *watch = &supervisor->watch;

    rotate_keys(supervisor);
    if (++watch->ticks % LOOK_TICKS != 0 || supervisor->reloading || supervisor->stopping ||
        !supervisor->announced)
        return;
    uint64_t before = watch->seen;
    watch->seen = look(&supervisor->setup);
    if (watch->seen == watch->known || watch->seen != before)
        return;
    log_event(LOG_INFO, "files-changed", NULL, NULL);
    watch->known = watch->seen; /* one try for each change, whatever becomes of it */
    reload_start(supervisor);
}
