/* Checks across the fields that belong to TCP: PROXY headers, and services by SNI. */
#include "reader.h"

#include <string.h>

static void refuse_twice(struct reader *reader, const struct node *node,
                         const struct config_listener *listener, size_t index)
{
    const char *host = listener->sni[index].host;

    for (size_t i = 0; host != NULL && i < index; i++) {
        if (listener->sni[i].host == NULL || strcmp(listener->sni[i].host, host) != 0)
            continue;
        size_t mark = reader_enter(reader, "host");
        reader_refuse(reader, node_get(node, "host"), "each host once");
        reader_leave(reader, mark);
        return;
    }
}

static void check_sni(struct reader *reader, const struct node *nodes,
                      struct config_listener *listener)
{
    size_t outer = reader_enter(reader, "sni");

    if (listener->protocol != PROTOCOL_TCP)
        reader_tell(reader, nodes->key_line,
                    "found without `protocol: tcp`, allowed with it: the TLS is the backend's own");
    for (size_t i = 0; i < listener->sni_count; i++) {
        const struct node *service = node_get(nodes->items[i], "service");
        size_t mark = reader_enter_index(reader, i);
        refuse_twice(reader, nodes->items[i], listener, i);
        if (service != NULL) {
            size_t inner = reader_enter(reader, "service");
            listener->sni[i].service = service_resolve(reader, service);
            reader_leave(reader, inner);
        }
        reader_leave(reader, mark);
    }
    reader_leave(reader, outer);
}

void listener_check_tcp(struct reader *reader, const struct node *node,
                        struct config_listener *listener)
{
    const struct node *sni = node_get(node, "sni");
    const struct node *defer = node_get(node, "defer_accept");

    if (listener->protocol == PROTOCOL_TCP && defer != NULL)
        reader_tell(reader, defer->key_line,
                    "found defer_accept with protocol tcp, allowed with http: the server of a TCP "
                    "service may be the one to speak first");
    if (sni != NULL && sni->kind == NODE_SEQUENCE)
        check_sni(reader, sni, listener);
    if (!listener->proxy_protocol || reader->config->trusted_proxy_count > 0)
        return;
    size_t mark = reader_enter(reader, "proxy_protocol");
    reader_tell(reader, node_get(node, "proxy_protocol")->key_line,
                "found without `trusted_proxies`, allowed with: whoever may send a PROXY header "
                "says who the client is");
    reader_leave(reader, mark);
}
