/* The scoreboard: what each worker is doing, in figures. One row per worker process, each row a
 * memory of its own that only its worker writes (and the supervisor, once that worker is dead).
 *
 * Single writer: a relaxed load, an addition and a relaxed store count an event; no locked
 * instruction. Each cell carries the generation of its slot: the worker zeroes the cell when it
 * meets a new one, and readers take a cell of another generation as zero.
 *
 * Counters outlive a worker. Its gauges are zeroed by the supervisor when it is reaped. */
#ifndef BOARD_SCOREBOARD_H
#define BOARD_SCOREBOARD_H

#include "base/descriptors.h"
#include "board/routing.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCORE_VERSION    13u
#define SCORE_HOLDS_MAX  128u /* holding exchanges listed per row; `hold_total` has all */
#define SCORE_TEXT_BYTES 97   /* a request line cut at 96 bytes */

/* Latency in log-linear buckets, microseconds: 4 per octave from 16 µs to about 67 s, so a bucket
 * is at most 25 % wide. Bucket 0 is below 16 µs, the last one open. */
#define HISTOGRAM_BUCKETS 90u

enum row_state {
    ROW_EMPTY, /* no worker; gauges are zero */
    ROW_LIVE,  /* from before its fork until it is reaped */
};

/* Why a client got an error answer from the proxy itself, or none at all. Where the log says why an
 * exchange ended, it has the same name (`exchange_why`). */
enum refusal {
    REFUSAL_BAD_REQUEST,      /* 400, 417, 501, 505: what came is not HTTP as we take it */
    REFUSAL_NO_ROUTE,         /* 404: no service for this host and path */
    REFUSAL_NO_BACKEND,       /* 503: none could serve within the queue timeout */
    REFUSAL_CONNECT_FAILED,   /* 502: could not connect, retries included */
    REFUSAL_BAD_RESPONSE,     /* 502: the backend broke off or did not speak HTTP */
    REFUSAL_RESPONSE_TIMEOUT, /* 504: the backend did not answer in time */
    REFUSAL_SLOW_CLIENT, /* 408: head or body did not come in time, or the answer was not taken */
    REFUSAL_MEMORY,      /* 503: out of memory */
    REFUSAL_HEAD_SIZE,   /* 414, 431: the head is too large */
    REFUSAL_BODY_SIZE,   /* 413: the body is */
    REFUSAL_SLOW_BODY,   /* 408: the body came below limits.min_rate */
    REFUSAL_SLOW_READ,   /* cut: the answer was taken below limits.min_rate */
    REFUSAL_RATE,        /* 429: too many requests of one client */
    REFUSAL_CLIENT_CONNECTIONS, /* closed: too many connections of one client */
    /* These count times, not clients: accepting rested, and new ones waited in the kernel. */
    REFUSAL_CONNECTIONS,  /* the worker had all that it may */
    REFUSAL_DESCRIPTORS,  /* no descriptors; one client was turned away */
    REFUSAL_PRESSURE,     /* no memory */
    REFUSAL_SHED,         /* an idle connection was closed to make room: for each of the three */
    REFUSAL_RETRY_BUDGET, /* 502: failed, and the service's retries were used up */
    REFUSAL_TLS,          /* closed: no handshake of TLS came about, or not in time */
    REFUSAL_MISDIRECTED, /* 421: the host belongs to another certificate than that of the connection
                          */
    REFUSAL_HELD,        /* 503: held for longer than it may wait, or too many are */
    REFUSAL_UNTRUSTED_PROXY, /* closed: not in trusted_proxies, on a listener with proxy_protocol */
    REFUSAL_PROXY_HEADER,    /* closed: its PROXY header was missing, broken or too long */
    REFUSAL_BAD_HELLO,       /* closed: its TLS ClientHello was broken, cut or too long */
    REFUSAL_QUEUE_FULL,      /* 503: no room on the backends, nor in the queue for it */
    REFUSAL_QUEUE_TIMEOUT,   /* 503: waited for room in vain */
    REFUSAL_NO_CANARY,       /* 503: nothing to show on a listener with group: canary */
    REFUSAL_ENDED,           /* 503: its end was asked for before its answer had begun */
    REFUSAL_COUNT,
};

