/* The window on a new version's requests: what both groups did since it was opened, from the
 * scoreboard, backend by backend. The planner judges it (plan_analysis.c).
 *
 * A backend's figures are those of its slot and generation, over every worker's row. They outlive a
 * worker. One that joins later brings all that it has; one that leaves takes along what it had.
 * After a restart of the updater another window begins: a verdict comes later, and is no worse.
 *
 * Owner: its rollout. Life: the rollout's. */
#ifndef UPDATER_WINDOW_H
#define UPDATER_WINDOW_H

struct plan;
struct plan_observed;
struct rollout;
struct window;

struct window *window_new(void);
void window_free(struct window *window); /* NULL is fine */

/* Opens another one where the step or its rules are others, takes the look that is due, and fills
 * in observed->window. progress, spec, weight and now_ms of `observed` are read. */
void window_observe(struct window *window, struct rollout *rollout, struct plan_observed *observed);

/* What the plan says of it is recorded with the step, and told. */
void window_judged(struct window *window, struct rollout *rollout,
                   const struct plan_observed *observed, const struct plan *plan);

#endif
