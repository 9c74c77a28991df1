#include "table.h"

#include "base/check.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A start is told to the millisecond by the engine, but turned from one clock into the other. */
#define START_TOLERANCE_MS 2000u

struct table *table_new(void)
{
    return memory_new(sizeof(struct table));
}

uint64_t table_next_epoch(const struct table *table)
{
    return table->draft.epoch + 1;
}

void table_adopt(struct table *table, const struct routing_table *published, uint64_t wall_ms,
                 uint64_t now_ms)
{
    table->draft = *published;
    table->ends_epoch = published->epoch;
    for (uint32_t row = 0; row < table->draft.service_count; row++)
        table->weight_epochs[row] = table->hold_epochs[row] = published->epoch;
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        const struct routing_backend *backend = &table->draft.backends[slot];
        struct table_entry *entry = &table->entries[slot];
        uint64_t age_ms = now_ms > backend->started_ms ? now_ms - backend->started_ms : 0;

        if (backend->state == BACKEND_FREE)
            continue;
        entry->unclaimed = true;
        entry->published_wall_ms = wall_ms > age_ms ? wall_ms - age_ms : wall_ms;
        if (backend->state == BACKEND_DRAINING) {
            /* Which epoch it was is not known any more; the newest is certainly not too early. */
            entry->drain_epoch = published->epoch;
            entry->drain_wall_ms = wall_ms;
        }
    }
}

static int row_find(const struct table *table, const char *name)
{
    for (uint32_t row = 0; row < table->draft.service_count; row++) {
        if (strcmp(table->draft.services[row].name, name) == 0)
            return (int)row;
    }
    return TABLE_NONE;
}

int table_service_row(struct table *table, const char *name)
{
    int row = row_find(table, name);

    check(name[0] != '\0');
    if (row != TABLE_NONE)
        return row;
    row = row_find(table, "");
    if (row == TABLE_NONE) {
        if (table->draft.service_count >= ROUTING_SERVICES_MAX)
            return TABLE_NONE;
        row = (int)table->draft.service_count++;
    }
    memset(&table->draft.services[row], 0, sizeof(table->draft.services[row]));
    (void)slice_copy_string(slice_from_string(name), table->draft.services[row].name,
                            sizeof(table->draft.services[row].name));
    table->weight_epochs[row] = table_next_epoch(table);
    table->dirty = true;
    return row;
}

static void check_copy(const struct config_check *from, struct routing_check *to)
{
    memset(to, 0, sizeof(*to));
    to->kind = (uint8_t)from->kind;
    to->status_min = from->status_min;
    to->status_max = from->status_max;
    to->retries = from->retries;
    to->successes = from->successes;
    to->interval_ms = from->interval_ms;
    to->timeout_ms = from->timeout_ms;
    to->start_period_ms = from->start_period_ms;
    if (from->path)
        (void)slice_copy_string(slice_from_string(from->path), to->path, sizeof(to->path));
    if (from->host)
        (void)slice_copy_string(slice_from_string(from->host), to->host, sizeof(to->host));
    if (from->body)
        (void)slice_copy_string(slice_from_string(from->body), to->body, sizeof(to->body));
}

static bool check_equals(const struct routing_check *a, const struct routing_check *b)
{
    return a->kind == b->kind && a->status_min == b->status_min && a->status_max == b->status_max &&
           a->retries == b->retries && a->successes == b->successes &&
           a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms &&
           a->start_period_ms == b->start_period_ms && strcmp(a->path, b->path) == 0 &&
           strcmp(a->host, b->host) == 0 && strcmp(a->body, b->body) == 0;
}

void table_service_set(struct table *table, int row, const struct config_service *service)
{
    struct routing_service *ours = &table->draft.services[row];
    struct routing_service wanted = *ours;

    wanted.protocol = (uint8_t)service->protocol;
    wanted.balance = (uint8_t)service->balance;
    check_copy(&service->check, &wanted.check);
    if (wanted.protocol == ours->protocol && wanted.balance == ours->balance &&
        check_equals(&wanted.check, &ours->check))
        return;
    *ours = wanted;
    table->dirty = true;
}

static bool row_has_backends(const struct table *table, int row)
{
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        if (table->draft.backends[slot].state != BACKEND_FREE &&
            table->draft.backends[slot].service == row)
            return true;
    }
    return false;
}

void table_services_keep(struct table *table, const struct config *config, uint64_t wall_ms)
{
    for (uint32_t row = 0; row < table->draft.service_count; row++) {
        const char *name = table->draft.services[row].name;

        if (name[0] == '\0' || config_find_service(config, name) >= 0)
            continue;
        for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
            if (table->draft.backends[slot].state != BACKEND_FREE &&
                table->draft.backends[slot].service == row)
                table_release(table, (int)slot, wall_ms);
        }
        if (row_has_backends(table, (int)row))
            continue;
        memset(&table->draft.services[row], 0, sizeof(table->draft.services[row]));
        table->dirty = true;
    }
}

