/* Streams of events: followed whole and in pieces come to the same, and they are only ended where
 * one who has all bytes sees a blank line. */
#include "base/check.h"
#include "proxy/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFIX_BYTES 1 /* the size of the pieces */

static size_t without_line_end(const char *text, size_t length)
{
    if (length >= 2 && text[length - 1] == '\n' && text[length - 2] == '\r')
        return length - 2;
    return length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r') ? length - 1
                                                                                : length;
}

/* Nothing has begun, or the last line is blank: a line's end and one more, which is whole. */
static bool is_between_events(const char *text, size_t length)
{
    size_t line = without_line_end(text, length);

    if (length >= 2 && text[length - 1] == '\r' && text[length - 2] == '\n')
        return false;
    return length == 0 || (line < length && without_line_end(text, line) < line);
}

/* `before` of these bytes have gone by. */
static void check_end(const struct events *events, struct slice bytes, size_t before)
{
    struct slice rest = {bytes.data + before, bytes.length - before};
    size_t end = events_find_end(events, rest), expected = rest.length;

    while (expected > 0 && !is_between_events(bytes.data, before + expected))
        expected--;
    check(end == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PREFIX_BYTES)
        return 0;
    struct slice bytes = {(const char *)data + PREFIX_BYTES, size - PREFIX_BYTES};
    size_t step = 1 + data[0] % 64;
    struct events whole, pieces;

    events_init(&whole, false);
    events_init(&pieces, false);
    events_follow(&whole, bytes);
    for (size_t i = 0; i < bytes.length; i += step) {
        size_t length = bytes.length - i < step ? bytes.length - i : step;
        check(events_are_at_end(&pieces) == is_between_events(bytes.data, i));
        check_end(&pieces, bytes, i);
        events_follow(&pieces, (struct slice){bytes.data + i, length});
    }
    check(events_are_at_end(&whole) == is_between_events(bytes.data, bytes.length));
    check(events_are_at_end(&pieces) == events_are_at_end(&whole));
    return 0;
}
