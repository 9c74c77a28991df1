/* Following the daemon's events: a connection that is made again by whoever waits for the next.
 *
 * Owner: whoever opened it. An event handed out belongs to the receiver. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>

struct cJSON;
struct stream;

enum stream_result {
    STREAM_EVENT,    /* ret_event is filled */
    STREAM_OPENED,   /* connected: what was before it may be asked for now */
    STREAM_LOST,     /* the connection ended, or there is none: stream_connect() tries again */
    STREAM_TIMEOUT,  /* nothing for so long */
    STREAM_READABLE, /* one of the descriptors is */
};

struct stream_event {
    char *name;
    struct cJSON *data;
};

/* `service` NULL: of every service. Nothing is sent yet. NULL: libcurl cannot be set up. */
struct stream *stream_open(const char *admin, const char *service);
void stream_close(struct stream *stream);

/* Begins a connection, from the last event seen on. An earlier one ends. */
void stream_connect(struct stream *stream);

/* Waits for what comes next: from the daemon, on one of `fds` (-1: none), or the end of the time.
 */
enum stream_result stream_next(struct stream *stream, const int fds[2], int timeout_ms,
                               struct stream_event *ret_event);
void stream_event_done(struct stream_event *event);

/* Why the last connection ended, for people. */
const char *stream_why(const struct stream *stream);

#endif
