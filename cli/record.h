/* A rollout as text: one row of a list, or all of its record. Pure: JSON in, lines out. */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include "text.h"

struct cJSON;

/* One step in words: "set weight 25%", "pause 30s", "pause until promoted". */
bool record_is_pause(const struct cJSON *step);
const char *record_step(const struct cJSON *step, char text[TEXT_BYTES]);
/* What a step's split came to over all workers. False: it has none. `ret_error` is the largest
 * |error| of one worker; negative where users were split and not exchanges, which has none. */
bool record_split(const struct cJSON *step, double *ret_exchanges, double *ret_canary,
                  double *ret_error);
/* That in words: "off by 0.75", "by user". */
const char *record_deviation(double error, char text[TEXT_BYTES]);
/* How long the step took, or has been taking; -1: it has not begun. */
double record_step_ms(const struct cJSON *step);
/* Style for a rollout's state: good, bad, or none. */
const char *record_style(const char *state);

/* The image from before; "nothing" where these are the first containers. */
const char *record_before(const struct cJSON *rollout);
/* How it ended, its steps with the split that was measured, its drains. */
void record_summary(const struct cJSON *rollout, struct lines *lines);
/* The summary, and who, when, why, containers, proofs and log. */
void record_full(const struct cJSON *rollout, struct lines *lines);
void record_list(const struct cJSON *rollouts, struct lines *lines);
/* Of "pass", "fail", "inconclusive". */
const char *record_verdict_style(const char *verdict);

#endif
