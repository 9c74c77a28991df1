/* What the fuzz targets of the HTTP/1.1 parser share. Owner: those targets. */
#ifndef TESTS_HTTP1_SPLIT_H
#define TESTS_HTTP1_SPLIT_H

#include "base/check.h"
#include "proxy/http1.h"

/* Nothing, or a part of `outer`, or one of the two paths that are made and not found. */
static inline void check_within(struct slice inner, struct slice outer)
{
    if (inner.length == 0 || slice_equals(inner, SLICE("/")) || slice_equals(inner, SLICE("*")))
        return;
    check(inner.data >= outer.data && inner.length <= outer.length);
    check(inner.data + inner.length <= outer.data + outer.length);
}

static inline void check_fields(const struct http_field *fields, unsigned count, struct slice head)
{
    check(count <= HTTP1_FIELDS_MAX);
    for (unsigned i = 0; i < count; i++) {
        check(fields[i].name.length > 0);
        check_within(fields[i].name, head);
        check_within(fields[i].value, head);
        check(memchr(fields[i].value.data, '\n', fields[i].value.length) == NULL);
        check(memchr(fields[i].value.data, '\r', fields[i].value.length) == NULL);
    }
}

/* The first two bytes of an input choose the size of its pieces and the method. */
#define PREFIX_BYTES 2

#endif
