/* How a service's backends share its exchanges beyond `balance` itself: slow start, capacity,
 * passive health and retries. */
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 64

static void read_name(struct reader *reader, const struct node *node, struct config_hash *hash,
                      enum config_hash_kind kind, const char *what)
{
    if (!reader_wants_text(reader, node))
        return;
    if (!token_is_valid(node->text) || strlen(node->text) > NAME_BYTES_MAX) {
        reader_refuse(reader, node, "the name of a %s, up to %d bytes", what, NAME_BYTES_MAX);
        return;
    }
    free(hash->name);
    hash->name = memory_copy_string(node->text);
    hash->kind = kind;
}

static void read_header(struct reader *reader, const struct node *node, void *target)
{
    read_name(reader, node, target, HASH_HEADER, "header");
}

static void read_cookie(struct reader *reader, const struct node *node, void *target)
{
    read_name(reader, node, target, HASH_COOKIE, "cookie");
}

static void read_true(struct reader *reader, const struct node *node, struct config_hash *hash,
                      enum config_hash_kind kind)
{
    if (node->kind != NODE_SCALAR || node->scalar != SCALAR_BOOL || strcmp(node->text, "true") != 0)
        reader_refuse(reader, node, "true; without it, leave the key out");
    else
        hash->kind = kind;
}

static void read_client_address(struct reader *reader, const struct node *node, void *target)
{
    read_true(reader, node, target, HASH_CLIENT_ADDRESS);
}

static void read_path(struct reader *reader, const struct node *node, void *target)
{
    read_true(reader, node, target, HASH_PATH);
}

static const struct field hash_fields[] = {
    {.key = "header", .kind = FIELD_OTHER, .read = read_header},
    {.key = "cookie", .kind = FIELD_OTHER, .read = read_cookie},
    {.key = "client_address", .kind = FIELD_OTHER, .read = read_client_address},
    {.key = "path", .kind = FIELD_OTHER, .read = read_path},
    {.key = "bound",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_hash, bound_percent),
     .min = 101,
     .max = 10000,
     .fallback = 125},
};
const struct table hash_table = TABLE("hash", hash_fields);

void hash_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_hash *hash = &((struct config_service *)target)->hash;

    table_defaults(&hash_table, hash);
    table_read(reader, node, &hash_table, hash);
    if (node->kind != NODE_MAPPING)
        return;
    size_t kinds = node->count - (node_get(node, "bound") != NULL);
    if (kinds != 1)
        reader_tell(reader, node->line,
                    "found %zu of header, cookie, client_address, path, allowed is one", kinds);
}

void hash_check(struct reader *reader, const struct node *node,
                const struct config_service *service)
{
    const struct node *hash = node_get(node, "hash");

    if (service->balance == BALANCE_HASH && hash == NULL)
        reader_tell(reader, node_get(node, "balance")->line,
                    "balance: found hash without `hash`, allowed with it, such as "
                    "`hash: { client_address: true }`");
    if (service->balance != BALANCE_HASH && hash != NULL)
        reader_tell(reader, hash->key_line, "hash: found without `balance: hash`, allowed with it");
    if (service->protocol == PROTOCOL_TCP && service->hash.kind != HASH_NONE &&
        service->hash.kind != HASH_CLIENT_ADDRESS)
        reader_tell(reader, hash->key_line,
                    "hash: found with a tcp service, allowed is `client_address: true`");
}

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
