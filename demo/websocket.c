#include "demo.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES_MAX (1024 * 1024)

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { CLOSE_PROTOCOL_ERROR = 1002, CLOSE_TOO_BIG = 1009 };

struct frame {
    bool final;
    unsigned opcode;
    uint64_t length;
    unsigned char mask[4];
};

static bool send_frame(struct connection *connection, unsigned opcode, const void *data,
                       size_t length)
{
    unsigned char head[10] = {(unsigned char)(0x80 | opcode)};
    size_t size = 2;

    if (length < 126) {
        head[1] = (unsigned char)length;
    } else if (length < 65536) {
        head[1] = 126;
        head[2] = (unsigned char)(length >> 8);
        head[3] = (unsigned char)length;
        size = 4;
    } else {
        head[1] = 127;
        for (unsigned i = 0; i < 8; i++)
            head[2 + i] = (unsigned char)((uint64_t)length >> (56 - 8 * i));
        size = 10;
    }
    return connection_write(connection, head, size) && connection_write(connection, data, length);
}

static void send_close(struct connection *connection, unsigned reason)
{
    unsigned char data[2] = {(unsigned char)(reason >> 8), (unsigned char)reason};

    send_frame(connection, CLOSE, data, sizeof(data));
}

/* Returns false at the end; breaches of RFC 6455 §5 are answered first. */
static bool read_frame_head(struct connection *connection, struct frame *frame)
{
    unsigned char head[2];
    unsigned char more[8];

    if (!connection_read_all(connection, head, 2))
        return false;
    frame->final = (head[0] & 0x80) != 0;
    frame->opcode = head[0] & 0x0f;
    frame->length = head[1] & 0x7f;
    size_t extra = frame->length == 126 ? 2 : frame->length == 127 ? 8 : 0;
    if (!connection_read_all(connection, more, extra))
        return false;
    for (size_t i = 0; i < extra; i++)
        frame->length = (i == 0 ? 0 : frame->length << 8) | more[i];
    bool control = frame->opcode >= CLOSE;
    if ((head[0] & 0x70) != 0 || (head[1] & 0x80) == 0 || frame->opcode > PONG ||
        (frame->opcode > BINARY && !control) || (control && (!frame->final || extra > 0))) {
        send_close(connection, CLOSE_PROTOCOL_ERROR);
        return false;
    }
    if (frame->length > MESSAGE_BYTES_MAX) {
        send_close(connection, CLOSE_TOO_BIG);
        return false;
    }
    return connection_read_all(connection, frame->mask, 4);
}

static bool read_payload(struct connection *connection, const struct frame *frame, char *data)
{
    if (!connection_read_all(connection, data, frame->length))
        return false;
    for (size_t i = 0; i < frame->length; i++)
        data[i] = (char)((unsigned char)data[i] ^ frame->mask[i % 4]);
    return true;
}

/* Returns false where the connection ends. */
static bool on_control(struct connection *connection, const struct frame *frame)
{
    char data[125];

    if (!read_payload(connection, frame, data))
        return false;
    if (frame->opcode == CLOSE) {
        send_frame(connection, CLOSE, data, frame->length < 2 ? 0 : 2);
        return false;
    }
    return frame->opcode == PONG || send_frame(connection, PONG, data, frame->length);
}

void websocket_serve(struct connection *connection)
{
    char *message = malloc(MESSAGE_BYTES_MAX);
    size_t length = 0;
    unsigned kind = CONTINUATION; /* of the message that is being read; none yet */
    struct frame frame;

    while (message != NULL && read_frame_head(connection, &frame)) {
        if (frame.opcode >= CLOSE) {
            if (!on_control(connection, &frame))
                break;
            continue;
        }
        if ((frame.opcode == CONTINUATION) != (kind != CONTINUATION)) {
            send_close(connection, CLOSE_PROTOCOL_ERROR);
            break;
        }
        if (length + frame.length > MESSAGE_BYTES_MAX) {
            send_close(connection, CLOSE_TOO_BIG);
            break;
        }
        if (!read_payload(connection, &frame, message + length))
            break;
        length += frame.length;
        kind = frame.opcode == CONTINUATION ? kind : frame.opcode;
        if (!frame.final)
            continue;
        if (!send_frame(connection, kind, message, length))
            break;
        length = 0;
        kind = CONTINUATION;
    }
    free(message);
}
