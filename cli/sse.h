/* Server-Sent Events, taken apart (WHATWG HTML §9.2.6). Pure: bytes in, events out.
 *
 * Owner: whoever embeds it; ended by sse_done(). */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include <stdbool.h>
#include <stddef.h>

#define SSE_EVENT_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct sse {
    char *line;
    size_t line_length;
    char *event, *data; /* of the event that is being read; NULL: not given */
    size_t data_length;
    char *last_id; /* of the last whole event; NULL: none had one */
    char *id;
    bool after_return; /* the last byte was CR: an LF that follows belongs to it */
    void (*on_event)(void *context, const char *event, const char *data);
    void *context;
};

/* Returns false where an event is larger than SSE_EVENT_BYTES_MAX. */
bool sse_feed(struct sse *sse, const char *data, size_t length);
/* A new connection: half an event is forgotten, last_id is kept. */
void sse_restart(struct sse *sse);
void sse_done(struct sse *sse);

#endif
