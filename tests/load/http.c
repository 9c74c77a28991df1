/* HTTP clients: one exchange after another, each answer read strictly and checked. */
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "load.h"
#include "proxy/http1.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define SLOW_MS            3000u
#define PAUSE_S            0.1 /* between two uploads or downloads, and after a failure */
#define DOWNLOAD_BYTES_MAX (1024u * 1024u)
#define ONCE_MAX           256u
#define BODY_KEPT_BYTES    UPLOAD_ANSWER_BYTES

static unsigned once_count;

struct client {
    struct load *load;
    enum kind kind;
    struct wire wire;
    ev_timer timer; /* the deadline while busy, else a pause */
    bool busy;
    bool in_body;
    bool once; /* freed after its exchange */
    uint64_t started_us;
    size_t scanned;
    struct http1_response response;
    struct http1_chunked chunked;
    uint64_t left, body_bytes, wanted_bytes;
    bool close_after;
    EVP_MD_CTX *hash;
    char wanted_hash[SHA256_HEX_BYTES];
    char body[BODY_KEPT_BYTES]; /* the begin of it */
    const struct upload *upload;
};

/* --- the end of an exchange --- */

static bool repeats(enum kind kind)
{
    return kind == KIND_SLOW || kind == KIND_UPLOAD || kind == KIND_DOWNLOAD;
}

/* Frees the client where it was for one request only: the last thing its callers do. */
static void rest(struct client *client)
{
    struct load *load = client->load;

    client->busy = false;
    load->statistics.in_flight--;
    ev_timer_stop(load->loop, &client->timer);
    if (client->once) {
        once_count--;
        client_free(client);
    } else if (repeats(client->kind) && !load->stopping) {
        ev_timer_set(&client->timer, PAUSE_S, 0);
        ev_timer_start(load->loop, &client->timer);
    }
}

static void fail(struct client *client, const char *detail)
{
    statistics_failed(&client->load->statistics, client->kind, detail);
    wire_close(&client->wire);
    rest(client);
}

static void fail_with_status(struct client *client)
{
    char detail[128];

    snprintf(detail, sizeof(detail), "status %u", client->response.status);
    fail(client, detail);
}

static struct slice header(const struct http1_response *response, const char *name)
{
    for (unsigned i = 0; i < response->field_count; i++)
        if (slice_equals_ignoring_case(response->fields[i].name, slice_from_string(name)))
            return response->fields[i].value;
    return (struct slice){NULL, 0};
}

static const char *check_download(struct client *client)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[SHA256_HEX_BYTES];

    check(EVP_DigestFinal_ex(client->hash, digest, NULL) == 1);
    upload_hash_text(digest, hex);
    if (client->body_bytes != client->wanted_bytes)
        return "wrong length";
    if (client->wanted_hash[0] == '\0')
        return "no X-Sha256";
    return strcmp(hex, client->wanted_hash) == 0 ? NULL : "wrong hash";
}

static const char *check_upload(const struct client *client)
{
    struct slice answer = slice_from_string(client->upload->answer);

    if (client->body_bytes != answer.length)
        return "wrong answer";
    return memcmp(client->body, answer.data, answer.length) == 0 ? NULL : "wrong hash";
}

static void finish(struct client *client)
{
    struct statistics *statistics = &client->load->statistics;
    const char *problem = NULL;

    if (client->kind == KIND_DOWNLOAD)
        problem = check_download(client);
    else if (client->kind == KIND_UPLOAD)
        problem = check_upload(client);
    if (problem != NULL) {
        fail(client, problem);
        return;
    }
    if (client->kind == KIND_DOWNLOAD)
        statistics->downloaded_bytes += client->body_bytes;
    if (client->kind == KIND_UPLOAD)
        statistics->uploaded_bytes += UPLOAD_BYTES;
    statistics_done(statistics, client->kind, clock_us() - client->started_us);
    if (client->close_after || client->wire.body_length > 0)
        wire_close(&client->wire);
    rest(client);
}

/* --- reading an answer --- */

