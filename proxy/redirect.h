/* The answer of a listener with `redirect: https`. Pure. */
#ifndef PROXY_REDIRECT_H
#define PROXY_REDIRECT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http1_request;

struct redirect_options {
    uint16_t port;
    bool close;       /* Connection: close */
    bool head_only;   /* to a HEAD */
    const char *date; /* a Date field's value */
};

/* Writes a whole answer, 308 so that a POST stays one (RFC 9110 §15.4.9), to the same host, path
 * and query. Returns its length; 0 where the request names no host, or it does not fit. */
size_t redirect_write(char *buffer, size_t size, const struct http1_request *request,
                      const struct redirect_options *options);

#endif
