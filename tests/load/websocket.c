/* WebSocket clients (RFC 6455): a masked text each second, the same text back. */
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "load.h"
#include "proxy/http1.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define MESSAGE_INTERVAL_S 1.0
#define TEXT_BYTES         32
#define PAYLOAD_BYTES_MAX  125 /* what fits into a short frame; longer ones are an error here */
#define KEY_TEXT_BYTES     25
#define ACCEPT_TEXT_BYTES  29

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };
enum { CLOSE_NORMAL = 1000, CLOSE_GOING_AWAY = 1001 };

struct websocket {
    struct load *load;
    struct wire wire;
    ev_timer timer;
    bool open;    /* the handshake is done */
    bool waiting; /* for the handshake or an echo */
    uint64_t sent_us, opened_ms;
    char accept[ACCEPT_TEXT_BYTES];
    char text[TEXT_BYTES + 1];
    struct http1_response response;
};

static void again(struct websocket *socket)
{
    if (socket->open)
        socket->load->statistics.websockets.open--;
    socket->open = socket->waiting = false;
    wire_close(&socket->wire);
}

static void broken(struct websocket *socket, const char *detail)
{
    socket->load->statistics.websockets.broken++;
    statistics_failed(&socket->load->statistics, KIND_WEBSOCKET, detail);
    again(socket);
}

static void send_frame(struct websocket *socket, unsigned opcode, struct slice payload)
{
    char frame[6 + PAYLOAD_BYTES_MAX];
    uint64_t mask = load_random(socket->load);

    check(payload.length <= PAYLOAD_BYTES_MAX);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | payload.length);
    memcpy(frame + 2, &mask, 4);
    for (size_t i = 0; i < payload.length; i++)
        frame[6 + i] = (char)(payload.data[i] ^ frame[2 + i % 4]);
    wire_send(&socket->wire, (struct slice){frame, 6 + payload.length}, (struct slice){NULL, 0});
}

static void send_text(struct websocket *socket)
{
    snprintf(socket->text, sizeof(socket->text), "%016llx%016llx",
             (unsigned long long)load_random(socket->load),
             (unsigned long long)load_random(socket->load));
    socket->waiting = true;
    socket->sent_us = clock_us();
    send_frame(socket, OPCODE_TEXT, slice_from_string(socket->text));
}

