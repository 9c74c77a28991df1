#include "api_views.h"
#include "base/clock.h"
#include "engine.h"
#include "fetch.h"
#include "hold.h"
#include "preflight.h"
#include "rollout.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct tally { /* of a service's backends */
    unsigned replicas, ready, healthy;
    uint64_t exchanges;        /* clients' */
    struct score_sum mirrored; /* only what copies have in it */
};

static struct tally tally_take(const struct service *service)
{
    const struct updater *updater = service->updater;
    struct tally tally = {0};

    for (uint32_t slot = 0; slot < updater->table->draft.backend_count; slot++) {
        const struct routing_backend *backend = &updater->table->draft.backends[slot];
        struct score_sum sum;

        if (backend->state == BACKEND_FREE || backend->service != service->row)
            continue;
        scoreboard_sum(&updater->scores, slot, backend->generation, &sum);
        tally.exchanges += sum.exchanges - sum.mirrored;
        tally.mirrored.mirrored += sum.mirrored;
        tally.mirrored.mirror_compared += sum.mirror_compared;
        tally.mirrored.mirror_status_differs += sum.mirror_status_differs;
        tally.mirrored.mirror_body_differs += sum.mirror_body_differs;
        tally.mirrored.mirror_failures += sum.mirror_failures;
        if (backend->state != BACKEND_DRAINING)
            tally.replicas++;
        if (backend->state != BACKEND_READY)
            continue;
        tally.ready++;
        tally.healthy +=
            verdict_state_of(updater->verdicts, slot, backend->generation) == VERDICT_HEALTHY;
    }
    return tally;
}

static cJSON *view_group(const struct service *service, enum group group)
{
    const struct table *table = service->updater->table;
    cJSON *object = cJSON_CreateObject();
    const char *image = NULL, *image_id = NULL;
    cJSON *array = cJSON_CreateArray();

    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        const struct routing_backend *backend = &table->draft.backends[slot];
        const struct container *container;

        if (backend->state == BACKEND_FREE || backend->service != service->row ||
            backend->group != group)
            continue;
        container = service_container_of_slot(service, (int)slot);
        if (container && !image) {
            image = container->facts.image;
            image_id = container->facts.image_id;
        }
        cJSON_AddItemToArray(array, view_backend(service, (int)slot));
    }
    view_add_string(object, "image", image);
    view_add_string(object, "image_id", image_id);
    cJSON_AddItemToObject(object, "backends", array);
    return object;
}

static void message_make(const struct service *service, const struct tally *tally, char *text,
                         size_t size)
{
    const struct updater *updater = service->updater;

    if (!service->is_static && !updater->engine_reachable && updater->engine_message[0])
        (void)snprintf(text, size, "the engine does not answer (%s); what was known is served on",
                       updater->engine_message);
    else if (hold_left_ms(service) > 0)
        (void)snprintf(text, size,
                       "held for another %llu s, %llu wait; `sluice release %s` ends it",
                       (unsigned long long)((hold_left_ms(service) + 999) / 1000),
                       (unsigned long long)view_queued(service), service_name(service));
    else if (preflight_fetch(service))
        fetch_words(preflight_fetch(service), text, size);
    else if (service->trouble[0])
        (void)snprintf(text, size, "%s", service->trouble);
    else if (!service->is_static && !service->listed)
        (void)snprintf(text, size, "its containers are being looked for");
    else if (!service->is_static && service->container_count == 0)
        (void)snprintf(text, size, "no container carries the label %s%s%s",
                       service->config->label_key, service->config->label_value ? "=" : "",
                       service->config->label_value ? service->config->label_value : "");
    else if (tally->ready == 0)
        (void)snprintf(text, size, "no backend is in rotation");
    else if (tally->healthy == 0)
        (void)snprintf(text, size, "no backend is healthy");
    else
        (void)snprintf(text, size, "%s", service->attention);
}

static const char *state_of(const struct service *service, const struct tally *tally)
{
    if (!service->is_static && !service->updater->engine_reachable &&
        service->updater->engine_message[0])
        return "engine-unreachable";
    if (hold_left_ms(service) > 0)
        return "held";
    if (service->rollout)
        return "rollout";
    if (tally->ready == 0)
        return "no-backends";
    return service->attention[0] ? "needs-attention" : "steady";
}

uint64_t view_queued(const struct service *service)
{
    const struct scoreboard *scores = &service->updater->scores;
    uint64_t queued = 0;

    for (unsigned row = 0; row < scores->row_count; row++)
        queued += score_get(&scores->rows[row]->queued[service->row]);
    return queued;
}

static void add_hold(cJSON *object, const struct service *service)
{
    uint64_t left_ms = hold_left_ms(service);

    if (left_ms > 0)
        cJSON_AddNumberToObject(cJSON_AddObjectToObject(object, "hold"), "left_ms",
                                (double)left_ms);
    else
        cJSON_AddNullToObject(object, "hold");
}

static void add_pull(cJSON *object, const struct service *service)
{
    const struct fetch *fetch = preflight_fetch(service);

    cJSON_AddItemToObject(object, "pull", fetch ? fetch_view(fetch) : cJSON_CreateNull());
}

