#include "base/wheel.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define COUNT 50

/* What the wheel is to do, without one. */
struct model {
    struct wheel wheel;
    struct wheel_node nodes[COUNT];
    uint64_t at_ms[COUNT]; /* 0: not set */
    uint64_t now_ms;
    unsigned seed;
};

static uint64_t any(struct model *model, unsigned bits)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 4; i++)
        value = value << 15 | ((unsigned)rand_r(&model->seed) & 0x7fffu);
    return value & ((UINT64_C(1) << bits) - 1);
}

static void set(struct model *model, unsigned i, uint64_t at_ms)
{
    uint64_t before = wheel_next(&model->wheel);
    bool is_put = wheel_set(&model->wheel, &model->nodes[i], at_ms);

    model->at_ms[i] = at_ms > model->now_ms ? at_ms : model->now_ms + 1;
    assert_true(is_put || wheel_next(&model->wheel) >= before);
}

/* One that is taken comes neither early nor twice, and may be set or another be removed. */
static void take_all(struct model *model)
{
    struct wheel_node *node;

    while ((node = wheel_take(&model->wheel)) != NULL) {
        size_t i = (size_t)(node - model->nodes);
        assert_in_range(i, 0, COUNT - 1);
        assert_int_not_equal(model->at_ms[i], 0);
        assert_true(model->at_ms[i] <= model->now_ms);
        model->at_ms[i] = 0;
        if (any(model, 2) == 0)
            set(model, (unsigned)i, model->now_ms + any(model, 4));
        if (any(model, 2) == 0) {
            unsigned other = (unsigned)any(model, 15) % COUNT;
            wheel_remove(&model->wheel, &model->nodes[other]);
            model->at_ms[other] = 0;
        }
        if (any(model, 2) == 0)
            set(model, (unsigned)any(model, 15) % COUNT, model->now_ms + any(model, 8));
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(model->at_ms[i] == 0 || model->at_ms[i] > model->now_ms);
}

/* Nothing may be due before the next slot begins. */
static void check_next(struct model *model)
{
    bool is_any = false;
    uint64_t next_ms = wheel_next(&model->wheel);

    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(model->at_ms[i] == 0 || next_ms <= model->at_ms[i]);
        is_any = is_any || model->at_ms[i] != 0;
    }
    assert_true(next_ms > model->now_ms);
    if (is_any)
        assert_false(wheel_is_empty(&model->wheel));
    if (wheel_is_empty(&model->wheel))
        assert_true(next_ms == UINT64_MAX);
}

static void one_step(struct model *model)
{
    unsigned i = (unsigned)any(model, 15) % COUNT;

    switch (any(model, 3)) {
    case 0:
    case 1:
        set(model, i, model->now_ms + any(model, 1 + (unsigned)any(model, 5)));
        break;
    case 2: /* in the past, or later than there are slots for */
        set(model, i, any(model, 1) == 0 ? any(model, 5) : (UINT64_C(1) << 42) - 1 - any(model, 9));
        break;
    case 3:
        wheel_remove(&model->wheel, &model->nodes[i]);
        model->at_ms[i] = 0;
        break;
    case 4: /* rest */
        model->nodes[i].at_ms = 0;
        model->at_ms[i] = 0;
        break;
    default: /* just before the next slot, when it begins, or far past it */
        if (any(model, 2) == 0)
            model->now_ms += any(model, 1 + (unsigned)any(model, 4));
        else if (wheel_next(&model->wheel) < model->now_ms + (UINT64_C(1) << 33))
            model->now_ms = wheel_next(&model->wheel) - any(model, 1);
        wheel_advance(&model->wheel, model->now_ms);
        take_all(model);
        break;
    }
    check_next(model);
}

static void each_is_taken_once_when_its_time_has_come_and_not_before(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct model model = {.seed = seed};
        model.now_ms = any(&model, 36);
        wheel_init(&model.wheel, model.now_ms);
        for (unsigned step = 0; step < 3000; step++)
            one_step(&model);
    }
}

static void whoever_sleeps_until_the_next_slot_misses_none(void **state)
{
    struct wheel wheel;
    struct wheel_node node = {0};
    unsigned woken = 0;

    (void)state;
    wheel_init(&wheel, 1000000);
    wheel_set(&wheel, &node, 1000000 + 75000);
    uint64_t now_ms = 0;
    while (!wheel_is_empty(&wheel)) {
        now_ms = wheel_next(&wheel);
        wheel_advance(&wheel, now_ms);
        woken++;
        if (wheel_take(&wheel) == &node)
            break;
    }
    assert_int_equal(now_ms, 1075000);
    assert_in_range(woken, 1, WHEEL_LEVELS);
}

static void one_moved_to_later_keeps_its_slot_and_an_earlier_time_takes_another(void **state)
{
    struct wheel wheel;
    struct wheel_node node = {0};

    (void)state;
    wheel_init(&wheel, 0);
    assert_true(wheel_set(&wheel, &node, 20));
    assert_false(wheel_set(&wheel, &node, 5000));
    assert_int_equal(wheel_next(&wheel), 20);
    assert_true(wheel_set(&wheel, &node, 10));
    assert_int_equal(wheel_next(&wheel), 10);
    wheel_remove(&wheel, &node);
    assert_true(wheel_is_empty(&wheel));
}

static void a_time_that_lies_beyond_the_wheel_is_its_last(void **state)
{
    struct wheel wheel;
    struct wheel_node node = {0};

    (void)state;
    wheel_init(&wheel, 5);
    wheel_set(&wheel, &node, UINT64_MAX);
    wheel_advance(&wheel, UINT64_C(1) << 41);
    assert_null(wheel_take(&wheel));
    wheel_advance(&wheel, (UINT64_C(1) << 42) - 1);
    assert_ptr_equal(wheel_take(&wheel), &node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_taken_once_when_its_time_has_come_and_not_before),
        cmocka_unit_test(whoever_sleeps_until_the_next_slot_misses_none),
        cmocka_unit_test(one_moved_to_later_keeps_its_slot_and_an_earlier_time_takes_another),
        cmocka_unit_test(a_time_that_lies_beyond_the_wheel_is_its_last),
    };

    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
