#include "config.h"

#include "base/check.h"
#include "base/memory.h"
#include "reader.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_document(const char *name, struct slice text,
                         const struct config_overrides *overrides, bool canonical,
                         struct config_errors *errors, struct config **ret_config)
{
    static const struct config_overrides none;
    struct reader reader = {.overrides = overrides == NULL ? &none : overrides,
                            .canonical = canonical};
    const struct document_limits *limits =
        canonical ? &document_limits_canonical : &document_limits_file;

    *errors = (struct config_errors){0};
    problems_init(&reader.problems, name);
    reader.config = memory_new(sizeof(*reader.config));
    struct node *root = document_parse(text.data, text.length, limits, &reader.problems);
    if (root != NULL)
        config_read_tree(&reader, root);
    node_free(root);
    int result = reader.problems.count == 0 ? 0 : -EINVAL;
    if (result == 0) {
        *ret_config = reader.config;
    } else {
        problems_finish(&reader.problems, errors);
        config_free(reader.config);
    }
    problems_done(&reader.problems);
    return result;
}

int config_read_text(const char *name, const char *text, size_t length,
                     const struct config_overrides *overrides, struct config_errors *errors,
                     struct config **ret_config)
{
    return read_document(name, (struct slice){text, length}, overrides, false, errors, ret_config);
}

/* Reads from offset 0 whatever the descriptor's own is: a memfd's is shared by all processes.
 * `seekable` false: from a pipe, to its end. Returns -EFBIG past `max` bytes. */
static int read_all(int fd, bool seekable, size_t max, char **ret_text, size_t *ret_length)
{
    size_t capacity = 64u << 10;
    size_t length = 0;
    char *text = memory_resize(NULL, capacity);
    int result = 0;

    for (;;) {
        if (length == capacity) {
            capacity *= 2;
            text = memory_resize(text, capacity);
        }
        ssize_t got = seekable ? pread(fd, text + length, capacity - length, (off_t)length)
                               : read(fd, text + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = -errno;
        if (got <= 0)
            break;
        length += (size_t)got;
        if (length > max) {
            result = -EFBIG;
            break;
        }
    }
    if (result < 0) {
        free(text);
        return result;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

static int tell_unreadable(const char *path, int error, struct config_errors *errors)
{
    struct problems problems;

    problems_init(&problems, path);
    if (error == -EFBIG)
        problems_add(&problems, 0,
                     memory_format("found more than %d bytes, allowed are up to so "
                                   "many",
                                   CONFIG_FILE_BYTES_MAX));
    else
        problems_add(&problems, 0, memory_format("cannot be read: %s", strerror(-error)));
    problems_finish(&problems, errors);
    problems_done(&problems);
    return -EINVAL;
}

int config_read_file(const char *path, const struct config_overrides *overrides,
                     struct config_errors *errors, struct config **ret_config)
{
    char *text = NULL;
    size_t length = 0;
    struct stat status;

    *errors = (struct config_errors){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return tell_unreadable(path, -errno, errors);
    int result = fstat(fd, &status) < 0 ? -errno : 0;
    if (result == 0)
        result = read_all(fd, S_ISREG(status.st_mode), CONFIG_FILE_BYTES_MAX, &text, &length);
    close(fd);
    if (result < 0)
        return tell_unreadable(path, result, errors);
    result = config_read_text(path, text, length, overrides, errors, ret_config);
    free(text);
    return result;
}

int config_read_fd(int fd, struct config **ret_config)
{
    struct config_errors errors;
    char *text = NULL;
    size_t length = 0;
    int result = read_all(fd, true, document_limits_canonical.text_bytes, &text, &length);

    if (result < 0)
        return result;
    result = read_document("config", (struct slice){text, length}, NULL, true, &errors, ret_config);
    config_errors_done(&errors);
    free(text);
    return result;
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void service_done(struct config_service *service)
{
    for (size_t i = 0; i < service->route_count; i++) {
        free(service->routes[i].host);
        free(service->routes[i].path);
    }
    free(service->routes);
    free_texts(service->backends, service->backend_count);
    free_texts(service->canary, service->canary_count);
    free(service->name);
    free(service->label_key);
    free(service->label_value);
    free(service->project);
    free(service->network);
    free(service->check.path);
    free(service->check.host);
    free(service->check.body);
    for (char **argument = service->check.script; argument != NULL && *argument != NULL; argument++)
        free(*argument);
    free(service->check.script);
    free(service->rollout.steps);
    config_tasks_free(service->rollout.tasks, service->rollout.task_count);
    free(service->limits.trusted);
    free(service->sticky.name);
    free(service->hash.name);
    free(service->preview.name);
    free(service->preview.value);
    free(service->preview.never);
    config_backend_tls_done(&service->tls);
    config_error_pages_done(&service->error_pages);
}

static void listener_done(struct config_listener *listener)
{
    for (size_t i = 0; i < listener->sni_count; i++)
        free(listener->sni[i].host);
    free(listener->sni);
    free(listener->name);
    config_tls_done(&listener->tls);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->listener_count; i++)
        listener_done(&config->listeners[i]);
    for (size_t i = 0; i < config->service_count; i++)
        service_done(&config->services[i]);
    free(config->listeners);
    free(config->services);
    config_notify_free(config->notify, config->notify_count);
    free(config->access_log.file);
    config_error_pages_done(&config->error_pages);
    free(config->engine_host);
    free(config->engine_cert_path);
    free(config->admin_socket);
    free(config->state);
    free(config->user);
    free(config->trusted_proxies);
    config_presets_done(config);
    free(config->limits.traffic.trusted);
    free(config);
}
