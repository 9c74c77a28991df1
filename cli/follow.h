/* Following one rollout to its end. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "command.h"

struct cJSON;

#define DETACHED 130 /* by Ctrl-C: 128 + SIGINT, as shells have it */

/* Prints what happens and, at its end, a summary. `rollout` is the rollout as its start answered.
 */
enum exit_code follow_rollout(const struct invocation *invocation, const struct cJSON *rollout);

/* A descriptor that becomes readable by SIGINT, SIGTERM and SIGWINCH, which do nothing else any
 * more; or -1. */
int follow_signals(void);
/* The signal that is waiting on it, or 0. */
int follow_signal(int fd);

#endif
