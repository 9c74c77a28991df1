/* Drains that are under way, for people: what holds each of them, and for how long still. */
#include "api_views.h"
#include "base/clock.h"
#include "drain.h"
#include "steady.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdio.h>

void view_add_kinds(cJSON *object, const uint32_t active[KIND_COUNT])
{
    cJSON *kinds = cJSON_AddObjectToObject(object, "active_by_kind");

    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        cJSON_AddNumberToObject(kinds, exchange_kind_name((enum exchange_kind)kind), active[kind]);
}

/* How long it may still take: until its budget ends it, or at the rate that it had so far, where
 * its length is known. UINT64_MAX: nobody can tell. */
static uint64_t estimate_ms(const struct score_hold *hold, uint64_t age_ms, uint64_t budget_ms)
{
    uint64_t left_ms = budget_ms;

    if (hold->bytes_left != UINT64_MAX && hold->bytes > 0) {
        double rated_ms = (double)hold->bytes_left * (double)age_ms / (double)hold->bytes;
        if (rated_ms < (double)left_ms)
            left_ms = (uint64_t)rated_ms;
    }
    return left_ms;
}

static const char *ending_name(uint8_t ending)
{
    static const char *const names[] = {
        [ENDING_NOT] = "",
        [ENDING_SOON] = "soon",
        [ENDING_POLITELY] = "told",
        [ENDING_FORCED] = "forced",
    };

    return ending < ENDING_COUNT ? names[ending] : "";
}

static cJSON *view_hold(const struct score_hold *hold, unsigned row, uint64_t budget_ms)
{
    char id[24], client[ADDRESS_TEXT_BYTES];
    uint64_t now_ms = clock_ms();
    uint64_t age_ms = now_ms > hold->started_ms ? now_ms - hold->started_ms : 0;
    uint64_t left_ms = estimate_ms(hold, age_ms, budget_ms);
    cJSON *object = cJSON_CreateObject();

    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)hold->id);
    address_format(&hold->client, client);
    cJSON_AddStringToObject(object, "id", id);
    cJSON_AddStringToObject(object, "kind", exchange_kind_name((enum exchange_kind)hold->kind));
    cJSON_AddStringToObject(object, "client", client);
    cJSON_AddStringToObject(object, "request", hold->request);
    cJSON_AddNumberToObject(object, "age_ms", (double)age_ms);
    cJSON_AddNumberToObject(object, "bytes", (double)hold->bytes);
    if (hold->bytes_left == UINT64_MAX)
        cJSON_AddNullToObject(object, "bytes_left");
    else
        cJSON_AddNumberToObject(object, "bytes_left", (double)hold->bytes_left);
    if (left_ms == UINT64_MAX)
        cJSON_AddNullToObject(object, "left_ms");
    else
        cJSON_AddNumberToObject(object, "left_ms", (double)left_ms);
    cJSON_AddStringToObject(object, "ending", ending_name(hold->ending));
    cJSON_AddNumberToObject(object, "row", row);
    return object;
}

/* What is left of each class's budget; UINT64_MAX: it waits for ever. */
static void count_left(const struct service *service, uint64_t waited_ms,
                       uint64_t ret_left_ms[KIND_COUNT])
{
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t budget_ms = service_drain_ms(service, (enum exchange_kind)kind);

        ret_left_ms[kind] = budget_ms > waited_ms ? budget_ms - waited_ms : 0;
        if (service_drain_budget(service)->budgets[kind].on_timeout == ON_TIMEOUT_WAIT)
            ret_left_ms[kind] = UINT64_MAX;
    }
}

static void add_holds(cJSON *object, const struct service *service, int slot,
                      const uint64_t left_ms[KIND_COUNT])
{
    const struct scoreboard *scores = &service->updater->scores;
    uint32_t generation = table_backend(service->updater->table, slot)->generation;
    cJSON *array = cJSON_AddArrayToObject(object, "holds");

    for (unsigned row = 0; row < scores->row_count; row++) {
        struct score_hold holds[SCORE_HOLDS_MAX];
        uint32_t total;
        uint32_t count = score_holds_read(scores->rows[row], holds, SCORE_HOLDS_MAX, &total);

        for (uint32_t i = 0; i < count; i++) {
            if (holds[i].slot == (uint32_t)slot && holds[i].generation == generation &&
                holds[i].kind < KIND_COUNT)
                cJSON_AddItemToArray(array, view_hold(&holds[i], row, left_ms[holds[i].kind]));
        }
    }
}

