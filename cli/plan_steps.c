#include "plan_steps.h"

#include "config/config.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Between two steps there is one pause; an interval of 0 means none. */
static void add_pause(struct cJSON *steps, const char *interval, uint32_t pause_ms)
{
    if (cJSON_GetArraySize(steps) == 0 || pause_ms == 0)
        return;
    struct cJSON *step = cJSON_CreateObject();
    cJSON_AddStringToObject(step, "pause", interval);
    cJSON_AddItemToArray(steps, step);
}

static int read_weights(const char *weights, const char *interval, uint32_t pause_ms,
                        struct cJSON *steps, char why[PLAN_STEPS_WHY_BYTES])
{
    uint32_t weight = 0, before = 0;
    for (const char *at = weights; *at != '\0';) {
        char text[16];
        size_t length = strcspn(at, ",");
        snprintf(text, sizeof text, "%.*s", (int)length, at);
        if (length >= sizeof text || config_parse_weight(text, &weight) < 0 || weight <= before) {
            snprintf(why, PLAN_STEPS_WHY_BYTES,
                     "--steps '%.60s': '%.15s' is no weight that goes on from the one before; give "
                     "rising per cent that end at 100, like " PLAN_STEPS_DEFAULT,
                     weights, text);
            return -EINVAL;
        }
        add_pause(steps, interval, pause_ms);
        struct cJSON *step = cJSON_CreateObject();
        cJSON_AddNumberToObject(step, "set_weight", weight / (WEIGHT_MAX / 100.));
        cJSON_AddItemToArray(steps, step);
        before = weight;
        at += length;
        /* A comma at the end leaves an empty weight, which is none. */
        if (*at == ',' && *++at == '\0')
            before = 0;
    }
    if (before == WEIGHT_MAX && cJSON_GetArraySize(steps) <= CONFIG_STEPS_MAX)
        return 0;
    if (before == WEIGHT_MAX)
        snprintf(why, PLAN_STEPS_WHY_BYTES, "--steps '%.60s': at most %d steps, pauses counted",
                 weights, CONFIG_STEPS_MAX);
    else
        snprintf(why, PLAN_STEPS_WHY_BYTES,
                 "--steps '%.60s' must end at 100, like " PLAN_STEPS_DEFAULT, weights);
    return -EINVAL;
}

int plan_steps(const char *weights, const char *interval, struct cJSON **ret_steps,
               char why[PLAN_STEPS_WHY_BYTES])
{
    uint32_t pause_ms = 0;
    if (weights == NULL)
        weights = PLAN_STEPS_DEFAULT;
    if (interval == NULL)
        interval = PLAN_INTERVAL_DEFAULT;
    if (config_parse_duration(interval, &pause_ms) < 0) {
        snprintf(why, PLAN_STEPS_WHY_BYTES,
                 "--interval '%.60s' is no duration; write 500ms, 30s, 5m or 1h", interval);
        return -EINVAL;
    }
    struct cJSON *steps = cJSON_CreateArray();
    int error = read_weights(weights, interval, pause_ms, steps, why);
    if (error < 0) {
        cJSON_Delete(steps);
        return error;
    }
    *ret_steps = steps;
    return 0;
}
