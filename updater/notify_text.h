/* What a notification says. Pure. */
#ifndef UPDATER_NOTIFY_TEXT_H
#define UPDATER_NOTIFY_TEXT_H

#include "config/task.h"

struct cJSON;

enum config_severity notify_severity(const char *event);
/* Adds "text", one line for people, from the payload's event and rollout. */
void notify_add_text(struct cJSON *payload);
/* The body in this format; the caller frees it. Slack's is {"text": …} with its three characters
 * escaped (api.slack.com, "Formatting text for app surfaces"). */
char *notify_body(const struct cJSON *payload, enum config_notify_format format)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
