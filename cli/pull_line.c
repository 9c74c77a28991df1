#include "json.h"
#include "pull.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(char *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char *line, const char *format, ...)
{
    size_t length = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, PULL_LINE_BYTES - length, format, arguments);
    va_end(arguments);
}

const char *pull_line(const struct cJSON *pull, char line[PULL_LINE_BYTES])
{
    char text[TEXT_BYTES], more[TEXT_BYTES];
    const char *state = json_text(pull, "state"), *image = json_text(pull, "image");
    double total = json_number_or(pull, "bytes_total", -1);
    double left = json_number_or(pull, "left_ms", -1);
    double rate = json_number(pull, "bytes_per_s");
    line[0] = '\0';
    if (strcmp(state, "retrying") == 0) {
        add(line, "%s: %s; try %.0f of %.0f in %s", image, json_text(pull, "error"),
            json_number(pull, "attempt") + 1, json_number(pull, "attempts"),
            text_duration(json_number(pull, "retry_in_ms"), text));
        return line;
    }
    add(line, "%s", image);
    if (json_number(pull, "layers") < 1) {
        add(line, ": %s",
            strcmp(state, "authorizing") == 0 ? "asking for credentials" : "asking the registry");
        return line;
    }
    add(line, ": %.0f of %.0f layers, %s", json_number(pull, "layers_done"),
        json_number(pull, "layers"), text_bytes(json_number(pull, "bytes"), text));
    if (total >= 0)
        add(line, " of %s", text_bytes(total, more));
    add(line, ", %.0f%%", json_number(pull, "percent"));
    if (rate >= 1)
        add(line, ", %s/s", text_bytes(rate, text));
    if (left >= 0)
        add(line, ", %s left",
            text_duration(left < 1000 ? left : (double)((long)left / 1000) * 1000, text));
    return line;
}
