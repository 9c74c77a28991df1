/* WebSockets: followed whole and in pieces come to the same, and where a close frame of ours may
 * stand is where a reader of all bytes finds a frame's beginning. */
#include "base/check.h"
#include "proxy/frames.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFIX_BYTES 2 /* the size of the pieces, and which side sends */

/* The first beginning of a frame at or behind `from`; SIZE_MAX: there is none in these bytes, or
 * what comes before it is no frame. */
static size_t find_beginning(const uint8_t *bytes, size_t size, bool masked, size_t from)
{
    size_t at = 0;

    while (at < from) {
        if (size - at < 2)
            return SIZE_MAX;
        unsigned opcode = bytes[at] & 0x0fu, length = bytes[at + 1] & 0x7fu;
        bool is_control = opcode >= 8, is_whole = (bytes[at] & 0x80u) != 0;
        if (((bytes[at + 1] & 0x80u) != 0) != masked || (opcode > 2 && opcode < 8) || opcode > 10 ||
            (is_control && (length > 125 || !is_whole)))
            return SIZE_MAX;
        size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0, head = 2 + wide + (masked ? 4 : 0);
        uint64_t payload = wide == 0 ? length : 0;
        if (size - at < head)
            return SIZE_MAX;
        for (size_t i = 0; i < wide; i++)
            payload = payload << 8 | bytes[at + 2 + i];
        if (payload > size - at - head)
            return SIZE_MAX;
        at += head + (size_t)payload;
    }
    return at;
}

static void check_same(const struct frames *a, const struct frames *b)
{
    check(a->lost == b->lost);
    if (a->lost)
        return;
    check(a->left == b->left && a->closing == b->closing && a->closed == b->closed);
    check(a->head_length == b->head_length && memcmp(a->head, b->head, a->head_length) == 0);
}

/* From here on to the first place between two frames. */
static void check_stop(struct frames here, struct slice rest, size_t beginning, size_t at)
{
    size_t followed = frames_follow(&here, rest, true);

    check(frames_are_at_end(&here) == (beginning != SIZE_MAX));
    check(followed == (beginning != SIZE_MAX ? beginning - at : rest.length));
}

static void check_own_close(bool from_client)
{
    const uint8_t mask[4] = {0x12, 0x00, 0xff, 0x80};
    char bytes[FRAME_CLOSE_BYTES_MAX];
    struct frames frames;
    size_t length = frame_write_close(bytes, from_client ? mask : NULL);

    frames_init(&frames, from_client);
    check(frames_follow(&frames, (struct slice){bytes, length}, false) == length);
    check(frames_are_at_end(&frames) && frames.closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < PREFIX_BYTES)
        return 0;
    struct slice bytes = {(const char *)data + PREFIX_BYTES, size - PREFIX_BYTES};
    size_t step = 1 + data[0] % 64;
    bool masked = (data[1] & 1) != 0;
    struct frames whole, pieces;

    frames_init(&whole, masked);
    frames_init(&pieces, masked);
    check_own_close(masked);
    check(frames_follow(&whole, bytes, false) == bytes.length);
    for (size_t i = 0; i < bytes.length; i += step) {
        size_t length = bytes.length - i < step ? bytes.length - i : step;
        size_t beginning = find_beginning(data + PREFIX_BYTES, bytes.length, masked, i);
        check_stop(pieces, (struct slice){bytes.data + i, bytes.length - i}, beginning, i);
        check(frames_follow(&pieces, (struct slice){bytes.data + i, length}, false) == length);
    }
    check_same(&whole, &pieces);
    return 0;
}
