#include "reader.h"

#include "base/check.h"
#include "base/memory.h"
#include "value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(sizeof(enum config_balance) == sizeof(uint32_t), "enums are read as uint32_t");

static void *at(void *target, size_t offset)
{
    return (char *)target + offset;
}

size_t reader_enter(struct reader *reader, const char *key)
{
    size_t mark = reader->path_length;
    char quoted[QUOTED_BYTES];

    quote_text(key, strlen(key), quoted);
    int length = snprintf(reader->path + mark, READER_PATH_BYTES - mark, "%s%s",
                          mark == 0 ? "" : ".", quoted);
    reader->path_length += (size_t)length;
    if (reader->path_length >= READER_PATH_BYTES)
        reader->path_length = READER_PATH_BYTES - 1;
    return mark;
}

size_t reader_enter_index(struct reader *reader, size_t index)
{
    size_t mark = reader->path_length;
    int length = snprintf(reader->path + mark, READER_PATH_BYTES - mark, "[%zu]", index);

    reader->path_length += (size_t)length;
    if (reader->path_length >= READER_PATH_BYTES)
        reader->path_length = READER_PATH_BYTES - 1;
    return mark;
}

void reader_leave(struct reader *reader, size_t mark)
{
    reader->path_length = mark;
    reader->path[mark] = '\0';
}

static void tell(struct reader *reader, unsigned line, const char *text)
{
    char *whole = reader->path_length == 0 ? memory_copy_string(text)
                                           : memory_format("%s: %s", reader->path, text);

    problems_add(&reader->problems, line, whole);
}

void reader_tell(struct reader *reader, unsigned line, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tell(reader, line, text);
}

void reader_refuse(struct reader *reader, const struct node *node, const char *allowed, ...)
{
    char found[NODE_TEXT_BYTES];
    char text[1024];
    va_list arguments;

    node_describe(node, found);
    va_start(arguments, allowed);
    vsnprintf(text, sizeof(text), allowed, arguments);
    va_end(arguments);
    reader_tell(reader, node->line, "found %s, allowed %s", found, text);
}

bool reader_wants_mapping(struct reader *reader, const struct node *node)
{
    if (node->kind == NODE_MAPPING)
        return true;
    reader_refuse(reader, node, "a mapping (`key: value` lines)");
    return false;
}

bool reader_wants_list(struct reader *reader, const struct node *node, size_t max)
{
    if (node->kind != NODE_SEQUENCE) {
        reader_refuse(reader, node, "a list");
        return false;
    }
    if (node->count > max) {
        reader_tell(reader, node->line, "found %zu entries, allowed are up to %zu", node->count,
                    max);
        return false;
    }
    return true;
}

bool reader_wants_text(struct reader *reader, const struct node *node)
{
    if (node->kind != NODE_SCALAR || node->scalar == SCALAR_NULL)
        reader_refuse(reader, node, "text");
    else if (node->scalar != SCALAR_TEXT)
        reader_refuse(reader, node, "text: put it in quotes, YAML takes it for %s",
                      node->scalar == SCALAR_NUMBER ? "a number" : "a truth value");
    else
        return true;
    return false;
}

static void read_duration(struct reader *reader, const struct node *node, const struct field *field,
                          void *target)
{
    char min[DURATION_TEXT_BYTES], max[DURATION_TEXT_BYTES];
    uint32_t ms = 0;

    duration_format(field->min, min);
    duration_format(field->max, max);
    if (node->kind != NODE_SCALAR || config_parse_duration(node->text, &ms) < 0 ||
        ms < field->min || ms > field->max) {
        reader_refuse(reader, node, "a duration from %s to %s, such as 500ms, 30s, 5m, 1m30s", min,
                      max);
        return;
    }
    memcpy(at(target, field->offset), &ms, sizeof(ms));
}

static void read_number(struct reader *reader, const struct node *node, const struct field *field,
                        void *target)
{
    uint64_t number = 0;

    if (node->kind != NODE_SCALAR || !node->plain || !number_parse(node->text, &number) ||
        number < field->min || number > field->max) {
        reader_refuse(reader, node, "a whole number from %" PRIu64 " to %" PRIu64, field->min,
                      field->max);
        return;
    }
    uint32_t wide = (uint32_t)number;
    uint16_t narrow = (uint16_t)number;
    if (field->kind == FIELD_NUMBER32)
        memcpy(at(target, field->offset), &wide, sizeof(wide));
    else
        memcpy(at(target, field->offset), &narrow, sizeof(narrow));
}

static void read_size(struct reader *reader, const struct node *node, const struct field *field,
                      void *target)
{
    char min[SIZE_TEXT_BYTES], max[SIZE_TEXT_BYTES];
    uint64_t bytes = 0;

    size_format(field->min, min);
    size_format(field->max, max);
    if (node->kind != NODE_SCALAR || config_parse_size(node->text, &bytes) < 0 ||
        bytes < field->min || bytes > field->max) {
        reader_refuse(reader, node, "a size from %s to %s, such as 512k, 10m, 1g, 4096", min, max);
        return;
    }
    memcpy(at(target, field->offset), &bytes, sizeof(bytes));
}

static void read_bool(struct reader *reader, const struct node *node, const struct field *field,
                      void *target)
{
    if (node->kind != NODE_SCALAR || node->scalar != SCALAR_BOOL) {
        reader_refuse(reader, node, "true or false");
        return;
    }
    bool value = strcasecmp(node->text, "true") == 0 || strcasecmp(node->text, "yes") == 0 ||
                 strcasecmp(node->text, "on") == 0;
    memcpy(at(target, field->offset), &value, sizeof(value));
}

