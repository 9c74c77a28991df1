/* A rollout's record as a report that people read: Markdown (CommonMark with GitHub's tables).
 * Pure: the JSON of docs/admin-api.md in, text out. */
#ifndef UPDATER_REPORT_H
#define UPDATER_REPORT_H

struct cJSON;

/* The caller frees it. Text that came from elsewhere is escaped: it makes no markup of its own. */
char *report_markdown(const struct cJSON *rollout)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
