#include "choose.h"

#include "balance.h"
#include "queue.h"
#include "rotation.h"
#include "split.h"
#include "sticky.h"
#include "worker.h"

struct members {
    struct exchange *exchange;
    const struct service *service;
    const uint16_t *slots; /* in rotation */
};

static bool was_tried(const struct exchange *x, uint32_t slot)
{
    for (unsigned i = 0; i < x->try_count; i++)
        if (x->tried[i] == slot)
            return true;
    return false;
}

static uint32_t slot_of(void *context, uint32_t index)
{
    return ((const struct members *)context)->slots[index];
}

static struct worker *worker_of(void *context)
{
    return ((const struct members *)context)->exchange->worker;
}

static bool has_room(const struct worker *worker, const struct service *service, uint32_t slot)
{
    uint32_t max = service->config != NULL ? service->config->max_connections : 0;

    return max == 0 || scoreboard_active_everywhere(&worker->scores, slot,
                                                    worker->table.backends[slot].generation) < max;
}

static bool has_room_for(const struct exchange *x, uint32_t slot)
{
    const struct worker *worker = x->worker;
    uint32_t most = exchange_most_active(x);

    return most == UINT32_MAX ||
           scoreboard_active_everywhere(&worker->scores, slot,
                                        worker->table.backends[slot].generation) < most;
}

static bool can_serve(void *context, uint32_t index)
{
    const struct members *members = context;
    uint32_t slot = slot_of(context, index);

    return !was_tried(members->exchange, slot) && has_room_for(members->exchange, slot);
}

static uint32_t load(void *context, uint32_t index)
{
    struct worker *worker = worker_of(context);
    uint32_t slot = slot_of(context, index);

    return scoreboard_active(&worker->scores, slot, worker->table.backends[slot].generation);
}

static uint32_t weight(void *context, uint32_t index)
{
    uint16_t given = worker_of(context)->table.backends[slot_of(context, index)].weight;

    return given > 0 ? given : 1;
}

static uint32_t share(void *context, uint32_t index)
{
    return rotation_share(worker_of(context), slot_of(context, index));
}

static uint64_t identity(void *context, uint32_t index)
{
    return worker_of(context)->table.backends[slot_of(context, index)].identity;
}

/* --- by hash ------------------------------------------------------------------------------ */

/* The group's load, and this exchange. Summing asks each member, so it is done for some
 * microseconds per member at most once: between two sums what this worker adds is counted on. */
static uint64_t total_with(struct worker *worker, struct service *service, enum group g)
{
    const uint16_t *slots = &worker->table.rotation[service->first[g]];
    uint32_t count = service->in_rotation[g];

    if (service->sums[g].summed_us == 0 ||
        worker->now_us - service->sums[g].summed_us >= (uint64_t)count * HASH_SUM_US) {
        service->sums[g].summed_us = worker->now_us;
        service->sums[g].load = 0;
        for (uint32_t i = 0; i < count; i++)
            service->sums[g].load += scoreboard_active(&worker->scores, slots[i],
                                                       worker->table.backends[slots[i]].generation);
    }
    return ++service->sums[g].load;
}

struct bounded {
    struct members *members;
    uint64_t total, weights;
    uint32_t bound_percent;
};

static bool may_take(void *context, uint32_t index)
{
    const struct bounded *bounded = context;

    return can_serve(bounded->members, index) &&
           load(bounded->members, index) + (uint64_t)1 <=
               hash_bound(bounded->total, weight(bounded->members, index), bounded->weights,
                          bounded->bound_percent);
}

static int32_t choose_by_hash(struct exchange *x, struct service *service, struct members *members)
{
    enum group g = x->group;
    struct bounded bounded = {
        members,
        total_with(x->worker, service, g),
        service->sums[g].weights,
        service->config != NULL ? service->config->hash.bound_percent : HASH_BOUND_PERCENT,
    };
    struct hash_circle circle = {&x->worker->table.points[service->first[g]],
                                 service->in_rotation[g], may_take, &bounded};
    int32_t chosen = hash_choose(&circle, x->key);

    if (chosen >= 0)
        return chosen;
    circle.may_take = can_serve; /* those below the bound were tried, or have no room */
    circle.context = members;
    return hash_choose(&circle, x->key);
}

/* --- any way ------------------------------------------------------------------------------ */