/* How an exchange left a backend that drains. */
enum score_left {
    LEFT_BY_ITSELF,
    LEFT_POLITELY, /* its end was asked for, and its sides had been told */
    LEFT_FORCED,   /* broken off */
    LEFT_COUNT,
};

struct score_cell { /* what one worker has and had with one backend */
    _Atomic uint32_t generation;
    /* gauges */
    /* Exchanges in flight, connecting ones included. Proofs rest on this one: one that changes its
     * kind moves from gauge to gauge of those below, and a reader could miss it on both. */
    _Atomic uint32_t active_all;
    _Atomic uint32_t active[KIND_COUNT];
    _Atomic uint32_t connecting; /* connects in flight */
    _Atomic uint32_t open;       /* established connections, idle ones included */
    _Atomic uint32_t idle;       /* pooled connections without an exchange */
    _Atomic uint32_t ejected;    /* 1: this worker leaves it out for its failures */
    /* counters */
    _Atomic uint64_t exchanges; /* started */
    _Atomic uint64_t status[6]; /* answers by class: [1] 1xx (101) ... [5] 5xx; [0] none at all */
    _Atomic uint64_t connect_failures, timeouts, resets, retries, ejections;
    _Atomic uint64_t stale; /* of the resets: a kept connection had ended before it was used */
    _Atomic uint64_t asset_retries; /* 404s of it that the other group was asked about */
    /* Copies of requests that it was sent (they are among the exchanges); of those, answers
     * compared with the client's, and differing from it; and those that got no answer. */
    _Atomic uint64_t mirrored, mirror_compared, mirror_status_differs, mirror_body_differs;
    _Atomic uint64_t mirror_failures;
    _Atomic uint64_t bytes_in;                     /* from the backend */
    _Atomic uint64_t bytes_out;                    /* to the backend */
    _Atomic uint32_t left[LEFT_COUNT][KIND_COUNT]; /* while it drained */
    _Atomic uint64_t last_end_us; /* clock_us() when the last exchange ended; 0: none yet */
    _Atomic uint64_t latency[HISTOGRAM_BUCKETS]; /* of requests and uploads: start to end */
};

enum ending {                  /* how far the end of an exchange has come that is not its own */
              ENDING_NOT,      /* it finishes by itself */
              ENDING_SOON,     /* its turn comes: ends are spread */
              ENDING_POLITELY, /* its sides were told, and are waited for */
              ENDING_FORCED,   /* broken off */
              ENDING_COUNT,
};

struct score_hold { /* one exchange that holds a draining backend */
    uint64_t id;    /* unique for the life of the boards: row << 56 | counter */
    uint32_t slot;
    uint32_t generation;
    uint8_t kind;   /* enum exchange_kind */
    uint8_t ending; /* enum ending */
    struct address client;
    uint64_t started_ms;
    uint64_t bytes_left; /* where the length is known, else UINT64_MAX */
    uint64_t bytes;      /* both ways, as of the last refresh (once a second while draining) */
    char request[SCORE_TEXT_BYTES]; /* "GET /path", control bytes replaced by '?' */
};

