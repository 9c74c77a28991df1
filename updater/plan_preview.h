/* What a rollout is going to do, before it does anything: the planner itself is run in a world in
 * which everything goes well and at once. So what is shown is what is done, whatever the strategy:
 * nothing is described twice. Pure.
 *
 * Owner: whoever called plan_preview(); ended by plan_preview_done(). */
#ifndef UPDATER_PLAN_PREVIEW_H
#define UPDATER_PLAN_PREVIEW_H

#include "plan.h"

#include <stddef.h>

#define PLAN_PREVIEW_ROUNDS 4096u /* more is a plan that does not end; the longest has some 700 */

struct plan_preview_action {
    struct plan_action action; /* its `container` says nothing here */
    char name[128];            /* of the container; of a new one the name that it is to get */
    bool is_new;
    uint64_t after_ms;     /* from the start, by what the plan itself waits for */
    bool promotes;         /* not an action: an operator's `promote` is waited for here */
    enum plan_phase phase; /* in which it is done */
};

struct plan_preview {
    struct plan_preview_action *actions; /* in order */
    size_t count, room;
    uint64_t took_ms;
    unsigned beside_max; /* so many containers more than now are there at once, running */
    enum plan_outcome outcome;
    char stuck[PLAN_WHY_BYTES]; /* what it waits for where it does not end; empty: it ends */
};

/* `olds` as they run now; their ordinals are given in that order. `service`: what the first ones
 * are named after where there are none. */
void plan_preview(const struct plan_spec *spec, const char *service,
                  const struct plan_container *olds, unsigned old_count,
                  struct plan_preview *ret_preview);
void plan_preview_done(struct plan_preview *preview);

#endif
