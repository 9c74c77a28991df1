/* The proxy's own answers: an error status with a short plain body. Pure. */
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include "base/slice.h"

#include <stdbool.h>

#define ANSWER_BYTES_MAX 512u

/* Writes a whole HTTP/1.1 answer; returns its length. `head_only`: to a HEAD.
 * `retry_s`: what 503 and 429 say in Retry-After; 0 is as good as 1. */
size_t answer_write(char buffer[ANSWER_BYTES_MAX], unsigned status, uint32_t retry_s, bool close,
                    bool head_only, const char *date);

#endif
