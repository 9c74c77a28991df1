/* A message's body on its way through the proxy, for the targets that look at what is sent on. */
#ifndef TESTS_REFRAME_H
#define TESTS_REFRAME_H

#include "proxy/body.h"
#include "reading.h"

#include <stdint.h>

/* Takes `bytes` apart by `framing`, as they come in pieces of `step` bytes, and adds each piece, as
 * it would be sent on, to `sent`; the body's own bytes to `body`. `chunked`: framed so towards the
 * other side; `ends`: the connection ends behind the last byte. */
enum http1_result reframe(struct slice bytes, size_t step, enum http_framing framing,
                          uint64_t length, bool chunked, bool ends, struct text *sent,
                          struct text *body);

/* Holds that `sent` is read, by the proxy itself and by llhttp, as one message up to its last byte
 * (or, where `result` is not HTTP1_DONE, as the beginning of one) with exactly this body.
 * `ret_reading`: as the proxy reads it. */
void check_sent(const struct text *sent, const struct text *body, bool response, bool to_head,
                enum http1_result result, struct reading *ret_reading);

#endif