static void take_body(struct client *client, struct slice data)
{
    if (client->kind == KIND_DOWNLOAD)
        check(EVP_DigestUpdate(client->hash, data.data, data.length) == 1);
    for (size_t i = 0; i < data.length && client->body_bytes + i < BODY_KEPT_BYTES; i++)
        client->body[client->body_bytes + i] = data.data[i];
    client->body_bytes += data.length;
}

/* HTTP1_DONE: the body is complete. */
static enum http1_result read_body(struct client *client)
{
    struct wire *wire = &client->wire;
    enum http1_result result = HTTP1_MORE;

    if (client->response.framing == HTTP_BODY_NONE)
        return HTTP1_DONE;
    if (client->response.framing == HTTP_BODY_CHUNKED) {
        size_t at = 0;
        while (at < wire->in_length && result == HTTP1_MORE) {
            size_t consumed = 0;
            struct slice data = {NULL, 0};
            result = http1_chunked_decode(&client->chunked,
                                          (struct slice){wire->in + at, wire->in_length - at},
                                          &consumed, &data);
            take_body(client, data);
            at += consumed;
        }
        wire_consume(wire, at);
        return result;
    }
    size_t length = wire->in_length;
    if (client->response.framing == HTTP_BODY_LENGTH && length > client->left)
        length = (size_t)client->left;
    take_body(client, (struct slice){wire->in, length});
    wire_consume(wire, length);
    if (client->response.framing == HTTP_BODY_CLOSE)
        return HTTP1_MORE;
    client->left -= length;
    return client->left == 0 ? HTTP1_DONE : HTTP1_MORE;
}

/* Reads the head behind any interim answers. What is needed of it later is copied. */
static enum http1_result read_head(struct client *client)
{
    size_t length;
    enum http1_result result;

    for (;;) {
        result = http1_parse_response((struct slice){client->wire.in, client->wire.in_length},
                                      HTTP_GET, &client->scanned, &client->response, &length);
        if (result != HTTP1_DONE)
            return result;
        if (client->response.status >= 200 || client->response.status == 101)
            break;
        wire_consume(&client->wire, length);
        client->scanned = 0;
    }
    struct slice version = header(&client->response, "x-version");
    if (version.length > 0)
        statistics_version(&client->load->statistics, version);
    struct slice hash = header(&client->response, "x-sha256");
    (void)slice_copy_string(hash, client->wanted_hash, sizeof(client->wanted_hash));
    client->left = client->response.content_length;
    client->close_after = client->close_after || !client->response.keep_alive;
    client->in_body = true;
    wire_consume(&client->wire, length);
    return HTTP1_DONE;
}

static bool is_status_good(const struct client *client)
{
    if (client->kind == KIND_UPLOAD || client->kind == KIND_DOWNLOAD)
        return client->response.status == 200;
    return client->response.status < 500;
}

static void read_answer(struct client *client)
{
    enum http1_result result = client->in_body ? HTTP1_DONE : read_head(client);

    if (result == HTTP1_DONE && !is_status_good(client)) {
        fail_with_status(client);
        return;
    }
    if (result == HTTP1_DONE)
        result = read_body(client);
    if (result == HTTP1_MORE)
        return;
    if (result != HTTP1_DONE)
        fail(client, http1_result_name(result));
    else if (client->wire.in_length > 0)
        fail(client, "bytes behind the answer");
    else
        finish(client);
}

static void on_wire(struct wire *wire, enum wire_event event)
{
    struct client *client = (struct client *)(void *)((char *)wire - offsetof(struct client, wire));

    if (!client->busy) {
        if (event == WIRE_DATA)
            statistics_failed(&client->load->statistics, client->kind, "bytes without a request");
        wire_close(wire);
        return;
    }
    if (event == WIRE_DATA)
        read_answer(client);
    else if (event == WIRE_FAILED)
        fail(client, strerror(wire->error));
    else if (client->in_body && client->response.framing == HTTP_BODY_CLOSE)
        finish(client);
    else
        fail(client, client->in_body       ? "closed in the body"
                     : wire->in_length > 0 ? "closed in the head"
                                           : "closed before the answer");
}

