/* The admin API's transport: libmicrohttpd on the libev loop, on a Unix socket (mode 0660, peer
 * credentials). What is asked and answered is api.c's; here are only HTTP, JSON and the stream of
 * events (Server-Sent Events, WHATWG HTML §9.2).
 *
 * Owner: the updater. Life: from admin_open() to admin_close(). */
#ifndef UPDATER_ADMIN_H
#define UPDATER_ADMIN_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

struct admin;
struct cJSON;
struct ev_loop;

#define ADMIN_BODY_BYTES_MAX (256u * 1024)
#define ADMIN_STREAMS_MAX    64u   /* clients of GET /v1/events at once; more get 503 */
#define ADMIN_EVENTS_KEPT    1024u /* for Last-Event-ID: a client that comes back misses nothing */

struct admin_request {
    const char *method;       /* "GET", "POST" */
    const char *path;         /* "/v1/services/web", decoded, without query */
    const struct cJSON *body; /* NULL: none was sent */
    uid_t uid;                /* of the peer */
    pid_t pid;
    void *connection; /* for query parameters: admin_query() */
};

/* An answer. `body` is taken over and freed. Errors use admin_error(). */
struct admin_answer {
    unsigned status;    /* 0: deferred */
    struct cJSON *body; /* NULL: none */
    char *text;         /* instead of body: text of content_type (the metrics); freed */
    const char *content_type;
};

/* An answer that takes longer than the handler may: the handler calls admin_defer(), leaves
 * *ret_answer alone and returns; the connection is suspended. admin_answer_deferred() ends it,
 * exactly once, also when the client has gone meanwhile (then nothing is sent). Strings of the
 * request are not valid after the handler. admin_close() ends what is still deferred with 503;
 * their handles must not be used after that. */
struct admin_deferred;
struct admin_deferred *admin_defer(const struct admin_request *request);
void admin_answer_deferred(struct admin_deferred *deferred, struct admin_answer *answer);

typedef void admin_handler(void *context, const struct admin_request *request,
                           struct admin_answer *ret_answer);

/* Listens on `path`; a socket that nobody answers on is replaced, one that answers is -EADDRINUSE.
 * Returns 0 or -errno. */
int admin_open(struct ev_loop *loop, const char *path, admin_handler *handler, void *context,
               struct admin **ret_admin) __attribute__((warn_unused_result));
void admin_close(struct admin *admin); /* also removes the socket; NULL is fine */

/* Value of a query parameter, or NULL. Valid during the handler. */
const char *admin_query(const struct admin_request *request, const char *name);

/* Sends an event to every client of the stream and keeps it for those who come back. `data` is
 * borrowed. Names: docs/admin-api.md. A client that does not read for so long that 1 MiB waits is
 * cut off. */
void admin_publish(struct admin *admin, const char *event, const struct cJSON *data);

/* Fills an error answer: {"error": {"code": code, "message": text}}. printf-like. */
void admin_error(struct admin_answer *answer, unsigned status, const char *code, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
