#include "base/log.h"
#include "base/memory.h"
#include "supervisor.h"

#include <sys/resource.h>

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: sluice-supervisor --config FILE [--state DIR] [--admin PATH] [--engine HOST]\n"
    "                         [--workers N] [--endpoints FILE]\n"
    "`sluice run FILE` starts it; `sluice run --help` says what the options mean.\n";

static int read_options(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"state", required_argument, NULL, 's'},
        {"admin", required_argument, NULL, 'a'},
        {"engine", required_argument, NULL, 'e'},
        {"workers", required_argument, NULL, 'w'},
        {"endpoints", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    uint64_t workers = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            settings->config_path = optarg;
        else if (option == 's')
            settings->overrides.state = optarg;
        else if (option == 'a')
            settings->overrides.admin_socket = optarg;
        else if (option == 'e')
            settings->overrides.engine_host = optarg;
        else if (option == 'p')
            settings->endpoints_path = optarg;
        else if (option != 'w' || slice_to_u64(slice_from_string(optarg), &workers) < 0 ||
                 workers == 0 || workers > WORKERS_MAX)
            return -EINVAL;
    }
    settings->overrides.workers = (uint32_t)workers;
    return settings->config_path != NULL && optind == argc ? 0 : -EINVAL;
}

/* The other programs lie beside this one. */
static int find_libexec(struct settings *settings)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (length < 0)
        return -errno;
    path[length] = '\0';
    snprintf(settings->libexec, sizeof(settings->libexec), "%s", dirname(path));
    return 0;
}

static int raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    return limit.rlim_max < 2ul * SUPERVISOR_FD_FIRST ? -EMFILE : 0;
}

static int prepare(struct supervisor *supervisor)
{
    char pid[24];
    const char *missing;
    int error = find_libexec(&supervisor->settings);

    /* What whoever started this left open: the children would have it too. */
    if (error == 0 && close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
        error = -errno;
    if (error == 0)
        error = raise_descriptor_limit();
    if (error == 0)
        error = sandbox_enter(ROLE_SUPERVISOR, NULL, &missing);
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("SLUICE_SUPERVISOR_PID", pid, 1);
    if (error < 0)
        log_event(LOG_ERROR, "start-failed", "error", strerror(-error));
    return error;
}

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

int main(int argc, char **argv)
{
    static struct supervisor supervisor;
    const struct setup nothing = {.config_fd = -1};

    log_init("supervisor");
    if (read_options(argc, argv, &supervisor.settings) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    if (prepare(&supervisor) < 0)
        return 1;
    int error = setup_open(&supervisor.settings, &nothing, 0, &supervisor.setup);
    if (error < 0)
        return error == -EINVAL ? 2 : 1;
    supervisor.previous = nothing;
    supervisor.worker_count = supervisor.setup.config->workers;
    /* Two generations at once, and rows for those of earlier reloads whose tunnels live on. */
    error = boards_create(&supervisor.boards, min(ROWS_MAX, 8 * supervisor.worker_count));
    if (error < 0) {
        log_event(LOG_ERROR, "boards-failed", "error", strerror(-error));
        return 1;
    }
    return supervisor_run(&supervisor);
}
