/* What `balance: hash` goes by: the key of an exchange, said before it is placed. */
#ifndef PROXY_HASH_KEY_H
#define PROXY_HASH_KEY_H

#include "exchange.h"

struct http1_request;

/* Without what its service hashes (no such field, an empty one) it has no key, and goes to the less
 * busy of two. */
void hash_key_look(struct exchange *x, const struct http1_request *request);
static inline void hash_key_set(struct exchange *x, const struct http1_request *request)
{
    if (x->config->hash.kind != HASH_NONE)
        hash_key_look(x, request);
}
/* The same for what has no request: by its address. */
void hash_key_set_of_connection(struct exchange *x);

#endif
