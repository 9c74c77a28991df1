#include "engine_json.h"

#include "base/memory.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* An integer that cJSON would not keep: the how-manieth number of the text it is, and its digits.
 */
struct big_number {
    size_t index;
    struct slice text;
};

struct big_numbers {
    struct big_number *items;
    size_t count, room;
};

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static bool is_big_integer(struct slice text)
{
    size_t digits = 0;

    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] >= '0' && text.data[i] <= '9')
            digits++;
        else if (i > 0 || text.data[i] != '-')
            return false; /* a fraction or an exponent: no integer field */
    }
    return digits > ENGINE_JSON_EXACT_DIGITS;
}

static void remember(struct big_numbers *numbers, size_t index, struct slice text)
{
    if (numbers->count == numbers->room) {
        numbers->room = numbers->room == 0 ? 8 : numbers->room * 2;
        numbers->items = memory_resize(numbers->items, numbers->room * sizeof(*numbers->items));
    }
    numbers->items[numbers->count++] = (struct big_number){index, text};
}

/* The text is one that cJSON has accepted, so a digit or minus outside a string begins a number. */
static void find_big_numbers(struct slice text, struct big_numbers *numbers)
{
    bool in_string = false;
    size_t index = 0;

    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            struct slice number = {text.data + i, 1};
            while (i + 1 < text.length && is_number_byte(text.data[i + 1])) {
                i++;
                number.length++;
            }
            if (is_big_integer(number))
                remember(numbers, index, number);
            index++;
        }
    }
}

/* The tree in the order of the text, which is the order of cJSON's lists. */
static cJSON *next_in_order(cJSON *item, cJSON **stack, size_t *depth)
{
    if (item->child != NULL) {
        stack[(*depth)++] = item;
        return item->child;
    }
    while (item->next == NULL && *depth > 0)
        item = stack[--*depth];
    return *depth == 0 ? NULL : item->next;
}

static void make_raw(cJSON *item, struct slice text)
{
    char *raw = cJSON_malloc(text.length + 1);

    if (raw == NULL)
        return;
    memcpy(raw, text.data, text.length);
    raw[text.length] = '\0';
    item->type = cJSON_Raw;
    item->valuestring = raw;
}

static void keep_big_numbers(cJSON *root, const struct big_numbers *numbers)
{
    cJSON *stack[CJSON_NESTING_LIMIT + 1];
    size_t depth = 0, index = 0, next = 0;

    for (cJSON *item = root; item != NULL && next < numbers->count;
         item = next_in_order(item, stack, &depth)) {
        if (!cJSON_IsNumber(item))
            continue;
        if (index == numbers->items[next].index)
            make_raw(item, numbers->items[next++].text);
        index++;
    }
}

cJSON *engine_json_parse(struct slice text)
{
    struct big_numbers numbers = {0};
    const char *end = NULL;

    if (text.length == 0)
        return NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text.data, text.length, &end, false);
    if (root == NULL)
        return NULL;
    for (; end < text.data + text.length; end++) {
        if (*end != ' ' && *end != '\t' && *end != '\r' && *end != '\n') {
            cJSON_Delete(root);
            return NULL;
        }
    }
    find_big_numbers(text, &numbers);
    keep_big_numbers(root, &numbers);
    free(numbers.items);
    return root;
}

const cJSON *engine_json_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const cJSON *engine_json_at(const cJSON *object, ...)
{
    va_list keys;
    const char *key;

    va_start(keys, object);
    while (object != NULL && (key = va_arg(keys, const char *)) != NULL)
        object = engine_json_get(object, key);
    va_end(keys);
    return object;
}

const char *engine_json_string(const cJSON *object, const char *key)
{
    const cJSON *item = engine_json_get(object, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

bool engine_json_true(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(engine_json_get(object, key));
}

int64_t engine_json_integer(const cJSON *object, const char *key, int64_t otherwise)
{
    const cJSON *item = engine_json_get(object, key);

    if (cJSON_IsRaw(item) && item->valuestring != NULL)
        return strtoll(item->valuestring, NULL, 10);
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) < 1e15))
        return otherwise;
    return (int64_t)item->valuedouble;
}

bool engine_json_is_empty(const cJSON *item)
{
    if (item == NULL || cJSON_IsNull(item) || cJSON_IsFalse(item) || cJSON_IsInvalid(item))
        return true;
    if (cJSON_IsString(item))
        return item->valuestring == NULL || item->valuestring[0] == '\0';
    if (cJSON_IsNumber(item))
        return item->valuedouble == 0;
    if (cJSON_IsObject(item))
        return item->child == NULL;
    if (cJSON_IsArray(item))
        return item->child == NULL || (item->child->next == NULL && cJSON_IsString(item->child) &&
                                       item->child->valuestring[0] == '\0');
    return false;
}
