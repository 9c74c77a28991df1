#include "pull_progress.h"

#include "base/slice.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <string.h>

#define RATE_APART_MS  500u
#define RATE_SHARE     0.3 /* of the newest half second */
#define LEFT_AFTER_MS  1000u
#define LEFT_PERCENT   1.
#define DOWNLOAD_SHARE 0.75
#define BYTES_MAX      (1ull << 50) /* of a layer: their sum, and a rate, stay numbers */

static const struct {
    const char *status;
    enum pull_layer_state state;
} stages[] = {
    {"Pulling fs layer", LAYER_WAITING},     {"Waiting", LAYER_WAITING},
    {"Retrying in", LAYER_WAITING}, /* "… 5 seconds": the engine's own tries */
    {"Downloading", LAYER_DOWNLOADING},      {"Verifying Checksum", LAYER_DOWNLOADED},
    {"Download complete", LAYER_DOWNLOADED}, {"Extracting", LAYER_EXTRACTING},
    {"Pull complete", LAYER_DONE},           {"Already exists", LAYER_EXISTED},
};

/* Returns false for what is not said of a layer. */
static bool stage_of(const char *status, enum pull_layer_state *ret_state)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (strncmp(status, stages[i].status, strlen(stages[i].status)) == 0) {
            *ret_state = stages[i].state;
            return true;
        }
    }
    return false;
}

static struct pull_layer *layer_of(struct pull_progress *progress, const char *id)
{
    struct pull_layer *layer;

    for (unsigned i = 0; i < progress->layer_count; i++) {
        if (strncmp(progress->layers[i].id, id, sizeof(progress->layers[i].id) - 1) == 0)
            return &progress->layers[i];
    }
    if (progress->layer_count == PULL_LAYERS_MAX)
        return NULL;
    layer = &progress->layers[progress->layer_count++];
    (void)slice_copy_string(slice_from_string(id), layer->id, sizeof(layer->id));
    return layer;
}

static uint64_t amount(const cJSON *detail, const char *key)
{
    int64_t value = engine_json_integer(detail, key, 0);

    if (value <= 0)
        return 0;
    return (uint64_t)value < BYTES_MAX ? (uint64_t)value : BYTES_MAX;
}

static bool layer_note(struct pull_layer *layer, enum pull_layer_state state, const cJSON *object)
{
    const cJSON *detail = engine_json_get(object, "progressDetail");
    struct pull_layer before = *layer;
    uint64_t current = amount(detail, "current"), total = amount(detail, "total");

    layer->state = state;
    if (state == LAYER_DOWNLOADING) {
        layer->bytes = current;
        if (total >= current && total > 0)
            layer->total = total;
        else if (layer->total > 0 && layer->total < current)
            layer->total = current; /* more than was said: at least so much */
    } else if (state == LAYER_EXTRACTING) {
        layer->extracted = current;
        if (layer->total == 0 && total > 0) /* so small that its download was not told of */
            layer->total = total;
        layer->bytes = layer->total;
    } else if (state == LAYER_DOWNLOADED || state == LAYER_DONE) {
        layer->bytes = layer->total;
    }
    return before.state != layer->state || before.bytes != layer->bytes ||
           before.total != layer->total || before.extracted != layer->extracted;
}

static void rate_note(struct pull_progress *progress, uint64_t now_ms)
{
    uint64_t bytes = 0, elapsed_ms;
    double rate;

    if (progress->rate_ms == 0)
        progress->rate_ms = progress->began_ms;
    if (now_ms < progress->rate_ms + RATE_APART_MS)
        return;
    elapsed_ms = now_ms - progress->rate_ms;
    for (unsigned i = 0; i < progress->layer_count; i++)
        bytes += progress->layers[i].bytes;
    rate = bytes > progress->rate_bytes
               ? (double)(bytes - progress->rate_bytes) * 1000. / (double)elapsed_ms
               : 0.;
    progress->bytes_per_s = progress->bytes_per_s > 0.
                                ? progress->bytes_per_s * (1. - RATE_SHARE) + rate * RATE_SHARE
                                : rate;
    progress->rate_ms = now_ms;
    progress->rate_bytes = bytes;
}

