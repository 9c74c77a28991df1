/* The engine client: Docker Engine API calls on the libev loop (Unix socket, TCP, TCP with TLS).
 *
 * The API version is negotiated through GET /version before the first other call, and again after
 * the engine was away or has refused the version in use; nothing is hard-coded. (/_ping says it in
 * a header only, /version also says the oldest.) Every call has a timeout that fits it, and every
 * error carries the engine's own message. Endpoints used are listed in docs/engine-api.md; no
 * others are.
 *
 * Owner: the updater. A call's callback runs exactly once, never before the call returns. JSON in
 * a reply is valid during the callback. A callback may start calls, but not close the engine. */
#ifndef UPDATER_ENGINE_H
#define UPDATER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct engine;
struct ev_loop;

struct engine_reply {
    int error;                /* 0: done (304 on start/stop and 404 on remove count as done);
                                 -ENOENT 404; -EEXIST 409; -EACCES 401, 403; -EINVAL 400;
                                 -EREMOTEIO 5xx; -ECONNREFUSED, -ENOTCONN: the engine is not there;
                                 -ETIMEDOUT; -EPROTO: not understood;
                                 -ECANCELED: the engine client was closed */
    unsigned status;          /* HTTP status, 0 where none came */
    const char *message;      /* for people: the engine's words, or what went wrong; never NULL */
    const struct cJSON *json; /* the answer's body; NULL: none */
};
typedef void engine_callback(void *context, const struct engine_reply *reply);

/* Whether an error may pass by itself (the engine is away or slow, 5xx), so that trying again with
 * back-off makes sense. */
bool engine_error_is_passing(const struct engine_reply *reply);

/* `host`: "unix:///path", "tcp://host:port"; `cert_path`: folder with ca.pem, cert.pem and key.pem,
 * or NULL. Returns 0, -EINVAL for a host that is none of these, or -ENOMEM. Nothing is sent yet. */
int engine_open(struct ev_loop *loop, const char *host, const char *cert_path,
                struct engine **ret_engine) __attribute__((warn_unused_result));
/* Callbacks of calls in flight get -ECANCELED. NULL is fine. */
void engine_close(struct engine *engine);

/* Negotiates, on a connection of its own: an engine that is being stopped takes no new ones, though
 * it still answers on old ones. The reply's json has ApiVersion, MinAPIVersion, Version, Os. */
void engine_ping(struct engine *engine, engine_callback *done, void *context);
/* The version in use, "1.41"; "" before the first ping. */
const char *engine_api_version(const struct engine *engine);

/* All containers (stopped ones too) that carry every label of `labels` ("key" or "key=value",
 * NULL-terminated). json: array as of GET /containers/json. */
void engine_list(struct engine *engine, const char *const *labels, engine_callback *done,
                 void *context);
/* json: as of GET /containers/{id}/json; numbers over 2^53 are kept (see engine_json.h). */
void engine_inspect(struct engine *engine, const char *id, engine_callback *done, void *context);
/* `config` as of POST /containers/create; json: {"Id": …, "Warnings": […]}. */
void engine_create(struct engine *engine, const char *name, const struct cJSON *config,
                   engine_callback *done, void *context);
void engine_start(struct engine *engine, const char *id, engine_callback *done, void *context);
/* Waits up to grace_s + 30 s for the answer. grace_s < 0: the container's own. */
void engine_stop(struct engine *engine, const char *id, int grace_s, engine_callback *done,
                 void *context);
void engine_kill(struct engine *engine, const char *id, const char *signal, engine_callback *done,
                 void *context);
/* 409 "removal already in progress" is waited out until 404. `volumes`: anonymous ones too. */
void engine_remove(struct engine *engine, const char *id, bool force, bool volumes,
                   engine_callback *done, void *context);
void engine_rename(struct engine *engine, const char *id, const char *name, engine_callback *done,
                   void *context);
void engine_network_connect(struct engine *engine, const char *network, const char *id,
                            const struct cJSON *endpoint, engine_callback *done, void *context);
/* Pulls by reference; errors inside the 200 stream are found. Beside the errors of every call:
 * -EACCES the registry wants other credentials, -ENOENT it has no such image, -EDQUOT it limits how
 * often, -ENOSPC the engine's disk is full, -EHOSTUNREACH there is no registry of this name, or it
 * is not to be trusted. */
struct engine_pull; /* until its callback runs */
struct engine_pull_options {
    const char *reference;
    const char *auth; /* X-Registry-Auth; NULL: anonymous */
    /* Called with each object of the stream (id, status, progressDetail); may be NULL. */
    void (*on_progress)(void *context, const struct cJSON *object);
    engine_callback *done;
    void *context;
};
struct engine_pull *engine_pull(struct engine *engine, const struct engine_pull_options *options);
/* Its callback gets -ECANCELED before this returns; the engine drops what it has begun. */
void engine_pull_cancel(struct engine_pull *pull);
/* json: as of GET /images/{name}/json. */
void engine_image_inspect(struct engine *engine, const char *reference, engine_callback *done,
                          void *context);
/* Removes a name of an image, and the image with its last one; -EEXIST: it is in use. Its parents
 * stay. */
void engine_image_remove(struct engine *engine, const char *reference, engine_callback *done,
                         void *context);

/* json: as of GET /info. */
void engine_info(struct engine *engine, engine_callback *done, void *context);
/* One sample of what it uses. json: as of GET /containers/{id}/stats. */
void engine_stats(struct engine *engine, const char *id, engine_callback *done, void *context);
/* Volumes that no container has. json: as of GET /volumes. */
void engine_volumes_unused(struct engine *engine, engine_callback *done, void *context);
/* json: as of GET /networks/{name}. */
void engine_network(struct engine *engine, const char *name, engine_callback *done, void *context);
/* What a registry has of this reference, asked by the engine; nothing is pulled. `auth`: the value
 * of X-Registry-Auth. json: as of GET /distribution/{name}/json. */
void engine_distribution(struct engine *engine, const char *reference, const char *auth,
                         engine_callback *done, void *context);

/* Follows events of containers from now on until engine_close(). When the stream breaks it is
 * taken up again with `since` from the last event seen, so none is missed; on_event gets each once.
 * What a HEALTHCHECK's own runs cause (exec_create, exec_start, exec_die) is left out.
 * on_gap: the stream was (re)connected: list again, for what the engine itself may have lost.
 * on_lost: the stream broke; it is being tried again with back-off (0.1 s to 5 s). */
struct engine_event_handlers {
    void (*on_event)(void *context, const char *action, const char *container_id,
                     const struct cJSON *event);
    void (*on_gap)(void *context);
    void (*on_lost)(void *context, const char *message);
    void *context;
};
void engine_follow(struct engine *engine, const struct engine_event_handlers *handlers);

#endif
