#include "reframe.h"

#include "base/check.h"

static void add_pieces(struct text *sent, const struct slice *pieces, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        text_add(sent, pieces[i].data, pieces[i].length);
}

enum http1_result reframe(struct slice bytes, size_t step, enum http_framing framing,
                          uint64_t length, bool chunked, bool ends, struct text *sent,
                          struct text *body)
{
    static char input[READING_BYTES_MAX]; /* what has come and was not taken yet */
    char head[HTTP1_CHUNK_HEAD_BYTES];
    struct slice pieces[BODY_PIECES_MAX];
    struct body state;
    size_t waiting = 0;
    enum http1_result result = HTTP1_MORE;

    body_init(&state, framing, length);
    while (!state.done && bytes.length > 0) {
        size_t taken = bytes.length < step ? bytes.length : step, consumed = 0;
        struct slice data = {NULL, 0};
        memcpy(input + waiting, bytes.data, taken);
        waiting += taken;
        bytes.data += taken;
        bytes.length -= taken;
        result = body_decode(&state, input, waiting, &consumed, &data);
        if (result != HTTP1_MORE && result != HTTP1_DONE)
            return result;
        text_add(body, data.data, data.length);
        add_pieces(sent, pieces, body_encode(data, chunked, state.done, head, pieces));
        memmove(input, input + consumed, waiting - consumed);
        waiting -= consumed;
    }
    if (!state.done && ends && framing == HTTP_BODY_CLOSE) {
        state.done = true;
        add_pieces(sent, pieces, body_encode((struct slice){"", 0}, chunked, true, head, pieces));
    }
    return state.done ? HTTP1_DONE : HTTP1_MORE;
}

void check_sent(const struct text *sent, const struct text *body, bool response, bool to_head,
                enum http1_result result, struct reading *reading)
{
    struct message message = {sent->data, sent->length, response, to_head};

    read_by_sluice(&message, reading);
    check(reading->head_whole && reading->outcome != READING_REFUSED);
    check(text_equals(&reading->body, body));
    if (!reading->until_close) {
        check((reading->outcome == READING_WHOLE) == (result == HTTP1_DONE));
        check(result != HTTP1_DONE || reading->length == sent->length);
    }
    compare_readings(&message);
}
