/* Cookie fields: pairs between semicolons (RFC 6265 §4.2). Pure. */
#ifndef PROXY_COOKIES_H
#define PROXY_COOKIES_H

#include "base/slice.h"

/* The next pair of *rest, trimmed, which moves on. Returns false at the end; what is no pair has an
 * empty name. */
bool cookies_next(struct slice *rest, struct slice *ret_pair, struct slice *ret_name);
/* What is behind the name of a pair. */
struct slice cookies_value(struct slice pair, struct slice name);
bool cookies_have(struct slice field, struct slice name);

#endif
