/* One check of one backend: HTTP, TCP connect, or a script.
 *
 * Owner: embedded in a target. Life: init once; then start, and either on_done or stop, any number
 * of times. on_done never runs before start returns, and may start the probe again. */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include "base/timer.h"
#include "board/routing.h"
#include "config/config.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct http_client;
struct http_request;
struct list;
struct script;
struct tls_files;

#define PROBE_BODY_BYTES   ((size_t)64 * 1024) /* of an answer, looked at for the wanted piece */
#define PROBE_REASON_BYTES 128                 /* as in struct verdict */

struct probe_result {
    bool passed;
    uint32_t latency_us;
    char reason[PROBE_REASON_BYTES]; /* printable; empty where passed */
};

struct probe_tools { /* shared by all probes */
    struct ev_loop *loop;
    struct http_client *client;
    struct list *scripts; /* those that run */
};

struct probe_subject {
    const struct routing_check *check;
    const struct routing_backend *backend;
    const char *service;
    char *const *argv;                         /* CHECK_SCRIPT */
    const struct tls_files *tls;               /* NULL: plain */
    enum config_proxy_protocol proxy_protocol; /* what its connections begin with */
};

struct probe {
    const struct probe_tools *tools;
    void (*on_done)(struct probe *probe, const struct probe_result *result);
    struct timer timeout; /* also tells results that are there at once */
    ev_io connect;
    struct http_request *request;
    struct script *script;
    enum config_proxy_protocol proxy_protocol; /* of a TCP check */
    uint64_t started_us;
    uint32_t timeout_ms;
    bool running;
    bool timed_out;  /* a script that was killed for it */
    bool has_result; /* `result` is told by the timer */
    uint16_t status_min, status_max;
    char body[256];
    struct probe_result result;
};

void probe_init(struct probe *probe, const struct probe_tools *tools,
                void (*on_done)(struct probe *probe, const struct probe_result *result));
/* Copies what it needs of `subject`. */
void probe_start(struct probe *probe, const struct probe_subject *subject);
/* Ends it without on_done. */
void probe_stop(struct probe *probe);

#endif
