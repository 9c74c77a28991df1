#include "table.h"

#include "base/siphash.h"
#include "rotation.h"
#include "worker.h"

void table_init(struct table *table, struct worker *worker)
{
    for (uint32_t i = 0; i < ROUTING_BACKENDS_MAX; i++) {
        list_init(&table->backends[i].idle);
        list_init(&table->backends[i].kept);
    }
    for (uint32_t i = 0; i < ROUTING_SERVICES_MAX; i++)
        table->services[i].phase = table->services[i].mirror_phase =
            (uint32_t)(worker_random(worker) % WEIGHT_MAX);
    for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++)
        table->by_config[i] = -1;
}

static uint64_t identity_of(const struct address *address)
{
    uint64_t words[2];

    memcpy(words, address->bytes, sizeof(words));
    return hash_spread(words[0] ^ hash_spread(words[1] ^ address->port));
}

bool table_keeps_pool(const struct table *table, const struct routing_table *published,
                      uint32_t slot)
{
    return slot < published->backend_count && published->backends[slot].state == BACKEND_READY &&
           published->backends[slot].generation == table->backends[slot].generation;
}

static void adopt_services(struct table *table, struct worker *worker,
                           const struct routing_table *published)
{
    table->match_count = table->mirror_count = 0;
    for (uint32_t i = 0; i < published->service_count; i++) {
        const struct routing_service *from = &published->services[i];
        struct service *service = &table->services[i];
        memcpy(service->name, from->name, sizeof(service->name));
        service->name[sizeof(service->name) - 1] = 0;
        service->balance = from->balance <= BALANCE_HASH ? from->balance : BALANCE_LEAST_REQUESTS;
        service->unchecked = from->check.kind == CHECK_NONE;
        service->weight = from->weight <= WEIGHT_MAX ? from->weight : WEIGHT_MAX;
        service->match = from->match; /* routing_board_read() has looked at it */
        table->match_count += service->match.kind != MATCH_NONE;
        service->mirror = from->mirror <= WEIGHT_MAX ? from->mirror : WEIGHT_MAX;
        table->mirror_count += service->mirror > 0;
        service->salt = from->salt;
        service->held_until_ms = from->held_until_ms;
        uint64_t word = score_get(&worker->row->split[i]);
        if (table->epoch == 0 /* another worker's counts */ ||
            score_split_weight(word) != service->weight)
            score_set(&worker->row->split[i], score_split_pack(service->weight, 0, 0));
    }
    table->service_count = published->service_count;
}

/* Out of rotation, or another backend: what was seen of it is forgotten. */
static void forget_ejection(struct backend *backend, struct worker *worker, uint32_t slot)
{
    if (ejection_is_on(&backend->ejection))
        score_set(&worker_cell(worker, slot, backend->generation)->ejected, 0);
    backend->ejection = (struct ejection){0};
}

static void adopt_backends(struct table *table, struct worker *worker,
                           const struct routing_table *published)
{
    table->draining_count = 0;
    for (uint32_t i = 0; i < published->backend_count; i++) {
        const struct routing_backend *from = &published->backends[i];
        struct backend *backend = &table->backends[i];
        bool fits = from->service < table->service_count && from->group < GROUP_COUNT &&
                    from->state <= BACKEND_DRAINING;
        if (backend->generation != from->generation || from->state != BACKEND_READY)
            forget_ejection(backend, worker, i);
        backend->generation = from->generation;
        backend->state = fits ? (enum backend_state)from->state : BACKEND_FREE;
        backend->group = fits ? (enum group)from->group : GROUP_STABLE;
        backend->service = fits ? from->service : 0;
        backend->weight = from->weight;
        backend->end_kinds = from->end_kinds;
        backend->close_spread_ms = from->close_spread_ms;
        backend->ready_ms = from->ready_ms;
        backend->address = from->address;
        backend->identity = identity_of(&from->address);
        memcpy(backend->name, from->name, sizeof(backend->name));
        backend->name[sizeof(backend->name) - 1] = 0;
        table->draining_count += backend->state == BACKEND_DRAINING;
    }
    for (uint32_t i = published->backend_count; i < table->backend_count; i++) {
        forget_ejection(&table->backends[i], worker, i);
        table->backends[i].state = BACKEND_FREE;
    }
    table->backend_count = published->backend_count;
}

/* Counting sort by service and group. */
static void fill_members(struct table *table)
{
    uint32_t next[ROUTING_SERVICES_MAX][GROUP_COUNT];
    uint32_t place = 0;

    for (uint32_t s = 0; s < table->service_count; s++) {
        memset(table->services[s].count, 0, sizeof(table->services[s].count));
        memset(table->services[s].ejected, 0, sizeof(table->services[s].ejected));
    }
    for (uint32_t i = 0; i < table->backend_count; i++) {
        const struct backend *backend = &table->backends[i];
        if (backend->state != BACKEND_READY)
            continue;
        table->services[backend->service].count[backend->group]++;
        table->services[backend->service].ejected[backend->group] +=
            ejection_is_on(&backend->ejection);
    }
    for (uint32_t s = 0; s < table->service_count; s++)
        for (unsigned g = 0; g < GROUP_COUNT; g++) {
            table->services[s].first[g] = next[s][g] = place;
            place += table->services[s].count[g];
        }
    for (uint32_t i = 0; i < table->backend_count; i++) {
        const struct backend *backend = &table->backends[i];
        if (backend->state == BACKEND_READY)
            table->members[next[backend->service][backend->group]++] = (uint16_t)i;
    }
}

static void map_services(struct table *table, const struct config *config)
{
    for (uint32_t s = 0; s < table->service_count; s++)
        table->services[s].config = NULL;
    for (size_t c = 0; c < config->service_count; c++) {
        table->by_config[c] = -1;
        for (uint32_t s = 0; s < table->service_count; s++)
            if (strcmp(table->services[s].name, config->services[c].name) == 0) {
                table->by_config[c] = (int)s;
                table->services[s].config = &config->services[c];
            }
    }
}

void table_adopt(struct table *table, struct worker *worker, const struct routing_table *published)
{
    adopt_services(table, worker, published);
    adopt_backends(table, worker, published);
    fill_members(table);
    map_services(table, worker->config);
    table->epoch = published->epoch;
    rotation_renew_all(worker);
}

bool table_can_serve(const struct worker *worker, uint32_t slot)
{
    const struct backend *backend = &worker->table.backends[slot];

    return backend->state == BACKEND_READY &&
           (worker->table.services[backend->service].unchecked ||
            verdict_state_of(worker->verdicts, slot, backend->generation) == VERDICT_HEALTHY);
}
