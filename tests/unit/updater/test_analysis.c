/* The exact tests behind an analysis, against values worked out elsewhere, and what is judged. */
#include "tests/unit/unit.h"
#include "updater/analysis.h"

#include <math.h>
#include <string.h>

static struct config_analysis rules;
static struct analysis_figures canary, stable;
static char why[ANALYSIS_WHY_BYTES];

static int reset(void **state)
{
    (void)state;
    rules = (struct config_analysis){.on = true,
                                     .success_rate = 9900,
                                     .compare = true,
                                     .min_requests = 100,
                                     .interval_ms = 30000};
    memset(&canary, 0, sizeof(canary));
    memset(&stable, 0, sizeof(stable));
    return 0;
}

static void serve(struct analysis_figures *figures, uint64_t count, uint64_t failures,
                  uint64_t latency_us)
{
    figures->requests += count;
    figures->failures += failures;
    figures->latency[histogram_bucket(latency_us)] += count;
}

static enum analysis_verdict judge(uint32_t look)
{
    return analysis_judge(&rules, &canary, &stable, look, why);
}

static void assert_near(double value, double wanted)
{
    if (fabs(value - wanted) > wanted * 1e-6)
        fail_msg("%.12g is not %.12g", value, wanted);
}

/* --- the distributions -------------------------------------------------------------------- */

static void the_binomial_tail_is_exact(void **state)
{
    (void)state;
    assert_near(analysis_binomial_tail(3, 3, 0.01), 1e-6);
    assert_near(analysis_binomial_tail(2, 1, 0.1), 0.19);
    assert_near(analysis_binomial_tail(100, 5, 0.01), 0.003432321587754515);
    assert_near(analysis_binomial_tail(100000, 1200, 0.01), 3.812533101214588e-10);
    assert_near(analysis_binomial_tail(10, 0, 0.01), 1);
    assert_near(analysis_binomial_tail(0, 0, 0.01), 1);
    assert_true(analysis_binomial_tail(10, 11, 0.01) < 1e-300);
}

static void the_hypergeometric_tail_is_exact(void **state)
{
    (void)state;
    /* Fisher's lady tasting tea: 4 of 4 right, 1 in 70. */
    assert_near(analysis_fisher_tail(8, 4, 4, 4), 1. / 70);
    assert_near(analysis_fisher_tail(8, 4, 4, 3), 17. / 70);
    assert_near(analysis_fisher_tail(20000, 30, 1000, 8), 8.301582010125961e-05);
    assert_near(analysis_fisher_tail(100, 0, 50, 0), 1);
    assert_near(analysis_fisher_tail(0, 0, 0, 0), 1);
}

static void tails_of_a_hundred_million_are_found_at_once(void **state)
{
    double tail = analysis_binomial_tail(100000000, 1100000, 0.01);

    (void)state;
    assert_true(tail >= 0 && tail < 1e-100);
    tail = analysis_fisher_tail(100000000, 1000000, 50000000, 501000);
    assert_true(tail > 0.01 && tail < 0.05);
}

/* --- verdicts ----------------------------------------------------------------------------- */

static void nothing_is_judged_before_the_first_look(void **state)
{
    (void)state;
    serve(&canary, 1000, 1000, 1000);
    assert_int_equal(judge(0), ANALYSIS_NONE);
}

static void a_version_that_serves_well_passes(void **state)
{
    (void)state;
    serve(&canary, 400, 0, 2000);
    serve(&stable, 4000, 3, 2000);
    assert_int_equal(judge(5), ANALYSIS_PASS);
    assert_non_null(strstr(why, "0 of 400 requests"));
}

static void five_per_cent_of_failures_are_seen_in_a_few_hundred_requests(void **state)
{
    (void)state;
    serve(&canary, 300, 15, 2000);
    serve(&stable, 3000, 0, 2000);
    assert_int_equal(judge(1), ANALYSIS_FAIL);
    assert_non_null(strstr(why, "15 of 300"));
    assert_non_null(strstr(why, "success 95.00%"));
}

static void a_few_failures_of_few_requests_may_be_chance(void **state)
{
    (void)state;
    serve(&canary, 100, 2, 2000);
    assert_int_equal(judge(5), ANALYSIS_INCONCLUSIVE);
    assert_non_null(strstr(why, "chance"));
}

static void too_few_requests_are_no_pass(void **state)
{
    (void)state;
    serve(&canary, 99, 0, 2000);
    assert_int_equal(judge(5), ANALYSIS_INCONCLUSIVE);
    assert_non_null(strstr(why, "min_requests"));
    reset(NULL);
    assert_int_equal(judge(5), ANALYSIS_INCONCLUSIVE); /* none at all */
}

static void a_version_that_fails_all_fails_before_min_requests(void **state)
{
    (void)state;
    serve(&canary, 5, 5, 2000);
    assert_int_equal(judge(1), ANALYSIS_FAIL);
}

