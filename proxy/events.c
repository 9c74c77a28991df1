#include "events.h"

#include <string.h>

void events_init(struct events *events, bool opaque)
{
    *events = (struct events){.opaque = opaque};
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Whether it ends with an empty line, after lines that end with CR, LF or both. Behind an LF a CR
 * waits for its own: who reads by lines would not see the event's end without it. */
static bool ends_with_blank_line(const char *tail, size_t length)
{
    if (length < 2 || !is_line_end(tail[length - 1]))
        return false;
    if (tail[length - 1] == '\r')
        return tail[length - 2] == '\r';
    length -= tail[length - 2] == '\r' ? 2 : 1;
    return length > 0 && is_line_end(tail[length - 1]);
}

bool events_are_at_end(const struct events *events)
{
    return events->opaque || events->tail_length == 0 ||
           ends_with_blank_line(events->tail, events->tail_length);
}

void events_follow(struct events *events, struct slice data)
{
    size_t kept = EVENTS_TAIL_BYTES;

    if (data.length >= EVENTS_TAIL_BYTES) {
        memcpy(events->tail, data.data + data.length - EVENTS_TAIL_BYTES, EVENTS_TAIL_BYTES);
        events->tail_length = EVENTS_TAIL_BYTES;
        return;
    }
    if (data.length == 0)
        return;
    if (kept > events->tail_length + data.length)
        kept = events->tail_length + data.length;
    size_t old = kept - data.length;
    memmove(events->tail, events->tail + events->tail_length - old, old);
    memcpy(events->tail + old, data.data, data.length);
    events->tail_length = (uint8_t)kept;
}

size_t events_find_end(const struct events *events, struct slice data)
{
    if (events->opaque)
        return data.length;
    for (size_t end = data.length; end > 0; end--) {
        struct events here = *events;
        if (!is_line_end(data.data[end - 1]))
            continue;
        events_follow(&here, (struct slice){data.data, end});
        if (ends_with_blank_line(here.tail, here.tail_length))
            return end;
    }
    return 0;
}
