/* Reading a config for `sluice check` and `sluice run`. */
#ifndef CLI_CHECK_CONFIG_H
#define CLI_CHECK_CONFIG_H

#include "command.h"
#include "config/config.h"

/* Returns DONE and the config (the caller frees it), or USAGE after saying every error on stderr,
 * and with `json` as JSON on stdout. */
enum exit_code check_config(const char *path, const struct config_overrides *overrides, bool json,
                            struct config **ret_config);

#endif
