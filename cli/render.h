/* What `sluice watch` shows, as lines. Pure: JSON in, lines out; whoever draws cuts them to the
 * screen's width. */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include "text.h"

struct cJSON;

struct picture { /* all borrowed */
    const struct cJSON *service;
    const struct cJSON *before;  /* the same service a while ago, for rates; NULL: no rates */
    double elapsed_ms;           /* between the two */
    const struct cJSON *rollout; /* in progress or just ended; NULL: none */
};

/* Why a backend gets no exchanges, for people; empty: it does, or nothing is said. `healthy` says
 * whether its reason is left out. */
const char *render_note(const struct cJSON *backend, bool healthy, char text[TEXT_BYTES]);

void render_service(const struct picture *picture, size_t columns, struct lines *lines);

#endif
