#include "admission.h"

#include "access_log.h"
#include "base/check.h"
#include "client_table.h"
#include "worker.h"

#include <sys/random.h>

#include <errno.h>

#define PURPOSE_REQUESTS 0u /* of every service without a rate of its own; + 1 + service */

static bool any_rate(const struct config *config)
{
    bool any = config->limits.traffic.requests.rate > 0;

    for (size_t i = 0; i < config->service_count; i++)
        any = any || config->services[i].limits.requests.rate > 0;
    return any;
}

static int make_table(struct client_table **ret_table)
{
    uint8_t key[SIPHASH_KEY_BYTES];

    if (getrandom(key, sizeof(key), 0) != sizeof(key))
        return -EIO;
    *ret_table = client_table_new(key);
    return *ret_table == NULL ? -ENOMEM : 0;
}

int admission_open(struct worker *worker)
{
    int error = 0;

    if (worker->config->limits.connections_per_client > 0)
        error = make_table(&worker->client_connections);
    if (error == 0 && any_rate(worker->config))
        error = make_table(&worker->client_rates);
    return error;
}

void admission_close(struct worker *worker)
{
    client_table_free(worker->client_connections);
    client_table_free(worker->client_rates);
    worker->client_connections = worker->client_rates = NULL;
}

/* Looked at only where a client would be refused: the rest need not pay for the list. */
static bool is_trusted(const struct config_traffic_limits *limits, const struct address *client)
{
    return network_any_contains(limits->trusted, limits->trusted_count, client);
}

bool admission_enter(struct worker *worker, const struct address *client, uint64_t *ret_ticket)
{
    const struct config *config = worker->config;

    *ret_ticket = 0;
    if (worker->client_connections == NULL)
        return true;
    uint64_t key = client_table_key(worker->client_connections, client);
    uint64_t *count = client_table_at(worker->client_connections, key, 0);
    if (count == NULL)
        return true; /* eight clients of its set are here: better uncounted than refused */
    if (*count >= config->limits.connections_per_client &&
        !is_trusted(&config->limits.traffic, client) &&
        !network_any_contains(config->trusted_proxies, config->trusted_proxy_count, client)) {
        score_add(&worker->row->refusals[REFUSAL_CLIENT_CONNECTIONS], 1);
        access_log_refused(worker, client, NULL, 0, refusal_name(REFUSAL_CLIENT_CONNECTIONS));
        return false;
    }
    (*count)++;
    *ret_ticket = key;
    return true;
}

void admission_leave(struct worker *worker, uint64_t ticket)
{
    if (ticket == 0)
        return;
    uint64_t *count = client_table_at(worker->client_connections, ticket, 0);
    check(count != NULL && *count > 0); /* a place that counts gives way to none */
    (*count)--;
}

uint64_t admission_name(const struct worker *worker, const struct address *client)
{
    return worker->client_rates != NULL ? client_table_key(worker->client_rates, client) : 0;
}

bool admission_take(struct worker *worker, const struct address *client, uint64_t name, int service)
{
    const struct config *config = worker->config;
    const struct config_traffic_limits *limits =
        service >= 0 ? &config->services[service].limits : &config->limits.traffic;

    if (limits->requests.rate == 0)
        return true;
    uint16_t purpose = PURPOSE_REQUESTS;
    if (service >= 0 && limits->own_requests)
        purpose = (uint16_t)(PURPOSE_REQUESTS + 1u + (unsigned)service);
    uint64_t key = client_table_key_for(name, purpose);
    uint64_t *due_ns = client_table_at(worker->client_rates, key, UINT64_MAX);
    return client_rate_take(due_ns, &limits->requests, worker->now_us * 1000) ||
           is_trusted(&config->limits.traffic, client) || is_trusted(limits, client);
}
