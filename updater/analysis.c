#include "analysis.h"

#include <math.h>
#include <stdio.h>

#define SLOW_SHARE      0.01 /* of requests that may be slower than a bound on the 99th percentile */
#define SLOWER_RATIO    2u   /* a version twice as slow matters, */
#define SLOWER_LEAST    50000u /* where that is at least so many microseconds */
#define TAIL_NEGLIGIBLE 1e-17  /* of what a tail has summed up already */
#define TESTS           4.     /* of one look: two of failures, two of slowness */

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

double analysis_binomial_tail(uint64_t count, uint64_t hits, double share)
{
    double n = (double)count, sum = 0;

    if (hits == 0 || share >= 1)
        return 1;
    if (hits > count || share <= 0)
        return 0;
    if ((double)hits <= n * share) /* not above what is expected: the tail is about half or more */
        return 1;
    for (uint64_t k = hits; k <= count; k++) {
        double term = exp(log_choose(n, (double)k) + (double)k * log(share) +
                          (n - (double)k) * log1p(-share));

        sum += term;
        if (term <= sum * TAIL_NEGLIGIBLE) /* beyond the mode terms only fall */
            break;
    }
    return sum < 1 ? sum : 1;
}

double analysis_fisher_tail(uint64_t total, uint64_t hits, uint64_t count, uint64_t mine)
{
    double n = (double)total, sum = 0;
    uint64_t most = hits < count ? hits : count;

    if (total == 0 || count > total || hits > total || mine == 0)
        return 1;
    if ((double)mine <= (double)hits * (double)count / n)
        return 1;
    for (uint64_t k = mine; k <= most && hits - k <= total - count; k++) {
        double term =
            exp(log_choose((double)count, (double)k) +
                log_choose(n - (double)count, (double)(hits - k)) - log_choose(n, (double)hits));

        sum += term;
        if (term <= sum * TAIL_NEGLIGIBLE)
            break;
    }
    return sum < 1 ? sum : 1;
}

uint64_t analysis_look_ms(const struct config_analysis *rules)
{
    uint32_t look_ms = rules->interval_ms / ANALYSIS_LOOKS;

    return look_ms > 0 ? look_ms : 1;
}

double analysis_success_rate(const struct analysis_figures *figures)
{
    if (figures->requests == 0)
        return 100;
    return 100. * (double)(figures->requests - figures->failures) / (double)figures->requests;
}

/* One test's answer. */
struct finding {
    bool bad;  /* the figures say so, whatever the chance */
    bool sure; /* and it cannot well be chance */
    char words[112];
};

static uint64_t total(const struct analysis_figures *figures)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += figures->latency[i];
    return count;
}