static void send_handshake(struct websocket *socket)
{
    unsigned char random[16], digest[EVP_MAX_MD_SIZE];
    char key[KEY_TEXT_BYTES], joined[KEY_TEXT_BYTES + 36], text[1024];
    uint64_t words[2] = {load_random(socket->load), load_random(socket->load)};
    unsigned digest_length;

    memcpy(random, words, sizeof(random));
    EVP_EncodeBlock((unsigned char *)key, random, sizeof(random));
    snprintf(joined, sizeof(joined), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    check(EVP_Digest(joined, strlen(joined), digest, &digest_length, EVP_sha1(), NULL) == 1);
    EVP_EncodeBlock((unsigned char *)socket->accept, digest, (int)digest_length);
    int length = snprintf(text, sizeof(text),
                          "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
                          "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: %s\r\n\r\n",
                          socket->load->options.host, key);
    check(length > 0 && (size_t)length < sizeof(text));
    socket->waiting = true;
    socket->sent_us = clock_us();
    wire_send(&socket->wire, (struct slice){text, (size_t)length}, (struct slice){NULL, 0});
}

static bool is_accepted(const struct websocket *socket)
{
    const struct http1_response *response = &socket->response;

    if (!response->upgrade)
        return false;
    for (unsigned i = 0; i < response->field_count; i++)
        if (slice_equals_ignoring_case(response->fields[i].name, SLICE("sec-websocket-accept")))
            return slice_equals(response->fields[i].value, slice_from_string(socket->accept));
    return false;
}

/* Returns whether the handshake is done; where it failed the wire is closed. */
static bool read_handshake(struct websocket *socket)
{
    struct wire *wire = &socket->wire;
    size_t scanned = 0, length;
    char detail[64];
    enum http1_result result = http1_parse_response((struct slice){wire->in, wire->in_length},
                                                    HTTP_GET, &scanned, &socket->response, &length);

    if (result == HTTP1_MORE)
        return false;
    if (result != HTTP1_DONE) {
        broken(socket, http1_result_name(result));
        return false;
    }
    if (!is_accepted(socket)) {
        snprintf(detail, sizeof(detail), "handshake refused: status %u", socket->response.status);
        broken(socket, detail);
        return false;
    }
    wire_consume(wire, length);
    socket->open = true;
    socket->opened_ms = clock_ms();
    socket->load->statistics.websockets.open++;
    send_text(socket);
    return true;
}

static void take_close(struct websocket *socket, struct slice payload)
{
    unsigned code = 0;
    char detail[64];

    if (payload.length >= 2)
        code = (unsigned)(uint8_t)payload.data[0] << 8 | (uint8_t)payload.data[1];
    if (code == CLOSE_NORMAL || code == CLOSE_GOING_AWAY) {
        socket->load->statistics.websockets.closed++;
        send_frame(socket, OPCODE_CLOSE, payload);
        again(socket);
        return;
    }
    snprintf(detail, sizeof(detail), "close with code %u", code);
    broken(socket, detail);
}

static void take_frame(struct websocket *socket, unsigned opcode, struct slice payload)
{
    if (opcode == OPCODE_CLOSE) {
        take_close(socket, payload);
    } else if (opcode == OPCODE_PING) {
        send_frame(socket, OPCODE_PONG, payload);
    } else if (opcode == OPCODE_TEXT) {
        if (!socket->waiting || !slice_equals(payload, slice_from_string(socket->text))) {
            broken(socket, "wrong echo");
            return;
        }
        socket->waiting = false;
        socket->load->statistics.websockets.messages++;
        statistics_done(&socket->load->statistics, KIND_WEBSOCKET, clock_us() - socket->sent_us);
    } else if (opcode != OPCODE_PONG) {
        broken(socket, "unexpected frame");
    }
}

static void read_frames(struct websocket *socket)
{
    struct wire *wire = &socket->wire;
    char payload[PAYLOAD_BYTES_MAX];

    while (wire->fd >= 0 && wire->in_length >= 2) {
        unsigned first = (uint8_t)wire->in[0], length = (uint8_t)wire->in[1];
        if ((first & 0xf0) != 0x80 || length > PAYLOAD_BYTES_MAX) {
            broken(socket, "bad frame");
            return;
        }
        if (wire->in_length < 2 + length)
            return;
        memcpy(payload, wire->in + 2, length);
        wire_consume(wire, 2 + length);
        take_frame(socket, first & 0x0f, (struct slice){payload, length});
    }
}

static void on_wire(struct wire *wire, enum wire_event event)
{
    struct websocket *socket =
        (struct websocket *)(void *)((char *)wire - offsetof(struct websocket, wire));

    if (event == WIRE_FAILED)
        broken(socket, strerror(wire->error));
    else if (event == WIRE_CLOSED)
        broken(socket, socket->open ? "closed without a close frame" : "closed in the handshake");
    else if (socket->open || read_handshake(socket))
        read_frames(socket);
}

/* Closes by itself what has been held for as long as was asked. */
static bool end_hold(struct websocket *socket)
{
    unsigned hold_ms = socket->load->options.websocket_hold_ms;

    if (!socket->open || hold_ms == 0 || clock_ms() - socket->opened_ms < hold_ms)
        return false;
    send_frame(socket, OPCODE_CLOSE, (struct slice){"\x03\xe8", 2});
    again(socket);
    return true;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct websocket *socket = timer->data;

    (void)loop;
    (void)events;
    if (socket->waiting) {
        if (clock_us() - socket->sent_us > (uint64_t)socket->load->options.timeout_ms * 1000)
            broken(socket, socket->open ? "timeout of the echo" : "timeout of the handshake");
        return;
    }
    if (socket->load->stopping || end_hold(socket))
        return;
    if (socket->wire.fd >= 0 && wire_is_stale(&socket->wire))
        return; /* the loop will tell */
    if (socket->open) {
        send_text(socket);
        return;
    }
    int error = wire_open(&socket->wire, &socket->load->options.http);
    if (error != 0)
        broken(socket, strerror(-error));
    else
        send_handshake(socket);
}

struct websocket *websocket_new(struct load *load)
{
    struct websocket *socket = memory_new(sizeof(*socket));

    socket->load = load;
    wire_init(&socket->wire, load->loop, on_wire);
    ev_timer_init(&socket->timer, on_timer, 0, MESSAGE_INTERVAL_S);
    socket->timer.data = socket;
    ev_timer_start(load->loop, &socket->timer);
    return socket;
}

void websocket_free(struct websocket *socket)
{
    if (socket->open)
        send_frame(socket, OPCODE_CLOSE, (struct slice){"\x03\xe8", 2});
    ev_timer_stop(socket->load->loop, &socket->timer);
    wire_done(&socket->wire);
    free(socket);
}
