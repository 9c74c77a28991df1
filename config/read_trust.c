/* Whom to believe: `trusted_proxies`. */
#include "base/memory.h"
#include "reader.h"

#include <errno.h>

static void read_network(struct reader *reader, const struct node *node, struct network *network)
{
    int error = -EINVAL;

    if (!reader_wants_text(reader, node))
        return;
    error = network_parse(slice_from_string(node->text), network);
    if (error == -EDOM)
        reader_refuse(reader, node, "a network without bits behind its prefix, such as 10.0.0.0/8");
    else if (error < 0)
        reader_refuse(reader, node, "IP/BITS or an IP, such as 10.0.0.0/8, ::1");
}

void trusted_proxies_read(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    if (!reader_wants_list(reader, node, CONFIG_TRUSTED_MAX) || node->count == 0)
        return;
    config->trusted_proxies = memory_new_array(node->count, sizeof(*config->trusted_proxies));
    for (size_t i = 0; i < node->count; i++) {
        size_t mark = reader_enter_index(reader, i);
        read_network(reader, node->items[i],
                     &config->trusted_proxies[config->trusted_proxy_count++]);
        reader_leave(reader, mark);
    }
}
