/* Commands that the config names (hooks, verifications, notifications), run as `user`: the updater
 * is root and holds the engine's socket, a command has nothing of either. Each in a process group
 * of its own, with a fixed environment, nothing open, a JSON text on stdin; at its timeout the
 * group gets SIGTERM, and SIGKILL 5 s later. What it leaves behind is killed at its end. When the
 * updater dies, so does the command.
 *
 * Owner: whoever started it, until on_end or run_abandon(). */
#ifndef UPDATER_RUNNER_H
#define UPDATER_RUNNER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define RUN_OUTPUT_BYTES 1000u /* kept of what it prints; the rest is read and lost */
#define RUN_GRACE_MS     5000u

struct cJSON;
struct run;
struct updater;

struct run_end {
    bool passed; /* exit status 0, in time */
    const char
        *why; /* where it did not: "exit status 3", "killed by signal 9", "no end within …" */
    struct slice output; /* the beginning of what it printed */
};

struct run_options {
    char *const *command;        /* argv */
    const struct cJSON *payload; /* texts and numbers of it go into the environment: SLUICE_… */
    struct slice input;
    uint32_t timeout_ms;
    void (*on_end)(void *context, const struct run_end *end);
    void *context;
};

/* Whether the config has a command at all: then the updater keeps what it takes to become `user`.
 */
struct config;
bool runner_is_needed(const struct config *config);
/* Looks `user` up, before the sandbox. Returns 0 or -ENOENT. */
int runner_open(struct updater *updater) __attribute__((warn_unused_result));
void runner_close(struct updater *updater); /* kills what runs */

/* Returns 0 or -errno; on_end follows, never before this returns. */
int run_start(struct updater *updater, const struct run_options *options, struct run **ret_run)
    __attribute__((warn_unused_result));
void run_abandon(struct run *run); /* killed, untold; NULL is fine */

#endif
