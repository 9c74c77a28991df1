/* Replicas that make way in turn: what the simulator found, one test for each. */
#include "plan_fixture.h"

static const struct config_step batches[] = {{.kind = STEP_SET_WEIGHT, .weight = 3333},
                                             {.kind = STEP_SET_WEIGHT, .weight = 6666},
                                             {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX}};

/* Of so many replicas, one by one; all old ones serve. */
static void rolling(uint32_t replicas, enum config_order order)
{
    spec.strategy = STRATEGY_ROLLING;
    spec.order = order;
    spec.replicas = replicas;
    spec.max_surge = 1;
    spec.max_unavailable = order == ORDER_STOP_FIRST ? 1 : 0;
    spec.hold_ms = 30000;
    spec.steps = replicas == 1 ? &batches[2] : batches;
    spec.step_count = replicas == 1 ? 1 : 3;
    in.container_count = replicas;
}

/* It made room, and is kept for the way back. */
static void stopped(unsigned index)
{
    in.containers[index].state = CONTAINER_EXITED;
    in.containers[index].backend = BACKEND_FREE;
    in.containers[index].verdict = VERDICT_UNKNOWN;
    in.containers[index].kept = true;
}

static void draining(struct plan_container *container)
{
    container->backend = BACKEND_DRAINING;
    container->drain_since_ms = NOW - 100;
    container->drained = true;
}

static const struct plan_action *action_on(const struct plan_container *container)
{
    for (unsigned i = 0; i < out.action_count; i++) {
        if (plan_action_has_container(out.actions[i].kind) &&
            &in.containers[out.actions[i].container] == container)
            return &out.actions[i];
    }
    return NULL;
}

/* The engine says that it is being restarted; health, which asked later, finds it well. */
static void back_does_not_stop_the_one_that_serves(void **state)
{
    struct plan_container *container;

    (void)state;
    rolling(1, ORDER_START_FIRST);
    stopped(0);
    in.progress.phase = PHASE_BACK;
    in.containers[0].state = CONTAINER_RUNNING;
    container = add(true, 0);
    container->state = CONTAINER_RESTARTING;
    draining(container);
    next();
    assert_null(action_on(container));
    assert_int_equal(the(ACTION_PUBLISH)->container, 0);
    container->verdict = VERDICT_UNHEALTHY;
    next();
    assert_int_equal(action_on(container)->kind, ACTION_STOP);
}

static void back_waits_for_an_old_one_that_ended_with_the_engine(void **state)
{
    (void)state;
    rolling(3, ORDER_START_FIRST);
    in.progress.phase = PHASE_BACK;
    in.containers[2].state = CONTAINER_EXITED;
    in.containers[2].backend = BACKEND_FREE;
    in.containers[2].ended_with_engine = true;
    next();
    assert_int_equal(the(ACTION_START)->container, 2);
    in.containers[2].busy = true;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_not_equal(out.waiting[0], 0);
}

/* Of two new ones, stop-first: the old one of the first cannot be started again. */
static void giving_up_starts_none_beside_its_old_one(void **state)
{
    struct plan_container *other;

    (void)state;
    rolling(3, ORDER_STOP_FIRST);
    in.progress.phase = PHASE_BACK;
    stopped(0);
    in.containers[0].attempted = ACTION_START;
    in.containers[0].attempts = 5;
    for (unsigned i = 1; i < 3; i++)
        in.containers[i].verdict = VERDICT_UNHEALTHY;
    (void)add(true, 0);
    stopped(3);
    other = add(true, 1);
    stopped(4);
    next();
    assert_int_equal(the(ACTION_START)->container, 3);
    assert_null(action_on(other));
}

