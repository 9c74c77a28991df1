#include "preflight_measure.h"

#include "engine_json.h"
#include "updater.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES 8192u

static uint64_t not_negative(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

/* What is cached of files can be given back at once; `docker stats` leaves it out too. */
static uint64_t memory_in_use(const cJSON *memory)
{
    const cJSON *details = engine_json_get(memory, "stats");
    uint64_t usage = not_negative(engine_json_integer(memory, "usage", 0));
    int64_t cached = engine_json_integer(details, "total_inactive_file", -1); /* cgroup v1 */

    if (cached < 0)
        cached = engine_json_integer(details, "inactive_file", 0);
    return usage > not_negative(cached) ? usage - not_negative(cached) : 0;
}

/* The limits that somebody asks for stand over those that it has. */
static void change_limits(const cJSON *changes, struct preflight_use *use)
{
    const cJSON *memory = engine_json_get(changes, "memory");
    const cJSON *cpus = engine_json_get(changes, "cpus");

    if (cJSON_IsNumber(memory) && memory->valuedouble >= 0.)
        use->memory_limit = (uint64_t)memory->valuedouble;
    if (cJSON_IsNumber(cpus) && cpus->valuedouble >= 0.)
        use->nano_cpus = (uint64_t)(cpus->valuedouble * 1e9 + 0.5);
}

void preflight_use_read(const cJSON *inspect, const cJSON *changes, const cJSON *stats,
                        struct preflight_use *ret_use)
{
    const cJSON *host = engine_json_get(inspect, "HostConfig");
    const cJSON *memory = engine_json_get(stats, "memory_stats");
    int64_t quota = engine_json_integer(host, "CpuQuota", 0);
    int64_t period = engine_json_integer(host, "CpuPeriod", 0);

    *ret_use = (struct preflight_use){
        .memory_limit = not_negative(engine_json_integer(host, "Memory", 0)),
        .nano_cpus = not_negative(engine_json_integer(host, "NanoCpus", 0)),
        .pids_limit = not_negative(engine_json_integer(host, "PidsLimit", 0)),
        .memory_used = memory_in_use(memory),
        .pids =
            not_negative(engine_json_integer(engine_json_get(stats, "pids_stats"), "current", 0)),
        .measured = engine_json_get(memory, "usage") != NULL,
    };
    if (ret_use->nano_cpus == 0 && quota > 0)
        ret_use->nano_cpus =
            (uint64_t)((double)quota / (double)(period > 0 ? period : 100000) * 1e9);
    change_limits(changes, ret_use);
}

uint64_t preflight_meminfo(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            return strtoull(line + length + 1, NULL, 10) * 1024;
        if (*line == '\0')
            break;
    }
    return 0;
}

void preflight_loadavg(const char *text, double *ret_load, uint64_t *ret_threads)
{
    const char *slash = strchr(text, '/');

    *ret_load = strtod(text, NULL);
    *ret_threads = slash != NULL ? strtoull(slash + 1, NULL, 10) : 0;
}

/* --- this host ----------------------------------------------------------------------------- */

static void read_file(const char *path, char text[FILE_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, FILE_BYTES - 1) : 0;

    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static uint64_t read_number(const char *path)
{
    char text[FILE_BYTES];

    read_file(path, text);
    return strtoull(text, NULL, 10);
}

static void disk_read(const char *path, struct preflight_disk *ret_disk)
{
    struct statvfs disk;

    (void)snprintf(ret_disk->path, sizeof(ret_disk->path), "%s", path);
    if (path[0] == '\0' || statvfs(path, &disk) != 0)
        return;
    ret_disk->known = true;
    ret_disk->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    ret_disk->no_inodes = disk.f_files > 0 && disk.f_favail == 0;
}

/* A folder of that name may be there and be another engine's: it has a folder for this container
 * too, or it is not the one. */
static void engine_disk_read(const cJSON *info, const char *container,
                             struct preflight_disk *ret_disk)
{
    const char *root = engine_json_string(info, "DockerRootDir");
    char path[sizeof(ret_disk->path) + 96];
    struct stat status;

    if (root == NULL || container == NULL)
        return;
    (void)snprintf(path, sizeof(path), "%.200s/containers/%.64s", root, container);
    if (stat(path, &status) == 0)
        disk_read(root, ret_disk);
    else
        (void)snprintf(ret_disk->path, sizeof(ret_disk->path), "%s", root);
}

/* By a socket of this host, and with as much memory as this host has. */
static bool engine_is_here(const struct updater *updater, const cJSON *info, uint64_t memory)
{
    uint64_t its = not_negative(engine_json_integer(info, "MemTotal", 0));
    uint64_t apart = its > memory ? its - memory : memory - its;

    return strncmp(updater->config->engine_host, "unix://", 7) == 0 && its > 0 &&
           apart <= memory / 50;
}

static void workers_read(const struct service *service, struct preflight_host *host)
{
    const struct updater *updater = service->updater;
    const struct routing_table *table = &updater->table->draft;
    struct rlimit limit;

    host->slots_free = ROUTING_BACKENDS_MAX - table->backend_count;
    for (uint32_t slot = 0; slot < table->backend_count; slot++)
        host->slots_free += table->backends[slot].state == BACKEND_FREE;
    for (unsigned i = 0; i < updater->scores.row_count; i++) {
        const struct score_row *row = updater->scores.rows[i];
        uint64_t used = score_get(&row->clients), service_used = 0;

        if (score_get(&row->state) != ROW_LIVE)
            continue;
        for (uint32_t slot = 0; slot < table->backend_count; slot++) {
            uint64_t open = score_get(&row->cells[slot].open);

            used += open;
            service_used += table->backends[slot].service == service->row ? open : 0;
        }
        if (used > host->descriptors_used)
            host->descriptors_used = used;
        if (service_used > host->service_connections)
            host->service_connections = service_used;
    }
    /* The supervisor raises its own to the hard limit, and all inherit that. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
        host->descriptors_max = limit.rlim_max;
}

void preflight_host_read(const struct service *service, const cJSON *info, const char *container,
                         struct preflight_host *ret_host)
{
    const struct updater *updater = service->updater;
    char text[FILE_BYTES];
    uint64_t pid_max = read_number("/proc/sys/kernel/pid_max");

    memset(ret_host, 0, sizeof(*ret_host));
    read_file("/proc/meminfo", text);
    ret_host->is_here = engine_is_here(updater, info, preflight_meminfo(text, "MemTotal"));
    ret_host->memory_available = preflight_meminfo(text, "MemAvailable");
    read_file("/proc/loadavg", text);
    preflight_loadavg(text, &ret_host->load, &ret_host->threads);
    ret_host->threads_max = read_number("/proc/sys/kernel/threads-max");
    if (pid_max > 0 && pid_max < ret_host->threads_max)
        ret_host->threads_max = pid_max;
    engine_disk_read(info, container, &ret_host->engine_disk);
    disk_read(updater->config->state, &ret_host->state_disk);
    workers_read(service, ret_host);
}
