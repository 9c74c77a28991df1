/* Measures for the checks: of this host, and what the engine's answers say in numbers. */
#ifndef UPDATER_PREFLIGHT_MEASURE_H
#define UPDATER_PREFLIGHT_MEASURE_H

#include "preflight_parts.h"

struct service;

/* What it uses, and the limits of one like it with these changes (container_changes.h; NULL: none).
 * `stats` may be NULL. Pure. */
void preflight_use_read(const struct cJSON *inspect, const struct cJSON *changes,
                        const struct cJSON *stats, struct preflight_use *ret_use);
/* A value of /proc/meminfo in bytes; 0: not there. Pure. */
uint64_t preflight_meminfo(const char *text, const char *key);
/* Load and number of threads, of /proc/loadavg. Pure. */
void preflight_loadavg(const char *text, double *ret_load, uint64_t *ret_threads);

/* This host as it is now; `info` is the engine's, or NULL; `container`: the id of one of its, by
 * which its data folder is told from another's. */
void preflight_host_read(const struct service *service, const struct cJSON *info,
                         const char *container, struct preflight_host *ret_host);

#endif
