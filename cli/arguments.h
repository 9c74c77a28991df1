/* The command line: from argv to an invocation, by the table of commands. Pure. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "command.h"

#include <stddef.h>

#define ARGUMENTS_WHY_BYTES 320

/* Returns 0, or -EINVAL with `why` for people. `ret_invocation->command` stays NULL where only
 * global options were given (`sluice --help`). Strings point into argv. */
int arguments_read(int argc, char *const *argv, struct invocation *ret_invocation,
                   char why[ARGUMENTS_WHY_BYTES]) __attribute__((warn_unused_result));

/* The entry of `commands` with this name, or NULL. */
const struct command *arguments_find(const char *name);

/* How many letters must be changed, added, left out or swapped to make one of the other. */
unsigned arguments_distance(const char *a, const char *b);

#endif
