#include "rotation.h"

#include "balance.h"
#include "base/log.h"

static uint32_t weight_of(const struct backend *backend)
{
    return backend->weight > 0 ? backend->weight : 1;
}

uint32_t rotation_share(const struct worker *worker, uint32_t slot)
{
    const struct backend *backend = &worker->table.backends[slot];
    const struct config_service *config = worker->table.services[backend->service].config;

    if (config == NULL || config->slow_start_ms == 0)
        return weight_of(backend) * SHARE_FULL;
    uint64_t now_ms = worker->now_ms;
    uint64_t age_ms = now_ms > backend->serves_since_ms ? now_ms - backend->serves_since_ms : 0;
    return weight_of(backend) * slow_start_share(age_ms, config->slow_start_ms);
}

/* --- the lists ---------------------------------------------------------------------------- */

/* Since it was made ready, found healthy, or came back from an ejection: the last of them. */
static void date(struct worker *worker, const struct service *service, uint32_t slot)
{
    struct backend *backend = &worker->table.backends[slot];
    uint64_t since_ms = backend->ready_ms;
    struct verdict verdict = {0};

    if (!service->unchecked)
        verdict_read(worker->verdicts, slot, backend->generation, &verdict);
    if (verdict.since_ms > since_ms)
        since_ms = verdict.since_ms;
    if (backend->ejection.returned_ms > since_ms)
        since_ms = backend->ejection.returned_ms;
    backend->serves_since_ms = since_ms;
}

/* Lists the members that can serve; returns how many there are. */
static uint32_t fill_rotation(struct worker *worker, const struct service *service,
                              enum group group, bool with_ejected)
{
    struct table *table = &worker->table;
    uint32_t first = service->first[group], count = 0;

    for (uint32_t i = 0; i < service->count[group]; i++) {
        uint16_t slot = table->members[first + i];
        if (table_can_serve(worker, slot) &&
            (with_ejected || !ejection_is_on(&table->backends[slot].ejection)))
            table->rotation[first + count++] = slot;
    }
    return count;
}

/* The largest share, or 0 where all are alike: that all are new is no reason to go slowly. */
static uint32_t find_share_max(struct worker *worker, const struct service *service,
                               enum group group)
{
    bool slow = service->config != NULL && service->config->slow_start_ms > 0;
    uint32_t lowest = UINT32_MAX, highest = 0;

    for (uint32_t i = 0; i < service->in_rotation[group]; i++) {
        uint16_t slot = worker->table.rotation[service->first[group] + i];
        if (slow)
            date(worker, service, slot);
        uint32_t share = rotation_share(worker, slot);
        lowest = share < lowest ? share : lowest;
        highest = share > highest ? share : highest;
    }
    return lowest < highest ? highest : 0;
}

static void fill_points(struct worker *worker, struct service *service, enum group group)
{
    struct table *table = &worker->table;
    uint32_t first = service->first[group], count = service->in_rotation[group];

    service->sums[group].summed_us = 0;
    service->sums[group].weights = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct backend *backend = &table->backends[table->rotation[first + i]];
        table->points[first + i] = (struct hash_point){backend->identity, (uint16_t)i};
        service->sums[group].weights += weight_of(backend);
    }
    hash_sort(&table->points[first], count);
}

void rotation_renew(struct worker *worker, uint32_t index)
{
    struct service *service = &worker->table.services[index];

    for (unsigned g = 0; g < GROUP_COUNT; g++) {
        uint32_t count = fill_rotation(worker, service, g, false);
        if (service->ejected[g] > 0 && ejection_panics(count, service->count[g]))
            count = fill_rotation(worker, service, g, true);
        service->in_rotation[g] = count;
        service->share_max[g] = find_share_max(worker, service, g);
        if (service->balance == BALANCE_HASH)
            fill_points(worker, service, g);
    }
}

void rotation_renew_all(struct worker *worker)
{
    worker->verdict_changes = verdicts_changes(worker->verdicts);
    for (uint32_t i = 0; i < worker->table.service_count; i++)
        rotation_renew(worker, i);
}

/* --- ejections ---------------------------------------------------------------------------- */

static void log_ejection(const struct worker *worker, const struct backend *backend,
                         const char *event, enum log_level level)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_string(&line, "service", worker->table.services[backend->service].name);
    log_string(&line, "backend", backend->name);
    log_string(&line, "group", group_name(backend->group));
    if (ejection_is_on(&backend->ejection)) {
        log_u64(&line, "times", backend->ejection.times);
        log_u64(&line, "ms", backend->ejection.until_ms - worker->now_ms);
    }
    log_end(&line);
}

static void eject(struct worker *worker, uint32_t slot, const struct config_ejection *rules)
{
    struct backend *backend = &worker->table.backends[slot];
    struct service *service = &worker->table.services[backend->service];
    struct score_cell *cell = worker_cell(worker, slot, backend->generation);

    ejection_begin(&backend->ejection, rules, worker->now_ms);
    service->ejected[backend->group]++;
    score_set(&cell->ejected, 1);
    score_add(&cell->ejections, 1);
    log_ejection(worker, backend, "backend-ejected", LOG_WARNING);
    rotation_renew(worker, backend->service);
}

void rotation_judge(const struct exchange *x, bool failed)
{
    struct worker *worker = x->worker;
    const struct config_ejection *rules = &exchange_service(x)->ejection;
    struct backend *backend = &worker->table.backends[x->slot];

    if (rules->failures == 0 || backend->generation != x->generation ||
        backend->state != BACKEND_READY || !ejection_count(&backend->ejection, rules, failed))
        return;
    const struct service *service = &worker->table.services[backend->service];
    if (ejection_is_allowed(rules, service->ejected[backend->group],
                            service->count[backend->group]))
        eject(worker, x->slot, rules);
}

static void end_ejections(struct worker *worker, struct service *service, enum group group)
{
    for (uint32_t i = 0; i < service->count[group]; i++) {
        uint16_t slot = worker->table.members[service->first[group] + i];
        struct backend *backend = &worker->table.backends[slot];
        if (!ejection_end(&backend->ejection, worker->now_ms))
            continue;
        service->ejected[group]--;
        score_set(&worker_cell(worker, slot, backend->generation)->ejected, 0);
        log_ejection(worker, backend, "backend-returned", LOG_INFO);
    }
}

void rotation_tick(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->table.service_count; i++) {
        struct service *service = &worker->table.services[i];
        for (unsigned g = 0; g < GROUP_COUNT; g++)
            if (service->ejected[g] > 0)
                end_ejections(worker, service, g);
    }
    rotation_renew_all(worker);
}
