/* Every value of an inspect answer, one after the other, is replaced by what an engine may send in
 * its place: null, other types, empty ones. Nothing may crash, leak or read beyond (sanitizers). */
#include "base/slice.h"
#include "tests/unit/unit.h"
#include "updater/container.h"
#include "updater/container_changes.h"
#include "updater/engine_json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const substitutes[] = {
    "null", "7", "\"x\"", "\"/:\"", "{}", "[null]", "{\"a\":[{}]}",
};
#define SUBSTITUTES (sizeof(substitutes) / sizeof(substitutes[0]))

static cJSON *read_sample(const char *name)
{
    char path[512];
    static char text[65536];

    snprintf(path, sizeof(path), "%s/%s", SAMPLES, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof(text), file);
    fclose(file);
    cJSON *json = engine_json_parse((struct slice){text, length});
    assert_non_null(json);
    return json;
}

/* The value with that number in the order of the text; NULL past the last one. */
static cJSON *find_value(cJSON *item, size_t *number)
{
    for (; item != NULL; item = item->next) {
        if ((*number)-- == 0)
            return item;
        cJSON *found = item->child != NULL ? find_value(item->child, number) : NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* A copy with value `number` replaced; NULL past the last one. */
static cJSON *spoil(const cJSON *sample, size_t number, const char *substitute)
{
    cJSON *copy = cJSON_Duplicate(sample, true);
    cJSON *value = find_value(copy->child, &number);
    cJSON *other = engine_json_parse(slice_from_string(substitute));

    if (value == NULL) {
        cJSON_Delete(copy);
        cJSON_Delete(other);
        return NULL;
    }
    cJSON_Delete(value->child);
    cJSON_free(value->valuestring);
    value->type = other->type;
    value->child = other->child;
    value->valuestring = other->valuestring;
    value->valuedouble = other->valuedouble;
    other->child = NULL;
    other->valuestring = NULL;
    cJSON_Delete(other);
    return copy;
}

static void use(const cJSON *inspect, const cJSON *image, const cJSON *sample)
{
    cJSON *changes = cJSON_Parse("{\"env\":{\"A\":\"1\",\"B\":null},\"labels\":{\"a\":\"1\"},"
                                 "\"memory\":1,\"cpus\":1,\"command\":[\"c\"]}");
    static const char *const networks[] = {NULL, "engine-sample-front", ""};
    struct container_facts facts;
    struct address address;
    cJSON *create = NULL, *connects = NULL;
    char why[256] = "";

    if (container_facts_read(inspect, &facts) == 0) {
        assert_non_null(facts.name);
        container_facts_done(&facts);
    }
    for (size_t i = 0; i < 3; i++) {
        if (container_address(inspect, networks[i], 0, i == 2, &address, why) < 0)
            assert_true(why[0] != '\0' && strlen(why) < sizeof(why));
    }
    why[0] = '\0';
    if (container_recreate(inspect, image, "i", NULL, "1.41", &create, &connects, why) == 0) {
        char *text;

        container_changes_apply(create, changes);
        container_note_own(create, image);
        text = cJSON_PrintUnformatted(create);
        assert_non_null(text);
        assert_true(cJSON_IsObject(connects));
        cJSON_free(text);
    } else {
        assert_true(why[0] != '\0');
        assert_null(create);
    }
    cJSON_Delete(create);
    cJSON_Delete(connects);
    cJSON_Delete(container_changes_undo(inspect, image, changes));
    free(container_difference(inspect, image, changes, sample, image));
    cJSON_Delete(changes);
}

static void an_inspect_answer_may_hold_anything_anywhere(void **state)
{
    cJSON *sample = read_sample("inspect-rich.json");
    cJSON *image = read_sample("image.json");
    size_t number = 0, tried = 0;
    cJSON *spoilt;

    (void)state;
    for (size_t i = 0; i < SUBSTITUTES; i++) {
        for (number = 0; (spoilt = spoil(sample, number, substitutes[i])) != NULL; number++) {
            use(spoilt, image, sample);
            cJSON_Delete(spoilt);
            tried++;
        }
    }
    assert_true(number > 200);
    assert_true(tried == number * SUBSTITUTES);
    cJSON_Delete(sample);
    cJSON_Delete(image);
}

static void an_image_may_hold_anything_anywhere(void **state)
{
    cJSON *sample = read_sample("inspect-rich.json");
    cJSON *image = read_sample("image.json");
    size_t number = 0;
    cJSON *spoilt;

    (void)state;
    for (size_t i = 0; i < SUBSTITUTES; i++) {
        for (number = 0; (spoilt = spoil(image, number, substitutes[i])) != NULL; number++) {
            use(sample, spoilt, sample);
            cJSON_Delete(spoilt);
        }
    }
    assert_true(number > 80);
    cJSON_Delete(sample);
    cJSON_Delete(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inspect_answer_may_hold_anything_anywhere),
        cmocka_unit_test(an_image_may_hold_anything_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
