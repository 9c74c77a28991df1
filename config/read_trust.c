/* Lists of networks, and whom to believe: `trusted_proxies`. */
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

void networks_read(struct reader *reader, const struct node *node, struct network **list,
                   size_t *count)
{
    if (!reader_wants_list(reader, node, CONFIG_TRUSTED_MAX) || node->count == 0)
        return;
    *list = memory_new_array(node->count, sizeof(**list));
    for (size_t i = 0; i < node->count; i++) {
        size_t mark = reader_enter_index(reader, i);
        read_network(reader, node->items[i], &(*list)[(*count)++]);
        reader_leave(reader, mark);
    }
}

void trusted_proxies_read(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    networks_read(reader, node, &config->trusted_proxies, &config->trusted_proxy_count);
}
