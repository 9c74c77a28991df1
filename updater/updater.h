/* The updater: what its parts share.
 *
 * Owner: main.c. Life: the process. One loop; every part is called from it. Whatever changes what
 * a rollout might do next calls updater_wake(); the turn at the end of the loop's round then sweeps
 * drains, plans every rollout in progress and publishes once. */
#ifndef UPDATER_UPDATER_H
#define UPDATER_UPDATER_H

#include "base/list.h"
#include "base/script.h"
#include "base/timer.h"
#include "board/scoreboard.h"
#include "board/verdicts.h"
#include "service.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct admin;
struct config;
struct engine;
struct journal;
struct notify;

struct shown_verdict { /* what was last told of a slot */
    uint32_t generation;
    uint8_t state; /* enum verdict_state */
};

struct updater {
    struct ev_loop *loop;
    struct config *config;
    unsigned row_count;
    struct routing_board *board;
    struct verdicts_board *verdicts;
    struct scoreboard scores;
    struct table *table;
    struct journal *journal;
    struct engine *engine; /* NULL: no service is discovered */
    bool engine_reachable;
    char engine_message[256];
    bool engine_told; /* reachable or not: said once */
    bool engine_gone; /* its socket is not there any more */
    /* wall clock: the last absence that has ended, 0: none; and when the present one began */
    uint64_t engine_away_ms, engine_back_ms, engine_left_ms;
    /* clock_ms(): since when it is asked whether it lives, 0: it is not; when it did, last */
    uint64_t engine_asked_ms, engine_lived_ms;
    uint64_t looks; /* inspects started */
    ev_timer list_again;
    struct admin *admin;
    struct http_client *web; /* to all but the engine: hooks, verifications */
    struct notify *notify;
    struct list commands; /* that run */
    struct script_user command_user;
    struct service *services;
    size_t service_count;
    ev_io bell;
    ev_timer tick;
    ev_timer kick;  /* a turn at once */
    ev_timer later; /* events held back are due */
    ev_prepare turn;
    ev_signal terminated, interrupted;
    bool wanted; /* a turn */
    uint64_t tick_count;
    struct shown_verdict shown[ROUTING_BACKENDS_MAX];
};

/* Something changed: a turn before the loop next waits. */
void updater_wake(struct updater *updater);
/* The service of this name, or NULL. */
struct service *updater_service(const struct updater *updater, const char *name);
/* The service of this row, or NULL. */
struct service *updater_service_of_row(const struct updater *updater, int row);

#endif
