/* Questions asked before a rollout and after it: of the engine's host, of what a container uses, of
 * networks and volumes, and of a registry through the engine. Nothing is changed by them. */
#include "base/memory.h"
#include "engine_internal.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* `path` and `header` are taken over. */
static void look(struct engine *engine, char *path, char *header, uint32_t timeout_ms,
                 engine_callback *done, void *context)
{
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "GET",
                                  .path = path,
                                  .header = header,
                                  .refused = "this is no name of what is asked for",
                                  .flags = CALL_WANTS_OBJECT,
                                  .timeout_ms = timeout_ms,
                                  .done = done,
                                  .context = context,
                              });
}

void engine_info(struct engine *engine, engine_callback *done, void *context)
{
    look(engine, memory_copy_string("/info"), NULL, ENGINE_QUERY_MS, done, context);
}

void engine_stats(struct engine *engine, const char *id, engine_callback *done, void *context)
{
    look(engine, engine_container_path(id, "/stats?stream=false&one-shot=true"), NULL,
         ENGINE_QUERY_MS, done, context);
}

void engine_volumes_unused(struct engine *engine, engine_callback *done, void *context)
{
    static const char *const values[] = {"true", NULL};
    char *filters = engine_filters("dangling", values);

    look(engine, memory_format("/volumes?filters=%s", filters), NULL, ENGINE_QUERY_MS, done,
         context);
    free(filters);
}

void engine_network(struct engine *engine, const char *name, engine_callback *done, void *context)
{
    char *segment = engine_path_segment(name);

    look(engine, segment != NULL ? memory_format("/networks/%s", segment) : NULL, NULL,
         ENGINE_QUERY_MS, done, context);
    free(segment);
}

void engine_distribution(struct engine *engine, const char *reference, const char *auth,
                         engine_callback *done, void *context)
{
    char *escaped = engine_path_reference(reference);

    look(engine, escaped != NULL ? memory_format("/distribution/%s/json", escaped) : NULL,
         memory_format("X-Registry-Auth: %s", auth), ENGINE_REGISTRY_MS, done, context);
    free(escaped);
}
