#include "reading.h"

#include "base/check.h"

#include <string.h>

void text_add(struct text *text, const char *data, size_t length)
{
    check(length <= READING_BYTES_MAX - text->length);
    if (length > 0)
        memcpy(text->data + text->length, data, length);
    text->length += length;
}

bool text_equals(const struct text *a, const struct text *b)
{
    return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

void reading_clear(struct reading *reading)
{
    memset(reading, 0, offsetof(struct reading, method));
    reading->method.length = reading->target.length = 0;
    reading->fields.length = reading->body.length = 0;
    reading->outcome = READING_UNFINISHED;
}
