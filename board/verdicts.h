/* The verdicts: what the health process says of each backend slot. Written by health, read by
 * workers (at every choice of a backend, one load) and the updater.
 *
 * A verdict carries the generation of the slot it was made for: one for another generation counts
 * as unknown. The board outlives the health process, so verdicts stand while it is restarted. */
#ifndef BOARD_VERDICTS_H
#define BOARD_VERDICTS_H

#include "board/routing.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VERDICTS_VERSION 2u

enum verdict_state {
    VERDICT_UNKNOWN,  /* not judged yet */
    VERDICT_STARTING, /* fails, but within its start period, or not yet `retries` times */
    VERDICT_HEALTHY,
    VERDICT_UNHEALTHY,
};

struct verdict {
    enum verdict_state state;
    uint64_t since_ms;   /* clock_ms() of the last change of state */
    uint64_t checked_ms; /* clock_ms() of the last check's end */
    uint32_t latency_us; /* of the last check */
    uint32_t failures;   /* in a row, now */
    uint32_t successes;  /* in a row, now */
    char reason[128];    /* for people: "status 500, wanted 200-399" */
};

struct verdict_cell {      /* one per slot; a seqlock guards `verdict`, `word` stands alone */
    _Atomic uint64_t word; /* generation << 32 | enum verdict_state */
    _Atomic uint32_t sequence;
    struct verdict verdict;
};

struct verdicts_board {
    uint32_t version;
    _Atomic uint64_t heartbeat_ms; /* of the health process */
    _Atomic uint64_t changes;      /* of state, so far: whether one is to be looked for */
    struct verdict_cell cells[ROUTING_BACKENDS_MAX];
};

int verdicts_board_create(void) __attribute__((warn_unused_result));
int verdicts_board_map(int fd, bool writable, struct verdicts_board **ret_board)
    __attribute__((warn_unused_result));
void verdicts_board_unmap(struct verdicts_board *board);

/* How many changes of state there have been: what is read after it is as new or newer. */
static inline uint64_t verdicts_changes(const struct verdicts_board *board)
{
    return atomic_load_explicit(&board->changes, memory_order_acquire);
}

/* The hot path's question. `slot` must be below ROUTING_BACKENDS_MAX. */
static inline enum verdict_state verdict_state_of(const struct verdicts_board *board, uint32_t slot,
                                                  uint32_t generation)
{
    uint64_t word = atomic_load_explicit(&board->cells[slot].word, memory_order_relaxed);

    return word >> 32 == generation && (word & 0xff) <= VERDICT_UNHEALTHY
               ? (enum verdict_state)(word & 0xff)
               : VERDICT_UNKNOWN;
}

/* The whole verdict; all zero (unknown) where it is for another generation. */
void verdict_read(const struct verdicts_board *board, uint32_t slot, uint32_t generation,
                  struct verdict *ret_verdict);
/* The writer's. Sets since_ms itself: now where the state changes, unchanged otherwise. Returns
 * whether the state changed, so that the caller rings the bells. */
bool verdict_write(struct verdicts_board *board, uint32_t slot, uint32_t generation,
                   const struct verdict *verdict, uint64_t now_ms);

const char *verdict_state_name(enum verdict_state state); /* "unknown", "starting", ... */

#endif