struct score_row {
    uint32_t version;
    _Atomic uint32_t state;             /* enum row_state; the supervisor's */
    _Atomic int32_t pid;                /* the supervisor's */
    _Atomic uint32_t worker_generation; /* config generation; the supervisor's */
    _Atomic uint64_t seen_epoch; /* acknowledged: store with release after acting on the table */
    _Atomic uint64_t heartbeat_ms;
    _Atomic uint64_t next_exchange_id;
    _Atomic uint32_t clients;  /* client connections open: gauge */
    _Atomic uint64_t accepted; /* client connections: counter */
    _Atomic uint64_t refusals[REFUSAL_COUNT];
    _Atomic uint64_t access_log_lost; /* lines that could not be written */
    _Atomic uint64_t spliced_bytes;   /* of tunnels and answers, moved without a copy */
    _Atomic uint64_t memory_held;     /* bytes, by its connections: gauge */
    _Atomic uint64_t memory_limit;
    _Atomic uint32_t memory_pressure; /* 0 none, 1 tight, 2 full: gauge */
    /* The split per service since the worker adopted the present weight, in one word so that a
     * reader gets all three of a moment: see score_split_*(). */
    _Atomic uint64_t split[ROUTING_SERVICES_MAX];
    /* exchanges waiting for a backend, per service: gauge */
    _Atomic uint32_t queued[ROUTING_SERVICES_MAX];
    /* clock_ms() since when the first of a group's waits for room; 0: none does */
    _Atomic uint64_t queued_since_ms[ROUTING_SERVICES_MAX][GROUP_COUNT];
    /* holds: a seqlock guards count and entries */
    _Atomic uint32_t hold_sequence;
    uint32_t hold_count; /* entries below */
    uint32_t hold_total; /* holding exchanges, listed or not */
    struct score_hold holds[SCORE_HOLDS_MAX];
    struct score_cell cells[ROUTING_BACKENDS_MAX];
};

/* Rows lie at a fixed stride in one stretch of address space. */
struct scoreboard {
    unsigned row_count;
    struct score_row *rows[ROWS_MAX];
    /* those that scoreboard_active() sums, for most rows are empty: see scoreboard_look() */
    unsigned live_count;
    const struct score_row *live[ROWS_MAX];
};

/* One row's memory, sealed. Returns a descriptor or -errno. */
int score_row_create(void) __attribute__((warn_unused_result));
/* Maps rows 0 to row_count - 1 from descriptors `first_fd` + row. `writable_row`: the worker's own,
 * ROWS_MAX for all (the supervisor), -1 for none. Returns 0 or -errno. */
int scoreboard_map(struct scoreboard *board, int first_fd, unsigned row_count, int writable_row)
    __attribute__((warn_unused_result));
void scoreboard_unmap(struct scoreboard *board);
/* Looks which rows have a worker. Who balances by scoreboard_active() calls it now and then: until
 * then a worker that is new counts as idle. */
void scoreboard_look(struct scoreboard *board);

/* --- the writer's ------------------------------------------------------------------------- */

#ifdef BARE /* bench/run alone: what counting costs */
#define score_add(counter, by)    ((void)(counter), (void)(by))
#define score_subtract(gauge, by) ((void)(gauge), (void)(by))
#else
#define score_add(counter, by)                                                                     \
    atomic_store_explicit((counter), atomic_load_explicit((counter), memory_order_relaxed) + (by), \
                          memory_order_relaxed)
#define score_subtract(gauge, by)                                                                  \
    atomic_store_explicit((gauge), atomic_load_explicit((gauge), memory_order_relaxed) - (by),     \
                          memory_order_relaxed)
#endif
#define score_get(counter)        atomic_load_explicit((counter), memory_order_relaxed)
#define score_set(counter, value) atomic_store_explicit((counter), (value), memory_order_relaxed)

/* Makes the worker's own cell ready for this generation: zeroes it if it is of another. */
void score_cell_claim(struct score_cell *cell, uint32_t generation);
/* Bucket of a latency. */
unsigned histogram_bucket(uint64_t latency_us);
/* Upper bound of a bucket in microseconds; UINT64_MAX for the last. */
uint64_t histogram_bound_us(unsigned bucket);
/* Replaces the row's list of holds. At most SCORE_HOLDS_MAX entries; `total` counts all. */
void score_holds_write(struct score_row *row, const struct score_hold *holds, uint32_t count,
                       uint32_t total);

