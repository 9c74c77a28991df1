/* The end of each round of the loop: drains swept, rollouts planned, the table published once. */
#include "turn.h"

#include "act.h"
#include "base/clock.h"
#include "base/log.h"
#include "discovery.h"
#include "drain.h"
#include "events.h"
#include "hold.h"
#include "rollout.h"
#include "steady.h"

#include <stdlib.h>

/* A turn that wants another one at once gets it, so often; then the loop goes round first. */
#define TURN_ROUNDS_MAX 8

void updater_wake(struct updater *updater)
{
    updater->wanted = true;
    /* The admin API's requests come after this round's turn: another round, at once. */
    if (updater->loop && !ev_is_active(&updater->kick)) {
        ev_timer_set(&updater->kick, 0., 0.);
        ev_timer_start(updater->loop, &updater->kick);
    }
}

void turn_publish(struct updater *updater)
{
    if (!updater->table->dirty)
        return;
    updater->table->dirty = false;
    table_date_ready(updater->table, clock_ms());
    uint64_t epoch = routing_board_publish(updater->board, &updater->table->draft);
    struct log_line line;

    bell_ring(DESCRIPTOR_BELL_HEALTH);
    for (unsigned row = 0; row < updater->row_count; row++)
        bell_ring(DESCRIPTOR_BELL_ROW_FIRST + (int)row);
    log_begin(&line, LOG_DEBUG, "table-published");
    log_u64(&line, "epoch", epoch);
    log_end(&line);
    for (size_t i = 0; i < updater->service_count; i++)
        updater->services[i].changed = true;
}

static void turn_round(struct updater *updater)
{
    drain_sweep(updater);
    for (size_t i = 0; i < updater->service_count; i++) {
        if (updater->services[i].listed && updater->engine_reachable)
            act_sweep(&updater->services[i]);
        if (updater->services[i].rollout)
            rollout_turn(updater->services[i].rollout);
    }
    turn_publish(updater);
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct updater *updater = watcher->data;

    (void)loop;
    (void)events;
    for (int round = 0; round < TURN_ROUNDS_MAX && updater->wanted; round++) {
        updater->wanted = false;
        turn_round(updater);
    }
    turn_publish(updater);
    events_flush(updater);
}

static void on_kick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static void on_bell(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct updater *updater = watcher->data;

    (void)loop;
    (void)events;
    bell_clear(watcher->fd);
    drain_sweep(updater);
    events_verdicts(updater);
    updater_wake(updater);
}

static bool is_rolling(const struct updater *updater)
{
    for (size_t i = 0; i < updater->service_count; i++) {
        if (updater->services[i].rollout)
            return true;
    }
    return false;
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct updater *updater = watcher->data;

    (void)loop;
    (void)events;
    updater->tick_count++;
    if (!is_rolling(updater))
        steady_follow();
    table_services_keep(updater->table, updater->config, steady_wall_ms());
    events_verdicts(updater);
    discovery_tick(updater);
    for (size_t i = 0; i < updater->service_count; i++) {
        if (updater->services[i].rollout || hold_left_ms(&updater->services[i]) > 0)
            updater->services[i].changed = true;
    }
    updater_wake(updater);
}

void turn_init(struct updater *updater)
{
    ev_timer_init(&updater->kick, on_kick, 0., 0.);
}

void turn_start(struct updater *updater)
{
    ev_io_init(&updater->bell, on_bell, DESCRIPTOR_BELL_UPDATER, EV_READ);
    updater->bell.data = updater;
    ev_io_start(updater->loop, &updater->bell);
    ev_timer_init(&updater->tick, on_tick, 1., 1.);
    updater->tick.data = updater;
    ev_timer_start(updater->loop, &updater->tick);
    ev_timer_init(&updater->later, on_kick, 0., 0.);
    ev_prepare_init(&updater->turn, on_turn);
    updater->turn.data = updater;
    ev_prepare_start(updater->loop, &updater->turn);
}

void turn_stop(struct updater *updater)
{
    ev_io_stop(updater->loop, &updater->bell);
    ev_timer_stop(updater->loop, &updater->tick);
    ev_timer_stop(updater->loop, &updater->kick);
    ev_timer_stop(updater->loop, &updater->later);
    ev_prepare_stop(updater->loop, &updater->turn);
}
