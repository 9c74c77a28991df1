/* Inside of the engine client: the engine, its calls in flight, and how a call is made.
 *
 * A call is in one of three places: waiting (the API version is not known), flying (HTTP has it) or
 * failed (it never flew; its callback is due in the loop's next turn). engine.c moves it. */
#ifndef UPDATER_ENGINE_INTERNAL_H
#define UPDATER_ENGINE_INTERNAL_H

#include "base/http_client.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/timer.h"
#include "engine.h"
#include "engine_text.h"

/* How long each kind of call may take. */
#define ENGINE_CONNECT_MS    5000u
#define ENGINE_QUERY_MS      10000u /* version, list, inspect: the engine only looks things up */
#define ENGINE_REGISTRY_MS   30000u /* the engine asks a registry for us */
#define ENGINE_CHANGE_MS     30000u /* create, start, rename, connect: disks and networks take part */
#define ENGINE_STOP_EXTRA_MS 30000u /* beyond the grace period: the engine kills and cleans up */
#define ENGINE_REMOVE_MS     60000u /* large file systems are unlinked; images too */

#define ENGINE_REMOVE_POLL_MS 100u
#define ENGINE_BACKOFF_MIN_MS 100u
#define ENGINE_BACKOFF_MAX_MS 5000u
#define ENGINE_STEADY_MS      5000u /* a stream that lasted so long starts the back-off anew */

struct cJSON;

struct engine {
    struct ev_loop *loop;
    struct http_client *client;
    struct engine_place place;
    char version[16]; /* "": not known */
    bool asking;      /* a /version call is on its way */
    bool closing;
    struct list waiting, flying, failed;
    struct list followers, removals; /* engine_events.c, engine_remove.c */
    struct timer failing;
};

enum engine_call_flag {
    CALL_UNVERSIONED = 1, /* the path as it is, without waiting for the version */
    CALL_IS_PING = 2,     /* answered with what /version said; nothing else is sent */
    CALL_WANTS_OBJECT = 4,
    CALL_WANTS_ARRAY = 8,
    CALL_GONE_IS_DONE = 16, /* 404 */
    CALL_FRESH = 32,        /* on a connection of its own: an old one may outlive the listener */
};

struct engine_call_options { /* path, body and header are taken over */
    const char *method;
    char *path; /* "/containers/json?all=1"; NULL: the arguments were refused, see `refused` */
    char *body; /* JSON; NULL: none */
    char *header;
    const char *refused; /* what was wrong with the arguments; the call then fails with -EINVAL */
    unsigned flags;
    uint32_t timeout_ms, silence_ms;
    void (*on_flying)(void *context); /* the request is sent now; NULL: not wanted */
    bool (*on_data)(void *context, struct slice piece);
    engine_callback *done;
    void *context;
};

struct engine_call; /* until its callback runs */

/* Never calls back before it returns. */
struct engine_call *engine_call_start(struct engine *engine,
                                      const struct engine_call_options *options);
/* Its callback gets -ECANCELED before this returns. */
void engine_call_cancel(struct engine_call *call);
/* Forgets the API version: the engine was away, or says that it does not speak it. */
void engine_forget_version(struct engine *engine);

void engine_removals_close(struct engine *engine);  /* engine_remove.c */
void engine_followers_close(struct engine *engine); /* engine_events.c */

/* "/containers/ID" + `rest`; NULL where `id` is none. */
char *engine_container_path(const char *id, const char *rest);
/* A filters parameter's value, {"type": ["a", "b"]}, ready for a URL. */
char *engine_filters(const char *type, const char *const *values);

#endif
