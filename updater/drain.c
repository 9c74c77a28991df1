#include "drain.h"

#include "base/clock.h"
#include "base/log.h"
#include "rollout.h"

const struct config_drain *service_drain_budget(const struct service *service)
{
    return service->rollout ? &service->rollout->spec.drain : &service->config->rollout.drain;
}

uint64_t drain_longest_ms(const struct config_drain *budget, const uint32_t active[KIND_COUNT])
{
    const uint32_t budgets[KIND_COUNT] = {
        [KIND_REQUEST] = budget->requests_ms,
        [KIND_WEBSOCKET] = budget->websockets_ms,
        [KIND_TCP] = budget->tcp_ms,
    };
    uint64_t longest_ms = 0;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (active[kind] > 0 && budgets[kind] > longest_ms)
            longest_ms = budgets[kind];
    }
    return longest_ms;
}

static void on_drained(void *context, int slot, const struct drain_proof *proof)
{
    struct updater *updater = context;
    const struct routing_backend *backend = table_backend(updater->table, slot);
    struct service *service = updater_service_of_row(updater, backend->service);
    uint64_t noticed_us = clock_us();
    struct log_line line;

    log_begin(&line, LOG_INFO, "backend-drained");
    log_string(&line, "service", updater->table->draft.services[backend->service].name);
    log_string(&line, "backend", backend->name);
    log_u64(&line, "slot", (uint64_t)slot);
    log_u64(&line, "epoch", proof->epoch);
    log_end(&line);
    if (!service)
        return;
    service->changed = true;
    if (service->rollout)
        rollout_drained(service->rollout, slot, proof, noticed_us);
}

void drain_sweep(struct updater *updater)
{
    if (table_sweep(updater->table, &updater->scores, on_drained, updater) > 0)
        updater_wake(updater);
}
