/* Which rollout a name means, for commands that are about past ones too. */
#ifndef CLI_NEWEST_H
#define CLI_NEWEST_H

#include "command.h"

/* The newest rollout of the service of this name, in progress or not; else the one of that id.
 * Returns DONE and the id (the caller frees it), or says why not. */
enum exit_code newest_rollout(const struct invocation *invocation, const char *name, char **ret_id);

#endif
