/* The path that routes are compared with: what backends make of a path, not how it was spelled.
 * Pure. What is sent on is always the path as it was received.
 *
 * Percent-encodings are decoded (RFC 3986 §6.2.2.2) and runs of slashes are one. A path with a "."
 * or ".." segment, in any spelling, has no such form: who resolves it, and when, decides where it
 * leads ("/public/..%2fsecret"), and every client resolves what its user typed before it asks. */
#ifndef PROXY_PATH_H
#define PROXY_PATH_H

#include "base/slice.h"

/* Whether the normal form is the path itself; `path` may carry a query. */
static inline bool path_is_normal(struct slice path)
{
    for (size_t i = 0; i < path.length && path.data[i] != '?'; i++)
        if (path.data[i] == '%' || (path.data[i] == '/' && i + 1 < path.length &&
                                    (path.data[i + 1] == '/' || path.data[i + 1] == '.')))
            return false;
    return true;
}

/* Writes the normal form, without query, to `buffer`, which has room for path.length bytes.
 * Returns false where there is none. Percent signs that encode nothing stay. */
bool path_normalise(struct slice path, char *buffer, struct slice *ret_normal);

#endif