static bool same_run(const struct routing_backend *there, const struct table_backend *wanted)
{
    uint64_t apart_ms = there->started_ms > wanted->started_ms
                            ? there->started_ms - wanted->started_ms
                            : wanted->started_ms - there->started_ms;

    /* An old one that made room on a port of the host had the address that the new one has. */
    return address_equals(&there->address, &wanted->address) && there->group == wanted->group &&
           (wanted->any_start || apart_ms <= START_TOLERANCE_MS);
}

int table_claim(struct table *table, const struct table_backend *wanted)
{
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        const struct routing_backend *there = &table->draft.backends[slot];

        if (there->state != BACKEND_FREE && table->entries[slot].unclaimed &&
            there->service == wanted->row && same_run(there, wanted)) {
            table->entries[slot].unclaimed = false;
            return (int)slot;
        }
    }
    return TABLE_NONE;
}

static int slot_free(struct table *table)
{
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        if (table->draft.backends[slot].state == BACKEND_FREE)
            return (int)slot;
    }
    if (table->draft.backend_count >= ROUTING_BACKENDS_MAX)
        return TABLE_NONE;
    return (int)table->draft.backend_count++;
}

int table_give(struct table *table, const struct table_backend *wanted, uint64_t wall_ms,
               bool *ret_found)
{
    int slot = table_claim(table, wanted);
    struct routing_backend *backend;

    check(wanted->row >= 0 && wanted->state != BACKEND_FREE);
    if (ret_found)
        *ret_found = slot != TABLE_NONE;
    if (slot == TABLE_NONE) {
        slot = slot_free(table);
        if (slot == TABLE_NONE)
            return TABLE_NONE;
        backend = table_backend(table, slot);
        uint32_t generation = backend->generation + 1;

        memset(backend, 0, sizeof(*backend));
        memset(&table->entries[slot], 0, sizeof(table->entries[slot]));
        backend->generation = generation == 0 ? 1 : generation;
        backend->service = (uint16_t)wanted->row;
        backend->group = (uint8_t)wanted->group;
        backend->state = (uint8_t)wanted->state;
        backend->weight = 1;
        backend->address = wanted->address;
        backend->started_ms = wanted->started_ms;
        backend->container_health = (uint8_t)wanted->container_health;
        table->entries[slot].published_wall_ms = wall_ms;
        table->dirty = true;
    }
    table_set_name(table, slot, wanted->name);
    table_set_container_health(table, slot, wanted->container_health);
    return slot;
}

void table_drop_unclaimed(struct table *table, int row, uint64_t wall_ms)
{
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        if (table->entries[slot].unclaimed && table->draft.backends[slot].service == row)
            table_release(table, (int)slot, wall_ms);
    }
}

void table_release(struct table *table, int slot, uint64_t wall_ms)
{
    table->entries[slot].leaving = true;
    table->entries[slot].unclaimed = false;
    table_set_state(table, slot, BACKEND_DRAINING, wall_ms);
}

static void slot_forget(struct table *table, int slot)
{
    struct routing_backend *backend = table_backend(table, slot);
    uint32_t generation = backend->generation;

    memset(backend, 0, sizeof(*backend));
    backend->generation = generation;
    memset(&table->entries[slot], 0, sizeof(table->entries[slot]));
    table->dirty = true;
}

unsigned table_sweep(struct table *table, const struct scoreboard *scores,
                     bool (*on_drained)(void *context, int slot, const struct drain_proof *proof),
                     void *context)
{
    unsigned changes = 0;

    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        struct routing_backend *backend = &table->draft.backends[slot];
        struct table_entry *entry = &table->entries[slot];
        struct drain_proof proof;

        if (backend->state != BACKEND_DRAINING || entry->unclaimed ||
            (entry->drained && !entry->leaving))
            continue;
        if (!entry->drained) {
            if (table->draft.epoch < entry->drain_epoch ||
                !scoreboard_is_drained(scores, slot, backend->generation, entry->drain_epoch,
                                       &proof))
                continue;
            changes++;
            if (on_drained && !on_drained(context, (int)slot, &proof))
                continue;
            entry->drained = true;
        }
        if (entry->leaving)
            slot_forget(table, (int)slot);
    }
    return changes;
}

