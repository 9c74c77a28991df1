#include "base/clock.h"
#include "base/list.h"
#include "base/timer.h"
#include "tests/unit/unit.h"

#include <unistd.h>

struct pair {
    struct timer first, second;
    struct ev_loop *loop;
    bool moved;
};

static void move_the_other(struct pair *pair, struct timer *other)
{
    if (!pair->moved)
        timer_start(pair->loop, other, 60000);
    pair->moved = true;
}

static void on_first(struct timer *timer)
{
    struct pair *pair = container_of(timer, struct pair, first);

    if (pair->moved)
        ev_break(pair->loop, EVBREAK_ALL);
    move_the_other(pair, &pair->second);
}

static void on_second(struct timer *timer)
{
    struct pair *pair = container_of(timer, struct pair, second);

    if (pair->moved)
        ev_break(pair->loop, EVBREAK_ALL);
    move_the_other(pair, &pair->first);
}

/* Both expire in one turn of the loop: the one whose turn comes later has expired, waits to be
 * called, and is started again meanwhile. */
static void a_timer_moved_in_the_turn_of_its_expiry_can_be_moved_to_an_earlier_time(void **state)
{
    struct pair pair = {.loop = ev_loop_new(0)};
    uint64_t start = clock_ms();

    (void)state;
    timer_init(&pair.first, on_first);
    timer_init(&pair.second, on_second);
    timer_start(pair.loop, &pair.first, 5);
    timer_start(pair.loop, &pair.second, 5);
    usleep(20000); /* past both: one turn finds them expired */
    ev_run(pair.loop, EVRUN_ONCE);
    assert_true(pair.moved);
    assert_true(timer_is_running(&pair.first) != timer_is_running(&pair.second));
    timer_start(pair.loop, timer_is_running(&pair.first) ? &pair.first : &pair.second, 50);
    ev_run(pair.loop, 0);
    assert_true(clock_ms() - start < 10000);
    ev_loop_destroy(pair.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_moved_in_the_turn_of_its_expiry_can_be_moved_to_an_earlier_time),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
