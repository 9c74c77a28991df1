#include "hash_key.h"

#include "cookies.h"
#include "http1.h"
#include "user_key.h"
#include "worker.h"

static void set(struct exchange *x, struct slice text)
{
    if (text.length == 0)
        return;
    x->has_key = true;
    x->key = user_key_hash(x->worker->user_key, text);
}

static struct slice find_header(const struct http1_request *request, struct slice name)
{
    for (unsigned i = 0; i < request->field_count; i++)
        if (slice_equals_ignoring_case(request->fields[i].name, name))
            return request->fields[i].value;
    return (struct slice){"", 0};
}

static struct slice find_cookie(const struct http1_request *request, struct slice name)
{
    struct cookies_place place = {0};
    struct slice value = {"", 0};

    (void)cookies_find(request, name, &place, &value);
    return value;
}

/* What follows from a path's query is mostly not what is cached by. */
static struct slice without_query(struct slice path)
{
    const char *query = memchr(path.data, '?', path.length);

    return query != NULL ? (struct slice){path.data, (size_t)(query - path.data)} : path;
}

void hash_key_set_of_connection(struct exchange *x)
{
    const struct address *address = &x->client;
    size_t length = address->family == AF_INET ? 4 : sizeof(address->bytes);

    if (exchange_service(x)->hash.kind == HASH_CLIENT_ADDRESS)
        set(x, (struct slice){(const char *)address->bytes, length});
}

void hash_key_look(struct exchange *x, const struct http1_request *request)
{
    const struct config_hash *hash = &exchange_service(x)->hash;

    switch (hash->kind) {
    case HASH_HEADER:
        set(x, find_header(request, slice_from_string(hash->name)));
        break;
    case HASH_COOKIE:
        set(x, find_cookie(request, slice_from_string(hash->name)));
        break;
    case HASH_PATH:
        set(x, without_query(request->path));
        break;
    case HASH_CLIENT_ADDRESS:
        hash_key_set_of_connection(x);
        break;
    case HASH_NONE:
        break;
    }
}
