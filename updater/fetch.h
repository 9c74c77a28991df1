/* Getting the image of a rollout onto the engine, before anything is changed: who we are to the
 * registry, the pull with its progress, tries with back-off, and proof at the end that what is
 * there is what was wanted.
 *
 * Tried again where the network, the registry or the engine fails, or nothing moves for so long
 * that it is a stall; never where the answer is no: no such image, not allowed, too often, disk
 * full.
 *
 * Owner: whoever started it, until the callback runs, which is exactly once and never before
 * fetch_start() returns. Nothing of it survives the process: a pull that is cut off is asked for
 * again, and the engine keeps the layers that it has. */
#ifndef UPDATER_FETCH_H
#define UPDATER_FETCH_H

#include "service.h"

#include <stddef.h>

struct cJSON;
struct fetch;

#define FETCH_ATTEMPTS       5u
#define FETCH_BACKOFF_MS     1000u /* before the second try; doubled each time */
#define FETCH_WORDS_BYTES    512u
#define FETCH_EVENT_APART_MS 500u

struct fetch_end { /* valid during the callback */
    int error;     /* 0; -ECANCELED: aborted; -EACCES, -ENOENT, -EDQUOT, -ENOSPC, -EHOSTUNREACH as
                      of engine_pull(); else what failed last */
    const char *message;       /* for people, where error != 0 */
    const struct cJSON *image; /* its inspect */
    const char *image_id;
    const char *digest;  /* "name@sha256:…" of the repository asked for; NULL: it has none */
    const char *summary; /* "web:v2 pulled: 3 layers, 12.1 MiB in 4s" */
};
typedef void fetch_callback(void *context, const struct fetch_end *end);

struct fetch *fetch_start(struct service *service, const char *image, fetch_callback *done,
                          void *context);
/* The callback gets -ECANCELED, mostly before this returns. */
void fetch_abort(struct fetch *fetch);

/* "pull" of docs/admin-api.md. The caller owns it. */
struct cJSON *fetch_view(const struct fetch *fetch);
/* "pulling web:v2: 2 of 5 layers, 12.1 of 80.0 MiB, 15 %, 21s left" */
void fetch_words(const struct fetch *fetch, char *words, size_t size);

#endif
