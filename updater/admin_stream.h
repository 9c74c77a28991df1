/* The stream of events: what was published is kept in a ring, and each client of the stream is a
 * place in that ring (Server-Sent Events, WHATWG HTML §9.2).
 *
 * Owner: struct admin has one hub. Life: a stream lives as long as its connection; libmicrohttpd
 * ends both by the response's free callback. */
#ifndef UPDATER_ADMIN_STREAM_H
#define UPDATER_ADMIN_STREAM_H

#include "admin.h"
#include "base/list.h"

#include <stddef.h>

struct MHD_Connection;
struct MHD_Response;

#define ADMIN_WAITING_BYTES_MAX ((size_t)1024 * 1024) /* unread by one client: it is cut off */
#define ADMIN_KEPT_BYTES_MAX                                                                       \
    ((size_t)16 * 1024 * 1024)   /* of all events kept: the updater's memory */
#define ADMIN_COMMENT_SECONDS 15 /* keeps idle streams alive */

struct admin_event {
    char *text; /* as it goes out; NULL: free place */
    size_t length;
    char *service; /* which service it is about, for ?service=; NULL: none */
};

struct admin_hub {
    struct admin_event ring[ADMIN_EVENTS_KEPT]; /* by id modulo its size */
    uint64_t first_id, next_id;                 /* kept: first_id <= id < next_id */
    size_t kept_bytes;
    struct list streams;
    unsigned stream_count;
    bool run_wanted; /* a stream was woken: MHD_run() has something to do */
};

/* Ids go on from the wall clock, so that they rise over restarts of the updater too. */
void admin_hub_init(struct admin_hub *hub);
/* Resumes every stream, as libmicrohttpd demands it before it stops. */
void admin_hub_resume_all(struct admin_hub *hub);
/* No stream may be left. */
void admin_hub_done(struct admin_hub *hub);

void admin_hub_publish(struct admin_hub *hub, const char *event, const struct cJSON *data);
/* Has every idle stream send a comment line. */
void admin_hub_comment(struct admin_hub *hub);

/* The response that streams to `connection`, or NULL: too many streams, or out of memory. It starts
 * after `last_event_id` (NULL: with the next event). */
struct MHD_Response *admin_stream_new(struct admin_hub *hub, struct MHD_Connection *connection,
                                      const char *service, const char *last_event_id);

#endif
