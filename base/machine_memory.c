#include "machine_memory.h"

#include "slice.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The file's first number; UINT64_MAX where there is none ("max") or no such file. */
static uint64_t read_number(const char *path)
{
    char text[32];
    uint64_t number = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return UINT64_MAX;
    struct slice digits = {text, 0};
    while (digits.length < (size_t)length && text[digits.length] >= '0' &&
           text[digits.length] <= '9')
        digits.length++;
    return slice_to_u64(digits, &number) == 0 && number > 0 ? number : UINT64_MAX;
}

static uint64_t least_of_folder(char *folder, size_t root_length, const char *name)
{
    uint64_t least = UINT64_MAX;

    /* A group's limit holds for those within it: each level up to the root is asked. */
    for (;;) {
        char path[640];
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        uint64_t here = read_number(path);
        if (here < least)
            least = here;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < root_length)
            return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup is "ID:CONTROLLERS:PATH"; version 2 has "0::PATH". */
static uint64_t limit_of_line(const char *line)
{
    const char *controllers = strchr(line, ':');
    const char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    char folder[512];

    if (path == NULL || strstr(path, "..") != NULL)
        return UINT64_MAX;
    bool unified = path == controllers + 1;
    if (!unified && strstr(controllers, "memory") == NULL)
        return UINT64_MAX;
    const char *root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    snprintf(folder, sizeof(folder), "%s%.400s", root, path + 1);
    folder[strcspn(folder, "\n")] = '\0';
    return least_of_folder(folder, strlen(root), unified ? "memory.max" : "memory.limit_in_bytes");
}

uint64_t machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t least = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 1u << 30;
    char line[512];
    FILE *groups = fopen("/proc/self/cgroup", "re");

    if (groups == NULL)
        return least;
    while (fgets(line, sizeof(line), groups) != NULL) {
        uint64_t limit = limit_of_line(line);
        if (limit < least)
            least = limit;
    }
    fclose(groups);
    return least;
}
