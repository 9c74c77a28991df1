/* When a container started, as the engine tells it (RFC 3339 in UTC, nanoseconds), on our clocks.
 * Pure. */
#ifndef UPDATER_START_TIME_H
#define UPDATER_START_TIME_H

#include <stdint.h>

/* Wall clock milliseconds; 0 for NULL, for what is no time, and for the engine's "never"
 * (0001-01-01T00:00:00Z). */
uint64_t start_time_wall_ms(const char *started_at);
/* The same moment on the monotonic clock, given what both clocks say now. A moment to come (the
 * wall clock was set back) counts as now; one from before the machine started as 1. What is no time
 * counts as now. */
uint64_t start_time_ms(const char *started_at, uint64_t wall_ms, uint64_t now_ms);

#endif
