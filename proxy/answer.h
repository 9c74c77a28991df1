/* The proxy's own answers: an error status with a short plain body. Pure. */
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include "base/slice.h"

#include <stdbool.h>

#define ANSWER_BYTES_MAX      768u
#define ANSWER_TEXT_BYTES_MAX 127u

struct answer_page { /* the operator's own body */
    struct slice body;
    const char *type;
};

struct answer {
    unsigned status;
    const char *text;        /* at most ANSWER_TEXT_BYTES_MAX; NULL: what the status's own says */
    uint32_t retry_s;        /* what 503 and 429 say in Retry-After; 0 is as good as 1 */
    bool close;              /* the connection ends with it */
    bool head_only;          /* to a HEAD */
    struct slice request_id; /* empty: the request had none yet */
};

/* Writes an HTTP/1.1 answer; returns its length. With a page, its body is not in it: that is sent
 * behind, but to a HEAD. `page` may be NULL. */
size_t answer_write(char buffer[ANSWER_BYTES_MAX], const struct answer *answer,
                    const struct answer_page *page, const char *date);

#endif
