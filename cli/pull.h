/* The pull that a rollout begins with: asked for, waited for, and shown as it comes. */
#ifndef CLI_PULL_H
#define CLI_PULL_H

#include "api.h"
#include "command.h"
#include "text.h"

#define PULL_LINE_BYTES 512

/* "web:v2: 2 of 5 layers, 12.1 MiB of 80.0 MiB, 15%, 3.1 MiB/s, 21s left", from a service's `pull`.
 * Pure. */
const char *pull_line(const struct cJSON *pull, char line[PULL_LINE_BYTES]);

/* POSTs a rollout, and shows the pull while its answer is waited for: in one line on a terminal,
 * else in a line for each tenth. Returns whether it was accepted; else what went wrong has been
 * said, and *ret_code fits it. The reply is the caller's to end, in any case. */
bool pull_ask(const struct invocation *invocation, const char *service, const char *path,
              const struct cJSON *body, struct api_reply *ret_reply, enum exit_code *ret_code);

#endif
