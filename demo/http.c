#include "hash.h"
#include "request.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES_MAX      (256u * 1024 * 1024)
#define SLOW_HEALTH_MS 10000

struct answer {
    struct connection *connection;
    struct request *request;
    bool failed; /* the client is gone, or the body of its request was cut */
};

static const char *status_text(unsigned status)
{
    return status == 200   ? "OK"
           : status == 204 ? "No Content"
           : status == 400 ? "Bad Request"
           : status == 404 ? "Not Found"
           : status == 500 ? "Internal Server Error"
           : status == 503 ? "Service Unavailable"
                           : "Status";
}

/* Whatever of the request's body nobody asked for must be read, or it would be the next request. */
static void drain_body(struct answer *answer)
{
    char bytes[4096];

    while (request_read_body(answer->connection, answer->request, bytes, sizeof(bytes)) > 0)
        ;
    if (!answer->request->body_done)
        answer->failed = true;
}

/* `framing`: the header that tells the body's length, with its line end. */
static void send_head(struct answer *answer, unsigned status, const char *type, const char *framing)
{
    char head[1024];
    struct request *request = answer->request;

    drain_body(answer);
    if (is_stopping())
        request->keep_alive = false;
    int length = snprintf(head, sizeof(head),
                          "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nX-Version: %.100s\r\n"
                          "X-Container: %s\r\n%s%s\r\n",
                          status, status_text(status), type, settings.version, settings.hostname,
                          request->keep_alive ? "" : "Connection: close\r\n", framing);
    if (!connection_write(answer->connection, head, (size_t)length))
        answer->failed = true;
}

static void send_body(struct answer *answer, const void *data, size_t length)
{
    if (!answer->failed && strcmp(answer->request->method, "HEAD") != 0 &&
        !connection_write(answer->connection, data, length))
        answer->failed = true;
}

static void send_text(struct answer *answer, unsigned status, const char *text)
{
    char framing[64];
    bool no_body = status < 200 || status == 204 || status == 304;

    snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", strlen(text));
    send_head(answer, status, "text/plain", no_body ? "" : framing);
    if (!no_body)
        send_body(answer, text, strlen(text));
}

static void send_chunk(struct answer *answer, const void *data, size_t length)
{
    char head[24];
    bool framed = answer->request->version_1_1;

    snprintf(head, sizeof(head), "%zx\r\n", length);
    if (framed)
        send_body(answer, head, strlen(head));
    send_body(answer, data, length);
    if (framed)
        send_body(answer, "\r\n", 2);
}

static void send_chunked_head(struct answer *answer, const char *type, const char *more)
{
    char framing[256];

    if (!answer->request->version_1_1)
        answer->request->keep_alive = false;
    snprintf(framing, sizeof(framing), "%s%s", more,
             answer->request->version_1_1 ? "Transfer-Encoding: chunked\r\n" : "");
    send_head(answer, 200, type, framing);
}

/* Of n answers n * FAIL / 100 have failed, within one. */
static bool is_to_fail(void)
{
    static atomic_uint_fast64_t answers;
    uint64_t before = atomic_fetch_add(&answers, 1);

    return (before + 1) * settings.fail_percent / 100 > before * settings.fail_percent / 100;
}

static void on_index(struct answer *answer)
{
    char text[256];

    if (settings.delay_ms > 0)
        sleep_ms(settings.delay_ms);
    if (is_to_fail()) {
        send_text(answer, 500, "failed, as I was told\n");
        return;
    }
    snprintf(text, sizeof(text), "%.100s %s\n", settings.version, settings.hostname);
    send_text(answer, 200, text);
}

static void on_healthz(struct answer *answer)
{
    bool fails = settings.health == HEALTH_FAIL ||
                 (settings.health == HEALTH_FAIL_AFTER && monotonic_us() >= settings.fail_after_us);

    if (settings.health == HEALTH_SLOW)
        sleep_ms(SLOW_HEALTH_MS);
    send_text(answer, fails ? 500 : 200, fails ? "unhealthy\n" : "healthy\n");
}

/* The application that takes its time is what this stands for. */
static void on_slow(struct answer *answer)
{
    sleep_ms(request_number(answer->request, "ms", 3000));
    on_index(answer);
}

static void on_status(struct answer *answer)
{
    uint64_t status = request_number(answer->request, "code", 503);

    send_text(answer, status >= 200 && status <= 599 ? (unsigned)status : 400, "as asked\n");
}

/* Marsaglia's xorshift64: the same bytes for the same seed, everywhere. */
static void next_bytes(uint64_t *state, unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        bytes[i] = (unsigned char)(*state >> 32);
    }
}

