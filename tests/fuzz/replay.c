/* Runs a fuzz target without libFuzzer: every file (or every file of every folder) that is named,
 * and of each small one every neighbour by a simple rule: cut off at each byte, each byte left out,
 * doubled, or replaced by one of those that parsers trip over. The same each time. With -f first,
 * the files alone. */
#include "base/check.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX      (256u << 10)
#define NEIGHBOUR_BYTES_MAX 512u /* of larger files only the file itself is run */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char odd_bytes[] = {'\0', '\t', '\n', '\r', ' ',    '"',    '#',    ',',   ':',
                                 ';',  '=',  '0',  'f',  '\x1f', '\x7f', '\x80', '\xff'};
static unsigned long input_count;
static bool files_only;

/* In memory of its own size, so that a sanitizer sees what is read behind it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    check(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    input_count++;
}

static void run_neighbours(const uint8_t *data, size_t size)
{
    uint8_t changed[NEIGHBOUR_BYTES_MAX + 1];

    for (size_t i = 0; i < size; i++) {
        run(data, i);
        memcpy(changed, data, i);
        memcpy(changed + i, data + i + 1, size - i - 1);
        run(changed, size - 1);
        memcpy(changed + i + 1, data + i, size - i);
        changed[i] = data[i];
        run(changed, size + 1);
        memcpy(changed, data, size);
        for (size_t k = 0; k < sizeof(odd_bytes); k++) {
            changed[i] = (uint8_t)odd_bytes[k];
            run(changed, size);
        }
    }
}

static void run_file(const char *path)
{
    static uint8_t data[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    run(data, size);
    if (!files_only && size <= NEIGHBOUR_BYTES_MAX)
        run_neighbours(data, size);
}

static void run_path(const char *path)
{
    struct stat status;
    struct dirent **entries;

    if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode)) {
        run_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (stat(name, &status) == 0 && S_ISREG(status.st_mode))
            run_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    files_only = argc > 1 && strcmp(argv[1], "-f") == 0;
    for (int i = files_only ? 2 : 1; i < argc; i++)
        run_path(argv[i]);
    printf("%lu inputs\n", input_count);
    return input_count > 0 ? 0 : 2;
}
