#include "frames.h"

#include <string.h>

#define FIN        0x80u
#define OPCODE     0x0fu
#define MASKED     0x80u
#define LENGTH     0x7fu
#define IS_CONTROL 0x08u

enum opcode { OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PONG = 10 };

#define CLOSE_GOING_AWAY 1001u

void frames_init(struct frames *frames, bool from_client)
{
    *frames = (struct frames){.masked = from_client};
}

bool frames_are_at_end(const struct frames *frames)
{
    return frames->left == 0 && frames->head_length == 0 && !frames->lost;
}

static void end_frame(struct frames *frames)
{
    frames->closed = frames->closed || frames->closing;
    frames->closing = false;
}

/* Bytes of the head that say the payload's length, beyond the second. */
static unsigned wide_size(const struct frames *frames)
{
    unsigned length = frames->head[1] & LENGTH;

    return length == 126 ? 2u : length == 127 ? 8u : 0u;
}

/* Of the head whose first two bytes are there. */
static unsigned head_size(const struct frames *frames)
{
    return 2u + wide_size(frames) + (frames->masked ? 4u : 0u);
}

/* Reserved bits are an extension's business, reserved opcodes nobody's. */
static bool is_valid(const struct frames *frames)
{
    unsigned opcode = frames->head[0] & OPCODE, length = frames->head[1] & LENGTH;
    bool is_control = (opcode & IS_CONTROL) != 0;

    if (opcode > OPCODE_PONG || (opcode > OPCODE_BINARY && opcode < OPCODE_CLOSE))
        return false;
    if (is_control && (length > 125 || (frames->head[0] & FIN) == 0))
        return false;
    return ((frames->head[1] & MASKED) != 0) == frames->masked;
}

static uint64_t payload_length(const struct frames *frames)
{
    unsigned length = frames->head[1] & LENGTH;
    unsigned count = wide_size(frames);
    uint64_t wide = 0;

    for (unsigned i = 0; i < count; i++)
        wide = wide << 8 | frames->head[2 + i];
    return count == 0 ? length : wide;
}

static void begin_payload(struct frames *frames)
{
    frames->left = payload_length(frames);
    frames->lost = frames->left > INT64_MAX; /* the highest bit must be 0 */
    frames->closing = (frames->head[0] & OPCODE) == OPCODE_CLOSE;
    frames->head_length = 0;
    if (frames->left == 0)
        end_frame(frames);
}

/* Returns how many bytes belong to the head. */
static size_t take_head(struct frames *frames, const char *bytes, size_t length)
{
    size_t taken = 0;

    while (taken < length && !frames->lost) {
        frames->head[frames->head_length++] = (uint8_t)bytes[taken++];
        if (frames->head_length == 2 && !is_valid(frames))
            frames->lost = true;
        if (frames->lost || (frames->head_length >= 2 && frames->head_length == head_size(frames)))
            break;
    }
    if (!frames->lost && frames->head_length >= 2 && frames->head_length == head_size(frames))
        begin_payload(frames);
    return taken;
}

size_t frames_follow(struct frames *frames, struct slice bytes, bool stop)
{
    size_t at = 0;

    while (at < bytes.length && !(stop && frames_are_at_end(frames))) {
        if (frames->lost)
            return bytes.length;
        if (frames->left == 0) {
            at += take_head(frames, bytes.data + at, bytes.length - at);
            continue;
        }
        size_t taken = frames->left < bytes.length - at ? (size_t)frames->left : bytes.length - at;
        frames->left -= taken;
        at += taken;
        if (frames->left == 0)
            end_frame(frames);
    }
    return at;
}

size_t frame_write_close(char frame[FRAME_CLOSE_BYTES_MAX], const uint8_t mask[4])
{
    const uint8_t code[2] = {CLOSE_GOING_AWAY >> 8, CLOSE_GOING_AWAY & 0xff};
    size_t length = 2;

    frame[0] = (char)(FIN | OPCODE_CLOSE);
    frame[1] = (char)((mask != NULL ? MASKED : 0) | sizeof(code));
    if (mask != NULL) {
        memcpy(frame + length, mask, 4);
        length += 4;
    }
    for (unsigned i = 0; i < sizeof(code); i++)
        frame[length++] = (char)(code[i] ^ (mask != NULL ? mask[i] : 0));
    return length;
}
