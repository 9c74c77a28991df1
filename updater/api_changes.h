/* Changes on purpose as the admin API takes them: "changes" of a rollout's request. */
#ifndef UPDATER_API_CHANGES_H
#define UPDATER_API_CHANGES_H

struct cJSON;
struct service;

#define API_CHANGES_WHY_BYTES 256u

/* Returns 0 with a copy in the form of container_changes.h (memory in bytes), or -EINVAL with
 * `why`. The caller frees it. */
int api_changes_read(const struct service *service, const struct cJSON *wanted,
                     struct cJSON **ret_changes, char why[API_CHANGES_WHY_BYTES])
    __attribute__((warn_unused_result));

#endif
