#include "choose.h"

#include "balance.h"
#include "split.h"
#include "worker.h"

struct members {
    struct exchange *exchange;
    const uint16_t *slots;
};

static bool can_serve(void *context, uint32_t index)
{
    const struct members *members = context;
    const struct exchange *x = members->exchange;

    for (unsigned i = 0; i < x->try_count; i++)
        if (x->tried[i] == members->slots[index])
            return false;
    return table_can_serve(x->worker, members->slots[index]);
}

static struct balance_member member(void *context, uint32_t index)
{
    const struct members *members = context;
    struct worker *worker = members->exchange->worker;
    uint32_t slot = members->slots[index];
    struct backend *backend = &worker->table.backends[slot];

    return (struct balance_member){
        .load = scoreboard_active(&worker->scores, slot, backend->generation),
        .weight = backend->weight,
        .current = &backend->current,
    };
}

static void decide_group(struct exchange *x, uint32_t index, const bool serves[GROUP_COUNT])
{
    struct worker *worker = x->worker;
    struct service *service = &worker->table.services[index];
    bool counted;

    x->group = split_decide(&service->phase, service->weight, serves, &counted);
    if (counted)
        score_set(&worker->row->split[index],
                  split_count(score_get(&worker->row->split[index]), service->weight, x->group));
}

int choose_backend(struct exchange *x)
{
    struct worker *worker = x->worker;
    int index = worker->table.by_config[x->service];
    uint64_t random = worker_random(worker);
    struct members members[GROUP_COUNT];
    struct balance_group groups[GROUP_COUNT];
    bool serves[GROUP_COUNT];

    if (index < 0)
        return -1;
    const struct service *service = &worker->table.services[index];
    for (unsigned g = 0; g < GROUP_COUNT; g++) {
        members[g] = (struct members){x, &worker->table.members[service->first[g]]};
        groups[g] = (struct balance_group){service->count[g], can_serve, member, &members[g]};
        serves[g] = balance_any(&groups[g], random);
    }
    if (x->group == GROUP_COUNT)
        decide_group(x, (uint32_t)index, serves);
    else if (!serves[x->group] && serves[GROUP_COUNT - 1 - x->group])
        x->group = GROUP_COUNT - 1 - x->group;
    if (x->group == GROUP_COUNT || !serves[x->group])
        return -1;
    int32_t chosen = balance_choose(&groups[x->group], service->balance, random >> 16);
    return chosen < 0 ? -1 : members[x->group].slots[chosen];
}
