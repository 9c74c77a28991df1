/* The calls that are one request and one answer each. */
#include "base/memory.h"
#include "engine_internal.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_CONTAINER "this is no container's id or name"

char *engine_container_path(const char *id, const char *rest)
{
    char *segment = engine_path_segment(id);
    char *path = segment != NULL ? memory_format("/containers/%s%s", segment, rest) : NULL;

    free(segment);
    return path;
}

char *engine_filters(const char *type, const char *const *values)
{
    cJSON *filters = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(filters, type);

    for (; *values != NULL; values++)
        cJSON_AddItemToArray(list, cJSON_CreateString(*values));
    char *text = cJSON_PrintUnformatted(filters);
    char *escaped = engine_escape(text != NULL ? text : "{}", "");
    cJSON_free(text);
    cJSON_Delete(filters);
    return escaped;
}

static char *body_of(const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    char *copy = memory_copy_string(text);

    cJSON_free(text);
    return copy;
}

void engine_ping(struct engine *engine, engine_callback *done, void *context)
{
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "GET",
                                  .path = memory_copy_string("/version"),
                                  .flags = CALL_IS_PING,
                                  .done = done,
                                  .context = context,
                              });
}

void engine_list(struct engine *engine, const char *const *labels, engine_callback *done,
                 void *context)
{
    char *filters = engine_filters("label", labels);
    char *path = labels[0] == NULL ? memory_copy_string("/containers/json?all=1")
                                   : memory_format("/containers/json?all=1&filters=%s", filters);

    free(filters);
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "GET",
                                  .path = path,
                                  .flags = CALL_WANTS_ARRAY,
                                  .timeout_ms = ENGINE_QUERY_MS,
                                  .done = done,
                                  .context = context,
                              });
}

void engine_inspect(struct engine *engine, const char *id, engine_callback *done, void *context)
{
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "GET",
                                  .path = engine_container_path(id, "/json"),
                                  .refused = NO_CONTAINER,
                                  .flags = CALL_WANTS_OBJECT,
                                  .timeout_ms = ENGINE_QUERY_MS,
                                  .done = done,
                                  .context = context,
                              });
}

void engine_create(struct engine *engine, const char *name, const cJSON *config,
                   engine_callback *done, void *context)
{
    char *escaped = engine_escape(name, "");
    char *body = body_of(config);
    char *path = body != NULL ? memory_format("/containers/create?name=%s", escaped) : NULL;

    free(escaped);
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "POST",
                                  .path = path,
                                  .refused = "the configuration cannot be written as JSON",
                                  .body = body,
                                  .flags = CALL_WANTS_OBJECT,
                                  .timeout_ms = ENGINE_CHANGE_MS,
                                  .done = done,
                                  .context = context,
                              });
}

/* POST on a container, without body and without JSON in the answer. `path` is taken over. */
static void post(struct engine *engine, char *path, uint32_t timeout_ms, engine_callback *done,
                 void *context)
{
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "POST",
                                  .path = path,
                                  .refused = NO_CONTAINER,
                                  .timeout_ms = timeout_ms,
                                  .done = done,
                                  .context = context,
                              });
}

void engine_start(struct engine *engine, const char *id, engine_callback *done, void *context)
{
    post(engine, engine_container_path(id, "/start"), ENGINE_CHANGE_MS, done, context);
}

/* --- stop ----------------------------------------------------------------------------------- */

#define STOP_GRACE_DEFAULT_S 10
#define STOP_GRACE_MAX_S     604800 /* a week, so that milliseconds fit 32 bits */

struct stop { /* with the container's own grace period: inspected first */
    struct engine *engine;
    char *id;
    engine_callback *done;
    void *context;
};

static uint32_t stop_timeout_ms(int64_t grace_s)
{
    if (grace_s < 0 || grace_s > STOP_GRACE_MAX_S)
        grace_s = STOP_GRACE_MAX_S; /* below zero the engine waits for ever */
    return (uint32_t)grace_s * 1000u + ENGINE_STOP_EXTRA_MS;
}