static int choose_member(struct exchange *x, struct service *service)
{
    struct worker *worker = x->worker;
    enum group g = x->group;
    struct members members = {x, service, &worker->table.rotation[service->first[g]]};
    const struct balance_group group = {
        .count = service->in_rotation[g],
        .share_max = service->share_max[g],
        .can_serve = can_serve,
        .load = load,
        .weight = weight,
        .share = share,
        .context = &members,
    };
    const struct sticky_members of_user = {group.count, can_serve, identity, &members};
    /* A retry takes nobody's turn: else one that is down would be the first of every pair. */
    struct balance_turn extra = service->turn[g];
    bool by_hash = service->balance == BALANCE_HASH && x->has_key;
    int32_t chosen = x->has_user ? sticky_choose(&of_user, x->user)
                     : by_hash   ? choose_by_hash(x, service, &members)
                                 : balance_choose(&group, service->balance, worker_random(worker),
                                                x->try_count > 0 ? &extra : &service->turn[g]);

    return chosen < 0 ? CHOICE_FULL : members.slots[chosen];
}

/* Whether the group has a member in rotation that the exchange has not tried. */
static bool group_serves(const struct exchange *x, const struct service *service, enum group group)
{
    const uint16_t *slots = &x->worker->table.rotation[service->first[group]];
    uint32_t count = service->in_rotation[group];

    for (uint32_t i = 0; i < count && i <= x->try_count; i++)
        if (!was_tried(x, slots[i]))
            return true;
    return false;
}

#ifdef BARE
static void decide_group(struct exchange *x, uint32_t index, const bool serves[GROUP_COUNT])
{
    (void)index;
    x->group = serves[GROUP_STABLE] ? GROUP_STABLE : GROUP_CANARY;
}
#else
static void decide_group(struct exchange *x, uint32_t index, const bool serves[GROUP_COUNT])
{
    struct worker *worker = x->worker;
    struct service *service = &worker->table.services[index];
    bool counted = false;

    if (x->asked != GROUP_COUNT && serves[x->asked])
        x->group = x->asked; /* outside the split */
    else if (x->has_user)
        x->group = split_decide_for(sticky_group(x->user, service->salt, service->weight),
                                    service->weight, serves, &counted);
    else
        x->group = split_decide(&service->phase, service->weight, serves, &counted);
    if (counted)
        score_set(&worker->row->split[index],
                  split_count(score_get(&worker->row->split[index]), service->weight, x->group));
}
#endif

/* Whether room was made last on one that this exchange may take: it need not be looked for. */
static bool takes_freed(const struct exchange *x, const struct service *service)
{
    const struct worker *worker = x->worker;
    const struct backend *backend = &worker->table.backends[worker->freed_slot];

    return &worker->table.services[backend->service] == service && backend->group == x->group &&
           table_can_serve(worker, worker->freed_slot) && !ejection_is_on(&backend->ejection) &&
           !was_tried(x, worker->freed_slot) && has_room(worker, service, worker->freed_slot);
}

bool choose_finds_room(const struct worker *worker, uint32_t index, enum group group)
{
    const struct service *service = &worker->table.services[index];
    const uint16_t *slots = &worker->table.rotation[service->first[group]];

    for (uint32_t i = 0; i < service->in_rotation[group]; i++)
        if (has_room(worker, service, slots[i]))
            return true;
    return false;
}

int choose_backend(struct exchange *x)
{
    struct worker *worker = x->worker;
    int index = worker->table.by_config[x->service];
    bool serves[GROUP_COUNT];

    if (index < 0)
        return CHOICE_NONE;
    if (rotation_is_stale(worker))
        rotation_renew_all(worker);
    struct service *service = &worker->table.services[index];
    for (unsigned g = 0; g < GROUP_COUNT; g++)
        serves[g] = group_serves(x, service, g);
    if (x->group == GROUP_COUNT)
        decide_group(x, (uint32_t)index, serves);
    else if (!serves[x->group] && serves[GROUP_COUNT - 1 - x->group] && !x->keeps_group)
        x->group = GROUP_COUNT - 1 - x->group;
    if (x->group == GROUP_COUNT || !serves[x->group])
        return CHOICE_NONE;
    if (service->config->max_connections > 0) {
        if (x->queued_ms == 0 && queue_is_behind(worker, x->service, x->group))
            return CHOICE_FULL;
        if (x->queued_ms != 0 && !x->has_user && !x->has_key && takes_freed(x, service))
            return (int)worker->freed_slot;
    }
    return choose_member(x, service);
}

bool choose_has_other_group(const struct exchange *x)
{
    struct worker *worker = x->worker;
    int index = worker->table.by_config[x->service];

    if (index < 0 || x->keeps_group)
        return false;
    if (rotation_is_stale(worker))
        rotation_renew_all(worker);
    return group_serves(x, &worker->table.services[index], GROUP_COUNT - 1 - x->group);
}