/* The supervisor's, for a worker that it has reaped: gauges to zero, state to empty. */
void score_row_bury(struct score_row *row);

/* --- the split's word: weight (14 bits), exchanges (25), canary (25) ---------------------- */
#define SPLIT_COUNT_MAX ((1u << 25) - 1)

static inline uint64_t score_split_pack(uint32_t weight, uint32_t exchanges, uint32_t canary)
{
    return (uint64_t)weight << 50 | (uint64_t)exchanges << 25 | canary;
}

static inline uint32_t score_split_weight(uint64_t word)
{
    return (uint32_t)(word >> 50);
}

static inline uint32_t score_split_exchanges(uint64_t word)
{
    return (uint32_t)(word >> 25) & SPLIT_COUNT_MAX;
}

static inline uint32_t score_split_canary(uint64_t word)
{
    return (uint32_t)word & SPLIT_COUNT_MAX;
}

/* --- readers' ------------------------------------------------------------------------------ */

struct score_sum { /* one backend over all rows */
    uint32_t active[KIND_COUNT], active_all, connecting, open, idle;
    uint32_t ejected; /* workers that leave it out */
    uint64_t exchanges, status[6], connect_failures, timeouts, resets, retries, ejections, stale;
    uint64_t asset_retries;
    uint64_t mirrored, mirror_compared, mirror_status_differs, mirror_body_differs;
    uint64_t mirror_failures;
    uint64_t bytes_in, bytes_out, last_end_us;
    uint64_t latency[HISTOGRAM_BUCKETS];
};
void scoreboard_sum(const struct scoreboard *board, uint32_t slot, uint32_t generation,
                    struct score_sum *ret_sum);

/* The gauge that least_requests compares: active over the rows that had a worker when last looked.
 */
uint32_t scoreboard_active(const struct scoreboard *board, uint32_t slot, uint32_t generation);
/* The same over every row, also of a worker that has come since the last look: for what must not be
 * exceeded. */
uint32_t scoreboard_active_everywhere(const struct scoreboard *board, uint32_t slot,
                                      uint32_t generation);

/* Latency below which `share` (0..1) of the counted ones lie; 0 where there are none. */
uint64_t histogram_quantile_us(const uint64_t latency[HISTOGRAM_BUCKETS], double share);

/* What proves a drain, row by row. */
struct drain_proof_row {
    uint8_t row;
    bool live;
    int32_t pid;
    uint64_t seen_epoch;
    uint32_t active, connecting, idle;
};
struct drain_proof {
    uint64_t epoch; /* the one that took the backend out of rotation */
    unsigned row_count;
    struct drain_proof_row rows[ROWS_MAX];
    uint64_t last_end_us; /* clock_us() of the last exchange's end; 0: it never had one */
    uint32_t left[LEFT_COUNT][KIND_COUNT]; /* over every row, workers that are gone included */
};
/* True when the backend is drained: every live row has seen `epoch` (acquire), and active,
 * connecting and idle are zero in every row. Fills the proof in either case. */
bool scoreboard_is_drained(const struct scoreboard *board, uint32_t slot, uint32_t generation,
                           uint64_t epoch, struct drain_proof *ret_proof);

/* Whether every live row has seen the epoch. */
bool scoreboard_has_seen(const struct scoreboard *board, uint64_t epoch);

/* Copies a row's holds; returns how many were copied (at most `max`). `ret_total` counts all. */
uint32_t score_holds_read(const struct score_row *row, struct score_hold *holds, uint32_t max,
                          uint32_t *ret_total);

/* Over every row; those of workers that are gone are counted too. */
uint64_t scoreboard_refusals(const struct scoreboard *board, enum refusal refusal);
const char *refusal_name(enum refusal refusal); /* "bad-request", ... */

#endif