static void on_stop_inspected(void *context, const struct engine_reply *reply)
{
    struct stop *stop = context;

    if (reply->error != 0) {
        stop->done(stop->context, reply);
    } else {
        int64_t grace_s = engine_json_integer(engine_json_get(reply->json, "Config"), "StopTimeout",
                                              STOP_GRACE_DEFAULT_S);
        post(stop->engine, engine_container_path(stop->id, "/stop"), stop_timeout_ms(grace_s),
             stop->done, stop->context);
    }
    free(stop->id);
    free(stop);
}

void engine_stop(struct engine *engine, const char *id, int grace_s, engine_callback *done,
                 void *context)
{
    char rest[32];

    if (grace_s >= 0) {
        snprintf(rest, sizeof(rest), "/stop?t=%d", grace_s);
        post(engine, engine_container_path(id, rest), stop_timeout_ms(grace_s), done, context);
        return;
    }
    struct stop *stop = memory_new(sizeof(*stop));
    *stop = (struct stop){engine, memory_copy_string(id), done, context};
    engine_inspect(engine, id, on_stop_inspected, stop);
}

void engine_kill(struct engine *engine, const char *id, const char *signal, engine_callback *done,
                 void *context)
{
    char *escaped = engine_escape(signal, "");
    char *rest = memory_format("/kill?signal=%s", escaped);

    post(engine, engine_container_path(id, rest), ENGINE_CHANGE_MS, done, context);
    free(rest);
    free(escaped);
}

void engine_rename(struct engine *engine, const char *id, const char *name, engine_callback *done,
                   void *context)
{
    char *escaped = engine_escape(name, "");
    char *rest = memory_format("/rename?name=%s", escaped);

    post(engine, engine_container_path(id, rest), ENGINE_CHANGE_MS, done, context);
    free(rest);
    free(escaped);
}

void engine_network_connect(struct engine *engine, const char *network, const char *id,
                            const cJSON *endpoint, engine_callback *done, void *context)
{
    char *segment = engine_path_segment(network);
    cJSON *body = cJSON_CreateObject();

    cJSON_AddStringToObject(body, "Container", id);
    if (endpoint != NULL)
        cJSON_AddItemToObject(body, "EndpointConfig", cJSON_Duplicate(endpoint, true));
    engine_call_start(
        engine, &(struct engine_call_options){
                    .method = "POST",
                    .path = segment != NULL ? memory_format("/networks/%s/connect", segment) : NULL,
                    .refused = "this is no network's id or name",
                    .body = body_of(body),
                    .timeout_ms = ENGINE_CHANGE_MS,
                    .done = done,
                    .context = context,
                });
    cJSON_Delete(body);
    free(segment);
}

void engine_image_inspect(struct engine *engine, const char *reference, engine_callback *done,
                          void *context)
{
    char *escaped = engine_path_reference(reference);

    engine_call_start(
        engine, &(struct engine_call_options){
                    .method = "GET",
                    .path = escaped != NULL ? memory_format("/images/%s/json", escaped) : NULL,
                    .refused = "this is no reference to an image",
                    .flags = CALL_WANTS_OBJECT,
                    .timeout_ms = ENGINE_QUERY_MS,
                    .done = done,
                    .context = context,
                });
    free(escaped);
}

void engine_image_remove(struct engine *engine, const char *reference, engine_callback *done,
                         void *context)
{
    char *escaped = engine_path_reference(reference);

    engine_call_start(
        engine, &(struct engine_call_options){
                    .method = "DELETE",
                    .path = escaped != NULL ? memory_format("/images/%s?noprune=1", escaped) : NULL,
                    .refused = "this is no reference to an image",
                    .flags = CALL_GONE_IS_DONE,
                    .timeout_ms = ENGINE_REMOVE_MS,
                    .done = done,
                    .context = context,
                });
    free(escaped);
}
