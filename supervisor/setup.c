#include "base/log.h"
#include "supervisor.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

/* The canonical config in a sealed memfd, which every user may read but nobody can change. */
static int seal_config(const struct config *config)
{
    char *json = config_to_json(config);
    int fd = memfd_create("sluice-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error = fd < 0 ? -errno : 0;

    if (error == 0)
        error = write_all(fd, json, strlen(json));
    if (error == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        error = -errno;
    free(json);
    if (error < 0) {
        if (fd >= 0)
            close(fd);
        return error;
    }
    return descriptor_raise(fd);
}

static void log_config_errors(const struct config_errors *errors)
{
    const char *text = errors->text != NULL ? errors->text : "";

    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        struct log_line line;
        log_begin(&line, LOG_ERROR, "config-refused");
        log_slice(&line, "error", (struct slice){text, length});
        log_end(&line);
        text += length + (text[length] == '\n');
    }
}

int setup_open(const struct settings *settings, const struct setup *old, unsigned worker_count,
               struct setup *ret_setup)
{
    struct setup setup = {.generation = old->generation + 1, .config_fd = -1};
    struct config_errors errors = {0};
    int error =
        config_read_file(settings->config_path, &settings->overrides, &errors, &setup.config);

    log_config_errors(&errors);
    config_errors_done(&errors);
    if (error < 0)
        return error;
    error = access_log_check(setup.config);
    if (error < 0) {
        config_free(setup.config);
        return error;
    }
    setup.config_fd = seal_config(setup.config);
    error = setup.config_fd < 0 ? setup.config_fd : 0;
    if (error < 0)
        log_event(LOG_ERROR, "config-memory", "error", strerror(-error));
    if (error == 0) {
        unsigned sockets = worker_count > 0 ? worker_count : setup.config->workers;
        error = listening_open(old, setup.config, sockets, &setup.listening);
    }
    if (error < 0) {
        setup_close(&setup, old);
        return error;
    }
    *ret_setup = setup;
    return 0;
}

static bool has_socket(const struct setup *setup, int fd)
{
    for (size_t i = 0; setup->listening != NULL && i < setup->config->listener_count; i++)
        if (setup->listening[i].fds[0] == fd)
            return true;
    return false;
}

void setup_close(struct setup *setup, const struct setup *kept)
{
    for (size_t i = 0; setup->listening != NULL && i < setup->config->listener_count; i++) {
        struct listening *listening = &setup->listening[i];
        bool keep = has_socket(kept, listening->fds[0]);
        for (unsigned slot = 0; !keep && slot < WORKERS_MAX; slot++)
            if (listening->fds[slot] > 0)
                close(listening->fds[slot]);
        free(listening->name);
    }
    free(setup->listening);
    if (setup->config_fd >= 0)
        close(setup->config_fd);
    config_free(setup->config);
    *setup = (struct setup){.config_fd = -1};
}
