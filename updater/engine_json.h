/* JSON as the engine speaks it. cJSON keeps numbers as doubles and writes some large ones with an
 * exponent, which the engine's integer fields refuse; here integers of 16 digits and more are kept
 * as they were written (cJSON_Raw), so that what goes through unchanged is unchanged.
 *
 * Also readers that take whatever the engine sends: a missing key, null or another type is never
 * an error here, it is "not there". Pure. */
#ifndef UPDATER_ENGINE_JSON_H
#define UPDATER_ENGINE_JSON_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct cJSON;

#define ENGINE_JSON_EXACT_DIGITS 15u /* integers of up to so many are exact in cJSON, both ways */

/* The caller frees the tree by cJSON_Delete(). NULL: no JSON, or more follows it than white space.
 */
struct cJSON *engine_json_parse(struct slice text) __attribute__((warn_unused_result));

/* Readers. `object` may be NULL and of any type. */
const struct cJSON *engine_json_get(const struct cJSON *object, const char *key);
/* By a path of keys: engine_json_at(inspect, "State", "Health", "Status", NULL). */
const struct cJSON *engine_json_at(const struct cJSON *object, ...) __attribute__((sentinel));
const char *engine_json_string(const struct cJSON *object, const char *key); /* NULL: not there */
bool engine_json_true(const struct cJSON *object, const char *key);
int64_t engine_json_integer(const struct cJSON *object, const char *key, int64_t otherwise);
/* Whether it says nothing: not there, null, "", 0, false, [], {}, [""] (an entrypoint taken away).
 */
bool engine_json_is_empty(const struct cJSON *item);

#endif
