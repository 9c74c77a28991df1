/* The routing table: who serves what. Written by the updater, read by workers and health.
 *
 * Shared memory with two copies. A writer fills the copy that nobody is sent to and then flips an
 * index together with the epoch, so a crash while writing harms nobody. Readers copy out what they
 * need and then look whether the writer came round again meanwhile.
 *
 * Owner: the supervisor creates and seals the memory; it outlives every process that maps it. The
 * updater keeps its draft in ordinary memory, starting from the last published table. */
#ifndef BOARD_ROUTING_H
#define BOARD_ROUTING_H

#include "base/address.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

#define ROUTING_VERSION      6u
#define ROUTING_SERVICES_MAX CONFIG_SERVICES_MAX
#define ROUTING_BACKENDS_MAX 4096u /* slots; the scoreboard has a cell for each, in every row */
#define ROUTING_ENDS_MAX     256u  /* ends asked for at once; more wait for the next epoch */

#define ROUTING_SECRET_BYTES 32u

enum group { GROUP_STABLE, GROUP_CANARY, GROUP_COUNT };

enum backend_state {
    BACKEND_FREE,     /* the slot is unused */
    BACKEND_STARTING, /* probed, gets no exchange yet, whatever its verdict */
    BACKEND_READY,    /* in rotation while healthy */
    BACKEND_DRAINING, /* gets no new exchange; pooled connections are closed */
};

/* What the engine says of the container's own HEALTHCHECK (CHECK_CONTAINER reads it). */
enum container_health {
    CONTAINER_HEALTH_NONE,
    CONTAINER_HEALTH_STARTING,
    CONTAINER_HEALTH_HEALTHY,
    CONTAINER_HEALTH_UNHEALTHY,
};

struct routing_backend {
    uint32_t generation;      /* rises each time the slot is given out; 0: never used */
    uint16_t service;         /* index into services */
    uint8_t group;            /* enum group */
    uint8_t state;            /* enum backend_state */
    uint8_t container_health; /* enum container_health */
    uint8_t end_kinds; /* bit per enum exchange_kind: workers end exchanges of that kind now */
    uint16_t weight;   /* for weighted balancing; 1 by default */
    struct address address;
    uint32_t close_spread_ms; /* those ends are spread over so long, so that no herd comes back */
    uint64_t started_ms;      /* clock_ms() from which start_period counts */
    uint64_t ready_ms;        /* clock_ms() when it was made ready; 0: never */
    char name[64];            /* for people: container name or "host:port" */
};

/* A service's health check as health needs it; from the config. */
struct routing_check {
    uint8_t kind; /* enum config_check_kind; CHECK_SCRIPT's argv is read from the config */
    uint16_t status_min, status_max;
    uint16_t retries, successes;
    uint32_t interval_ms, timeout_ms, start_period_ms;
    char path[256];
    char host[256]; /* empty: the backend's address */
    char body[256]; /* empty: any */
};

struct routing_service {
    char name[CONFIG_NAME_MAX + 1]; /* empty: the row is unused */
    uint8_t protocol;               /* enum config_protocol */
    uint8_t balance;                /* enum config_balance */
    uint16_t weight;                /* the canary's share, of WEIGHT_MAX */
    uint16_t mirror;                /* share of requests copied to the canary, of WEIGHT_MAX */
    struct config_match match;      /* requests that are the canary's, beside the weight's share */
    uint64_t held_until_ms;         /* clock_ms(): new exchanges wait until then; 0: they do not */
    uint64_t salt;                  /* the same while the weight rises: which users come first */
    struct routing_check check;
};

struct routing_table {
    uint64_t epoch;
    uint32_t service_count; /* rows in use are below this */
    uint32_t backend_count; /* slots in use are below this */
    uint32_t end_count;
    uint8_t secret[ROUTING_SECRET_BYTES]; /* of this installation: signs users' cookies */
    uint64_t ends[ROUTING_ENDS_MAX];      /* exchange ids that an operator wants ended */
    struct routing_service services[ROUTING_SERVICES_MAX];
    struct routing_backend backends[ROUTING_BACKENDS_MAX];
};

struct routing_board; /* the mapping */

/* Creates the memory and seals its size. Returns a descriptor or -errno. The supervisor's call. */
int routing_board_create(void) __attribute__((warn_unused_result));

/* Maps `fd`. `writable` for the one writer only. Checks size and layout version: -EINVAL where
 * they differ. The caller owns the mapping. */
int routing_board_map(int fd, bool writable, struct routing_board **ret_board)
    __attribute__((warn_unused_result));
void routing_board_unmap(struct routing_board *board);

/* The epoch last published; 0: nothing yet. Cheap: one load. */
uint64_t routing_board_epoch(const struct routing_board *board);

/* Copies the newest table out (only the rows and slots in use) and checks its counts against the
 * limits. Returns 0, -EAGAIN where the writer came round twice meanwhile (try again), -EPROTO where
 * the content makes no sense. */
int routing_board_read(const struct routing_board *board, struct routing_table *ret_table)
    __attribute__((warn_unused_result));

/* Publishes the draft as the next epoch, which it writes into draft->epoch and returns. The caller
 * then rings the bells. */
uint64_t routing_board_publish(struct routing_board *board, struct routing_table *draft);

const char *backend_state_name(enum backend_state state); /* "starting", ... */
const char *group_name(enum group group);                 /* "stable", "canary" */
const char *exchange_kind_name(enum exchange_kind kind);  /* "request", "upload", ... */

#endif
