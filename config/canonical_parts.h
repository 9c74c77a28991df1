/* What the files that write the canonical form share: a value into an object or array. Out of
 * memory ends the process: the supervisor tries again. */
#ifndef CONFIG_CANONICAL_PARTS_H
#define CONFIG_CANONICAL_PARTS_H

#include "config.h"

struct cJSON;

struct cJSON *must(struct cJSON *item);
void put(struct cJSON *object, const char *key, struct cJSON *value);
void append(struct cJSON *array, struct cJSON *value);
void put_text(struct cJSON *object, const char *key, const char *text); /* NULL: left out */
void put_number(struct cJSON *object, const char *key, uint32_t number);
void put_duration(struct cJSON *object, const char *key, uint32_t ms);

struct cJSON *presets_to_json(const struct config *config);
struct cJSON *rollout_to_json(const struct config_rollout *rollout);

#endif
