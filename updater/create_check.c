#include "create_check.h"

#include "base/memory.h"
#include "container.h"
#include "engine.h"
#include "engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    struct create_check_request request;
    cJSON *inspect; /* the new one's */
};

static void finish(struct check *check, const struct engine_reply *failed, const char *difference)
{
    check->request.done(check->request.context, failed, difference);
    cJSON_Delete(check->inspect);
    free(check);
}

static void on_image(void *context, const struct engine_reply *reply)
{
    struct check *check = context;
    char *difference;

    if (reply->error) {
        finish(check, reply, NULL);
        return;
    }
    difference = container_difference(check->request.old_inspect, check->request.old_image,
                                      check->request.changes, check->inspect, reply->json);
    finish(check, NULL, difference);
    free(difference);
}

static void on_inspect(void *context, const struct engine_reply *reply)
{
    struct check *check = context;
    const char *image = engine_json_string(reply->json, "Image");

    if (reply->error) {
        finish(check, reply, NULL);
        return;
    }
    check->inspect = cJSON_Duplicate(reply->json, true);
    if (check->request.is_more)
        container_forget_anonymous_volumes(check->inspect);
    engine_image_inspect(check->request.engine, image ? image : "", on_image, check);
}

void create_check(const struct create_check_request *request)
{
    struct check *check = memory_new(sizeof(*check));

    check->request = *request;
    engine_inspect(request->engine, request->id, on_inspect, check);
}

void create_check_words(const char *difference, char *text, unsigned size)
{
    unsigned left = 0, length = 0;

    text[0] = '\0';
    for (const char *line = difference; *line != '\0';) {
        unsigned bytes = (unsigned)strcspn(line, "\n");

        if (left > 0 || length + bytes + sizeof("; and 999 more") > size)
            left++;
        else
            length += (unsigned)snprintf(text + length, size - length, "%s%.*s",
                                         length > 0 ? "; " : "", (int)bytes, line);
        line += bytes + (line[bytes] == '\n');
    }
    if (left > 0)
        snprintf(text + length, size - length, "%s%u more", length > 0 ? "; and " : "", left);
}
