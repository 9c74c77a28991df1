/* The way of a stream of events, and its end in between two of them. */
#include "client.h"
#include "relay.h"

bool relay_end_events(struct relay *relay)
{
    const struct slice last = SLICE("0\r\n\r\n");

    if (!relay->streams ||
        (relay->framing != HTTP_BODY_CHUNKED && relay->framing != HTTP_BODY_CLOSE))
        return false;
    relay->leaves = true;
    if (!events_are_at_end(&relay->events))
        return true;
    if (relay->framing == HTTP_BODY_CHUNKED)
        stream_write(relay->client->stream, &last, 1);
    relay_finish_early(relay);
    return true;
}

bool relay_take_events(struct relay *relay, struct slice *data)
{
    size_t end = relay->leaves ? events_find_end(&relay->events, *data) : 0;

    if (end > 0)
        data->length = end;
    events_follow(&relay->events, *data);
    return end > 0;
}
