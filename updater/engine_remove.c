/* Removing a container, until it is gone: where a removal is in progress already, it is waited for.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "engine_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct removal {
    struct list node; /* on engine->removals while its timer runs */
    struct engine *engine;
    char *id;
    uint64_t deadline_ms; /* clock_ms() */
    struct timer poll;
    engine_callback *done;
    void *context;
};

static void removal_end(struct removal *removal, const struct engine_reply *reply)
{
    list_remove(&removal->node);
    timer_stop(removal->engine->loop, &removal->poll);
    removal->done(removal->context, reply);
    free(removal->id);
    free(removal);
}

static void wait_on(struct removal *removal)
{
    list_append(&removal->engine->removals, &removal->node);
    timer_start(removal->engine->loop, &removal->poll, ENGINE_REMOVE_POLL_MS);
}

static void on_looked(void *context, const struct engine_reply *reply)
{
    struct removal *removal = context;
    struct engine_reply gone = {.status = 404, .message = ""};
    struct engine_reply late = {
        .error = -ETIMEDOUT,
        .status = 409,
        .message = "the container's removal is in progress and does not end",
    };

    bool is_final = reply->error != 0 && !engine_error_is_passing(reply); /* cancelled too */

    if (reply->error == -ENOENT)
        removal_end(removal, &gone);
    else if (!is_final && clock_ms() < removal->deadline_ms)
        wait_on(removal);
    else
        removal_end(removal, reply->error != 0 ? reply : &late);
}

static void on_poll(struct timer *timer)
{
    struct removal *removal = container_of(timer, struct removal, poll);

    list_remove(&removal->node);
    engine_inspect(removal->engine, removal->id, on_looked, removal);
}

static void on_removed(void *context, const struct engine_reply *reply)
{
    struct removal *removal = context;

    if (reply->error == -EEXIST && strstr(reply->message, "already in progress") != NULL)
        wait_on(removal);
    else
        removal_end(removal, reply);
}

void engine_remove(struct engine *engine, const char *id, bool force, bool volumes,
                   engine_callback *done, void *context)
{
    struct removal *removal = memory_new(sizeof(*removal));
    char rest[32];

    *removal = (struct removal){
        .engine = engine,
        .id = memory_copy_string(id),
        .deadline_ms = clock_ms() + ENGINE_REMOVE_MS,
        .done = done,
        .context = context,
    };
    list_init(&removal->node);
    timer_init(&removal->poll, on_poll);
    snprintf(rest, sizeof(rest), "?force=%d&v=%d", force, volumes);
    engine_call_start(engine, &(struct engine_call_options){
                                  .method = "DELETE",
                                  .path = engine_container_path(id, rest),
                                  .refused = "this is no container's id or name",
                                  .flags = CALL_GONE_IS_DONE,
                                  .timeout_ms = ENGINE_REMOVE_MS,
                                  .done = on_removed,
                                  .context = removal,
                              });
}

void engine_removals_close(struct engine *engine)
{
    static const struct engine_reply cancelled = {.error = -ECANCELED, .message = "cancelled"};

    while (!list_is_empty(&engine->removals)) {
        struct list *node = list_take_first(&engine->removals);
        removal_end(container_of(node, struct removal, node), &cancelled);
    }
}
