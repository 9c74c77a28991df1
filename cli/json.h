/* Reading the admin API's JSON: a missing value has a harmless stand-in, so that an older or newer
 * daemon still gives a readable picture. Pure. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* The member, or NULL. `path` may go deeper: "latency_us.p99". */
const struct cJSON *json_get(const struct cJSON *object, const char *path);
const char *json_text(const struct cJSON *object, const char *path); /* "" where there is none */
double json_number(const struct cJSON *object, const char *path);    /* 0 */
double json_number_or(const struct cJSON *object, const char *path, double otherwise);
bool json_true(const struct cJSON *object, const char *path);
/* Prints it as one line to stdout. */
void json_print(const struct cJSON *value);

#endif
