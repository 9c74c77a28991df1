/* Rise and fall, as sequences of results with the verdict that each must lead to. */
#include "health/judge.h"
#include "tests/unit/unit.h"

#define STEPS_MAX 12

struct step {
    uint64_t at_ms; /* from the backend's start */
    char result;    /* '+' passed, '-' failed; 0: the end of the sequence */
    char state;     /* 's'tarting, 'h'ealthy, 'u'nhealthy */
};

#define START_MS 1000000u /* of the backend, on a clock that has run for a while */

static char letter_of(enum verdict_state state)
{
    static const char letters[] = {'?', 's', 'h', 'u'};

    return letters[state];
}

static void run(struct judgement *judgement, uint32_t retries, uint32_t successes,
                uint32_t start_period_ms, const struct step *steps)
{
    struct judge_settings settings = {.retries = retries,
                                      .successes = successes,
                                      .interval_ms = 1000,
                                      .start_end_ms = START_MS + start_period_ms};

    for (unsigned i = 0; i < STEPS_MAX && steps[i].result != 0; i++) {
        judge_result(judgement, &settings, steps[i].result == '+', START_MS + steps[i].at_ms);
        if (letter_of(judgement->state) != steps[i].state)
            fail_msg("after step %u (at %u ms): '%c', wanted '%c'", i, (unsigned)steps[i].at_ms,
                     letter_of(judgement->state), steps[i].state);
    }
}

#define RUN(judgement, retries, successes, start_period_ms, ...)                                   \
    run((judgement), (retries), (successes), (start_period_ms),                                    \
        (const struct step[STEPS_MAX]){__VA_ARGS__})

static void is_healthy_at_the_first_success(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 3, 5, 0, {0, '+', 'h'});
    assert_int_equal(judgement.successes, 1);
    assert_int_equal(judgement.failures, 0);
}

static void is_starting_after_the_first_failure(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 3, 1, 0, {0, '-', 's'}, {250, '+', 'h'});
}

static void falls_after_so_many_failures_in_a_row(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 3, 1, 0, {0, '+', 'h'}, {1000, '-', 'h'}, {2000, '-', 'h'}, {3000, '-', 'u'});
    assert_int_equal(judgement.failures, 3);
}

static void one_success_in_between_starts_the_count_anew(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 2, 1, 0, {0, '+', 'h'}, {1000, '-', 'h'}, {2000, '+', 'h'}, {3000, '-', 'h'},
        {4000, '+', 'h'}, {5000, '-', 'h'}, {6000, '-', 'u'});
}

static void comes_back_after_so_many_successes_in_a_row(void **state)
{
    struct judgement judgement = {.state = VERDICT_UNHEALTHY, .failures = 3};

    (void)state;
    RUN(&judgement, 3, 3, 0, {0, '+', 'u'}, {1000, '+', 'u'}, {2000, '-', 'u'}, {3000, '+', 'u'},
        {4000, '+', 'u'}, {5000, '+', 'h'});
}

static void a_backend_that_came_back_falls_only_after_all_retries_again(void **state)
{
    struct judgement judgement = {.state = VERDICT_UNHEALTHY, .failures = 9};

    (void)state;
    RUN(&judgement, 2, 1, 0, {0, '+', 'h'}, {1000, '-', 'h'}, {2000, '-', 'u'});
}

static void failures_in_the_start_period_do_not_count(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 2, 1, 5000, {0, '-', 's'}, {1000, '-', 's'}, {3000, '-', 's'}, {4999, '-', 's'},
        {5000, '-', 's'}, {6000, '-', 'u'});
}

static void failures_count_in_the_start_period_after_the_first_success(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 2, 1, 60000, {0, '-', 's'}, {250, '+', 'h'}, {1250, '-', 'h'},
        {2250, '-', 'u'});
}

static void quick_checks_make_nobody_unhealthy_sooner(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    /* Four checks per interval, of which one counts: three count at 0, 1000 and 2000. */
    RUN(&judgement, 3, 1, 0, {0, '-', 's'}, {250, '-', 's'}, {500, '-', 's'}, {750, '-', 's'},
        {1000, '-', 's'}, {1250, '-', 's'}, {1500, '-', 's'}, {1750, '-', 's'}, {2000, '-', 'u'});
}

static void a_new_backend_that_became_unhealthy_needs_all_successes(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 1, 2, 0, {0, '-', 'u'}, {1000, '+', 'u'}, {2000, '+', 'h'});
}

static void zero_retries_and_successes_count_as_one(void **state)
{
    struct judgement judgement = {0};

    (void)state;
    RUN(&judgement, 0, 0, 0, {0, '+', 'h'}, {1000, '-', 'u'}, {2000, '+', 'h'});
}

static void counts_do_not_wrap_around(void **state)
{
    struct judgement judgement = {
        .state = VERDICT_HEALTHY, .successes = UINT32_MAX, .failures = UINT32_MAX};

    (void)state;
    RUN(&judgement, 3, 1, 0, {0, '+', 'h'});
    assert_int_equal(judgement.successes, UINT32_MAX);
    judgement = (struct judgement){.state = VERDICT_UNHEALTHY, .failures = UINT32_MAX};
    RUN(&judgement, 3, 1, 0, {0, '-', 'u'});
    assert_int_equal(judgement.failures, UINT32_MAX);
}

static void is_checked_quickly_until_the_first_verdict(void **state)
{
    struct judge_settings slow = {.retries = 3, .successes = 1, .interval_ms = 2000};
    struct judge_settings fast = {.retries = 3, .successes = 1, .interval_ms = 100};
    struct judgement judgement = {0};

    (void)state;
    assert_int_equal(judge_pace_ms(&judgement, &slow), JUDGE_QUICK_MS);
    assert_int_equal(judge_pace_ms(&judgement, &fast), 100);
    judgement.state = VERDICT_STARTING;
    assert_int_equal(judge_pace_ms(&judgement, &slow), JUDGE_QUICK_MS);
    judgement.state = VERDICT_HEALTHY;
    assert_int_equal(judge_pace_ms(&judgement, &slow), 2000);
    judgement.state = VERDICT_UNHEALTHY;
    assert_int_equal(judge_pace_ms(&judgement, &slow), 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_healthy_at_the_first_success),
        cmocka_unit_test(is_starting_after_the_first_failure),
        cmocka_unit_test(falls_after_so_many_failures_in_a_row),
        cmocka_unit_test(one_success_in_between_starts_the_count_anew),
        cmocka_unit_test(comes_back_after_so_many_successes_in_a_row),
        cmocka_unit_test(a_backend_that_came_back_falls_only_after_all_retries_again),
        cmocka_unit_test(failures_in_the_start_period_do_not_count),
        cmocka_unit_test(failures_count_in_the_start_period_after_the_first_success),
        cmocka_unit_test(quick_checks_make_nobody_unhealthy_sooner),
        cmocka_unit_test(a_new_backend_that_became_unhealthy_needs_all_successes),
        cmocka_unit_test(zero_retries_and_successes_count_as_one),
        cmocka_unit_test(counts_do_not_wrap_around),
        cmocka_unit_test(is_checked_quickly_until_the_first_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
