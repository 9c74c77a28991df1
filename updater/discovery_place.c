/* What a container is to the table, by what inspect says of it. */
#include "act.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "discovery.h"
#include "journal.h"
#include "rollout.h"
#include "start_time.h"
#include "steady.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether its rollout ended without it. Asked of the journal once per container. */
static bool is_leftover(const struct service *service, const struct container_facts *facts)
{
    struct journal_rollout record;
    bool leftover;

    if (!facts->rollout_label ||
        (service->rollout && strcmp(rollout_id(service->rollout), facts->rollout_label) == 0) ||
        journal_rollout_find(service->updater->journal, facts->rollout_label, &record))
        return false;
    leftover = strcmp(record.id, facts->rollout_label) == 0 && /* the journal finds prefixes too */
               record.progress.phase == PHASE_ENDED &&
               (record.progress.outcome == OUTCOME_ROLLED_BACK ||
                record.progress.outcome == OUTCOME_ABORTED);
    journal_rollout_done(&record);
    return leftover;
}

static struct container *container_new(struct service *service)
{
    struct container *container;

    if (service->container_count >= SERVICE_CONTAINERS_MAX) {
        (void)snprintf(service->trouble, sizeof(service->trouble),
                       "more than %u containers carry its label; the others are left out",
                       SERVICE_CONTAINERS_MAX);
        return NULL;
    }
    container = memory_new(sizeof(*container));
    container->service = service;
    container->slot = TABLE_NONE;
    container->seen = true;
    list_append(&service->containers, &container->node);
    service->container_count++;
    return container;
}

/* While a rollout is on, its new ones are the planner's to publish, and once it is promoted nobody
 * brings an old one back: those are only found again after a restart of the updater. */
static bool is_planners(const struct container *container)
{
    const struct rollout *rollout = container->service->rollout;

    return rollout &&
           (rollout_is_new(rollout, container) || rollout->progress.phase == PHASE_PROMOTED);
}

/* A drain that was under way when the updater ended goes on from when it began; one of which that
 * updater had written nothing down yet is written down now. The epoch is the one that was adopted:
 * the record may be of a drain that was taken back since. */
static void drain_restore(struct container *container)
{
    struct updater *updater = container->service->updater;
    struct rollout *rollout = container->service->rollout;
    const struct member *member =
        rollout ? rollout_member_of_id(rollout, container->facts.id) : NULL;
    struct table_entry *entry = &updater->table->entries[container->slot];

    if (!member || table_backend(updater->table, container->slot)->state != BACKEND_DRAINING)
        return;
    if (member->drain.begun && member->drain.slot == (uint32_t)container->slot &&
        member->drain.generation == table_backend(updater->table, container->slot)->generation)
        entry->drain_wall_ms = member->drain.started_ms;
    else
        act_record_drain(rollout, container);
}

static void enter(struct container *container)
{
    struct service *service = container->service;
    struct table *table = service->updater->table;
    struct rollout *rollout = service->rollout;
    enum group group = rollout ? rollout_group(rollout, container) : GROUP_STABLE;
    struct table_backend backend = container_backend(container, group, BACKEND_READY);
    struct log_line line;

    container->slot = table_claim(table, &backend);
    if (container->slot == TABLE_NONE && is_planners(container))
        return;
    if (container->slot == TABLE_NONE &&
        container_give_slot(container, group, BACKEND_READY) == TABLE_NONE) {
        (void)snprintf(container->why, sizeof(container->why), "no slot left in the routing table");
        return;
    }
    table_set_group(table, container->slot, group);
    if (rollout)
        drain_restore(container);
    else
        table_set_state(table, container->slot, BACKEND_READY, steady_wall_ms());
    log_begin(&line, LOG_INFO, "backend-entered");
    log_string(&line, "service", service_name(service));
    log_string(&line, "rollout", rollout ? rollout_id(rollout) : NULL);
    log_string(&line, "backend", container->facts.name);
    log_string(&line, "container", container->facts.id);
    log_string(&line, "image", container->facts.image_id);
    log_u64(&line, "slot", (uint64_t)container->slot);
    log_end(&line);
}

static void place(struct container *container)
{
    struct table *table = container->service->updater->table;
    bool runs =
        container->facts.state == CONTAINER_RUNNING || container->facts.state == CONTAINER_PAUSED;

    if (container->slot != TABLE_NONE) {
        table_set_name(table, container->slot, container->facts.name);
        table_set_container_health(table, container->slot, container->facts.health);
        /* One that the planner drains keeps its slot, and so its proof, until it is removed. */
        if (!runs && (!container->service->rollout ||
                      table_backend(table, container->slot)->state != BACKEND_DRAINING))
            container_release_slot(container);
        return;
    }
    if (container->facts.state == CONTAINER_RUNNING && container->address.family != 0 &&
        !container->leftover && !container_is_going(container))
        enter(container);
}

static void address_read(struct container *container, const cJSON *inspect)
{
    struct service *service = container->service;
    const struct config_service *config = service->config;
    char why[sizeof(container->why)] = "";

    memset(&container->address, 0, sizeof(container->address));
    if (container->facts.state == CONTAINER_RUNNING &&
        container_address(inspect, config->network, config->port, config->published,
                          &container->address, why)) {
        memset(&container->address, 0, sizeof(container->address));
        (void)snprintf(service->trouble, sizeof(service->trouble), "%.100s: %.250s",
                       container->facts.name, why);
    }
    if (why[0] && strcmp(why, container->why) != 0)
        log_event(LOG_WARNING, "container-not-reachable", "reason", service->trouble);
    memcpy(container->why, why, sizeof(why));
}

int discovery_apply(struct service *service, const cJSON *inspect, uint64_t sequence)
{
    struct container_facts facts;
    struct container *container;
    struct address before;
    bool is_other_run;

    if (container_facts_read(inspect, &facts))
        return -EPROTO;
    container = service_container(service, facts.id);
    if (!container && !facts.is_once)
        container = container_new(service);
    if (!container || sequence < container->looked) {
        container_facts_done(&facts);
        return 0;
    }
    is_other_run = !container->facts.started_at || !facts.started_at ||
                   strcmp(container->facts.started_at, facts.started_at) != 0;
    container_facts_done(&container->facts);
    container->facts = facts;
    container->looked = sequence;
    before = container->address;
    if (container->facts.state != CONTAINER_EXITED)
        container->ended_seen_ms = 0;
    else if (container->ended_seen_ms == 0)
        container->ended_seen_ms = clock_ms();
    container->leftover = is_leftover(service, &container->facts);
    address_read(container, inspect);
    if (is_other_run) {
        container->started_ms =
            start_time_ms(container->facts.started_at, clock_wall_ms(), clock_ms());
        container->going_ms = 0;
    }
    if (container->slot != TABLE_NONE && container->facts.state == CONTAINER_RUNNING &&
        (is_other_run || !address_equals(&before, &container->address)))
        container_release_slot(container);
    place(container);
    return 0;
}

void discovery_going(struct container *container)
{
    struct table *table = container->service->updater->table;
    struct log_line line;

    if (container->going_ms == 0)
        container->going_ms = clock_ms();
    if (container->slot == TABLE_NONE ||
        table_backend(table, container->slot)->state == BACKEND_DRAINING)
        return;
    log_begin(&line, LOG_INFO, "backend-taken-out");
    log_string(&line, "service", service_name(container->service));
    log_string(&line, "backend", container->facts.name);
    log_string(&line, "container", container->facts.id);
    log_string(&line, "reason", "the engine says that it is being stopped");
    log_end(&line);
    container_release_slot(container);
}
