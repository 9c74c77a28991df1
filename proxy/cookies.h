/* Cookie fields: pairs between semicolons (RFC 6265 §4.2). Pure. */
#ifndef PROXY_COOKIES_H
#define PROXY_COOKIES_H

#include "base/slice.h"

struct http1_request;

/* The next pair of *rest, trimmed, which moves on. Returns false at the end; what is no pair has an
 * empty name. */
bool cookies_next(struct slice *rest, struct slice *ret_pair, struct slice *ret_name);
/* What is behind the name of a pair. */
struct slice cookies_value(struct slice pair, struct slice name);
bool cookies_have(struct slice field, struct slice name);

struct cookies_place { /* zero is the start */
    unsigned field;
    struct slice rest;
};
/* The value of the request's next cookie of this name, over all its Cookie fields. */
bool cookies_find(const struct http1_request *request, struct slice name,
                  struct cookies_place *place, struct slice *ret_value);

#endif
