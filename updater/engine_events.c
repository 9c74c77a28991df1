/* Following the engine's events. The engine keeps the last few hundred in memory and gives out
 * again those from `since` on, so a broken stream is taken up a little before its last event, and
 * what was given out already is known by its time, action and container. */
#include "base/clock.h"
#include "base/memory.h"
#include "engine_internal.h"
#include "engine_json.h"
#include "engine_objects.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENTS_REMEMBERED 1024u         /* the engine keeps 256; others may keep more */
#define OVERLAP_NS        1000000000ull /* events are numbered and given out in two steps */
/* Clocks of two machines differ; events from before are harmless, missed ones are not. */
#define SKEW_NS 30000000000ull

struct follower {
    struct list node;
    struct engine *engine;
    struct engine_event_handlers handlers;
    struct engine_objects objects;
    uint64_t since_ns;     /* wall clock of the engine */
    uint64_t connected_ms; /* clock_ms() of the last (re)connect */
    uint32_t back_off_ms;
    bool is_lost; /* on_lost was called and on_gap not yet again */
    struct timer retry;
    uint64_t seen[EVENTS_REMEMBERED]; /* hashes; 0: none */
    unsigned seen_next;
};

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t seed, const char *text)
{
    for (; *text != '\0'; text++)
        seed = (seed ^ (unsigned char)*text) * 0x100000001b3ull;
    return (seed ^ 0xff) * 0x100000001b3ull;
}

/* Returns whether the event was there before. */
static bool remember(struct follower *follower, uint64_t key)
{
    for (unsigned i = 0; i < EVENTS_REMEMBERED; i++) {
        if (follower->seen[i] == key)
            return true;
    }
    follower->seen[follower->seen_next] = key;
    follower->seen_next = (follower->seen_next + 1) % EVENTS_REMEMBERED;
    return false;
}

static uint64_t event_time_ns(const cJSON *event)
{
    int64_t time_ns = engine_json_integer(event, "timeNano", 0);
    int64_t time_s = engine_json_integer(event, "time", 0);

    if (time_ns > 0)
        return (uint64_t)time_ns;
    return time_s > 0 && time_s < INT64_MAX / 1000000000 ? (uint64_t)time_s * 1000000000u : 0;
}

static void on_object(void *context, const cJSON *event)
{
    struct follower *follower = context;
    const char *type = engine_json_string(event, "Type");
    const char *action = engine_json_string(event, "Action");
    const char *id = engine_json_string(engine_json_get(event, "Actor"), "ID");
    uint64_t time_ns = event_time_ns(event);
    char time_text[24];

    if (action == NULL)
        action = engine_json_string(event, "status");
    if (id == NULL)
        id = engine_json_string(event, "id");
    if (action == NULL || id == NULL || (type != NULL && strcmp(type, "container") != 0))
        return;
    snprintf(time_text, sizeof(time_text), "%" PRIu64, time_ns);
    uint64_t key = hash(hash(hash(0xcbf29ce484222325ull, time_text), action), id);
    if (remember(follower, key != 0 ? key : 1))
        return;
    if (time_ns > follower->since_ns)
        follower->since_ns = time_ns;
    follower->back_off_ms = ENGINE_BACKOFF_MIN_MS;
    if (strncmp(action, "exec_", 5) != 0) /* every HEALTHCHECK makes three of them */
        follower->handlers.on_event(follower->handlers.context, action, id, event);
}

static bool on_data(void *context, struct slice piece)
{
    struct follower *follower = context;

    engine_objects_feed(&follower->objects, piece, on_object, follower);
    return !follower->engine->closing;
}

static void on_flying(void *context)
{
    struct follower *follower = context;

    follower->connected_ms = clock_ms();
    follower->is_lost = false;
    follower->handlers.on_gap(follower->handlers.context);
}

static void on_broken(void *context, const struct engine_reply *reply)
{
    struct follower *follower = context;
    struct engine *engine = follower->engine;

    engine_objects_done(&follower->objects);
    if (engine->closing)
        return;
    engine_forget_version(engine);
    if (follower->connected_ms != 0 && clock_ms() - follower->connected_ms >= ENGINE_STEADY_MS)
        follower->back_off_ms = ENGINE_BACKOFF_MIN_MS;
    follower->connected_ms = 0;
    timer_start(engine->loop, &follower->retry, follower->back_off_ms);
    follower->back_off_ms = follower->back_off_ms * 2 < ENGINE_BACKOFF_MAX_MS
                                ? follower->back_off_ms * 2
                                : ENGINE_BACKOFF_MAX_MS;
    if (!follower->is_lost) {
        follower->is_lost = true;
        follower->handlers.on_lost(follower->handlers.context,
                                   reply->error != 0 ? reply->message
                                                     : "the engine ended the stream of events");
    }
}

static void follow(struct follower *follower)
{
    static const char *const types[] = {"container", NULL};
    char *filters = engine_filters("type", types);
    uint64_t since_ns = follower->since_ns > OVERLAP_NS ? follower->since_ns - OVERLAP_NS : 0;

    engine_call_start(
        follower->engine,
        &(struct engine_call_options){
            .method = "GET",
            .path = memory_format("/events?since=%" PRIu64 ".%09" PRIu64 "&filters=%s",
                                  since_ns / 1000000000u, since_ns % 1000000000u, filters),
            .on_flying = on_flying,
            .on_data = on_data,
            .done = on_broken,
            .context = follower,
        });
    free(filters);
}

static void on_retry(struct timer *timer)
{
    follow(container_of(timer, struct follower, retry));
}

void engine_follow(struct engine *engine, const struct engine_event_handlers *handlers)
{
    struct follower *follower = memory_new(sizeof(*follower));
    uint64_t now_ns = clock_wall_ms() * 1000000u;

    follower->engine = engine;
    follower->handlers = *handlers;
    follower->back_off_ms = ENGINE_BACKOFF_MIN_MS;
    follower->since_ns = engine->place.unix_socket != NULL ? now_ns + OVERLAP_NS : now_ns - SKEW_NS;
    timer_init(&follower->retry, on_retry);
    list_append(&engine->followers, &follower->node);
    timer_start(engine->loop, &follower->retry, 0);
}

void engine_followers_close(struct engine *engine)
{
    while (!list_is_empty(&engine->followers)) {
        struct list *node = list_take_first(&engine->followers);
        struct follower *follower = container_of(node, struct follower, node);
        timer_stop(engine->loop, &follower->retry);
        engine_objects_done(&follower->objects);
        free(follower);
    }
}
