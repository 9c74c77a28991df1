/* The draft of the routing table: which service has which row, which backend which slot.
 *
 * A slot is reused only when what it last held is drained in every row, and gets a new generation
 * then. After a restart of the updater the draft starts from the board's last published table;
 * backends that are found again keep slot and generation, so workers see no needless change.
 *
 * Owner: the updater, one. Pure but for the scoreboard that table_sweep() reads; publishing is
 * publish.c's. Times are clock_ms() where they end in _ms, wall clock in _wall_ms. */
#ifndef UPDATER_TABLE_H
#define UPDATER_TABLE_H

#include "board/routing.h"
#include "board/scoreboard.h"

#include <stdbool.h>
#include <stdint.h>

#define TABLE_NONE (-1) /* no slot, no row */

struct table_entry {            /* what the board need not know of a slot */
    uint64_t drain_epoch;       /* the epoch that takes it out of rotation; 0: in rotation */
    uint64_t drain_wall_ms;     /* since when */
    uint64_t published_wall_ms; /* when it entered the table */
    bool unclaimed;             /* from the board, not yet found again */
    bool leaving;               /* freed as soon as it is drained */
    bool drained;               /* proven */
};

struct table {
    struct routing_table draft;
    struct table_entry entries[ROUTING_BACKENDS_MAX];
    uint64_t weight_epochs[ROUTING_SERVICES_MAX]; /* published weight, match and mirror */
    uint64_t hold_epochs[ROUTING_SERVICES_MAX];   /* the one that began or renewed the hold */
    uint64_t ends_epoch; /* the epoch that publishes the newest of draft.ends */
    bool dirty;          /* differs from what is published */
};

/* What a backend is to be. */
struct table_backend {
    int row;
    enum group group;
    enum backend_state state;
    enum container_health container_health;
    struct address address;
    uint64_t started_ms; /* clock_ms() of its start: tells one run of a container from another */
    bool any_start;      /* static: has no start of its own, matches whatever is there */
    const char *name;
};

/* An empty draft; on the heap, freed by free(). */
struct table *table_new(void);
/* Starts from what was published. Its slots are unclaimed until table_give() finds them. */
void table_adopt(struct table *table, const struct routing_table *published, uint64_t wall_ms,
                 uint64_t now_ms);

/* The row of this service: the one it has, else a free one. TABLE_NONE where all are in use. */
int table_service_row(struct table *table, const char *name);
/* Sets protocol, balance and check from the config; the weight stays. */
void table_service_set(struct table *table, int row, const struct config_service *service);
/* Rows of services that are no longer in the config: their backends leave, then the row goes. */
void table_services_keep(struct table *table, const struct config *config, uint64_t wall_ms);

/* The slot of this backend: the unclaimed one that is the same run at the same address (which
 * keeps its state and group), else a free one of a new generation. TABLE_NONE where all are in
 * use. `ret_found` (may be NULL) says whether it was there already. */
int table_give(struct table *table, const struct table_backend *wanted, uint64_t wall_ms,
               bool *ret_found);
/* Only the first half of that: the unclaimed slot, or TABLE_NONE. */
int table_claim(struct table *table, const struct table_backend *wanted);
/* Unclaimed slots of this row leave: what they were is not there any more. */
void table_drop_unclaimed(struct table *table, int row, uint64_t wall_ms);
/* Takes it out of rotation; freed once drained. */
void table_release(struct table *table, int slot, uint64_t wall_ms);
/* Frees leaving slots that are drained; marks draining ones whose drain is proven. `on_drained`
 * (may be NULL) is called at each such transition, before a leaving slot is freed; false puts it
 * off to the next sweep. Returns how many transitions there were. */
unsigned table_sweep(struct table *table, const struct scoreboard *scores,
                     bool (*on_drained)(void *context, int slot, const struct drain_proof *proof),
                     void *context);

void table_set_state(struct table *table, int slot, enum backend_state state, uint64_t wall_ms);
/* Dates those that have become ready since it was called last; before publishing. */
void table_date_ready(struct table *table, uint64_t now_ms);
void table_set_group(struct table *table, int slot, enum group group);
void table_set_name(struct table *table, int slot, const char *name);
void table_set_container_health(struct table *table, int slot, enum container_health health);
/* Exactly these kinds are ended, over `spread_ms`. */
void table_set_end_kinds(struct table *table, int slot, uint8_t kinds, uint32_t spread_ms);
/* This exchange is to end, on whatever worker it is. */
void table_end_exchange(struct table *table, uint64_t id);
/* Ends that every live worker has taken are not published again. */
void table_forget_ends(struct table *table, const struct scoreboard *scores);
/* Where the slot is of this generation and drains: since when. */
void table_date_drain(struct table *table, uint32_t slot, uint32_t generation, uint64_t wall_ms);
void table_set_weight(struct table *table, int row, uint32_t weight);
/* The requests that are the canary's, beside the weight's share. Its epoch, and the mirror's, is
 * remembered as the weight's is: weight_epochs says since when all three hold. */
void table_set_match(struct table *table, int row, const struct config_match *match);
void table_set_mirror(struct table *table, int row, uint32_t share);  /* of WEIGHT_MAX */
void table_set_held(struct table *table, int row, uint64_t until_ms); /* clock_ms(); 0: not */
void table_set_salt(struct table *table, int row, uint64_t salt);
void table_set_secret(struct table *table, const uint8_t secret[ROUTING_SECRET_BYTES]);

/* The epoch that the draft will have when it is published. */
uint64_t table_next_epoch(const struct table *table);

static inline struct routing_backend *table_backend(struct table *table, int slot)
{
    return &table->draft.backends[slot];
}

#endif
