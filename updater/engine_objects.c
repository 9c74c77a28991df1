#include "engine_objects.h"

#include "base/memory.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static void keep(struct engine_objects *objects, char c)
{
    if (objects->too_long)
        return;
    if (objects->length == ENGINE_OBJECT_BYTES_MAX) {
        objects->too_long = true;
        return;
    }
    if (objects->length == objects->room) {
        objects->room = objects->room == 0 ? 1024 : objects->room * 2;
        objects->data = memory_resize(objects->data, objects->room);
    }
    objects->data[objects->length++] = c;
}

/* Takes in one byte of an object. Returns whether it was the last one. */
static bool take(struct engine_objects *objects, char c)
{
    keep(objects, c);
    if (objects->in_string) {
        if (objects->escaped)
            objects->escaped = false;
        else if (c == '\\')
            objects->escaped = true;
        else if (c == '"')
            objects->in_string = false;
        return false;
    }
    if (c == '"')
        objects->in_string = true;
    else if (c == '{' || c == '[')
        objects->depth++;
    else if (c == '}' || c == ']')
        objects->depth--;
    return objects->depth == 0;
}

static void between(struct engine_objects *objects, char c)
{
    bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';

    if (!is_space && !objects->in_garbage)
        objects->dropped++;
    objects->in_garbage = !is_space;
}

static void give_out(struct engine_objects *objects,
                     void (*on_object)(void *context, const struct cJSON *object), void *context)
{
    cJSON *object = NULL;

    if (!objects->too_long)
        object = engine_json_parse((struct slice){objects->data, objects->length});
    objects->length = 0;
    objects->too_long = false;
    if (object == NULL) {
        objects->dropped++;
        return;
    }
    objects->seen++;
    on_object(context, object);
    cJSON_Delete(object);
}

void engine_objects_feed(struct engine_objects *objects, struct slice piece,
                         void (*on_object)(void *context, const struct cJSON *object),
                         void *context)
{
    for (size_t i = 0; i < piece.length; i++) {
        char c = piece.data[i];
        if (objects->depth == 0 && c != '{') {
            between(objects, c);
            continue;
        }
        objects->in_garbage = false;
        if (take(objects, c))
            give_out(objects, on_object, context);
    }
}

bool engine_objects_is_whole(const struct engine_objects *objects)
{
    return objects->depth == 0;
}

void engine_objects_done(struct engine_objects *objects)
{
    free(objects->data);
    *objects = (struct engine_objects){0};
}
