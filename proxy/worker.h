/* What one worker process has: its loop, its boards and what is in flight.
 *
 * One per process, made in worker.c; everything else in this folder gets a pointer to it. */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include "base/clock.h"
#include "base/list.h"
#include "base/stream.h"
#include "board/scoreboard.h"
#include "board/verdicts.h"
#include "config/config.h"
#include "exchange.h"
#include "pressure.h"
#include "retry_budget.h"
#include "route.h"
#include "table.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct access_log;
struct error_pages;
struct client_table;
struct listener;
struct user_key;
struct tickets_board;
struct tls_backend;
struct http1_request;
struct http1_response;

/* Embedded in what must not be freed inside its own callback: freed when the turn ends. */
struct doomed {
    struct list node;
    void (*free)(struct doomed *doomed);
};

struct worker {
    struct ev_loop *loop;
    struct stream_hub *hub;
    struct config *config;
    struct route_table routes;
    struct table table;
    struct user_key *user_key; /* NULL: no service is sticky */

    struct routing_board *routing;
    struct verdicts_board *verdicts;
    uint64_t verdict_changes; /* as of the rotation */
    struct tickets_board *tickets;
    struct scoreboard scores;
    struct score_row *row;
    unsigned row_index, row_count, slot;

    uint64_t now_us, now_ms; /* of this turn */
    uint64_t random_state;
    char date[32]; /* a Date field's value, renewed each second */

    struct list exchanges[EXCHANGE_STATE_COUNT]; /* the state is the list */
    /* queued ones, by the config's service and their group, GROUP_COUNT: none yet; see queue.h */
    struct list waiting[CONFIG_SERVICES_MAX][GROUP_COUNT + 1];
    uint32_t waiting_count[CONFIG_SERVICES_MAX];
    uint32_t held_count[CONFIG_SERVICES_MAX]; /* of them, those that an operator holds */
    uint32_t freed_slot;                      /* where room was made last */
    bool queue_due;                           /* room was made in this turn */
    ev_timer queue_look;
    struct retry_budget retry_budgets[CONFIG_SERVICES_MAX];
    struct list ending_soon, ending_told; /* exchanges with a turn to end; see ends.h */
    struct timer ends;
    bool ends_kinds;           /* the table ends some, of a draining backend */
    struct list clients;       /* HTTP connections */
    struct list prefaces;      /* connections that say who they are, or where to, first */
    uint32_t connection_count; /* of every protocol */
    struct list doomed;
    struct list free_relays;
    uint32_t free_relay_count;
    struct list mirrors_due, mirrors; /* copies for the canary: to be sent, and under way */
    uint32_t mirror_count;            /* on either */

    struct pressure pressure;                /* of memory */
    struct client_table *client_connections; /* see admission.c; NULL: there is no such limit */
    struct client_table *client_rates;

    struct listener *listeners;
    struct tls_backend **backend_tls; /* by the config's service; NULL: plain */
    bool accept_held;                 /* there is no memory for more */
    bool accept_waits; /* at limits.connections: the next end of one starts it again */
    uint64_t shortage_logged_ms;
    bool stopping;              /* finishes what it has: */
    uint64_t stopping_since_ms; /* from then on drain budgets count; 0: they do not */
    int accept_fd_max;          /* past it clients are turned away */
    bool holds_changed;
    uint64_t holds_due_us;         /* they are told anew from then on; see limits.h */
    struct access_log *access_log; /* NULL: off */
    struct error_pages *pages;
    struct score_cell lost; /* see worker_cell() */

    /* scratch, good within one callback */
    struct routing_table *published;
    struct http1_request *request;
    struct http1_response *response;
    char *head;

    ev_check clock_watcher;
    ev_prepare reaper;
    ev_timer tick;
    ev_io bell;
    ev_signal terminate, retire, hangup;
};

/* Has it freed when the turn ends. */
void worker_doom(struct worker *worker, struct doomed *doomed);
/* 64 bits that no client needs to be unable to guess: xorshift64* (Vigna, "An experimental
 * exploration of Marsaglia's xorshift generators"). */
static inline uint64_t worker_random(struct worker *worker)
{
    uint64_t x = worker->random_state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    worker->random_state = x;
    return x * 0x2545f4914f6cdd1du;
}
/* A connection came or went: counted, and the end of a stopping worker. */
void worker_count_connection(struct worker *worker, int change);

/* Whether an operator holds the service: what comes new waits. */
static inline bool worker_holds(const struct worker *worker, uint16_t service)
{
    int row = worker->table.by_config[service];

    return row >= 0 && worker->table.services[row].held_until_ms > worker->now_ms;
}

/* Whether a connection may go on after an answer. */
static inline bool worker_keeps_alive(const struct worker *worker)
{
    return !worker->stopping && worker->pressure.level == PRESSURE_NONE;
}

/* The worker's own cell of a slot. Where the slot went to another generation meanwhile (a backend
 * that was removed by force), what is still counted for the old one goes nowhere. */
static inline struct score_cell *worker_cell(struct worker *worker, uint32_t slot,
                                             uint32_t generation)
{
    struct score_cell *cell = &worker->row->cells[slot];

    return score_get(&cell->generation) == generation ? cell : &worker->lost;
}

#endif
