/* How a service's backends share its exchanges beyond `balance` itself: slow start, capacity,
 * passive health and retries. */
#include "reader.h"

static const struct field queue_fields[] = {
    {.key = "max",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_queue, max),
     .min = 0,
     .max = UINT16_MAX,
     .fallback = 1024},
};
const struct table queue_table = TABLE("queue", queue_fields);

static const struct field ejection_fields[] = {
    {.key = "failures",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_ejection, failures),
     .min = 1,
     .max = 1000,
     .fallback = 5},
    {.key = "time",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_ejection, time_ms),
     .min = 1000,
     .max = 300 * 1000,
     .fallback = 30 * 1000},
    {.key = "max_ejection_percent",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_ejection, max_percent),
     .min = 1,
     .max = 100,
     .fallback = 50},
};
const struct table ejection_table = TABLE("ejection", ejection_fields);

static const struct field retries_fields[] = {
    {.key = "attempts",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_retries, attempts),
     .min = 0,
     .max = CONFIG_RETRIES_MAX,
     .fallback = 2},
    {.key = "budget",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_retries, budget_percent),
     .min = 0,
     .max = 1000,
     .fallback = 20},
};
const struct table retries_table = TABLE("retries", retries_fields);

void balance_defaults(struct config_service *service)
{
    service->balance = BALANCE_LEAST_REQUESTS;
    table_defaults(&queue_table, &service->queue);
    table_defaults(&retries_table, &service->retries);
}

/* Off where it is left out: what a backend answers with 5xx may be the client's doing. */
void ejection_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_service *service = target;

    table_defaults(&ejection_table, &service->ejection);
    table_read(reader, node, &ejection_table, &service->ejection);
}