void table_set_state(struct table *table, int slot, enum backend_state state, uint64_t wall_ms)
{
    struct routing_backend *backend = table_backend(table, slot);
    struct table_entry *entry = &table->entries[slot];

    check(backend->state != BACKEND_FREE && state != BACKEND_FREE);
    if (backend->state == state)
        return;
    backend->state = (uint8_t)state;
    backend->ready_ms = 0;
    entry->drained = false;
    entry->drain_epoch = 0;
    entry->drain_wall_ms = 0;
    if (state == BACKEND_DRAINING) {
        entry->drain_epoch = table_next_epoch(table);
        entry->drain_wall_ms = wall_ms;
    } else {
        backend->end_kinds = 0;
        backend->close_spread_ms = 0;
    }
    table->dirty = true;
}

void table_date_ready(struct table *table, uint64_t now_ms)
{
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        struct routing_backend *backend = &table->draft.backends[slot];

        if (backend->state == BACKEND_READY && backend->ready_ms == 0)
            backend->ready_ms = now_ms;
    }
}

void table_set_group(struct table *table, int slot, enum group group)
{
    struct routing_backend *backend = table_backend(table, slot);

    if (backend->group == group)
        return;
    backend->group = (uint8_t)group;
    table->dirty = true;
}

void table_set_name(struct table *table, int slot, const char *name)
{
    struct routing_backend *backend = table_backend(table, slot);
    char text[sizeof(backend->name)] = {0};

    (void)slice_copy_string(slice_from_string(name), text, sizeof(text));
    if (strcmp(text, backend->name) == 0)
        return;
    memcpy(backend->name, text, sizeof(text));
    table->dirty = true;
}

void table_set_container_health(struct table *table, int slot, enum container_health health)
{
    struct routing_backend *backend = table_backend(table, slot);

    if (backend->container_health == health)
        return;
    backend->container_health = (uint8_t)health;
    table->dirty = true;
}

void table_set_end_kinds(struct table *table, int slot, uint8_t kinds, uint32_t spread_ms)
{
    struct routing_backend *backend = table_backend(table, slot);

    if (backend->end_kinds == kinds)
        return;
    backend->end_kinds = kinds;
    backend->close_spread_ms = spread_ms;
    table->dirty = true;
}

void table_end_exchange(struct table *table, uint64_t id)
{
    struct routing_table *draft = &table->draft;

    if (draft->end_count == ROUTING_ENDS_MAX) /* the oldest one: long since taken, most likely */
        memmove(draft->ends, draft->ends + 1, --draft->end_count * sizeof(draft->ends[0]));
    draft->ends[draft->end_count++] = id;
    table->ends_epoch = table_next_epoch(table);
    table->dirty = true;
}

void table_forget_ends(struct table *table, const struct scoreboard *scores)
{
    if (table->draft.end_count > 0 && table->draft.epoch >= table->ends_epoch &&
        scoreboard_has_seen(scores, table->ends_epoch))
        table->draft.end_count = 0;
}

void table_date_drain(struct table *table, uint32_t slot, uint32_t generation, uint64_t wall_ms)
{
    if (slot < table->draft.backend_count && table->draft.backends[slot].generation == generation &&
        table->draft.backends[slot].state == BACKEND_DRAINING)
        table->entries[slot].drain_wall_ms = wall_ms;
}

void table_set_weight(struct table *table, int row, uint32_t weight)
{
    check(weight <= WEIGHT_MAX);
    if (table->draft.services[row].weight == weight)
        return;
    table->draft.services[row].weight = (uint16_t)weight;
    table->weight_epochs[row] = table_next_epoch(table);
    table->dirty = true;
}

void table_set_match(struct table *table, int row, const struct config_match *match)
{
    struct routing_service *service = &table->draft.services[row];

    if (config_match_equals(&service->match, match))
        return;
    service->match = *match;
    table->weight_epochs[row] = table_next_epoch(table);
    table->dirty = true;
}

void table_set_mirror(struct table *table, int row, uint32_t share)
{
    check(share <= WEIGHT_MAX);
    if (table->draft.services[row].mirror == share)
        return;
    table->draft.services[row].mirror = (uint16_t)share;
    table->weight_epochs[row] = table_next_epoch(table);
    table->dirty = true;
}

void table_set_held(struct table *table, int row, uint64_t until_ms)
{
    if (table->draft.services[row].held_until_ms == until_ms)
        return;
    if (until_ms != 0) /* who has not heard of a renewal holds no longer than before */
        table->hold_epochs[row] = table_next_epoch(table);
    table->draft.services[row].held_until_ms = until_ms;
    table->dirty = true;
}

void table_set_salt(struct table *table, int row, uint64_t salt)
{
    if (table->draft.services[row].salt == salt)
        return;
    table->draft.services[row].salt = salt;
    table->dirty = true;
}

void table_set_secret(struct table *table, const uint8_t secret[ROUTING_SECRET_BYTES])
{
    if (memcmp(table->draft.secret, secret, sizeof(table->draft.secret)) == 0)
        return;
    memcpy(table->draft.secret, secret, sizeof(table->draft.secret));
    table->dirty = true;
}
