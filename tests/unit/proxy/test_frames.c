/* Where the frames of a WebSocket end, however they are cut. */
#include "proxy/frames.h"
#include "tests/unit/unit.h"

#include <string.h>

#define BYTES_MAX 70000u

static char bytes[BYTES_MAX];
static size_t length;
static size_t ends[16]; /* of the frames */
static unsigned end_count;

static void begin(void)
{
    length = end_count = 0;
}

/* A frame with a payload of this size, which looks like close frames. */
static void add(unsigned first, size_t payload, bool masked)
{
    bytes[length++] = (char)first;
    unsigned mask_bit = masked ? 0x80 : 0;
    if (payload < 126) {
        bytes[length++] = (char)(mask_bit | payload);
    } else if (payload < 65536) {
        bytes[length++] = (char)(mask_bit | 126);
        bytes[length++] = (char)(payload >> 8);
        bytes[length++] = (char)payload;
    } else {
        bytes[length++] = (char)(mask_bit | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            bytes[length++] = (char)(payload >> shift);
    }
    for (unsigned i = 0; masked && i < 4; i++)
        bytes[length++] = (char)(0x88 + i);
    memset(bytes + length, 0x88, payload);
    length += payload;
    ends[end_count++] = length;
}

/* Text in two fragments with a ping between them, a compressed frame (RSV1), an empty one, wide
 * ones, then a close. */
static void add_conversation(bool masked)
{
    begin();
    add(0x01, 5, masked);
    add(0x89, 3, masked);
    add(0x80, 7, masked);
    add(0xc2, 125, masked);
    add(0x82, 0, masked);
    add(0x82, 126, masked);
    add(0x82, 300, masked);
    add(0x88, 2, masked);
}

static bool is_end(size_t at)
{
    for (unsigned i = 0; i < end_count; i++)
        if (ends[i] == at)
            return true;
    return at == 0;
}

static struct slice slice(size_t from, size_t to)
{
    return (struct slice){bytes + from, to - from};
}

static void each_cut_shows_the_same_ends(void **state)
{
    (void)state;
    for (int masked = 0; masked < 2; masked++) {
        add_conversation(masked);
        for (size_t cut = 0; cut <= length; cut++) {
            struct frames frames;
            frames_init(&frames, masked);
            assert_int_equal(frames_follow(&frames, slice(0, cut), false), cut);
            assert_int_equal(frames_are_at_end(&frames), is_end(cut));
            assert_int_equal(frames.closed, cut == length);
            assert_int_equal(frames_follow(&frames, slice(cut, length), false), length - cut);
            assert_true(frames_are_at_end(&frames) && frames.closed && !frames.lost);
        }
    }
}

static void byte_for_byte_shows_the_same_ends(void **state)
{
    struct frames frames;

    (void)state;
    add_conversation(true);
    frames_init(&frames, true);
    for (size_t at = 0; at < length; at++) {
        assert_int_equal(frames_follow(&frames, slice(at, at + 1), false), 1);
        assert_int_equal(frames_are_at_end(&frames), is_end(at + 1));
    }
}

static void it_stops_at_the_next_end(void **state)
{
    (void)state;
    add_conversation(false);
    for (size_t cut = 0; cut <= length; cut++) {
        struct frames frames;
        frames_init(&frames, false);
        (void)frames_follow(&frames, slice(0, cut), false);
        size_t next = cut + frames_follow(&frames, slice(cut, length), true);
        assert_true(frames_are_at_end(&frames) && is_end(next) && next >= cut);
        for (size_t at = cut; at < next; at++)
            assert_false(is_end(at)); /* there was none before */
    }
}

static void a_wide_length_is_read_whole(void **state)
{
    struct frames frames;

    (void)state;
    begin();
    add(0x82, 66000, true);
    for (size_t cut = 0; cut < 20; cut++) {
        frames_init(&frames, true);
        (void)frames_follow(&frames, slice(0, cut), false);
        (void)frames_follow(&frames, slice(cut, length - 1), false);
        assert_false(frames_are_at_end(&frames));
        (void)frames_follow(&frames, slice(length - 1, length), false);
        assert_true(frames_are_at_end(&frames));
    }
}

static void what_is_no_frame_is_lost(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        bool masked;
    } bad[] = {
        {"\x83\x00", 2, false}, /* reserved opcodes */
        {"\x8b\x00", 2, false},
        {"\x89\x7e\x00\x80", 4, false},                          /* a long control frame */
        {"\x09\x00", 2, false},                                  /* a fragment of one */
        {"\x81\x80", 2, false},                                  /* a server that masks */
        {"\x81\x00", 2, true},                                   /* a client that does not */
        {"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10, false}, /* a negative length */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct frames frames;
        frames_init(&frames, bad[i].masked);
        assert_int_equal(frames_follow(&frames, (struct slice){bad[i].bytes, bad[i].length}, false),
                         bad[i].length);
        assert_true(frames.lost);
        assert_false(frames_are_at_end(&frames));
        assert_int_equal(frames_follow(&frames, SLICE("whatever"), true), 8);
    }
}

static void our_close_is_one(void **state)
{
    const uint8_t mask[4] = {1, 2, 3, 4};
    char frame[FRAME_CLOSE_BYTES_MAX];
    struct frames frames;

    (void)state;
    assert_int_equal(frame_write_close(frame, NULL), 4);
    assert_memory_equal(frame, "\x88\x02\x03\xe9", 4); /* 1001 */
    frames_init(&frames, false);
    (void)frames_follow(&frames, (struct slice){frame, 4}, false);
    assert_true(frames.closed && frames_are_at_end(&frames));
    assert_int_equal(frame_write_close(frame, mask), 8);
    assert_memory_equal(frame, "\x88\x82\x01\x02\x03\x04\x02\xeb", 8);
    frames_init(&frames, true);
    (void)frames_follow(&frames, (struct slice){frame, 8}, false);
    assert_true(frames.closed && frames_are_at_end(&frames));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cut_shows_the_same_ends),
        cmocka_unit_test(byte_for_byte_shows_the_same_ends),
        cmocka_unit_test(it_stops_at_the_next_end),
        cmocka_unit_test(a_wide_length_is_read_whole),
        cmocka_unit_test(what_is_no_frame_is_lost),
        cmocka_unit_test(our_close_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
