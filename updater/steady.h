/* Wall clock time that does not jump: where the wall clock stood once, and the monotonic clock
 * since then. Every stamp of a rollout is of it, so no wait of one ends early, or never, because
 * somebody has set the clock.
 *
 * The monotonic clock is one until the machine is started again, so the anchor is kept in the state
 * directory ("clock") and journalled stamps mean the same to the next updater. After a start of the
 * machine, and while no rollout is in progress, it takes over the wall clock anew.
 *
 * One for the process; the updater's loop is its only user. */
#ifndef UPDATER_STEADY_H
#define UPDATER_STEADY_H

#include <stdint.h>

/* Reads the anchor, or sets and writes it. A file that cannot be written is no failure: the next
 * updater then starts from its own wall clock. */
void steady_open(const char *state);
/* Milliseconds since 1970. */
uint64_t steady_wall_ms(void);
/* No rollout is in progress: where the wall clock has jumped, it is followed. */
void steady_follow(void);

#endif
