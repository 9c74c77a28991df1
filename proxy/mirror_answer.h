/* What is kept of an answer to compare it with another one: status, and length and hash of the body
 * up to a bound. Pure. */
#ifndef PROXY_MIRROR_ANSWER_H
#define PROXY_MIRROR_ANSWER_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct mirror_answer { /* zero is the start */
    uint16_t status;
    uint64_t bytes; /* of the body, at most the bound */
    uint64_t hash;  /* of whole words so far, and what is left of the last one: */
    uint64_t word;
    bool whole; /* it is complete, or has reached the bound */
};

enum mirror_verdict { MIRROR_SAME, MIRROR_STATUS_DIFFERS, MIRROR_BODY_DIFFERS };

/* The next piece of the body. However the body is cut into pieces, it comes to the same. Returns
 * whether the bound is reached: what follows is not looked at. */
bool mirror_answer_add(struct mirror_answer *answer, struct slice piece);

/* Both must be whole. */
enum mirror_verdict mirror_answer_compare(const struct mirror_answer *a,
                                          const struct mirror_answer *b);

#endif
