/* What a rollout's progress gained after the first schema: JSON in one column, each key optional
 * when it is read, so that a further one needs no migration. */
#include "base/memory.h"
#include "journal_parts.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BITS_BYTES 40 /* two numbers of 64 bits in hexadecimal: more than a double can hold */

static void add_bits(cJSON *json, const char *key, const uint64_t bits[2])
{
    char text[BITS_BYTES];

    if ((bits[0] | bits[1]) == 0)
        return;
    snprintf(text, sizeof(text), "%" PRIx64 ":%" PRIx64, bits[1], bits[0]);
    cJSON_AddStringToObject(json, key, text);
}

static void read_bits(const cJSON *json, const char *key, uint64_t ret_bits[2])
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    uint64_t high, low;

    if (cJSON_IsString(item) &&
        sscanf(item->valuestring, "%" SCNx64 ":%" SCNx64, &high, &low) == 2) {
        ret_bits[0] = low;
        ret_bits[1] = high;
    }
}

char *journal_progress_write(const struct plan_progress *progress)
{
    cJSON *json = cJSON_CreateObject();
    char *printed, *text = NULL;

    add_bits(json, "failed", progress->failed);
    if (progress->failures > 0)
        cJSON_AddNumberToObject(json, "failures", progress->failures);
    if (progress->failure_pause)
        cJSON_AddTrueToObject(json, "failure_pause");
    if (progress->holding)
        cJSON_AddTrueToObject(json, "holding");
    if (json->child != NULL) {
        printed = cJSON_PrintUnformatted(json);
        text = memory_format("%s", printed != NULL ? printed : "");
        cJSON_free(printed);
    }
    cJSON_Delete(json);
    return text;
}

void journal_progress_read(const char *text, struct plan_progress *progress)
{
    cJSON *json = text != NULL ? cJSON_Parse(text) : NULL;
    const cJSON *failures = cJSON_GetObjectItemCaseSensitive(json, "failures");

    read_bits(json, "failed", progress->failed);
    if (cJSON_IsNumber(failures) && failures->valuedouble >= 0 &&
        failures->valuedouble <= UINT32_MAX)
        progress->failures = (uint32_t)failures->valuedouble;
    progress->failure_pause = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "failure_pause"));
    progress->holding = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "holding"));
    cJSON_Delete(json);
}
