/* Rise and fall: from the results of checks to a verdict. Pure: no clock, no I/O.
 *
 * - `retries` failures in a row make a healthy backend unhealthy; `successes` in a row bring an
 *   unhealthy one back.
 * - A backend that has never been judged is healthy at its first success. Until then it is
 *   STARTING, and it is checked at a quicker pace than `interval`, so that a rollout does not wait
 *   for nothing. Of its failures none counts within the start period, and after that at most one
 *   per `interval` does: the quick pace makes nobody unhealthy sooner than configured. */
#ifndef HEALTH_JUDGE_H
#define HEALTH_JUDGE_H

#include "board/verdicts.h"

#include <stdbool.h>
#include <stdint.h>

#define JUDGE_QUICK_MS 250u /* between checks of a backend that never was healthy */

struct judge_settings {
    uint32_t retries, successes; /* at least 1 each; 0 is taken as 1 */
    uint32_t interval_ms;
    uint64_t start_end_ms; /* when the start period ends */
};

struct judgement {
    enum verdict_state state;
    uint32_t failures;   /* in a row, those that count */
    uint32_t successes;  /* in a row */
    uint64_t counted_ms; /* when a failure last counted; 0: never */
};

/* Takes one result, which came at `now_ms`, into account. */
void judge_result(struct judgement *judgement, const struct judge_settings *settings, bool passed,
                  uint64_t now_ms);

/* From the start of one check to the start of the next. */
uint32_t judge_pace_ms(const struct judgement *judgement, const struct judge_settings *settings);

#endif
