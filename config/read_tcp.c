/* A listener's `sni`: names in a TLS ClientHello, and the services they lead to. */
#include "base/memory.h"
#include "reader.h"

#include <stdlib.h>

static void read_host(struct reader *reader, const struct node *node, void *target)
{
    struct config_sni *sni = target;

    host_read(reader, node, &sni->host);
    if (sni->host != NULL && sni->host[0] == '[')
        reader_refuse(reader, node, "a host name: clients send no addresses (RFC 6066)");
}

static const struct field sni_fields[] = {
    {.key = "host", .kind = FIELD_OTHER, .read = read_host},
    {.key = "service", .kind = FIELD_OTHER}, /* config_check() resolves the name */
};
const struct table sni_table = TABLE("sni", sni_fields);

static void wants_key(struct reader *reader, const struct node *node, const char *key,
                      const char *allowed)
{
    if (node->kind == NODE_MAPPING && node_get(node, key) == NULL)
        reader_tell(reader, node->line, "found no %s, allowed is `%s`", key, allowed);
}

void sni_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_listener *listener = target;

    if (!reader_wants_list(reader, node, CONFIG_SNI_MAX))
        return;
    if (node->count == 0) {
        reader_tell(reader, node->line, "found an empty list, allowed are 1 to %d names",
                    CONFIG_SNI_MAX);
        return;
    }
    listener->sni = memory_new_array(node->count, sizeof(*listener->sni));
    for (size_t i = 0; i < node->count; i++) {
        struct config_sni *sni = &listener->sni[listener->sni_count++];
        size_t mark = reader_enter_index(reader, i);
        sni->service = -1;
        table_read(reader, node->items[i], &sni_table, sni);
        wants_key(reader, node->items[i], "host", "host: db.example");
        wants_key(reader, node->items[i], "service", "service: NAME");
        reader_leave(reader, mark);
    }
}
