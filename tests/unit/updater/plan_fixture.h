/* What the planner's tests share: three old containers that serve, and the questions asked of a
 * plan. The code lies here so that each program has its own, and a function that it does not use
 * is no warning. */
#ifndef TESTS_PLAN_FIXTURE_H
#define TESTS_PLAN_FIXTURE_H

#include "tests/unit/unit.h"
#include "updater/plan.h"

#include <stdio.h>
#include <string.h>

#define NOW 1000000000ull

static const struct config_step steps[] = {{.kind = STEP_SET_WEIGHT, .weight = 2500},
                                           {.kind = STEP_PAUSE, .pause_ms = 30000},
                                           {.kind = STEP_SET_WEIGHT, .weight = 5000},
                                           {.kind = STEP_PAUSE, .until_promoted = true},
                                           {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX}};
static struct plan_spec spec;
static struct plan_observed in;
static struct plan out;

static inline struct plan_container *add(bool is_new, uint16_t ordinal)
{
    struct plan_container *container = &in.containers[in.container_count++];

    memset(container, 0, sizeof(*container));
    container->is_new = is_new;
    container->ordinal = ordinal;
    container->state = CONTAINER_RUNNING;
    container->backend = BACKEND_READY;
    container->verdict = VERDICT_HEALTHY;
    container->started_ms = container->published_ms = NOW - 1000;
    snprintf(container->name, sizeof(container->name), "web-%u%s", ordinal + 1u,
             is_new ? "-new" : "");
    if (is_new)
        snprintf(container->final_name, sizeof(container->final_name), "web-%u", ordinal + 1u);
    return container;
}

/* Three old ones that serve, at the first step; the engine and the image are there. */
static inline int reset(void **state)
{
    (void)state;
    spec = (struct plan_spec){.replicas = 3,
                              .steps = steps,
                              .step_count = 5,
                              .drain = {.budgets = {[KIND_REQUEST].timeout_ms = 30000,
                                                    [KIND_UPLOAD].timeout_ms = 40000,
                                                    [KIND_STREAM].timeout_ms = 50000,
                                                    [KIND_WEBSOCKET].timeout_ms = 60000,
                                                    [KIND_TCP].timeout_ms = 90000}},
                              .health_timeout_ms = 20000,
                              .progress_deadline_ms = 600000,
                              .monitor_ms = 5000};
    memset(&in, 0, sizeof(in));
    in.now_ms = NOW;
    in.spec = &spec;
    in.progress.changed_ms = NOW - 1000;
    in.weight_acknowledged = in.engine_reachable = in.image_ready = true;
    for (uint16_t i = 0; i < 3; i++)
        (void)add(false, i);
    return 0;
}

static inline void next(void)
{
    plan_next(&in, &out);
}

static inline unsigned count(enum plan_action_kind kind)
{
    unsigned found = 0;

    for (unsigned i = 0; i < out.action_count; i++)
        found += out.actions[i].kind == kind;
    return found;
}

static inline const struct plan_action *the(enum plan_action_kind kind)
{
    for (unsigned i = 0; i < out.action_count; i++) {
        if (out.actions[i].kind == kind)
            return &out.actions[i];
    }
    fail_msg("no %s planned; it waits %s", plan_action_name(kind), out.waiting);
    return &out.actions[0];
}

static inline void at_step(uint32_t step, uint32_t weight, uint16_t new_count)
{
    in.progress.step = step;
    in.weight = weight;
    for (uint16_t i = 0; i < new_count; i++)
        (void)add(true, i);
}

static inline void enter(enum plan_phase phase, uint32_t weight)
{
    in.progress.phase = phase;
    in.weight = weight;
    for (uint16_t i = 0; i < 3; i++)
        (void)add(true, i);
}

#endif
