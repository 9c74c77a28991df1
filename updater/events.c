#include "events.h"

#include "admin.h"
#include "api_views.h"
#include "base/clock.h"
#include "base/log.h"
#include "hold.h"
#include "notify.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <string.h>

#define SERVICE_EVENT_APART_MS 200u /* 5 a second per service */

static void publish(struct updater *updater, const char *event, cJSON *data)
{
    if (updater->admin)
        admin_publish(updater->admin, event, data);
    cJSON_Delete(data);
}

void events_flush(struct updater *updater)
{
    uint64_t now_ms = clock_ms();
    uint64_t soonest_ms = 0;

    if (!updater->admin)
        return;
    for (size_t i = 0; i < updater->service_count; i++) {
        struct service *service = &updater->services[i];
        uint64_t due_ms = service->shown_ms + SERVICE_EVENT_APART_MS;

        if (!service->changed)
            continue;
        if (now_ms < due_ms) {
            if (soonest_ms == 0 || due_ms < soonest_ms)
                soonest_ms = due_ms;
            continue;
        }
        service->changed = false;
        service->shown_ms = now_ms;
        publish(updater, "service", view_service(service));
    }
    if (soonest_ms != 0 && !ev_is_active(&updater->later)) {
        ev_timer_set(&updater->later, (double)(soonest_ms - now_ms) / 1000., 0.);
        ev_timer_start(updater->loop, &updater->later);
    }
}

static void verdict_tell(struct updater *updater, struct service *service, int slot)
{
    const struct routing_backend *backend = table_backend(updater->table, slot);
    const struct container *container = service_container_of_slot(service, slot);
    struct verdict verdict;
    struct log_line line;
    cJSON *data;

    verdict_read(updater->verdicts, (uint32_t)slot, backend->generation, &verdict);
    verdict.reason[sizeof(verdict.reason) - 1] = '\0';
    log_begin(&line, LOG_DEBUG, "verdict-seen"); /* health has logged it */
    log_string(&line, "service", service_name(service));
    log_string(&line, "rollout", service->rollout ? rollout_id(service->rollout) : NULL);
    log_string(&line, "backend", backend->name);
    log_string(&line, "container", container ? container->facts.id : NULL);
    log_string(&line, "health", verdict_state_name(verdict.state));
    log_string(&line, "reason", verdict.reason[0] ? verdict.reason : NULL);
    log_end(&line);
    service->changed = true;
    if (!updater->admin)
        return;
    data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "service", service_name(service));
    cJSON_AddItemToObject(data, "backend", view_backend(service, slot));
    publish(updater, "backend_health", data);
}

void events_verdicts(struct updater *updater)
{
    for (uint32_t slot = 0; slot < updater->table->draft.backend_count; slot++) {
        const struct routing_backend *backend = table_backend(updater->table, (int)slot);
        struct shown_verdict *shown = &updater->shown[slot];
        struct service *service;
        enum verdict_state state;

        if (backend->state == BACKEND_FREE)
            continue;
        state = verdict_state_of(updater->verdicts, slot, backend->generation);
        if (shown->generation == backend->generation && shown->state == state)
            continue;
        bool is_first = shown->generation != backend->generation && state == VERDICT_UNKNOWN;

        shown->generation = backend->generation;
        shown->state = (uint8_t)state;
        service = updater_service_of_row(updater, backend->service);
        if (service && !is_first)
            verdict_tell(updater, service, (int)slot);
    }
}

void events_rollout(struct rollout *rollout, const char *event)
{
    struct updater *updater = rollout->service->updater;

    rollout->service->changed = true;
    rollout->told_paused = rollout->told_paused || strcmp(event, "rollout_paused") == 0;
    if (updater->admin)
        publish(updater, event, view_rollout_event(rollout));
    /* To people an update is a start (Argo's word): rollout_begin() tells them of it. */
    if (strcmp(event, "rollout_updated") != 0)
        notify_rollout(rollout, event);
}

void events_hold(struct service *service, const char *event, const char *why)
{
    struct updater *updater = service->updater;
    cJSON *data;

    service->changed = true;
    if (!updater->admin)
        return;
    data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "service", service_name(service));
    if (why)
        cJSON_AddStringToObject(data, "why", why);
    else
        cJSON_AddNumberToObject(data, "left_ms", (double)hold_left_ms(service));
    publish(updater, event, data);
}

void events_pull(struct service *service, cJSON *pull)
{
    cJSON *data = cJSON_CreateObject();

    cJSON_AddStringToObject(data, "service", service_name(service));
    cJSON_AddItemToObject(data, "pull", pull ? pull : cJSON_CreateNull());
    publish(service->updater, "pull", data);
}

void events_drain(struct rollout *rollout, const char *event, const struct member *member)
{
    struct updater *updater = rollout->service->updater;
    cJSON *data;

    if (!updater->admin)
        return;
    data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "service", service_name(rollout->service));
    cJSON_AddStringToObject(data, "rollout", rollout_id(rollout));
    cJSON_AddItemToObject(data, "drain", view_member_drain(member));
    publish(updater, event, data);
}

void events_container(struct rollout *rollout, const char *event, const struct member *member)
{
    struct updater *updater = rollout->service->updater;
    cJSON *data;

    if (!updater->admin)
        return;
    data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "service", service_name(rollout->service));
    cJSON_AddStringToObject(data, "rollout", rollout_id(rollout));
    cJSON_AddStringToObject(data, "container", member->id);
    cJSON_AddStringToObject(data, "name", member->name);
    cJSON_AddBoolToObject(data, "new", member->is_new);
    publish(updater, event, data);
}
