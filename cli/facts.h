/* What there is to tell about a rollout that is followed: each fact once, in words. It is taken
 * from the rollout as it stands, so that an event that was missed, or that came twice, changes
 * nothing. Pure: JSON in, lines out.
 *
 * Owner: whoever embeds it; ended by facts_done(). */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include "text.h"

struct cJSON;

struct facts {
    struct lines told;    /* keys of what was said */
    struct cJSON *health; /* {"web-1": "healthy"}: as last said */
    char state[32];
    char waiting[256]; /* without its digits: a countdown is no news */
    double weight;     /* as last said */
    bool begun;
};

void facts_init(struct facts *facts);
void facts_done(struct facts *facts);

/* Appends what is new in the rollout as it stands now. */
void facts_rollout(struct facts *facts, const struct cJSON *rollout, struct lines *lines);
/* The same of any other event (service, backend_health, drain_*, container_*). */
void facts_event(struct facts *facts, const char *event, const struct cJSON *data,
                 struct lines *lines);

/* Whether a rollout in this state has ended. */
bool facts_is_end(const char *state);

#endif
