#include "log.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

static const char *log_role = "sluice";
static enum log_level log_least = LOG_INFO;

void log_init(const char *role)
{
    const char *wanted = getenv("SLUICE_LOG_LEVEL");

    log_role = role;
    for (unsigned i = LOG_DEBUG; wanted != NULL && i <= LOG_ERROR; i++)
        if (strcmp(wanted, level_names[i]) == 0)
            log_least = (enum log_level)i;
}

/* The last byte is kept for the newline. */
static void put_bytes(struct log_line *line, const char *bytes, size_t length)
{
    size_t room = sizeof(line->text) - 1 - line->length;

    if (length > room)
        length = room;
    memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

static void put_string(struct log_line *line, const char *string)
{
    put_bytes(line, string, strlen(string));
}

static bool needs_quotes(struct slice value)
{
    if (value.length == 0)
        return true;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return true;
    }
    return false;
}

static void put_quoted(struct log_line *line, struct slice value)
{
    static const char hex[] = "0123456789abcdef";

    put_bytes(line, "\"", 1);
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c == '"' || c == '\\') {
            char escaped[2] = {'\\', (char)c};
            put_bytes(line, escaped, sizeof(escaped));
        } else if (c < ' ' || c >= 0x7f) {
            char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            put_bytes(line, escaped, sizeof(escaped));
        } else {
            put_bytes(line, &value.data[i], 1);
        }
    }
    put_bytes(line, "\"", 1);
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    char stamp[CLOCK_TEXT_BYTES];

    line->length = 0;
    line->skip = level < log_least;
    if (line->skip)
        return;
    clock_format(clock_wall_ms(), stamp);
    put_string(line, "time=");
    put_string(line, stamp);
    log_string(line, "level", level_names[level]);
    log_string(line, "role", log_role);
    log_string(line, "event", event);
}

void log_slice(struct log_line *line, const char *key, struct slice value)
{
    if (line->skip)
        return;
    put_bytes(line, " ", 1);
    put_string(line, key);
    put_bytes(line, "=", 1);
    if (needs_quotes(value))
        put_quoted(line, value);
    else
        put_bytes(line, value.data, value.length);
}

void log_string(struct log_line *line, const char *key, const char *value)
{
    if (value != NULL)
        log_slice(line, key, slice_from_string(value));
}

void log_u64(struct log_line *line, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    log_string(line, key, text);
}

void log_i64(struct log_line *line, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    log_string(line, key, text);
}

void log_errno(struct log_line *line, int error)
{
    log_string(line, "error", strerror(error < 0 ? -error : error));
}

void log_end(struct log_line *line)
{
    if (line->skip)
        return;
    line->text[line->length++] = '\n';
    /* Nobody is left to tell when stderr is gone. */
    ssize_t written = write(STDERR_FILENO, line->text, line->length);
    (void)written;
}

void log_event(enum log_level level, const char *event, const char *key, const char *value)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_string(&line, key, value);
    log_end(&line);
}
