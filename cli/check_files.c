#include "check_files.h"

#include "base/descriptors.h"
#include "base/memory.h"
#include "json.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER_FILES_BAD 1 /* proxy/file_check.h */

char *libexec_path(const char *program)
{
    char self[PATH_MAX];
    const char *libexec = getenv("SLUICE_LIBEXEC");

    if (libexec != NULL && libexec[0] != '\0')
        return memory_format("%s/%s", libexec, program);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return memory_copy_string(program);
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    return memory_format("%s/../libexec/sluice/%s", self, program);
}

static void count_file(void *context, const char *path)
{
    (void)path;
    ++*(unsigned *)context;
}

/* The canonical config, as the supervisor gives it to its children. */
static FILE *write_config(const struct config *config)
{
    char *json = config_to_json(config);
    int fd = memfd_create("sluice-config", MFD_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (file != NULL && (fputs(json, file) < 0 || fflush(file) != 0)) {
        fclose(file);
        file = NULL;
    }
    free(json);
    return file;
}

static _Noreturn void become_worker(const char *path, int config_fd, int output)
{
    if (dup2(output, STDERR_FILENO) < 0)
        _exit(WORKER_FILES_BAD + 1);
    /* The copy is not close-on-exec; where it is the same descriptor, there is none. */
    int fd = config_fd == DESCRIPTOR_CONFIG ? dup(config_fd) : config_fd;
    if (fd < 0 || dup2(fd, DESCRIPTOR_CONFIG) < 0)
        _exit(WORKER_FILES_BAD + 1);
    execl(path, "sluice-worker", "--check-files", (char *)NULL);
    _exit(WORKER_FILES_BAD + 1);
}

/* Its log, without the time and who says it. */
static void pass_on(FILE *lines, struct cJSON *errors)
{
    char line[4096];

    while (fgets(line, sizeof line, lines) != NULL) {
        const char *event = strstr(line, "event=");
        const char *text = event != NULL ? event + strlen("event=") : line;
        line[strcspn(line, "\n")] = '\0';
        fprintf(stderr, "%s\n", text);
        if (strstr(line, "level=error") != NULL)
            cJSON_AddItemToArray(errors, cJSON_CreateString(text));
    }
}

static int run_worker(const char *path, FILE *config, struct cJSON *errors)
{
    int ends[2], status = 0;

    if (pipe(ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        become_worker(path, fileno(config), ends[1]);
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    if (lines != NULL) {
        pass_on(lines, errors);
        fclose(lines);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

enum exit_code check_files(const struct config *config, struct cJSON *errors)
{
    unsigned count = 0;

    config_each_file(config, count_file, &count);
    if (count == 0)
        return DONE;
    char *path = libexec_path("sluice-worker");
    FILE *file = write_config(config);
    int result = file != NULL ? run_worker(path, file, errors) : -errno;
    enum exit_code code = DONE;
    if (result == WORKER_FILES_BAD)
        code = complain(USAGE, "files for TLS cannot be used, see above%s",
                        geteuid() == 0 ? "" : "; check as the user that starts Sluice");
    else if (result != 0)
        code = complain(FAILED, "the files for TLS were not tried: %s did not run", path);
    if (file != NULL)
        fclose(file);
    free(path);
    return code;
}
