/* What clients may take: `limits`. */
#include "base/machine_memory.h"
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <string.h>

#define COUNT_MAX      1000000u
#define RATE_MAX       1000000u
#define HEAD_BYTES_MIN 1024u /* what a browser sends without cookies */
#define HEAD_BYTES_MAX 65536u
#define HEAD_COUNT_MAX 128u

/* Some hundred connections. What a worker needs for itself does not count. */
#define MEMORY_MIN         ((uint64_t)1 << 20)
#define MEMORY_DEFAULT_MIN ((uint64_t)32 << 20)

static const struct field rate_fields[] = {
    {.key = "rate",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_rate, rate),
     .min = 1,
     .max = RATE_MAX},
    {.key = "burst",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_rate, burst),
     .min = 1,
     .max = RATE_MAX},
};
const struct table rate_table = TABLE("rate", rate_fields);

static void read_requests(struct reader *reader, const struct node *node, void *target)
{
    struct config_traffic_limits *limits = target;
    struct config_rate rate = {0};

    limits->own_requests = true;
    if (node->kind == NODE_SCALAR && node->text != NULL && strcmp(node->text, "none") == 0) {
        limits->requests = rate;
        return;
    }
    if (node->kind != NODE_MAPPING) {
        reader_refuse(reader, node, "none or { rate: 50, burst: 100 }");
        return;
    }
    table_read(reader, node, &rate_table, &rate);
    if (node_get(node, "rate") == NULL)
        reader_tell(reader, node->line, "found no rate, allowed is `rate: REQUESTS_PER_SECOND`");
    if (rate.burst == 0)
        rate.burst = rate.rate;
    limits->requests = rate;
}

static void read_trusted(struct reader *reader, const struct node *node, void *target)
{
    struct config_traffic_limits *limits = target;

    networks_read(reader, node, &limits->trusted, &limits->trusted_count);
}

#define TRAFFIC_FIELDS(within)                                                                     \
    {.key = "body",                                                                                \
     .kind = FIELD_SIZE,                                                                           \
     .offset = (within) + TRAFFIC(body_bytes),                                                     \
     .max = SIZE_MAX_BYTES},                                                                       \
        {.key = "min_rate",                                                                        \
         .kind = FIELD_NUMBER32,                                                                   \
         .offset = (within) + TRAFFIC(min_rate),                                                   \
         .max = RATE_MAX,                                                                          \
         .fallback = 240},                                                                         \
        {.key = "min_rate_window",                                                                 \
         .kind = FIELD_DURATION,                                                                   \
         .offset = (within) + TRAFFIC(min_rate_window_ms),                                         \
         .min = 100,                                                                               \
         .max = 600 * 1000,                                                                        \
         .fallback = 20 * 1000},                                                                   \
        {.key = "requests_per_client", .kind = FIELD_OTHER, .read = read_requests},                \
    {                                                                                              \
        .key = "trusted", .kind = FIELD_OTHER, .read = read_trusted                                \
    }
#define TRAFFIC(member) offsetof(struct config_traffic_limits, member)

static const struct field service_limits_fields[] = {TRAFFIC_FIELDS(0)};
const struct table service_limits_table = TABLE("service_limits", service_limits_fields);

static const struct field limits_fields[] = {
    TRAFFIC_FIELDS(offsetof(struct config_limits, traffic)),
    {.key = "connections",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_limits, connections),
     .max = COUNT_MAX},
    {.key = "connections_per_client",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_limits, connections_per_client),
     .max = COUNT_MAX},
    {.key = "header_bytes",
     .kind = FIELD_SIZE,
     .offset = offsetof(struct config_limits, header_bytes),
     .min = HEAD_BYTES_MIN,
     .max = HEAD_BYTES_MAX,
     .fallback = HEAD_BYTES_MAX},
    {.key = "header_count",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_limits, header_count),
     .min = 1,
     .max = HEAD_COUNT_MAX,
     .fallback = HEAD_COUNT_MAX},
    {.key = "memory",
     .kind = FIELD_SIZE,
     .offset = offsetof(struct config_limits, memory_bytes),
     .min = MEMORY_MIN,
     .max = SIZE_MAX_BYTES},
};
const struct table limits_table = TABLE("limits", limits_fields);

void service_limits_begin(const struct config *config, struct config_service *service)
{
    service->limits = config->limits.traffic;
    service->limits.own_requests = false;
    service->limits.trusted = NULL;
    service->limits.trusted_count = 0;
}

void limits_finish(struct config *config)
{
    /* Half of the machine for all workers: the other half is for what runs beside them, for the
     * kernel's socket buffers, and for an old generation during a reload. */
    uint64_t share = (machine_memory_bytes() / 2 / config->workers) & ~(((uint64_t)1 << 20) - 1);

    if (config->limits.memory_bytes == 0)
        config->limits.memory_bytes = share > MEMORY_DEFAULT_MIN ? share : MEMORY_DEFAULT_MIN;
}
