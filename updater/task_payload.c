/* What a hook or verification gets to read: who asks, and the rollout as it stands. */
#include "base/memory.h"
#include "rollout.h"
#include "task.h"
#include "updater.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static void add_targets(cJSON *object, const struct rollout *rollout)
{
    cJSON *array = cJSON_AddArrayToObject(object, "targets");
    struct service *service = rollout->service;
    char address[ADDRESS_TEXT_BYTES];

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        struct container *container = container_of(node, struct container, node);

        if (!task_is_target(rollout, container))
            continue;
        address_format(&container->address, address);
        cJSON_AddItemToArray(array, cJSON_CreateString(address));
    }
}

cJSON *task_payload(const struct rollout *rollout, unsigned index)
{
    const struct config_task *config = &rollout->spec.tasks[index];
    const struct task *task = &rollout->tasks[index];
    char *delivery =
        memory_format("%s/%s/%u", rollout_id(rollout), config->name, (unsigned)task->step);
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "hook", config->name);
    cJSON_AddStringToObject(object, "on", config_task_point_name(config->point));
    cJSON_AddStringToObject(object, "delivery", delivery);
    cJSON_AddNumberToObject(object, "attempt", task->attempts);
    add_targets(object, rollout);
    cJSON_AddItemToObject(object, "rollout", view_rollout_brief(rollout));
    free(delivery);
    return object;
}
