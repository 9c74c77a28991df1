/* Cuts a stream of JSON objects (pull, events) into objects, wherever the pieces end: in mid-line,
 * in mid-string, between the bytes of one character. Pure.
 *
 * Owner: who follows the stream. Life: one stream; engine_objects_done() frees the buffer. */
#ifndef UPDATER_ENGINE_OBJECTS_H
#define UPDATER_ENGINE_OBJECTS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

/* A progress line has some hundred bytes, an event with many labels some thousand; more than this
 * is a fault of the engine and is skipped, not gathered. */
#define ENGINE_OBJECT_BYTES_MAX ((size_t)1024 * 1024)

struct engine_objects { /* zeroed before first use */
    char *data;
    size_t length, room;
    uint32_t depth; /* open braces and brackets; 0: between objects */
    bool in_string, escaped, too_long;
    uint64_t seen;    /* objects given out */
    uint64_t dropped; /* objects that were too long or no JSON, and runs of bytes between objects */
    bool in_garbage;
};

/* Calls `on_object` with each object that is complete with this piece; the object is freed after.
 */
void engine_objects_feed(struct engine_objects *objects, struct slice piece,
                         void (*on_object)(void *context, const struct cJSON *object),
                         void *context);
/* Whether the stream may end here: not within an object. */
bool engine_objects_is_whole(const struct engine_objects *objects);
void engine_objects_done(struct engine_objects *objects);

#endif