cJSON *view_service(const struct service *service)
{
    const struct routing_service *row = &service->updater->table->draft.services[service->row];
    static const char *const sticky[] = {NULL, "cookie", "header", "client_address"};
    struct tally tally = tally_take(service);
    char message[SERVICE_MESSAGE_BYTES + PLAN_WHY_BYTES];
    cJSON *object = cJSON_CreateObject();
    cJSON *groups;

    message_make(service, &tally, message, sizeof(message));
    cJSON_AddStringToObject(object, "name", service_name(service));
    cJSON_AddStringToObject(object, "protocol",
                            service->config->protocol == PROTOCOL_TCP ? "tcp" : "http");
    cJSON_AddBoolToObject(object, "static", service->is_static);
    cJSON_AddStringToObject(object, "state", state_of(service, &tally));
    cJSON_AddStringToObject(object, "message", message);
    cJSON_AddNumberToObject(object, "weight", view_percent(row->weight));
    view_add_match(object, &row->match);
    cJSON_AddNumberToObject(object, "mirror", view_percent(row->mirror));
    view_add_string(object, "rollout", service->rollout ? rollout_id(service->rollout) : NULL);
    cJSON_AddNumberToObject(object, "replicas", tally.replicas);
    cJSON_AddNumberToObject(object, "healthy", tally.healthy);
    cJSON_AddNumberToObject(object, "queued", (double)view_queued(service));
    add_hold(object, service);
    add_pull(object, service);
    cJSON_AddNumberToObject(object, "requests", (double)tally.exchanges);
    view_add_mirror(object, &tally.mirrored);
    groups = cJSON_AddObjectToObject(object, "groups");
    cJSON_AddItemToObject(groups, "stable", view_group(service, GROUP_STABLE));
    cJSON_AddItemToObject(groups, "canary", view_group(service, GROUP_CANARY));
    view_add_string(object, "sticky", sticky[service->config->sticky.kind]);
    cJSON_AddItemToObject(object, "split", view_split(service->updater, service->row, UINT32_MAX));
    return object;
}

static void add_memory(cJSON *worker, const struct score_row *row)
{
    static const char *const levels[] = {"none", "tight", "full"};
    uint32_t level = score_get(&row->memory_pressure);
    cJSON *memory = cJSON_AddObjectToObject(worker, "memory");

    cJSON_AddNumberToObject(memory, "held_bytes", (double)score_get(&row->memory_held));
    cJSON_AddNumberToObject(memory, "limit_bytes", (double)score_get(&row->memory_limit));
    cJSON_AddStringToObject(memory, "pressure", level < 3 ? levels[level] : "invalid");
}

void view_add_refusals(cJSON *object, const struct updater *updater)
{
    cJSON *refusals = cJSON_AddObjectToObject(object, "refusals");

    for (enum refusal why = 0; why < REFUSAL_COUNT; why++)
        cJSON_AddNumberToObject(refusals, refusal_name(why),
                                (double)scoreboard_refusals(&updater->scores, why));
}

static void add_workers(cJSON *object, const struct scoreboard *scores)
{
    cJSON *array = cJSON_AddArrayToObject(object, "workers");
    uint64_t now_ms = clock_ms();

    for (unsigned i = 0; i < scores->row_count; i++) {
        const struct score_row *row = scores->rows[i];
        uint64_t heartbeat_ms = score_get(&row->heartbeat_ms);

        if (score_get(&row->state) == ROW_EMPTY && score_get(&row->pid) == 0)
            continue;
        cJSON *worker = cJSON_CreateObject();

        cJSON_AddNumberToObject(worker, "row", i);
        cJSON_AddNumberToObject(worker, "pid", score_get(&row->pid));
        cJSON_AddNumberToObject(worker, "generation", score_get(&row->worker_generation));
        cJSON_AddBoolToObject(worker, "live", score_get(&row->state) == ROW_LIVE);
        cJSON_AddNumberToObject(worker, "seen_epoch", (double)score_get(&row->seen_epoch));
        cJSON_AddNumberToObject(worker, "heartbeat_age_ms",
                                now_ms > heartbeat_ms ? (double)(now_ms - heartbeat_ms) : 0.);
        cJSON_AddNumberToObject(worker, "clients", score_get(&row->clients));
        cJSON_AddNumberToObject(worker, "accepted", (double)score_get(&row->accepted));
        add_memory(worker, row);
        cJSON_AddItemToArray(array, worker);
    }
}

cJSON *view_health(const struct updater *updater)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *engine;

    cJSON_AddStringToObject(object, "status", "ok");
    cJSON_AddStringToObject(object, "version", SLUICE_VERSION);
    cJSON_AddNumberToObject(object, "epoch", (double)updater->table->draft.epoch);
    engine = cJSON_AddObjectToObject(object, "engine");
    cJSON_AddBoolToObject(engine, "reachable", updater->engine && updater->engine_reachable);
    cJSON_AddStringToObject(engine, "api_version",
                            updater->engine ? engine_api_version(updater->engine) : "");
    cJSON_AddStringToObject(engine, "message",
                            updater->engine ? updater->engine_message
                                            : "not needed: every service is static");
    add_workers(object, &updater->scores);
    view_add_refusals(object, updater);
    return object;
}
