/* sluice-load: traffic of several kinds at once, each answer checked. One libev loop, one struct
 * load for the whole run; clients live as long as it does, except those of one request each. */
#ifndef TESTS_LOAD_LOAD_H
#define TESTS_LOAD_LOAD_H

#include "base/address.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum kind {
    KIND_KEEPALIVE,
    KIND_NEW,
    KIND_SLOW,
    KIND_UPLOAD,
    KIND_DOWNLOAD,
    KIND_WEBSOCKET,
    KIND_TCP,
    KIND_COUNT
};

struct options {
    struct address http, tcp;
    const char *host;
    const char *path;
    double duration_s; /* 0: until a signal */
    double rate, new_rate;
    unsigned connections, slow, uploads, downloads, websockets, tcp_connections;
    unsigned report_ms, timeout_ms, websocket_hold_ms, tcp_hold_ms;
    char host_text[ADDRESS_TEXT_BYTES];
};

/* Returns 0, or the exit code after having said what is wrong. *ret_help: help was asked for. */
int options_parse(int argc, char **argv, struct options *ret_options, bool *ret_help)
    __attribute__((warn_unused_result));

/* --- statistics --- */

#define FAILURES_LISTED 20
#define VERSIONS_MAX    16
#define VERSION_BYTES   64
#define LATENCY_BUCKETS 1024 /* sixteen to each power of two of microseconds */

struct failure {
    uint64_t elapsed_ms;
    enum kind kind;
    char detail[128];
};

struct kind_statistics {
    uint64_t requests, failed, max_us;
    uint64_t latency[LATENCY_BUCKETS];
};

struct channel_statistics { /* websockets, TCP */
    uint64_t open, broken, closed, messages;
};

struct version_count {
    char text[VERSION_BYTES];
    uint64_t count;
};

struct statistics {
    uint64_t started_ms;
    uint64_t requests, failed, uploaded_bytes, downloaded_bytes, late;
    uint64_t in_flight;
    struct kind_statistics kinds[KIND_COUNT];
    struct channel_statistics websockets, tcp;
    unsigned version_count, failure_count;
    struct version_count versions[VERSIONS_MAX];
    struct failure failures[FAILURES_LISTED];
};

void statistics_done(struct statistics *statistics, enum kind kind, uint64_t latency_us);
void statistics_failed(struct statistics *statistics, enum kind kind, const char *detail);
void statistics_version(struct statistics *statistics, struct slice version);
void statistics_print_progress(const struct statistics *statistics, uint64_t requests_before,
                               unsigned interval_ms);
void statistics_print_final(const struct statistics *statistics);

/* --- one connection --- */

#define WIRE_IN_BYTES  (128u * 1024)
#define WIRE_OUT_BYTES 4096u

enum wire_event { WIRE_DATA, WIRE_CLOSED, WIRE_FAILED };

/* Connects, writes and reads. Owner: the client it is embedded in, which it tells of everything. */
struct wire {
    struct ev_loop *loop;
    ev_io watcher;
    int fd;    /* -1: not open */
    int error; /* with WIRE_FAILED */
    bool connecting;
    char out[WIRE_OUT_BYTES];
    size_t out_length, out_sent;
    const char *body; /* sent behind `out`; belongs to somebody who lives longer */
    size_t body_length;
    char *in; /* WIRE_IN_BYTES */
    size_t in_length;
    void (*on_event)(struct wire *wire, enum wire_event event);
};

void wire_init(struct wire *wire, struct ev_loop *loop,
               void (*on_event)(struct wire *wire, enum wire_event event));
/* Closes it and gives its memory back. */
void wire_done(struct wire *wire);
/* Starts to connect. Returns 0 or -errno. */
int wire_open(struct wire *wire, const struct address *address) __attribute__((warn_unused_result));
void wire_close(struct wire *wire);
/* Sends `bytes`, which must fit into WIRE_OUT_BYTES together with what waits there, and then
 * `body`, which is not copied. An error comes as an event from the loop, never from within. */
void wire_send(struct wire *wire, struct slice bytes, struct slice body);
void wire_consume(struct wire *wire, size_t bytes);
/* Whether the peer has closed a connection that should be idle, or sent something on it. */
bool wire_is_stale(const struct wire *wire);

/* --- the run --- */

struct load {
    struct ev_loop *loop;
    struct options options;
    struct statistics statistics;
    bool stopping;
    uint64_t seed;
};

uint64_t load_random(struct load *load);

/* Bodies to upload (uploads.c): made once, before the first client that sends them. */
#define UPLOAD_BYTES        (1024u * 1024u)
#define UPLOAD_ANSWER_BYTES 128
#define SHA256_HEX_BYTES    65

struct upload {
    char *bytes; /* framed in chunks */
    size_t length;
    char answer[UPLOAD_ANSWER_BYTES]; /* "SHA256 LENGTH\n" */
};

void uploads_prepare(struct load *load);
void uploads_free(void);
const struct upload *upload_pick(struct load *load);
void upload_hash_text(const unsigned char *digest, char text[SHA256_HEX_BYTES]);

/* HTTP clients (http.c). */
struct client;
struct client *client_new(struct load *load, enum kind kind);
void client_free(struct client *client);
void client_start(struct client *client);
/* Starts a request on an idle client of `clients`, from *next on; or on a new one that is freed
 * behind it. Both return false where none is free. */
bool client_start_any(struct client **clients, unsigned count, unsigned *next);
bool client_start_once(struct load *load);

/* WebSocket and TCP clients: they begin at once and go on until freed. */
struct websocket;
struct websocket *websocket_new(struct load *load);
void websocket_free(struct websocket *websocket);
struct tcp_client;
struct tcp_client *tcp_client_new(struct load *load);
void tcp_client_free(struct tcp_client *client);

#endif
