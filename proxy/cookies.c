#include "cookies.h"

#include "http1.h"

bool cookies_next(struct slice *rest, struct slice *ret_pair, struct slice *ret_name)
{
    while (rest->length > 0) {
        const char *end = memchr(rest->data, ';', rest->length);
        size_t length = end != NULL ? (size_t)(end - rest->data) : rest->length;
        size_t taken = end != NULL ? length + 1 : length;
        struct slice pair = slice_trim((struct slice){rest->data, length});

        rest->data += taken;
        rest->length -= taken;
        if (pair.length == 0)
            continue;
        const char *equals = memchr(pair.data, '=', pair.length);
        *ret_pair = pair;
        *ret_name = (struct slice){pair.data, equals != NULL ? (size_t)(equals - pair.data) : 0};
        return true;
    }
    return false;
}

struct slice cookies_value(struct slice pair, struct slice name)
{
    return (struct slice){pair.data + name.length + 1, pair.length - name.length - 1};
}

bool cookies_have(struct slice field, struct slice name)
{
    struct slice pair, found;

    while (cookies_next(&field, &pair, &found))
        if (slice_equals(found, name))
            return true;
    return false;
}

bool cookies_find(const struct http1_request *request, struct slice name,
                  struct cookies_place *place, struct slice *ret_value)
{
    struct slice pair, found;

    for (;;) {
        while (cookies_next(&place->rest, &pair, &found))
            if (slice_equals(found, name)) {
                *ret_value = cookies_value(pair, found);
                return true;
            }
        do {
            if (place->field == request->field_count)
                return false;
        } while (request->fields[place->field++].known != FIELD_COOKIE);
        place->rest = request->fields[place->field - 1].value;
    }
}
