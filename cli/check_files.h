/* The files that a config names for TLS, tried as a worker reads them, by a worker: it alone knows
 * them. */
#ifndef CLI_CHECK_FILES_H
#define CLI_CHECK_FILES_H

#include "command.h"
#include "config/config.h"

struct cJSON;

/* Path of one of Sluice's other programs: in SLUICE_LIBEXEC, else beside this one as installed. The
 * caller frees it. */
char *libexec_path(const char *program);

/* Says on stderr what is wrong with them. `errors`: an array to which that is added too. Returns
 * DONE, also where there are none to try; USAGE where one cannot be used; FAILED where they could
 * not be tried. */
enum exit_code check_files(const struct config *config, struct cJSON *errors);

#endif
