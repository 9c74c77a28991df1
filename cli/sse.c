#include "sse.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static void replace(char **string, const char *value)
{
    free(*string);
    *string = memory_copy_string(value);
}

static void append_data(struct sse *sse, const char *value)
{
    size_t length = strlen(value);
    size_t start = sse->data != NULL ? sse->data_length + 1 : 0;
    sse->data = memory_resize(sse->data, start + length + 1);
    if (start > 0)
        sse->data[start - 1] = '\n';
    memcpy(sse->data + start, value, length + 1);
    sse->data_length = start + length;
}

static void dispatch(struct sse *sse)
{
    if (sse->id != NULL)
        replace(&sse->last_id, sse->id);
    if (sse->data != NULL)
        sse->on_event(sse->context, sse->event != NULL ? sse->event : "message", sse->data);
    replace(&sse->event, NULL);
    replace(&sse->data, NULL);
    sse->data_length = 0;
}

static void take_line(struct sse *sse)
{
    char *line = sse->line; /* sse_feed() has made it */
    sse->line_length = 0;
    if (line[0] == '\0') {
        dispatch(sse);
        return;
    }
    char *value = strchr(line, ':');
    if (value == line)
        return; /* a comment */
    if (value != NULL) {
        *value++ = '\0';
        value += *value == ' ';
    } else {
        value = line + strlen(line);
    }
    if (strcmp(line, "event") == 0)
        replace(&sse->event, value);
    else if (strcmp(line, "data") == 0)
        append_data(sse, value);
    else if (strcmp(line, "id") == 0)
        replace(&sse->id, value);
}

bool sse_feed(struct sse *sse, const char *data, size_t length)
{
    while (length > 0) {
        if (sse->after_return && *data == '\n') {
            sse->after_return = false;
            data++;
            length--;
            continue;
        }
        sse->after_return = false;
        size_t piece = 0;
        while (piece < length && data[piece] != '\n' && data[piece] != '\r')
            piece++;
        if (sse->line_length + sse->data_length + piece > SSE_EVENT_BYTES_MAX)
            return false;
        sse->line = memory_resize(sse->line, sse->line_length + piece + 1);
        memcpy(sse->line + sse->line_length, data, piece);
        sse->line_length += piece;
        sse->line[sse->line_length] = '\0';
        data += piece;
        length -= piece;
        if (length == 0)
            break;
        sse->after_return = *data == '\r';
        data++;
        length--;
        take_line(sse);
        sse->line[0] = '\0';
    }
    return true;
}

void sse_restart(struct sse *sse)
{
    replace(&sse->line, NULL);
    replace(&sse->event, NULL);
    replace(&sse->data, NULL);
    replace(&sse->id, NULL);
    sse->line_length = sse->data_length = 0;
    sse->after_return = false;
}

void sse_done(struct sse *sse)
{
    sse_restart(sse);
    replace(&sse->last_id, NULL);
}
