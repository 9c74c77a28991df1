#include "static.h"

#include "base/clock.h"
#include "base/log.h"
#include "journal.h"
#include "salt.h"
#include "steady.h"
#include "updater.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

/* A literal first; else the first address that the resolver gives. */
static int resolve(const char *text, struct address *ret_address, char *why, size_t why_size)
{
    const char *colon = strrchr(text, ':');
    char host[256];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *found = NULL;
    int error;

    if (address_parse(slice_from_string(text), ret_address) == 0)
        return 0;
    if (!colon ||
        !slice_copy_string((struct slice){text, (size_t)(colon - text)}, host, sizeof(host))) {
        (void)snprintf(why, why_size, "not a host:port");
        return -EINVAL;
    }
    error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error) {
        (void)snprintf(why, why_size, "%s", gai_strerror(error));
        return -ENOENT;
    }
    struct sockaddr_storage storage = {0};

    memcpy(&storage, found->ai_addr, found->ai_addrlen);
    error = address_from_sockaddr(&storage, ret_address);
    freeaddrinfo(found);
    if (error)
        (void)snprintf(why, why_size, "neither IPv4 nor IPv6");
    return error;
}

static void trouble_add(struct service *service, const char *name, const char *why)
{
    size_t used = strlen(service->trouble);
    struct log_line line;

    (void)snprintf(service->trouble + used, sizeof(service->trouble) - used, "%s%s: %s",
                   used ? "; " : "", name, why);
    log_begin(&line, LOG_WARNING, "backend-left-out");
    log_string(&line, "service", service_name(service));
    log_string(&line, "backend", name);
    log_string(&line, "reason", why);
    log_end(&line);
}

static void list_enter(struct service *service, enum group group, char **names, size_t count)
{
    struct table *table = service->updater->table;

    for (size_t i = 0; i < count; i++) {
        struct table_backend backend = {.row = service->row,
                                        .group = group,
                                        .state = BACKEND_READY,
                                        .started_ms = clock_ms(),
                                        .any_start = true,
                                        .name = names[i]};
        char why[128];

        if (resolve(names[i], &backend.address, why, sizeof(why))) {
            trouble_add(service, names[i], why);
            continue;
        }
        int slot = table_give(table, &backend, steady_wall_ms(), NULL);

        if (slot == TABLE_NONE) {
            trouble_add(service, names[i], "no slot left in the routing table");
            continue;
        }
        table_set_state(table, slot, BACKEND_READY, steady_wall_ms());
    }
}

/* The weight that was set by hand outlives every process; it needs somewhere to lead to. */
static void weight_restore(struct service *service)
{
    struct journal_service saved;
    int error = journal_service_load(service->updater->journal, service_name(service), &saved);
    uint64_t salt = salt_of_options(service, error == 0 ? saved.options : NULL);
    uint32_t weight = 0;

    if (error == 0) {
        weight = service->config->canary_count > 0 ? saved.weight : 0;
        journal_service_done(&saved);
    } else if (error != -ENOENT) {
        trouble_add(service, "its weight", journal_error(service->updater->journal));
    }
    table_set_salt(service->updater->table, service->row, salt);
    table_set_weight(service->updater->table, service->row, weight);
}

void static_enter(struct service *service)
{
    const struct config_service *config = service->config;

    list_enter(service, GROUP_STABLE, config->backends, config->backend_count);
    list_enter(service, GROUP_CANARY, config->canary, config->canary_count);
    weight_restore(service);
    table_drop_unclaimed(service->updater->table, service->row, steady_wall_ms());
}
