/* What retries may cost. */
#include "proxy/retry_budget.h"
#include "tests/unit/unit.h"

/* So many exchanges each second, every one of them wanting two retries. */
static unsigned run(struct retry_budget *budget, unsigned seconds, unsigned rate, uint32_t percent)
{
    unsigned taken = 0;

    for (unsigned s = 0; s < seconds; s++) {
        for (unsigned i = 0; i < rate; i++) {
            retry_budget_earn(budget);
            taken += retry_budget_take(budget, percent);
            taken += retry_budget_take(budget, percent);
        }
        retry_budget_forget(budget);
    }
    return taken;
}

static void little_traffic_is_always_retried(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    assert_int_equal(run(&budget, 100, 4, 0), 800);
}

static void much_traffic_is_retried_by_its_share(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    unsigned taken = run(&budget, 100, 1000, 20);
    assert_in_range(taken, 20000, 20000 + 12 * 100);
}

static void a_burst_gets_its_share_and_what_is_free(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    assert_int_equal(run(&budget, 1, 1000, 20), RETRIES_FREE + 200);
    assert_true(run(&budget, 1, 1000, 0) <= RETRIES_FREE); /* it comes back with time */
}

static void an_hour_ago_is_forgotten(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    run(&budget, 5, 100000, 20);
    run(&budget, 3600, 0, 20);
    assert_int_equal(budget.exchanges, 0);
    assert_int_equal(budget.retries, 0);
    assert_int_equal(run(&budget, 1, 100, 0), RETRIES_FREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_traffic_is_always_retried),
        cmocka_unit_test(much_traffic_is_retried_by_its_share),
        cmocka_unit_test(a_burst_gets_its_share_and_what_is_free),
        cmocka_unit_test(an_hour_ago_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
