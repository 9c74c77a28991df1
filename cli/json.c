#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX 64

const struct cJSON *json_get(const struct cJSON *object, const char *path)
{
    while (object != NULL) {
        char key[KEY_BYTES_MAX];
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = cJSON_GetObjectItemCaseSensitive(object, key);
        if (path[length] == '\0')
            break;
        path += length + 1;
    }
    return object;
}

const char *json_text(const struct cJSON *object, const char *path)
{
    const char *text = cJSON_GetStringValue(json_get(object, path));
    return text != NULL ? text : "";
}

double json_number_or(const struct cJSON *object, const char *path, double otherwise)
{
    const struct cJSON *value = json_get(object, path);
    return cJSON_IsNumber(value) ? value->valuedouble : otherwise;
}

double json_number(const struct cJSON *object, const char *path)
{
    return json_number_or(object, path, 0);
}

bool json_true(const struct cJSON *object, const char *path)
{
    return cJSON_IsTrue(json_get(object, path)) != 0;
}

void json_print(const struct cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    puts(text != NULL ? text : "null");
    fflush(stdout);
    free(text);
}
