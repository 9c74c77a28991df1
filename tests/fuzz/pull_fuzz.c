/* The stream of a pull: cut anywhere it holds the same objects, and whatever they say, the progress
 * that is shown is one. */
#include "base/check.h"
#include "updater/engine_objects.h"
#include "updater/pull_progress.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFIX_BYTES 2 /* the size of the pieces, and how far apart the objects come */

struct reading {
    struct engine_objects objects;
    struct pull_progress progress;
    uint64_t now_ms, apart_ms;
};

static void on_object(void *context, const cJSON *object)
{
    struct reading *reading = context;

    reading->now_ms += reading->apart_ms;
    (void)pull_progress_note(&reading->progress, object, reading->now_ms);
    struct pull_figures figures = pull_progress_figures(&reading->progress, reading->now_ms);
    check(figures.percent >= 0. && figures.percent <= 100.);
    check(figures.left_ms >= -1);
    check(figures.layers <= PULL_LAYERS_MAX && figures.layers_done <= figures.layers);
    check(memchr(reading->progress.status, '\0', sizeof(reading->progress.status)) != NULL);
    check(memchr(reading->progress.digest, '\0', sizeof(reading->progress.digest)) != NULL);
}

static void read_all(struct reading *reading, struct slice bytes, size_t step)
{
    for (size_t i = 0; i < bytes.length; i += step) {
        size_t length = bytes.length - i < step ? bytes.length - i : step;
        engine_objects_feed(&reading->objects, (struct slice){bytes.data + i, length}, on_object,
                            reading);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PREFIX_BYTES)
        return 0;
    struct slice bytes = {(const char *)data + PREFIX_BYTES, size - PREFIX_BYTES};
    struct reading *whole = calloc(1, sizeof(*whole)), *pieces = calloc(1, sizeof(*pieces));

    check(whole != NULL && pieces != NULL);
    whole->apart_ms = pieces->apart_ms = data[1] * 4u;
    read_all(whole, bytes, bytes.length + 1);
    read_all(pieces, bytes, 1 + data[0] % 64);
    check(whole->objects.seen == pieces->objects.seen);
    check(whole->objects.dropped == pieces->objects.dropped);
    check(engine_objects_is_whole(&whole->objects) == engine_objects_is_whole(&pieces->objects));
    check(memcmp(&whole->progress, &pieces->progress, sizeof(whole->progress)) == 0);
    engine_objects_done(&whole->objects);
    engine_objects_done(&pieces->objects);
    free(whole);
    free(pieces);
    return 0;
}
