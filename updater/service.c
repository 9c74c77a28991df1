#include "service.h"

#include "base/check.h"
#include "base/clock.h"
#include "steady.h"
#include "updater.h"

#include <stdlib.h>
#include <string.h>

/* How long after its grace a container that was told to end, and did not, may serve again. */
#define GOING_MARGIN_MS 5000u

struct container *service_container(const struct service *service, const char *id)
{
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);

        if (strcmp(container->facts.id, id) == 0)
            return container;
    }
    return NULL;
}

struct container *service_container_of_slot(const struct service *service, int slot)
{
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);

        if (container->slot == slot)
            return container;
    }
    return NULL;
}

bool container_is_going(struct container *container)
{
    uint64_t grace_ms = (uint64_t)container->facts.stop_timeout_s * 1000 + GOING_MARGIN_MS;

    if (container->going_ms && clock_ms() > container->going_ms + grace_ms)
        container->going_ms = 0;
    return container->going_ms != 0;
}

void container_release_slot(struct container *container)
{
    if (container->slot == TABLE_NONE)
        return;
    table_release(container->service->updater->table, container->slot, steady_wall_ms());
    container->slot = TABLE_NONE;
}

void container_forget(struct container *container)
{
    container_release_slot(container);
    list_remove(&container->node);
    check(container->service->container_count > 0);
    container->service->container_count--;
    container_facts_done(&container->facts);
    free(container);
}

struct table_backend container_backend(const struct container *container, enum group group,
                                       enum backend_state state)
{
    return (struct table_backend){
        .row = container->service->row,
        .group = group,
        .state = state,
        .container_health = container->facts.health,
        .address = container->address,
        .started_ms = container->started_ms,
        .name = container->facts.name,
    };
}

int container_give_slot(struct container *container, enum group group, enum backend_state state)
{
    struct table_backend backend = container_backend(container, group, state);

    check(container->slot == TABLE_NONE);
    container->slot =
        table_give(container->service->updater->table, &backend, steady_wall_ms(), NULL);
    return container->slot;
}
