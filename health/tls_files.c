#include "tls_files.h"

#include "base/memory.h"
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A list of authorities has some 200 KiB. */
#define FILE_BYTES_MAX (4u << 20)

/* Returns the whole of it, empty where there is no path. */
static struct slice read_file(const char *path, struct tls_files *tls)
{
    struct slice nothing = {NULL, 0};

    if (path == NULL || tls->reason[0] != '\0')
        return nothing;
    FILE *file = fopen(path, "re");
    char *bytes = memory_new(FILE_BYTES_MAX);
    size_t length = file != NULL ? fread(bytes, 1, FILE_BYTES_MAX, file) : 0;
    bool good = file != NULL && ferror(file) == 0 && length > 0 && length < FILE_BYTES_MAX;
    if (!good)
        snprintf(tls->reason, sizeof(tls->reason), "%.100s: %.50s", path,
                 file == NULL ? strerror(errno) : "cannot be read");
    if (file != NULL)
        fclose(file);
    if (!good) {
        free(bytes);
        return nothing;
    }
    return (struct slice){memory_resize(bytes, length), length};
}

struct tls_files *tls_files_read(const struct config *config)
{
    struct tls_files *list = memory_new_array(config->service_count + 1, sizeof(*list));

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_backend_tls *from = &config->services[i].tls;
        struct tls_files *tls = &list[i];
        tls->enabled = from->enabled;
        if (!from->enabled)
            continue;
        tls->name = from->name;
        tls->http.verify = from->verify;
        tls->http.ca = read_file(from->verify ? from->ca : NULL, tls);
        tls->http.cert = read_file(from->cert, tls);
        tls->http.key = read_file(from->key, tls);
    }
    return list;
}

static void free_bytes(struct slice bytes)
{
    free((void *)(uintptr_t)bytes.data); /* NOLINT(performance-no-int-to-ptr): ours to free */
}

void tls_files_free(struct tls_files *list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++) {
        free_bytes(list[i].http.ca);
        free_bytes(list[i].http.cert);
        free_bytes(list[i].http.key);
    }
    free(list);
}
