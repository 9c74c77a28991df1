#include "drain.h"

#include "base/clock.h"
#include "base/log.h"
#include "rollout.h"

#include <string.h>

const struct config_drain *service_drain_budget(const struct service *service)
{
    return service->rollout ? &service->rollout->spec.drain : &service->config->rollout.drain;
}

uint64_t service_drain_ms(const struct service *service, enum exchange_kind kind)
{
    uint64_t extend_ms = service->rollout ? service->rollout->drain_orders.extend_ms[kind] : 0;

    return service_drain_budget(service)->budgets[kind].timeout_ms + extend_ms;
}

struct drained { /* noticed in one sweep; what is written down of them takes its time */
    int slot, row;
    char name[64];
    uint64_t noticed_us;
    struct drain_proof proof;
};

struct sweep {
    unsigned count;
    struct drained drained[PLAN_CONTAINERS_MAX]; /* more at once are noticed by the next sweep */
};

static void record(struct updater *updater, const struct drained *drained)
{
    struct service *service = updater_service_of_row(updater, drained->row);
    struct log_line line;

    log_begin(&line, LOG_INFO, "backend-drained");
    log_string(&line, "service", updater->table->draft.services[drained->row].name);
    log_string(&line, "rollout", service && service->rollout ? rollout_id(service->rollout) : NULL);
    log_string(&line, "backend", drained->name);
    log_u64(&line, "slot", (uint64_t)drained->slot);
    log_u64(&line, "epoch", drained->proof.epoch);
    log_end(&line);
    if (!service)
        return;
    service->changed = true;
    if (service->rollout)
        rollout_drained(service->rollout, drained->slot, &drained->proof, drained->noticed_us);
}

struct noticing {
    struct updater *updater;
    struct sweep *sweep;
};

static bool on_drained(void *context, int slot, const struct drain_proof *proof)
{
    struct noticing *noticing = context;
    const struct routing_backend *backend = table_backend(noticing->updater->table, slot);
    struct drained *drained;

    if (noticing->sweep->count == PLAN_CONTAINERS_MAX)
        return false;
    drained = &noticing->sweep->drained[noticing->sweep->count++];
    drained->slot = slot;
    drained->row = backend->service;
    memcpy(drained->name, backend->name, sizeof(drained->name));
    drained->noticed_us = clock_us();
    drained->proof = *proof;
    return true;
}

void drain_sweep(struct updater *updater)
{
    static struct sweep sweep; /* large, and used once per turn */
    struct noticing noticing = {.updater = updater, .sweep = &sweep};

    table_forget_ends(updater->table, &updater->scores);
    sweep.count = 0;
    if (table_sweep(updater->table, &updater->scores, on_drained, &noticing) > 0)
        updater_wake(updater);
    for (unsigned i = 0; i < sweep.count; i++)
        record(updater, &sweep.drained[i]);
}
