/* Pulling an image. The engine says 200 before it has begun; whether the pull went well stands in
 * the stream. How long it may take is for whoever asked, who sees its progress. */
#include "base/memory.h"
#include "engine_internal.h"
#include "engine_json.h"
#include "engine_objects.h"
#include "engine_registry.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

struct engine_pull {
    struct engine_objects objects;
    char *error; /* the first one that the stream held; NULL: none */
    struct engine_call *call;
    void (*on_progress)(void *context, const cJSON *object);
    engine_callback *done;
    void *context;
};

static void on_object(void *context, const cJSON *object)
{
    struct engine_pull *pull = context;
    const char *error = engine_json_string(engine_json_get(object, "errorDetail"), "message");

    if (error == NULL)
        error = engine_json_string(object, "error");
    if (error == NULL && (!engine_json_is_empty(engine_json_get(object, "errorDetail")) ||
                          !engine_json_is_empty(engine_json_get(object, "error"))))
        error = "the pull failed; the engine does not say why";
    if (error != NULL && pull->error == NULL)
        pull->error = memory_copy_string(error);
    if (pull->on_progress != NULL)
        pull->on_progress(pull->context, object);
}

static bool on_data(void *context, struct slice piece)
{
    struct engine_pull *pull = context;

    engine_objects_feed(&pull->objects, piece, on_object, pull);
    return true;
}

/* What a registry says reaches us in the engine's words alone. Those that trying again cannot cure
 * are known by them; a registry that is away, or in trouble itself, passes. Order counts: the first
 * that fits. */
static int error_of_words(const char *words)
{
    static const struct {
        const char *words;
        int error;
    } known[] = {
        {"no space left on device", -ENOSPC},
        {"disk quota exceeded", -ENOSPC},
        {"toomanyrequests", -EDQUOT},
        {"too many requests", -EDQUOT},
        {"rate limit", -EDQUOT},
        {"unauthorized", -EACCES},
        {"denied", -EACCES},
        {"forbidden", -EACCES},
        {"authentication required", -EACCES},
        {"no basic auth", -EACCES},
        {"manifest unknown", -ENOENT},
        {"manifest invalid", -EINVAL},
        {"not found", -ENOENT},
        {"does not exist", -ENOENT},
        {"no matching manifest", -ENOENT},
        {"invalid reference", -EINVAL},
        {"no such host", -EHOSTUNREACH},
        {"x509:", -EHOSTUNREACH},
        {"server gave http response to https client", -EHOSTUNREACH},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcasestr(words, known[i].words) != NULL)
            return known[i].error;
    }
    return -EREMOTEIO;
}

static void on_done(void *context, const struct engine_reply *reply)
{
    struct engine_pull *pull = context;
    struct engine_reply end = *reply;

    if (reply->error == -ECANCELED) {
        ;
    } else if (reply->error != 0 && reply->status != 0) { /* refused before the stream began */
        int of_words = error_of_words(reply->message);    /* the registry's, behind a 404 or 500 */
        if (of_words != -EREMOTEIO && (reply->error == -EREMOTEIO || reply->error == -ENOENT))
            end.error = of_words;
    } else if (pull->error != NULL) {
        end.error = error_of_words(pull->error);
        end.message = pull->error;
    } else if (reply->error == 0 && !engine_objects_is_whole(&pull->objects)) {
        end.error = -ENOTCONN;
        end.message = "the engine's report of the pull broke off";
    } else if (reply->error == 0 && (pull->objects.dropped > 0 || pull->objects.seen == 0)) {
        end.error = -EPROTO;
        end.message = "the engine's report of the pull was not understood, so its end is not known";
    }
    pull->done(pull->context, &end);
    engine_objects_done(&pull->objects);
    free(pull->error);
    free(pull);
}

static char *pull_path(const struct engine_reference *reference)
{
    char *name = engine_escape(reference->name, "");
    char *tag = engine_escape(reference->tag, "");
    char *path = memory_format("/images/create?fromImage=%s&tag=%s", name, tag);

    free(name);
    free(tag);
    return path;
}

struct engine_pull *engine_pull(struct engine *engine, const struct engine_pull_options *wanted)
{
    struct engine_pull *pull = memory_new(sizeof(*pull));
    struct engine_reference parts = {0};
    struct engine_call_options options = {
        .method = "POST",
        .refused = "this is no reference to an image",
        .on_data = on_data,
        .done = on_done,
        .context = pull,
    };

    pull->on_progress = wanted->on_progress;
    pull->done = wanted->done;
    pull->context = wanted->context;
    if (engine_reference_parse(wanted->reference, &parts) == 0) {
        options.path = pull_path(&parts);
        options.header = memory_format("X-Registry-Auth: %s",
                                       wanted->auth != NULL ? wanted->auth : ENGINE_AUTH_ANONYMOUS);
    }
    pull->call = engine_call_start(engine, &options);
    engine_reference_done(&parts);
    return pull;
}

void engine_pull_cancel(struct engine_pull *pull)
{
    engine_call_cancel(pull->call);
}
