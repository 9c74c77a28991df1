#include "api_views.h"

#include "base/clock.h"
#include "engine.h"
#include "rollout.h"
#include "steady.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

double view_percent(uint32_t weight)
{
    return (double)weight / 100.;
}

void view_add_match(cJSON *object, const struct config_match *match)
{
    cJSON *kind, *value;

    if (match->kind == MATCH_NONE) {
        cJSON_AddStringToObject(object, "match", "none");
        return;
    }
    kind = cJSON_AddObjectToObject(object, "match");
    value = cJSON_AddObjectToObject(kind, match->kind == MATCH_HEADER ? "header" : "cookie");
    cJSON_AddStringToObject(value, "name", match->name);
    cJSON_AddStringToObject(value, "value", match->value);
}

void view_add_time(cJSON *object, const char *key, uint64_t wall_ms)
{
    char text[CLOCK_TEXT_BYTES];

    if (wall_ms == 0) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    clock_format(wall_ms, text);
    cJSON_AddStringToObject(object, key, text);
}

void view_add_string(cJSON *object, const char *key, const char *value)
{
    if (value)
        cJSON_AddStringToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

cJSON *view_split(const struct updater *updater, int row, uint32_t weight)
{
    const struct service *service = updater_service_of_row(updater, row);
    bool by_user = service && service->config->sticky.kind != STICKY_NONE;
    cJSON *array = cJSON_CreateArray();

    for (unsigned i = 0; i < updater->scores.row_count; i++) {
        const struct score_row *score = updater->scores.rows[i];
        uint64_t word = score_get(&score->split[row]);
        uint32_t its = score_split_weight(word), exchanges = score_split_exchanges(word);
        uint32_t canary = score_split_canary(word);

        if (score_get(&score->state) != ROW_LIVE || (weight != UINT32_MAX && its != weight))
            continue;
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddNumberToObject(entry, "row", i);
        cJSON_AddNumberToObject(entry, "weight", view_percent(its));
        cJSON_AddNumberToObject(entry, "exchanges", exchanges);
        cJSON_AddNumberToObject(entry, "canary", canary);
        cJSON_AddStringToObject(entry, "by", by_user ? "user" : "exchange");
        if (by_user) /* users do not ask equally often: how far it is off says nothing */
            cJSON_AddNullToObject(entry, "error");
        else
            cJSON_AddNumberToObject(entry, "error",
                                    ((double)canary * WEIGHT_MAX - (double)exchanges * its) /
                                        WEIGHT_MAX);
        cJSON_AddItemToArray(array, entry);
    }
    return array;
}

void view_add_mirror(cJSON *object, const struct score_sum *sum)
{
    cJSON *mirror = cJSON_AddObjectToObject(object, "mirrored");

    cJSON_AddNumberToObject(mirror, "sent", (double)sum->mirrored);
    cJSON_AddNumberToObject(mirror, "compared", (double)sum->mirror_compared);
    cJSON_AddNumberToObject(mirror, "status_differs", (double)sum->mirror_status_differs);
    cJSON_AddNumberToObject(mirror, "body_differs", (double)sum->mirror_body_differs);
    cJSON_AddNumberToObject(mirror, "failed", (double)sum->mirror_failures);
}

static void add_counters(cJSON *object, const struct score_sum *sum)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    static const unsigned order[] = {1, 2, 3, 4, 5, 0};

    cJSON_AddNumberToObject(object, "active", sum->active_all);
    view_add_kinds(object, sum->active);
    cJSON_AddNumberToObject(object, "connecting", sum->connecting);
    cJSON_AddNumberToObject(object, "open", sum->open);
    cJSON_AddNumberToObject(object, "idle", sum->idle);
    cJSON_AddNumberToObject(object, "exchanges", (double)sum->exchanges);
    cJSON *status = cJSON_AddObjectToObject(object, "status");

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        cJSON_AddNumberToObject(status, classes[order[i]], (double)sum->status[order[i]]);
    cJSON_AddNumberToObject(object, "connect_failures", (double)sum->connect_failures);
    cJSON_AddNumberToObject(object, "timeouts", (double)sum->timeouts);
    cJSON_AddNumberToObject(object, "resets", (double)sum->resets);
    cJSON_AddNumberToObject(object, "retries", (double)sum->retries);
    cJSON_AddNumberToObject(object, "asset_retries", (double)sum->asset_retries);
    view_add_mirror(object, sum);
    cJSON_AddNumberToObject(object, "ejected_by", sum->ejected);
    cJSON_AddNumberToObject(object, "ejections", (double)sum->ejections);
    cJSON_AddNumberToObject(object, "bytes_in", (double)sum->bytes_in);
    cJSON_AddNumberToObject(object, "bytes_out", (double)sum->bytes_out);
    cJSON *latency = cJSON_AddObjectToObject(object, "latency_us");

    cJSON_AddNumberToObject(latency, "p50", (double)histogram_quantile_us(sum->latency, 0.5));
    cJSON_AddNumberToObject(latency, "p90", (double)histogram_quantile_us(sum->latency, 0.9));
    cJSON_AddNumberToObject(latency, "p99", (double)histogram_quantile_us(sum->latency, 0.99));
}

static void add_verdict(cJSON *object, const struct service *service, int slot)
{
    const struct routing_backend *backend = table_backend(service->updater->table, slot);
    uint64_t now_ms = clock_ms();
    struct verdict verdict;

    verdict_read(service->updater->verdicts, (uint32_t)slot, backend->generation, &verdict);
    verdict.reason[sizeof(verdict.reason) - 1] = '\0';
    cJSON_AddStringToObject(object, "health", verdict_state_name(verdict.state));
    cJSON_AddStringToObject(object, "reason", verdict.reason);
    cJSON_AddNumberToObject(
        object, "health_since_ms",
        verdict.since_ms && now_ms > verdict.since_ms ? (double)(now_ms - verdict.since_ms) : 0.);
    cJSON_AddNumberToObject(object, "check_latency_us", verdict.latency_us);
}

cJSON *view_backend(const struct service *service, int slot)
{
    struct table *table = service->updater->table;
    const struct routing_backend *backend = table_backend(table, slot);
    const struct container *container = service_container_of_slot(service, slot);
    char address[ADDRESS_TEXT_BYTES];
    struct score_sum sum;
    cJSON *object = cJSON_CreateObject();

    address_format(&backend->address, address);
    scoreboard_sum(&service->updater->scores, (uint32_t)slot, backend->generation, &sum);
    cJSON_AddNumberToObject(object, "slot", slot);
    cJSON_AddNumberToObject(object, "generation", backend->generation);
    cJSON_AddStringToObject(object, "name", backend->name);
    view_add_string(object, "container", container ? container->facts.id : NULL);
    cJSON_AddStringToObject(object, "address", address);
    cJSON_AddStringToObject(object, "group", group_name((enum group)backend->group));
    cJSON_AddStringToObject(object, "state",
                            backend_state_name((enum backend_state)backend->state));
    add_verdict(object, service, slot);
    add_counters(object, &sum);
    if (backend->state == BACKEND_DRAINING)
        cJSON_AddItemToObject(object, "drain", view_drain(service, slot));
    else
        cJSON_AddNullToObject(object, "drain");
    return object;
}
