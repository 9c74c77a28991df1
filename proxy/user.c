#include "user.h"

#include "cookies.h"
#include "http1.h"
#include "user_key.h"
#include "worker.h"

#include <sys/random.h>

#include <stdio.h>

/* Hosts give themselves new addresses within their network (RFC 8981). */
#define IPV6_NETWORK_BYTES 8u

static void set_user(struct exchange *x, uint64_t user)
{
    x->has_user = true;
    x->user = user;
}

static void identify_by_address(struct exchange *x)
{
    const struct address *address = &x->client;
    size_t length = address->family == AF_INET ? 4 : IPV6_NETWORK_BYTES;

    set_user(x, user_key_hash(x->worker->user_key,
                              (struct slice){(const char *)address->bytes, length}));
}

/* Several lines of one name are one list (RFC 9110 §5.3): the first one counts. Without the field,
 * or where it says nothing, the exchange is nobody's. */
static void identify_by_header(struct exchange *x, const struct http1_request *request,
                               struct slice name)
{
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (field->value.length == 0 || !slice_equals_ignoring_case(field->name, name))
            continue;
        set_user(x, user_key_hash(x->worker->user_key, field->value));
        return;
    }
}

/* One that we signed; others of its name are passed over, so many. */
static bool find_user(struct exchange *x, const struct http1_request *request, struct slice name,
                      uint64_t *ret_user)
{
    struct cookies_place place = {0};
    struct slice value;

    for (unsigned i = 0; i < USER_COOKIES_MAX && cookies_find(request, name, &place, &value); i++)
        if (user_key_read_cookie(x->worker->user_key, value, ret_user))
            return true;
    return false;
}

static bool identify_by_cookie(struct exchange *x, const struct http1_request *request,
                               struct slice name)
{
    uint64_t user;
    bool is_new = !find_user(x, request, name, &user);

    if (is_new && getrandom(&user, sizeof(user), 0) != sizeof(user))
        user = worker_random(x->worker);
    set_user(x, user);
    return is_new;
}

static bool identify(struct exchange *x, const struct http1_request *request)
{
    const struct config_sticky *sticky = &exchange_service(x)->sticky;

    switch (sticky->kind) {
    case STICKY_COOKIE:
        return identify_by_cookie(x, request, slice_from_string(sticky->name));
    case STICKY_HEADER:
        identify_by_header(x, request, slice_from_string(sticky->name));
        break;
    case STICKY_CLIENT_ADDRESS:
        identify_by_address(x);
        break;
    case STICKY_NONE:
        break;
    }
    return false;
}

static bool says(const struct config_preview *preview, struct slice text, enum group *ret_asked)
{
    if (slice_equals(text, slice_from_string(preview->value)))
        *ret_asked = GROUP_CANARY;
    else if (preview->never != NULL && slice_equals(text, slice_from_string(preview->never)))
        *ret_asked = GROUP_STABLE;
    else
        return false;
    return true;
}

/* The first cookie, or field, that says one or the other. */
static void look_for_preview(struct exchange *x, const struct http1_request *request,
                             const struct config_preview *preview)
{
    struct slice name = slice_from_string(preview->name), value;
    struct cookies_place place = {0};

    if (preview->kind == PREVIEW_COOKIE) {
        while (cookies_find(request, name, &place, &value) && !says(preview, value, &x->asked))
            ;
        return;
    }
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (slice_equals_ignoring_case(field->name, name) && says(preview, field->value, &x->asked))
            return;
    }
}

bool user_look(struct exchange *x, const struct http1_request *request)
{
    const struct config_service *service = exchange_service(x);

    if (service->preview.kind != PREVIEW_NONE)
        look_for_preview(x, request, &service->preview);
    return service->sticky.kind != STICKY_NONE && identify(x, request);
}

/* The first cookie, or field, that has the value. */
static bool carries(const struct http1_request *request, const struct config_match *match)
{
    struct slice name = slice_from_string(match->name), wanted = slice_from_string(match->value);
    struct cookies_place place = {0};
    struct slice value;

    if (match->kind == MATCH_COOKIE) {
        while (cookies_find(request, name, &place, &value))
            if (slice_equals(value, wanted))
                return true;
        return false;
    }
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (slice_equals_ignoring_case(field->name, name) && slice_equals(field->value, wanted))
            return true;
    }
    return false;
}

void user_look_for_match(struct exchange *x, const struct http1_request *request)
{
    const struct table *table = &x->worker->table;
    int row = table->by_config[x->service];

    if (row >= 0 && x->asked == GROUP_COUNT && table->services[row].match.kind != MATCH_NONE &&
        carries(request, &table->services[row].match))
        x->asked = GROUP_CANARY;
}

void user_identify_connection(struct exchange *x)
{
    if (exchange_service(x)->sticky.kind == STICKY_CLIENT_ADDRESS)
        identify_by_address(x);
}

bool user_came_by_tls(const struct http1_request *request)
{
    bool found = false;

    for (unsigned i = 0; i < request->field_count; i++) {
        if (request->fields[i].known != FIELD_X_FORWARDED_PROTO)
            continue;
        if (found || !slice_equals_ignoring_case(request->fields[i].value, SLICE("https")))
            return false;
        found = true;
    }
    return found;
}

struct slice user_set_cookie(struct exchange *x, bool tls, char buffer[USER_SET_COOKIE_BYTES])
{
    const char *name = exchange_service(x)->sticky.name;
    char value[USER_COOKIE_BYTES];

    if (!user_key_write_cookie(x->worker->user_key, x->user, value))
        return (struct slice){buffer, 0};
    int length =
        snprintf(buffer, USER_SET_COOKIE_BYTES, "%s=%.*s; Path=/; HttpOnly; SameSite=Lax%s", name,
                 (int)USER_COOKIE_BYTES, value, tls ? "; Secure" : "");
    return (struct slice){buffer, (size_t)length};
}