/* With one more than the replicas: what ended with the engine waits for its place. */
static void no_more_run_than_may(void **state)
{
    struct plan_container *container;

    (void)state;
    rolling(3, ORDER_START_FIRST);
    in.containers[2].state = CONTAINER_EXITED;
    in.containers[2].backend = BACKEND_FREE;
    in.containers[2].ended_with_engine = true;
    (void)add(true, 0);
    container = add(true, 1); /* 4 run */
    next();
    assert_int_equal(count(ACTION_START), 0);
    container->state = CONTAINER_CREATED;
    container->backend = BACKEND_FREE;
    next();
    assert_int_equal(count(ACTION_START), 1);
    in.containers[2].busy = true; /* it is being started */
    next();
    assert_int_equal(count(ACTION_START), 0);
}

/* --- failures ------------------------------------------------------------------------------- */

static void failed(unsigned ordinal)
{
    spec.max_failures = 1;
    in.progress.seen[0] |= 1ull << ordinal;
    in.progress.failed[0] |= 1ull << ordinal;
    in.progress.failures = 1;
}

static void the_one_that_serves_is_not_made_again_yet(void **state)
{
    struct plan_container *container;

    (void)state;
    rolling(1, ORDER_START_FIRST);
    in.containers[0].verdict = VERDICT_UNHEALTHY;
    container = add(true, 0);
    draining(container);
    failed(0);
    next();
    assert_int_equal(action_on(container)->kind, ACTION_READY);
}

/* It serves again, but it has ended once: that is one failure, and not one at every look. */
static void one_that_was_restarted_is_one_failure(void **state)
{
    struct plan_container *container;

    (void)state;
    rolling(3, ORDER_START_FIRST);
    spec.max_failures = 1;
    container = add(true, 0);
    container->restarts = 1;
    for (unsigned look = 0; look < 3; look++) {
        next();
        in.progress = out.progress;
        assert_int_equal(in.progress.phase, PHASE_FORWARD);
        assert_int_equal(in.progress.failures, 1);
    }
    assert_int_equal(action_on(container)->kind, ACTION_DRAIN);
}

/* Its old one is started first where it is needed. */
static void one_that_was_restarted_goes_when_another_serves(void **state)
{
    struct plan_container *container;

    (void)state;
    rolling(1, ORDER_START_FIRST);
    stopped(0);
    container = add(true, 0);
    container->restarts = 1;
    failed(0);
    next();
    assert_null(action_on(container));
    assert_int_equal(the(ACTION_START)->container, 0);
    in.containers[0].state = CONTAINER_RUNNING;
    in.containers[0].backend = BACKEND_READY;
    in.containers[0].verdict = VERDICT_HEALTHY;
    next();
    assert_int_equal(action_on(container)->kind, ACTION_DRAIN);
}

/* Everything was restarted, and the removal of a new one hangs: whoever is healthy serves first. */
static void it_does_not_end_before_what_can_serve_does(void **state)
{
    struct plan_container *container;

    (void)state;
    in.progress.phase = PHASE_BACK;
    for (unsigned i = 0; i < 3; i++)
        in.containers[i].backend = BACKEND_STARTING;
    container = add(true, 0);
    container->state = CONTAINER_REMOVING;
    container->backend = BACKEND_FREE;
    container->removing_since_ms = NOW - spec.progress_deadline_ms;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(count(ACTION_READY), 3);
    for (unsigned i = 0; i < 3; i++)
        in.containers[i].backend = BACKEND_READY;
    next();
    assert_int_equal(out.progress.outcome, OUTCOME_NEEDS_ATTENTION);
}

#define TEST(function) cmocka_unit_test_setup(function, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(back_does_not_stop_the_one_that_serves),
        TEST(back_waits_for_an_old_one_that_ended_with_the_engine),
        TEST(giving_up_starts_none_beside_its_old_one),
        TEST(no_more_run_than_may),
        TEST(the_one_that_serves_is_not_made_again_yet),
        TEST(one_that_was_restarted_is_one_failure),
        TEST(one_that_was_restarted_goes_when_another_serves),
        TEST(it_does_not_end_before_what_can_serve_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