static bool status_note(struct pull_progress *progress, const char *status)
{
    static const char digest[] = "Digest: ";
    char before[sizeof(progress->status)];

    memcpy(before, progress->status, sizeof(before));
    (void)slice_copy_string(slice_from_string(status), progress->status, sizeof(progress->status));
    if (strncmp(status, digest, sizeof(digest) - 1) == 0)
        (void)slice_copy_string(slice_from_string(status + sizeof(digest) - 1), progress->digest,
                                sizeof(progress->digest));
    return strcmp(before, progress->status) != 0;
}

bool pull_progress_note(struct pull_progress *progress, const cJSON *object, uint64_t now_ms)
{
    const char *status = engine_json_string(object, "status");
    const char *id = engine_json_string(object, "id");
    enum pull_layer_state state;
    struct pull_layer *layer;
    unsigned known;
    bool moved = false;

    if (status == NULL)
        return false;
    if (id == NULL || !stage_of(status, &state))
        return status_note(progress, status);
    known = progress->layer_count;
    layer = layer_of(progress, id);
    if (layer != NULL)
        moved = layer_note(layer, state, object) || progress->layer_count > known;
    if (strncmp(status, "Retrying", 8) == 0) /* it counts down */
        moved = status_note(progress, status) || moved;
    rate_note(progress, now_ms);
    return moved;
}

/* 0 to 1. */
static double share_of(const struct pull_layer *layer)
{
    double total = (double)layer->total;

    switch (layer->state) {
    case LAYER_WAITING:
        return 0.;
    case LAYER_DOWNLOADING:
        return layer->total > 0 ? DOWNLOAD_SHARE * (double)layer->bytes / total : 0.;
    case LAYER_DOWNLOADED:
        return DOWNLOAD_SHARE;
    case LAYER_EXTRACTING:
        return layer->total > 0 && layer->extracted <= layer->total
                   ? DOWNLOAD_SHARE + (1. - DOWNLOAD_SHARE) * (double)layer->extracted / total
                   : DOWNLOAD_SHARE;
    case LAYER_DONE:
    case LAYER_EXISTED:
        break;
    }
    return 1.;
}

/* By bytes; a layer whose size is not known yet counts as one of mean size. */
static double percent_of(const struct pull_progress *progress, double mean)
{
    double whole = 0., there = 0.;

    for (unsigned i = 0; i < progress->layer_count; i++) {
        const struct pull_layer *layer = &progress->layers[i];
        double weight = layer->total > 0 ? (double)layer->total : mean;

        if (layer->state == LAYER_EXISTED)
            continue;
        whole += weight;
        there += weight * share_of(layer);
    }
    if (whole > 0.)
        return 100. * there / whole;
    return progress->layer_count > 0 ? 100. : 0.;
}

struct pull_figures pull_progress_figures(const struct pull_progress *progress, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms > progress->began_ms ? now_ms - progress->began_ms : 0;
    struct pull_figures figures = {.layers = progress->layer_count, .left_ms = -1};
    unsigned sized = 0, wanted = 0;

    for (unsigned i = 0; i < progress->layer_count; i++) {
        const struct pull_layer *layer = &progress->layers[i];

        figures.layers_done += layer->state == LAYER_DONE || layer->state == LAYER_EXISTED;
        figures.bytes += layer->bytes;
        figures.bytes_total += layer->total;
        wanted += layer->state != LAYER_EXISTED;
        sized += layer->state != LAYER_EXISTED && layer->total > 0;
    }
    figures.total_is_known = sized == wanted && progress->layer_count > 0;
    figures.percent =
        percent_of(progress, sized > 0 ? (double)figures.bytes_total / (double)sized : 1.);
    figures.bytes_per_s = (uint64_t)progress->bytes_per_s;
    if (elapsed_ms >= LEFT_AFTER_MS && figures.percent >= LEFT_PERCENT)
        figures.left_ms =
            (int64_t)((double)elapsed_ms * (100. - figures.percent) / figures.percent);
    return figures;
}