static void words_join(const char *const *words, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; words[i] != NULL && used < size; i++) {
        const char *before = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
        used += (size_t)snprintf(buffer + used, size - used, "%s%s", before, words[i]);
    }
}

/* A suggestion is offered where the distance is at most a third of the word. */
static const char *nearest(const char *found, const char *candidate, const char *best)
{
    size_t distance = edit_distance(found, candidate);
    size_t length = strlen(candidate);

    if (distance > (length < 6 ? 2 : length / 3) || distance >= length)
        return best;
    if (best != NULL && edit_distance(found, best) <= distance)
        return best;
    return candidate;
}

static void read_word(struct reader *reader, const struct node *node, const struct field *field,
                      void *target)
{
    char list[256];

    for (uint32_t i = 0; node->kind == NODE_SCALAR && field->words[i] != NULL; i++)
        if (strcmp(node->text, field->words[i]) == 0) {
            memcpy(at(target, field->offset), &i, sizeof(i));
            return;
        }
    words_join(field->words, list, sizeof(list));
    const char *best = NULL;
    for (size_t i = 0; node->kind == NODE_SCALAR && field->words[i] != NULL; i++)
        best = nearest(node->text, field->words[i], best);
    if (best != NULL)
        reader_refuse(reader, node, "%s; did you mean %s?", list, best);
    else
        reader_refuse(reader, node, "%s", list);
}

static void read_text(struct reader *reader, const struct node *node, const struct field *field,
                      void *target)
{
    char **place = at(target, field->offset);

    if (!reader_wants_text(reader, node))
        return;
    if (strlen(node->text) > field->max || !field->valid(node->text)) {
        reader_refuse(reader, node, "%s, up to %" PRIu64 " bytes", field->allowed, field->max);
        return;
    }
    free(*place);
    *place = memory_copy_string(node->text);
}

static void read_field(struct reader *reader, const struct node *node, const struct field *field,
                       void *target)
{
    switch (field->kind) {
    case FIELD_DURATION:
        read_duration(reader, node, field, target);
        break;
    case FIELD_NUMBER16:
    case FIELD_NUMBER32:
        read_number(reader, node, field, target);
        break;
    case FIELD_SIZE:
        read_size(reader, node, field, target);
        break;
    case FIELD_BOOL:
        read_bool(reader, node, field, target);
        break;
    case FIELD_WORD:
        read_word(reader, node, field, target);
        break;
    case FIELD_TEXT:
        read_text(reader, node, field, target);
        break;
    case FIELD_TABLE:
        table_read(reader, node, field->table, at(target, field->offset));
        break;
    case FIELD_OTHER:
        if (field->read != NULL)
            field->read(reader, node, target);
        break;
    }
}

void table_defaults(const struct table *table, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        void *place = at(target, field->offset);
        uint16_t narrow = (uint16_t)field->fallback;
        uint64_t size = field->fallback;
        bool truth = field->fallback != 0;
        if (field->kind == FIELD_DURATION || field->kind == FIELD_WORD ||
            field->kind == FIELD_NUMBER32)
            memcpy(place, &field->fallback, sizeof(field->fallback));
        else if (field->kind == FIELD_NUMBER16)
            memcpy(place, &narrow, sizeof(narrow));
        else if (field->kind == FIELD_SIZE)
            memcpy(place, &size, sizeof(size));
        else if (field->kind == FIELD_BOOL)
            memcpy(place, &truth, sizeof(truth));
        else if (field->kind == FIELD_TABLE)
            table_defaults(field->table, place);
    }
}

static void refuse_unknown(struct reader *reader, const struct node *node,
                           const struct table *table)
{
    const char *words[64] = {NULL};
    const char *best = NULL;
    char list[512];

    check(table->count < sizeof(words) / sizeof(words[0]));
    for (size_t i = 0; i < table->count; i++) {
        words[i] = table->fields[i].key;
        best = nearest(node->key, words[i], best);
    }
    words_join(words, list, sizeof(list));
    if (table->count == 0)
        reader_tell(reader, node->key_line, "found an unknown key, allowed are none here");
    else if (best != NULL)
        reader_tell(reader, node->key_line,
                    "found an unknown key, allowed are %s; did you mean %s?", list, best);
    else
        reader_tell(reader, node->key_line, "found an unknown key, allowed are %s", list);
}

static bool table_knows(const struct table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].key, key) == 0)
            return true;
    return false;
}

void table_read(struct reader *reader, const struct node *node, const struct table *table,
                void *target)
{
    if (!reader_wants_mapping(reader, node))
        return;
    for (size_t i = 0; i < node->count; i++) {
        const char *key = node->items[i]->key;
        /* `x-` at the top is a place for anchors, as in Compose. */
        if (table_knows(table, key) || (table == &config_table && strncmp(key, "x-", 2) == 0))
            continue;
        size_t mark = reader_enter(reader, key);
        refuse_unknown(reader, node->items[i], table);
        reader_leave(reader, mark);
    }
    /* In the table's order, not the file's: what others build upon is read before them. */
    for (size_t i = 0; i < table->count; i++) {
        const struct node *value = node_get(node, table->fields[i].key);
        if (value == NULL)
            continue;
        size_t mark = reader_enter(reader, table->fields[i].key);
        read_field(reader, value, &table->fields[i], target);
        reader_leave(reader, mark);
    }
}
