#include "notify_text.h"

#include "base/memory.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum config_severity notify_severity(const char *event)
{
    if (strcmp(event, "rollout_needs_attention") == 0 || strcmp(event, "rollout_rolled_back") == 0)
        return SEVERITY_ERROR;
    if (strcmp(event, "rollout_paused") == 0 || strcmp(event, "rollout_aborted") == 0 ||
        strcmp(event, "rollout_not_as_promised") == 0)
        return SEVERITY_WARNING;
    return SEVERITY_INFO;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsString(item) ? item->valuestring : "";
}

/* "web:v1 → web:v2", "scale of web:v1" or "first deployment of web:v1"; the caller frees it. */
static char *subject_of(const cJSON *rollout)
{
    const char *strategy = text_of(rollout, "strategy"), *image = text_of(rollout, "image");

    if (strcmp(strategy, "scale") == 0)
        return memory_format("scale of %s", image);
    if (strcmp(strategy, "first") == 0)
        return memory_format("first deployment of %s", image);
    return memory_format("%s → %s", text_of(rollout, "previous_image"), image);
}

/* "started", "took a step", "rolled back"; the caller frees it. */
static char *words_of(const char *event)
{
    const char *tail = strchr(event, '_');
    char *words;

    if (strcmp(event, "rollout_updated") == 0)
        return memory_copy_string("started");
    if (strcmp(event, "rollout_step_completed") == 0)
        return memory_copy_string("took a step");
    words = memory_copy_string(tail != NULL ? tail + 1 : event);
    for (char *at = words; *at != '\0'; at++)
        if (*at == '_')
            *at = ' ';
    return words;
}

/* "web: web:v1 → web:v2 rolled back: web-1 is unhealthy (20261123-051500-4f2a, asked for by ada)"
 */
static char *news_of(const cJSON *rollout, const char *event)
{
    bool is_paused = strcmp(event, "rollout_paused") == 0;
    const char *why = text_of(rollout, is_paused ? "waiting" : "why");
    char *subject = subject_of(rollout), *words = words_of(event);
    char *text = memory_format("%s: %s %s%s%s (%s, asked for by %s)", text_of(rollout, "service"),
                               subject, words, why[0] != '\0' ? ": " : "", why,
                               text_of(rollout, "id"), text_of(rollout, "user"));

    free(subject);
    free(words);
    return text;
}

static char *finding_of(const cJSON *rollout, const cJSON *payload)
{
    return memory_format("%s: after the end it was not so that %s: %s (%s)",
                         text_of(rollout, "service"), text_of(payload, "check"),
                         text_of(payload, "found"), text_of(rollout, "id"));
}

void notify_add_text(cJSON *payload)
{
    const cJSON *rollout = cJSON_GetObjectItemCaseSensitive(payload, "rollout");
    const char *event = text_of(payload, "event");
    char *text = strcmp(event, "rollout_not_as_promised") == 0 ? finding_of(rollout, payload)
                                                               : news_of(rollout, event);

    cJSON_AddStringToObject(payload, "text", text);
    free(text);
}

static char *slack_escape(const char *text)
{
    char *escaped = memory_new(strlen(text) * 5 + 1);
    char *to = escaped;

    for (; *text != '\0'; text++) {
        const char *with = *text == '&'   ? "&amp;"
                           : *text == '<' ? "&lt;"
                           : *text == '>' ? "&gt;"
                                          : NULL;

        if (with != NULL)
            to = stpcpy(to, with);
        else
            *to++ = *text;
    }
    return escaped;
}

char *notify_body(const cJSON *payload, enum config_notify_format format)
{
    cJSON *slack = NULL;
    char *printed, *copy;

    if (format == NOTIFY_SLACK) {
        char *escaped = slack_escape(text_of(payload, "text"));

        slack = cJSON_CreateObject();
        cJSON_AddStringToObject(slack, "text", escaped);
        free(escaped);
    }
    printed = cJSON_PrintUnformatted(slack != NULL ? slack : payload);
    copy = memory_format("%s", printed != NULL ? printed : "{}");
    cJSON_free(printed);
    cJSON_Delete(slack);
    return copy;
}
