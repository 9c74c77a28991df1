#include "file_check.h"

#include "base/descriptors.h"
#include "base/memory.h"
#include "tls.h"
#include "tls_backend.h"
#include "worker.h"

#include <stdlib.h>

int file_check(void)
{
    struct worker *worker = memory_new(sizeof(*worker));
    unsigned unusable = 0;
    int error = config_read_fd(DESCRIPTOR_CONFIG, &worker->config);

    for (size_t i = 0; error == 0 && i < worker->config->listener_count; i++) {
        const struct config_listener *listener = &worker->config->listeners[i];
        struct tls_listener *tls = NULL;
        if (listener->tls.certificate_count == 0)
            continue;
        error = tls_listener_open(listener, NULL, &tls);
        if (error == 0)
            unusable += tls_listener_unusable(tls);
        tls_listener_close(tls);
    }
    if (error == 0) {
        tls_backends_open(worker);
        unusable += tls_backends_unusable(worker);
        tls_backends_close(worker);
    }
    config_free(worker->config);
    free(worker);
    return error < 0 ? EXIT_NO_RESTART : unusable > 0;
}
