#include "client_table.h"

#include "limits.h"

#include <stdlib.h>
#include <string.h>

struct place {
    uint64_t key; /* 0: empty */
    uint64_t figure;
};

struct client_table {
    uint8_t key[SIPHASH_KEY_BYTES];
    struct place sets[CLIENT_TABLE_SETS][CLIENT_TABLE_WAYS];
};

_Static_assert((CLIENT_TABLE_SETS & (CLIENT_TABLE_SETS - 1)) == 0, "chosen by a mask");

struct client_table *client_table_new(const uint8_t key[SIPHASH_KEY_BYTES])
{
    struct client_table *table = calloc(1, sizeof(*table));

    if (table != NULL)
        memcpy(table->key, key, SIPHASH_KEY_BYTES);
    return table;
}

void client_table_free(struct client_table *table)
{
    free(table);
}

uint64_t client_table_key(const struct client_table *table, const struct address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char name[1 + 8] = {0};

    if (address->family == AF_INET6 && memcmp(address->bytes, mapped, sizeof(mapped)) == 0) {
        name[0] = 4;
        memcpy(name + 1, address->bytes + sizeof(mapped), 4);
    } else if (address->family == AF_INET6) {
        name[0] = 6;
        memcpy(name + 1, address->bytes, 8);
    } else {
        name[0] = 4;
        memcpy(name + 1, address->bytes, 4);
    }
    uint64_t key = siphash(table->key, (struct slice){name, sizeof(name)});
    return key != 0 ? key : 1;
}

uint64_t *client_table_at(struct client_table *table, uint64_t key, uint64_t gives_way)
{
    struct place *set = table->sets[key & (CLIENT_TABLE_SETS - 1)];
    struct place *least = &set[0];

    for (unsigned i = 0; i < CLIENT_TABLE_WAYS; i++) {
        if (set[i].key == key)
            return &set[i].figure;
        if (set[i].figure < least->figure)
            least = &set[i];
    }
    if (least->figure > gives_way)
        return NULL;
    *least = (struct place){.key = key};
    return &least->figure;
}

bool client_rate_take(uint64_t *due_ns, const struct config_rate *rate, uint64_t now_ns)
{
    uint64_t apart_ns = 1000000000u / rate->rate;
    uint64_t due = *due_ns > now_ns ? *due_ns : now_ns;

    if (due - now_ns > (rate->burst - 1) * apart_ns)
        return false;
    *due_ns = due + apart_ns;
    return true;
}