/* Surely slower: one in the bound's own bucket gets the benefit of the doubt. */
static uint64_t slower(const struct analysis_figures *figures, uint64_t bound_us)
{
    uint64_t count = 0;

    for (unsigned i = histogram_bucket(bound_us) + 1; i < HISTOGRAM_BUCKETS; i++)
        count += figures->latency[i];
    return count;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static double milliseconds(uint64_t us)
{
    return (double)us / 1000.;
}

/* More failures than success_rate allows. */
static void judge_failures(const struct config_analysis *rules,
                           const struct analysis_figures *canary, double chance,
                           struct finding *finding)
{
    double allowed = 1 - (double)rules->success_rate / WEIGHT_MAX;

    if (rules->success_rate == 0 || !(share(canary->failures, canary->requests) > allowed))
        return;
    finding->bad = true;
    finding->sure = analysis_binomial_tail(canary->requests, canary->failures, allowed) <= chance;
    snprintf(finding->words, sizeof(finding->words), "success_rate wants %g%%",
             rules->success_rate / 100.);
}

/* More failures than the old version, by more than half of what success_rate allows. */
static void compare_failures(const struct config_analysis *rules,
                             const struct analysis_figures *canary,
                             const struct analysis_figures *stable, double chance,
                             struct finding *finding)
{
    double allowed = rules->success_rate > 0 ? 1 - (double)rules->success_rate / WEIGHT_MAX : 0.01;
    double more =
        share(canary->failures, canary->requests) - share(stable->failures, stable->requests);

    if (!rules->compare || stable->requests == 0 || !(more > allowed / 2))
        return;
    finding->bad = true;
    finding->sure = analysis_fisher_tail(canary->requests + stable->requests,
                                         canary->failures + stable->failures, canary->requests,
                                         canary->failures) <= chance;
    snprintf(finding->words, sizeof(finding->words), "the old version had %.2f%% in that time",
             analysis_success_rate(stable));
}

/* "The 99th percentile is at most L" says that at most 1 % are slower: a count, too. */
static void judge_latency(const struct config_analysis *rules,
                          const struct analysis_figures *canary, double chance,
                          struct finding *finding)
{
    uint64_t count = total(canary), slow;

    if (rules->latency_p99_ms == 0)
        return;
    slow = slower(canary, (uint64_t)rules->latency_p99_ms * 1000);
    if (!(share(slow, count) > SLOW_SHARE))
        return;
    finding->bad = true;
    finding->sure = analysis_binomial_tail(count, slow, SLOW_SHARE) <= chance;
    snprintf(finding->words, sizeof(finding->words),
             "%llu of %llu took longer than latency_p99, %u ms", (unsigned long long)slow,
             (unsigned long long)count, rules->latency_p99_ms);
}

static void compare_latency(const struct config_analysis *rules,
                            const struct analysis_figures *canary,
                            const struct analysis_figures *stable, double chance,
                            struct finding *finding)
{
    uint64_t theirs_us = histogram_quantile_us(stable->latency, 1 - SLOW_SHARE);
    uint64_t bound_us = theirs_us * SLOWER_RATIO;
    uint64_t count = total(canary), slow, theirs;

    if (bound_us < theirs_us + SLOWER_LEAST)
        bound_us = theirs_us + SLOWER_LEAST;
    slow = slower(canary, bound_us);
    theirs = slower(stable, bound_us);
    if (!rules->compare || theirs_us == 0 || !(share(slow, count) > SLOW_SHARE))
        return;
    finding->bad = true;
    finding->sure =
        analysis_fisher_tail(count + total(stable), slow + theirs, count, slow) <= chance;
    snprintf(finding->words, sizeof(finding->words),
             "%llu of %llu took longer than %.0f ms; the old version's p99 is %.1f ms",
             (unsigned long long)slow, (unsigned long long)count, milliseconds(bound_us),
             milliseconds(theirs_us));
}

/* The worst finding: a sure one, else a bad one; NULL: none. */
static const struct finding *worst(const struct finding *findings, unsigned count)
{
    const struct finding *found = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (findings[i].bad && (found == NULL || (findings[i].sure && !found->sure)))
            found = &findings[i];
    }
    return found;
}

enum analysis_verdict analysis_judge(const struct config_analysis *rules,
                                     const struct analysis_figures *canary,
                                     const struct analysis_figures *stable, uint32_t look,
                                     char why[ANALYSIS_WHY_BYTES])
{
    double chance = ANALYSIS_CHANCE / TESTS / ((double)look * (look + 1.));
    struct finding findings[4] = {0};
    const struct finding *found;
    int length;

    if (look == 0) {
        snprintf(why, ANALYSIS_WHY_BYTES, "nothing is judged yet");
        return ANALYSIS_NONE;
    }
    judge_failures(rules, canary, chance, &findings[0]);
    compare_failures(rules, canary, stable, chance, &findings[1]);
    judge_latency(rules, canary, chance, &findings[2]);
    compare_latency(rules, canary, stable, chance, &findings[3]);
    found = worst(findings, sizeof(findings) / sizeof(findings[0]));
    length =
        snprintf(why, ANALYSIS_WHY_BYTES,
                 "%llu of %llu requests to the new version failed (success %.2f%%, p99 %.1f ms)",
                 (unsigned long long)canary->failures, (unsigned long long)canary->requests,
                 analysis_success_rate(canary),
                 milliseconds(histogram_quantile_us(canary->latency, 1 - SLOW_SHARE)));
    if (found != NULL)
        snprintf(why + length, ANALYSIS_WHY_BYTES - (size_t)length, "; %s%s", found->words,
                 found->sure ? "" : ", which may be chance yet");
    else if (canary->requests < rules->min_requests)
        snprintf(why + length, ANALYSIS_WHY_BYTES - (size_t)length, "; min_requests wants %u",
                 rules->min_requests);
    if (found != NULL && found->sure)
        return ANALYSIS_FAIL;
    return found != NULL || canary->requests < rules->min_requests ? ANALYSIS_INCONCLUSIVE
                                                                   : ANALYSIS_PASS;
}

const char *analysis_verdict_name(enum analysis_verdict verdict)
{
    static const char *const names[] = {
        [ANALYSIS_NONE] = "none",
        [ANALYSIS_PASS] = "pass",
        [ANALYSIS_FAIL] = "fail",
        [ANALYSIS_INCONCLUSIVE] = "inconclusive",
    };

    return (size_t)verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "unknown";
}