/* kayenta#426: sparse errors that a rank test lets pass. */
static void sparse_failures_that_the_old_version_has_not_are_seen(void **state)
{
    (void)state;
    serve(&canary, 4000, 30, 2000); /* 0.75 %, within the bound */
    serve(&stable, 40000, 4, 2000);
    assert_int_equal(judge(3), ANALYSIS_FAIL);
    assert_non_null(strstr(why, "the old version had 99.99%"));
    rules.compare = false;
    assert_int_equal(judge(3), ANALYSIS_PASS);
}

/* Significance without effect: of a million requests any difference is significant. */
static void a_difference_that_does_not_matter_does_not_fail(void **state)
{
    (void)state;
    serve(&canary, 1000000, 2000, 2000); /* 0.2 % */
    serve(&stable, 1000000, 1000, 2000); /* 0.1 % */
    assert_true(analysis_fisher_tail(2000000, 3000, 1000000, 2000) < 1e-9);
    assert_int_equal(judge(1), ANALYSIS_PASS);
}

static void a_version_just_good_enough_is_not_failed_by_looking_often(void **state)
{
    unsigned failed = 0;

    (void)state;
    /* Of 1 % failures, in 2,000 runs of 20 looks at 50 more requests each. */
    for (unsigned run = 0; run < 2000; run++) {
        uint64_t random = run * 0x9e3779b97f4a7c15u + 1;

        reset(NULL);
        for (uint32_t look = 1; look <= 20; look++) {
            for (unsigned i = 0; i < 50; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                serve(&canary, 1, random >> 33 < (1ull << 31) / 100, 2000);
            }
            if (judge(look) == ANALYSIS_FAIL) {
                failed++;
                break;
            }
        }
    }
    assert_true(failed <= 40); /* ANALYSIS_CHANCE says 20 at most are to be expected */
}

static void slowness_beyond_the_bound_fails(void **state)
{
    (void)state;
    rules.latency_p99_ms = 100;
    rules.compare = false;
    serve(&canary, 280, 0, 2000);
    serve(&canary, 20, 0, 400000);
    assert_int_equal(judge(2), ANALYSIS_FAIL);
    assert_non_null(strstr(why, "20 of 300 took longer than latency_p99, 100 ms"));
    reset(NULL);
    rules.latency_p99_ms = 100;
    serve(&canary, 300, 0, 90000);
    serve(&stable, 300, 0, 90000);
    assert_int_equal(judge(2), ANALYSIS_PASS);
}

static void a_version_much_slower_than_the_old_one_fails(void **state)
{
    (void)state;
    serve(&stable, 3000, 0, 20000);
    serve(&canary, 200, 0, 20000);
    serve(&canary, 60, 0, 200000);
    assert_int_equal(judge(1), ANALYSIS_FAIL);
    assert_non_null(strstr(why, "the old version's p99"));
}

static void a_few_milliseconds_more_do_not_matter(void **state)
{
    (void)state;
    serve(&stable, 3000, 0, 1000);
    serve(&canary, 300, 0, 20000); /* twenty times as slow, and still fast */
    assert_int_equal(judge(1), ANALYSIS_PASS);
}

static void a_bound_of_zero_judges_nothing(void **state)
{
    (void)state;
    rules.success_rate = 0;
    rules.compare = false;
    serve(&canary, 1000, 1000, 2000);
    assert_int_equal(judge(1), ANALYSIS_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_binomial_tail_is_exact),
        cmocka_unit_test(the_hypergeometric_tail_is_exact),
        cmocka_unit_test(tails_of_a_hundred_million_are_found_at_once),
        cmocka_unit_test_setup(nothing_is_judged_before_the_first_look, reset),
        cmocka_unit_test_setup(a_version_that_serves_well_passes, reset),
        cmocka_unit_test_setup(five_per_cent_of_failures_are_seen_in_a_few_hundred_requests, reset),
        cmocka_unit_test_setup(a_few_failures_of_few_requests_may_be_chance, reset),
        cmocka_unit_test_setup(too_few_requests_are_no_pass, reset),
        cmocka_unit_test_setup(a_version_that_fails_all_fails_before_min_requests, reset),
        cmocka_unit_test_setup(sparse_failures_that_the_old_version_has_not_are_seen, reset),
        cmocka_unit_test_setup(a_difference_that_does_not_matter_does_not_fail, reset),
        cmocka_unit_test_setup(a_version_just_good_enough_is_not_failed_by_looking_often, reset),
        cmocka_unit_test_setup(slowness_beyond_the_bound_fails, reset),
        cmocka_unit_test_setup(a_version_much_slower_than_the_old_one_fails, reset),
        cmocka_unit_test_setup(a_few_milliseconds_more_do_not_matter, reset),
        cmocka_unit_test_setup(a_bound_of_zero_judges_nothing, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
