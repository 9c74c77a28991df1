/* What health checks by TLS need of files: authorities, and certificates of ours. Read before the
 * privileges go, for a key may be root's alone.
 *
 * Owner: main(). */
#ifndef HEALTH_TLS_FILES_H
#define HEALTH_TLS_FILES_H

#include "base/http_client.h"

struct config;

struct tls_files {
    bool enabled;
    const char *name; /* of the config; NULL: the backend's host */
    char reason[160]; /* why no check can pass; empty: none */
    struct http_tls http;
};

/* One for each service of the config, by its index. */
struct tls_files *tls_files_read(const struct config *config) __attribute__((warn_unused_result));
void tls_files_free(struct tls_files *list, size_t count);

#endif
