/* The routing table as one worker sees it: what it adopted last, with the pools of idle
 * connections, which outlive an epoch where the backend does. Owner: the worker. */
#ifndef PROXY_TABLE_H
#define PROXY_TABLE_H

#include "balance.h"
#include "base/list.h"
#include "board/routing.h"
#include "ejection.h"
#include "hash_choice.h"

struct ssl_session_st;
struct worker;

struct backend { /* one slot */
    uint32_t generation;
    enum backend_state state;
    enum group group;
    uint16_t service; /* in this table */
    uint16_t weight;
    uint8_t end_kinds;        /* bit per enum exchange_kind */
    uint32_t close_spread_ms; /* for those ends */
    uint64_t ready_ms;        /* clock_ms() when it was made ready */
    uint64_t serves_since_ms; /* the same, its health and ejections taken into account */
    struct ejection ejection;
    uint32_t idle_count;
    /* Upstreams without an exchange, the last used first. Those that were kept in the turn that
     * began at kept_us are apart: the kernel has not been asked about them since. */
    struct list idle, kept;
    uint64_t kept_us;
    struct address address;
    uint64_t identity; /* follows from the address: the same on every worker, and after a restart */
    char name[64];
    /* TLS: the session to take up, of: */
    struct ssl_session_st *session;
    uint32_t session_generation;
};

struct service {
    char name[CONFIG_NAME_MAX + 1];
    enum config_balance balance;
    const struct config_service *config; /* NULL: not of this worker's config */
    bool unchecked;                      /* has no health check: its backends count as healthy */
    uint32_t weight;
    struct config_match match;                       /* requests that are the canary's */
    uint32_t mirror;                                 /* the share that it gets copies of */
    uint32_t mirror_phase;                           /* as below, of those */
    uint32_t phase;                                  /* the split's */
    uint64_t salt;                                   /* for users */
    uint64_t held_until_ms;                          /* new exchanges wait until then */
    uint32_t first[GROUP_COUNT], count[GROUP_COUNT]; /* its stretch of `members` per group */
    /* rotation.h: of that stretch of `rotation` so many are in use */
    uint32_t in_rotation[GROUP_COUNT], ejected[GROUP_COUNT], share_max[GROUP_COUNT];
    struct balance_turn turn[GROUP_COUNT];
    /* balance: hash: of the rotation, as last summed */
    struct {
        uint64_t summed_us; /* 0: not yet */
        uint64_t load, weights;
    } sums[GROUP_COUNT];
};

struct table {
    uint64_t epoch;
    uint32_t service_count, backend_count;
    uint32_t draining_count;
    uint32_t match_count, mirror_count;             /* services with one */
    int by_config[CONFIG_SERVICES_MAX];             /* the config's index to this table's, or -1 */
    uint16_t members[ROUTING_BACKENDS_MAX];         /* READY slots, by service and group */
    uint16_t rotation[ROUTING_BACKENDS_MAX];        /* of them, those that get exchanges */
    struct hash_point points[ROUTING_BACKENDS_MAX]; /* the same, for balance: hash */
    struct service services[ROUTING_SERVICES_MAX];
    struct backend backends[ROUTING_BACKENDS_MAX];
};

void table_init(struct table *table, struct worker *worker);

/* Takes over what was published. Nothing of it is trusted to be within bounds. Pools are the
 * caller's: it closes those of backends that left the rotation first (table_keeps_pool). */
void table_adopt(struct table *table, struct worker *worker, const struct routing_table *published);

/* Whether idle connections to this slot stay good under the table that was published. */
bool table_keeps_pool(const struct table *table, const struct routing_table *published,
                      uint32_t slot);

/* READY, and healthy or unchecked. */
bool table_can_serve(const struct worker *worker, uint32_t slot);

#endif