/* The hash goes before the body, so the bytes are made twice. */
static void on_bytes(struct answer *answer)
{
    unsigned char bytes[8192];
    char hex[SHA256_HEX_BYTES];
    char framing[192];
    struct sha256 hash;
    uint64_t size = request_number(answer->request, "n", 1048576);
    uint64_t seed = request_number(answer->request, "seed", 7) * 2 + 1;
    bool chunked = request_number(answer->request, "chunked", 0) != 0;
    uint64_t state = seed;

    if (size > BYTES_MAX) {
        send_text(answer, 400, "n: allowed are up to 268435456\n");
        return;
    }
    sha256_init(&hash);
    for (uint64_t left = size; left > 0;) {
        size_t piece = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
        next_bytes(&state, bytes, piece);
        sha256_update(&hash, bytes, piece);
        left -= piece;
    }
    sha256_finish(&hash, hex);
    if (chunked) {
        snprintf(framing, sizeof(framing), "X-Sha256: %s\r\n", hex);
        send_chunked_head(answer, "application/octet-stream", framing);
    } else {
        snprintf(framing, sizeof(framing), "X-Sha256: %s\r\nContent-Length: %" PRIu64 "\r\n", hex,
                 size);
        send_head(answer, 200, "application/octet-stream", framing);
    }
    state = seed;
    for (uint64_t left = size; left > 0 && !answer->failed;) {
        size_t piece = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
        next_bytes(&state, bytes, piece);
        if (chunked)
            send_chunk(answer, bytes, piece);
        else
            send_body(answer, bytes, piece);
        left -= piece;
    }
    if (chunked && answer->request->version_1_1)
        send_body(answer, "0\r\n\r\n", 5);
}

static void on_upload(struct answer *answer)
{
    char bytes[8192];
    char hex[SHA256_HEX_BYTES];
    char text[128];
    struct sha256 hash;
    uint64_t length = 0;
    size_t got;

    sha256_init(&hash);
    while ((got = request_read_body(answer->connection, answer->request, bytes, sizeof(bytes))) >
           0) {
        sha256_update(&hash, bytes, got);
        length += got;
    }
    if (!answer->request->body_done) {
        answer->failed = true;
        return;
    }
    sha256_finish(&hash, hex);
    snprintf(text, sizeof(text), "%s %" PRIu64 "\n", hex, length);
    send_text(answer, 200, text);
}

static void on_stream(struct answer *answer)
{
    char piece[64];
    uint64_t count = request_number(answer->request, "n", 10);
    uint64_t pause_ms = request_number(answer->request, "ms", 100);
    bool events = answer->request->wants_events;

    send_chunked_head(answer, events ? "text/event-stream" : "text/plain",
                      events ? "Cache-Control: no-cache\r\n" : "");
    for (uint64_t i = 0; i < count && !answer->failed; i++) {
        if (i > 0)
            sleep_ms(pause_ms);
        snprintf(piece, sizeof(piece), events ? "data: %" PRIu64 "\n\n" : "piece %" PRIu64 "\n", i);
        send_chunk(answer, piece, strlen(piece));
    }
    if (answer->request->version_1_1)
        send_body(answer, "0\r\n\r\n", 5);
}

/* What arrived here: to see what a proxy made of a request. */
static void on_head(struct answer *answer)
{
    send_text(answer, 200, answer->request->head);
}

static void on_crash(struct answer *answer)
{
    (void)answer;
    log_line("crash monotonic_us=%" PRIu64, monotonic_us());
    _exit(1);
}

static void on_websocket(struct answer *answer)
{
    struct request *request = answer->request;
    unsigned char digest[20];
    char accept[29];
    char text[256];

    if (!request->wants_websocket || *request->websocket_key == '\0') {
        send_text(answer, 400, "a WebSocket is served here\n");
        return;
    }
    snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", request->websocket_key);
    sha1(text, strlen(text), digest);
    base64_digest(digest, accept);
    snprintf(text, sizeof(text),
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nX-Version: %.100s\r\n\r\n",
             accept, settings.version);
    if (connection_write(answer->connection, text, strlen(text)))
        websocket_serve(answer->connection);
    answer->failed = true; /* the connection ends with it */
}

static const struct {
    const char *path;
    void (*serve)(struct answer *answer);
} pages[] = {
    {"/", on_index},      {"/healthz", on_healthz}, {"/slow", on_slow},     {"/status", on_status},
    {"/bytes", on_bytes}, {"/upload", on_upload},   {"/stream", on_stream}, {"/head", on_head},
    {"/crash", on_crash}, {"/ws", on_websocket},
};

static void serve(struct answer *answer)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (strcmp(pages[i].path, answer->request->path) == 0) {
            pages[i].serve(answer);
            return;
        }
    send_text(answer, 404, "not found\n");
}

void http_serve(struct connection *connection)
{
    struct request *request = malloc(sizeof(*request));
    bool go_on = request != NULL;

    while (go_on) {
        struct answer answer = {.connection = connection, .request = request};
        enum request_result result = request_read(connection, request);
        if (result == REQUEST_END)
            break;
        exchange_begin();
        if (result == REQUEST_BAD) {
            request->body_done = true;
            request->keep_alive = false;
            send_text(&answer, 400, "bad request\n");
        } else {
            serve(&answer);
        }
        bool websocket =
            result == REQUEST_READ && strcmp(request->path, "/ws") == 0 && request->wants_websocket;
        exchange_end(websocket ? "websocket" : "request",
                     *request->target == '\0' ? "-" : request->target);
        go_on = !answer.failed && request->keep_alive && !is_stopping();
    }
    free(request);
}
