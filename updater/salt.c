#include "salt.h"

#include "base/check.h"
#include "base/siphash.h"
#include "updater.h"

#include <sys/random.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t salt_of_rollout(const struct updater *updater, const char *rollout)
{
    return siphash(updater->table->draft.secret, slice_from_string(rollout));
}

uint64_t salt_of_options(const struct service *service, const char *options)
{
    cJSON *object = options ? cJSON_Parse(options) : NULL;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "salt");
    uint64_t salt = salt_of_rollout(service->updater, service_name(service));

    if (cJSON_IsString(item))
        salt = strtoull(item->valuestring, NULL, 16);
    cJSON_Delete(object);
    return salt;
}

char *salt_renew(const char *options)
{
    cJSON *object = options ? cJSON_Parse(options) : NULL;
    uint64_t salt;
    char text[20], *renewed;

    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        object = cJSON_CreateObject();
    }
    check(getrandom(&salt, sizeof(salt), 0) == (ssize_t)sizeof(salt));
    (void)snprintf(text, sizeof(text), "%016" PRIx64, salt);
    cJSON_DeleteItemFromObjectCaseSensitive(object, "salt");
    cJSON_AddStringToObject(object, "salt", text);
    renewed = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return renewed;
}