/* --- sending a request --- */

static void write_request(struct client *client)
{
    const struct options *options = &client->load->options;
    char text[2048], target[128] = "";
    const char *method = "GET", *path = target, *more = "";
    struct slice body = {NULL, 0};

    if (client->kind == KIND_KEEPALIVE || client->kind == KIND_NEW) {
        path = options->path;
    } else if (client->kind == KIND_SLOW) {
        snprintf(target, sizeof(target), "/slow?ms=%u", SLOW_MS);
    } else if (client->kind == KIND_DOWNLOAD) {
        uint64_t random = load_random(client->load);
        client->wanted_bytes = 1 + (random >> 32) % DOWNLOAD_BYTES_MAX;
        snprintf(target, sizeof(target), "/bytes?n=%llu&seed=%llu",
                 (unsigned long long)client->wanted_bytes, (unsigned long long)(random & 0xffff));
        check(EVP_DigestInit_ex(client->hash, EVP_sha256(), NULL) == 1);
    } else {
        client->upload = upload_pick(client->load);
        body = (struct slice){client->upload->bytes, client->upload->length};
        method = "POST";
        path = "/upload";
        more = "Transfer-Encoding: chunked\r\n";
    }
    int length = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", method,
                          path, options->host, more, client->once ? "Connection: close\r\n" : "");
    check(length > 0 && (size_t)length < sizeof(text));
    wire_send(&client->wire, (struct slice){text, (size_t)length}, body);
}

void client_start(struct client *client)
{
    struct load *load = client->load;
    double limit = load->options.timeout_ms / 1000.0;

    check(!client->busy);
    if (client->wire.fd >= 0 && wire_is_stale(&client->wire))
        wire_close(&client->wire);
    client->busy = true;
    load->statistics.in_flight++;
    client->in_body = false;
    client->close_after = client->once;
    client->scanned = 0;
    client->body_bytes = 0;
    client->chunked = (struct http1_chunked){0};
    client->started_us = clock_us();
    ev_timer_stop(load->loop, &client->timer);
    ev_timer_set(&client->timer, client->kind == KIND_SLOW ? limit + SLOW_MS / 1000.0 : limit, 0);
    ev_timer_start(load->loop, &client->timer);
    if (client->wire.fd < 0) {
        int error = wire_open(&client->wire, &load->options.http);
        if (error != 0) {
            fail(client, strerror(-error));
            return;
        }
    }
    write_request(client);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct client *client = timer->data;

    (void)loop;
    (void)events;
    if (client->busy)
        fail(client, client->wire.connecting ? "timeout of connecting"
                     : client->in_body       ? "timeout in the body"
                                             : "timeout before the answer");
    else if (!client->load->stopping)
        client_start(client);
}

struct client *client_new(struct load *load, enum kind kind)
{
    struct client *client = memory_new(sizeof(*client));

    client->load = load;
    client->kind = kind;
    wire_init(&client->wire, load->loop, on_wire);
    ev_timer_init(&client->timer, on_timer, 0, 0);
    client->timer.data = client;
    if (kind == KIND_DOWNLOAD)
        check((client->hash = EVP_MD_CTX_new()) != NULL);
    return client;
}

void client_free(struct client *client)
{
    ev_timer_stop(client->load->loop, &client->timer);
    wire_done(&client->wire);
    EVP_MD_CTX_free(client->hash);
    free(client);
}

bool client_start_any(struct client **clients, unsigned count, unsigned *next)
{
    for (unsigned i = 0; i < count; i++) {
        struct client *client = clients[(*next + i) % count];
        if (client->busy)
            continue;
        *next = (*next + i + 1) % count;
        client_start(client);
        return true;
    }
    return false;
}

bool client_start_once(struct load *load)
{
    if (once_count == ONCE_MAX)
        return false;
    struct client *client = client_new(load, KIND_NEW);
    client->once = true;
    once_count++;
    client_start(client);
    return true;
}
