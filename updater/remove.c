/* Containers that carry our label and must not be there: made by an updater that died before they
 * were complete, or of a rollout that went back without knowing of them. Only what the journal says
 * is ours is touched. */
#include "act.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "discovery.h"
#include "engine.h"
#include "steady.h"
#include "updater.h"

#include <errno.h>
#include <stdlib.h>

struct removal {
    struct service *service;
    char id[65];
};

static void on_looked(void *context)
{
    struct removal *removal = context;
    struct container *container = service_container(removal->service, removal->id);

    if (container)
        container->busy = false;
    free(removal);
}

static void on_removed(void *context, const struct engine_reply *reply)
{
    struct removal *removal = context;
    struct container *container = service_container(removal->service, removal->id);
    struct log_line line;

    if (reply->error == -ECANCELED) {
        free(removal);
        return;
    }
    if (container && reply->error) {
        container->attempts++;
        container->retry_ms = clock_ms() + act_backoff_ms(container->attempts);
    }
    log_begin(&line, reply->error ? LOG_WARNING : LOG_INFO,
              reply->error ? "leftover-not-removed" : "leftover-removed");
    log_string(&line, "service", service_name(removal->service));
    log_string(&line, "container", removal->id);
    log_string(&line, "reason", reply->error ? reply->message : NULL);
    log_end(&line);
    discovery_look(removal->service, removal->id, on_looked, removal);
}

static void on_stopped(void *context, const struct engine_reply *reply)
{
    struct removal *removal = context;

    if (reply->error && reply->error != -ENOENT)
        on_removed(context, reply);
    else
        engine_remove(removal->service->updater->engine, removal->id, false, true, on_removed,
                      removal);
}

static void removal_start(struct container *container)
{
    struct removal *removal = memory_new(sizeof(*removal));

    removal->service = container->service;
    (void)slice_copy_string(slice_from_string(container->facts.id), removal->id,
                            sizeof(removal->id));
    container->busy = true;
    engine_stop(container->service->updater->engine, removal->id, -1, on_stopped, removal);
}

void act_sweep(struct service *service)
{
    const struct table *table = service->updater->table;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);
        bool half_made = service->rollout && rollout_is_half_made(service->rollout, container);

        if (container->busy || clock_ms() < container->retry_ms ||
            !(container->leftover || half_made))
            continue;
        if (container->slot == TABLE_NONE)
            removal_start(container);
        else if (table->entries[container->slot].drained)
            container_release_slot(container);
        else
            table_set_state(service->updater->table, container->slot, BACKEND_DRAINING,
                            steady_wall_ms());
    }
}
