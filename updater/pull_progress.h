/* How far a pull is, from the objects of the engine's stream. Pure: time is the caller's.
 *
 * The engine tells of layers one by one: that there is one, its bytes as they come, that it is
 * extracted. A layer's size is known once its first bytes have come. */
#ifndef UPDATER_PULL_PROGRESS_H
#define UPDATER_PULL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

#define PULL_LAYERS_MAX   256u /* an image has 127 at most; more are not followed */
#define PULL_DIGEST_BYTES 80u

enum pull_layer_state {
    LAYER_WAITING,
    LAYER_DOWNLOADING,
    LAYER_DOWNLOADED, /* being checked, or waiting for those below it */
    LAYER_EXTRACTING,
    LAYER_DONE,
    LAYER_EXISTED, /* nothing of it was to be pulled */
};

struct pull_layer {
    char id[16];
    enum pull_layer_state state;
    uint64_t bytes, total, extracted; /* total 0: not known yet */
};

struct pull_progress { /* zeroed before first use, but for began_ms */
    uint64_t began_ms;
    char digest[PULL_DIGEST_BYTES]; /* "sha256:…" that the engine resolved the name to; or empty */
    char status[96];                /* the last object's that was of no layer */
    uint64_t rate_ms, rate_bytes;   /* where the rate was last taken */
    double bytes_per_s;
    unsigned layer_count;
    struct pull_layer layers[PULL_LAYERS_MAX];
};

struct pull_figures {
    unsigned layers, layers_done;
    uint64_t bytes, bytes_total;
    bool total_is_known; /* of every layer */
    double percent;      /* 0 to 100: three quarters for the download, one for the extraction */
    uint64_t bytes_per_s;
    int64_t left_ms; /* -1: too early to say */
};

/* Takes in one object. Returns whether anything has moved: one that says again what was said is no
 * progress. */
bool pull_progress_note(struct pull_progress *progress, const struct cJSON *object,
                        uint64_t now_ms);

struct pull_figures pull_progress_figures(const struct pull_progress *progress, uint64_t now_ms);

#endif
