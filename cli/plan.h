/* What a dry run says, for people. Pure: JSON in, lines out. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "text.h"

#include <stdbool.h>

struct cJSON;

/* The plan as the admin API answers it (docs/admin-api.md). */
void plan_lines(const struct cJSON *plan, struct lines *lines);
/* Whether the rollout itself would be refused. */
bool plan_is_refused(const struct cJSON *plan);
/* The checks that do not say ok, each a line: of a plan, a rollout or a refusal. */
void plan_check_lines(const struct cJSON *checks, bool with_good, struct lines *lines);

#endif
