/* Changes on purpose and the rollouts that made them: kept in the journal with what takes them
 * back, so that the configuration of an earlier version can be had again. */
#ifndef UPDATER_CHANGES_H
#define UPDATER_CHANGES_H

#include <stdbool.h>

struct cJSON;
struct journal;
struct journal_rollout;

/* Journals a new rollout with its changes (container_changes.h) at once. NULL: none. 0 or -errno
 * of the journal, as journal_rollout_add(). */
int changes_rollout_add(struct journal *journal, const struct journal_rollout *rollout,
                        const struct cJSON *changes, const struct cJSON *undo)
    __attribute__((warn_unused_result));

/* Those of a rollout; NULL where it made none. The caller frees them. */
int changes_load(struct journal *journal, const char *rollout, struct cJSON **ret_changes)
    __attribute__((warn_unused_result));

/* What makes the service's containers, as they are now, what they were when `rollout` had completed
 * (`before`: when it began): the changes of all that completed since, taken back. NULL where
 * nothing was changed. Returns 0 or -errno; -ENOENT: no such rollout in the service's history. For
 * `sluice rollback`. The caller frees them. */
int changes_back_to(struct journal *journal, const char *service, const char *rollout, bool before,
                    struct cJSON **ret_changes) __attribute__((warn_unused_result));

#endif