static void add_budgets(cJSON *object, const struct service *service, uint64_t waited_ms,
                        uint8_t end_kinds)
{
    const struct config_drain *drain = service_drain_budget(service);
    cJSON *budgets = cJSON_AddObjectToObject(object, "budgets");

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t budget_ms = service_drain_ms(service, (enum exchange_kind)kind);
        cJSON *budget =
            cJSON_AddObjectToObject(budgets, exchange_kind_name((enum exchange_kind)kind));

        cJSON_AddNumberToObject(budget, "timeout_ms", drain->budgets[kind].timeout_ms);
        cJSON_AddNumberToObject(budget, "extended_ms",
                                (double)(budget_ms - drain->budgets[kind].timeout_ms));
        cJSON_AddNumberToObject(budget, "left_ms",
                                budget_ms > waited_ms ? (double)(budget_ms - waited_ms) : 0.);
        cJSON_AddStringToObject(budget, "on_timeout",
                                config_on_timeout_words[drain->budgets[kind].on_timeout]);
        cJSON_AddBoolToObject(budget, "ending", (end_kinds & 1u << kind) != 0);
    }
}

/* The class that has something active and may take longest; where none has, requests. */
static enum exchange_kind longest_kind(const struct service *service,
                                       const uint32_t active[KIND_COUNT])
{
    enum exchange_kind longest = KIND_REQUEST;
    uint64_t longest_ms = 0;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        uint64_t budget_ms = service_drain_ms(service, (enum exchange_kind)kind);

        if (active[kind] == 0 || budget_ms <= longest_ms)
            continue;
        longest = (enum exchange_kind)kind;
        longest_ms = budget_ms;
    }
    return longest;
}

cJSON *view_drain(const struct service *service, int slot)
{
    struct table *table = service->updater->table;
    const struct routing_backend *backend = table_backend(table, slot);
    const struct table_entry *entry = &table->entries[slot];
    const struct config_drain *budget = service_drain_budget(service);
    uint64_t wall_ms = steady_wall_ms();
    uint64_t waited_ms = wall_ms > entry->drain_wall_ms ? wall_ms - entry->drain_wall_ms : 0;
    uint64_t left_ms[KIND_COUNT];
    struct score_sum sum;
    cJSON *object = cJSON_CreateObject();

    scoreboard_sum(&service->updater->scores, (uint32_t)slot, backend->generation, &sum);
    enum exchange_kind longest = longest_kind(service, sum.active);
    uint64_t longest_ms = sum.active[longest] > 0 ? service_drain_ms(service, longest) : 0;

    cJSON_AddStringToObject(object, "container", backend->name);
    cJSON_AddNumberToObject(object, "slot", slot);
    cJSON_AddNumberToObject(object, "epoch", (double)entry->drain_epoch);
    cJSON_AddNumberToObject(object, "waited_ms", (double)waited_ms);
    cJSON_AddNumberToObject(object, "left_ms",
                            longest_ms > waited_ms ? (double)(longest_ms - waited_ms) : 0.);
    cJSON_AddNumberToObject(object, "active", sum.active_all);
    view_add_kinds(object, sum.active);
    cJSON_AddStringToObject(object, "on_timeout",
                            config_on_timeout_words[budget->budgets[longest].on_timeout]);
    add_budgets(object, service, waited_ms, backend->end_kinds);
    count_left(service, waited_ms, left_ms);
    add_holds(object, service, slot, left_ms);
    cJSON_AddNumberToObject(object, "hold_total", sum.active_all);
    return object;
}

cJSON *view_drains(const struct service *service)
{
    struct table *table = service->updater->table;
    cJSON *object = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(object, "drains");

    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        if (table->draft.backends[slot].state == BACKEND_DRAINING &&
            table->draft.backends[slot].service == service->row)
            cJSON_AddItemToArray(array, view_drain(service, (int)slot));
    }
    return object;
}
