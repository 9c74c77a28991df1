/* Structured log: one event, one logfmt line, one write(2) to stderr of at most PIPE_BUF bytes,
 * so lines of several processes never interleave. A line that would be longer is cut.
 *
 *     struct log_line line;
 *     log_begin(&line, LOG_INFO, "worker-started");
 *     log_u64(&line, "row", row);
 *     log_end(&line);
 *
 * `base/` and pure code do not log: they return errors. Values are escaped; control bytes never
 * reach the terminal. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "slice.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_line {
    size_t length;
    bool skip; /* below the level that is shown */
    char text[PIPE_BUF];
};

/* The role ("supervisor", "worker", ...) stands in every line. `role` must outlive the process's
 * last line. Also reads SLUICE_LOG_LEVEL (debug, info, warning, error; default info). */
void log_init(const char *role);

void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_string(struct log_line *line, const char *key, const char *value); /* NULL: left out */
void log_slice(struct log_line *line, const char *key, struct slice value);
void log_u64(struct log_line *line, const char *key, uint64_t value);
void log_i64(struct log_line *line, const char *key, int64_t value);
void log_errno(struct log_line *line, int error); /* takes errno or -errno: error="No such ..." */
void log_end(struct log_line *line);

/* The frequent case: an event with one text. */
void log_event(enum log_level level, const char *event, const char *key, const char *value);

#endif
