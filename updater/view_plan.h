/* What the admin API shows of a dry run: what runs, what would be done, and every check. The caller
 * owns what is returned. */
#ifndef UPDATER_VIEW_PLAN_H
#define UPDATER_VIEW_PLAN_H

#include "preflight_parts.h"

struct cJSON;

struct cJSON *view_plan(const struct preflight_facts *facts,
                        const struct preflight_results *results);

#endif
