/* The verdict on a new version from what its requests came to: exact tests on counts, against
 * bounds and against the old version. Pure, like the planner that uses it.
 *
 * Two things are needed to fail a version: significance (it cannot well be chance) and effect (it
 * is bad enough to matter). A version of which too little is known neither passes nor fails. */
#ifndef UPDATER_ANALYSIS_H
#define UPDATER_ANALYSIS_H

#include "board/scoreboard.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

#define ANALYSIS_LOOKS     5u /* at the figures in one interval: a failure is seen before its end */
#define ANALYSIS_CHANCE    0.01 /* of failing a version that is just good enough, over all looks */
#define ANALYSIS_WHY_BYTES 224u

enum analysis_verdict {
    ANALYSIS_NONE, /* not judged yet */
    ANALYSIS_PASS,
    ANALYSIS_FAIL,
    ANALYSIS_INCONCLUSIVE,
};

struct analysis_figures { /* of one group, since the window began */
    uint64_t requests;
    uint64_t failures; /* 5xx, failed connects, timeouts, broken off: at most `requests` */
    uint64_t latency[HISTOGRAM_BUCKETS];
};

/* How long after the window's begin the first look is; the others follow at the same distance. */
uint64_t analysis_look_ms(const struct config_analysis *rules);

/* The chance of at least `hits` hits in `count` draws of which each hits with probability `share`:
 * the upper tail of the binomial distribution, which is Clopper and Pearson's exact test (The use
 * of confidence or fiducial limits, Biometrika 26, 1934). */
double analysis_binomial_tail(uint64_t count, uint64_t hits, double share);

/* The chance that of `hits` hits among all `total` requests at least `mine` fall to a group of
 * `count`, were both groups alike: the upper tail of the hypergeometric distribution, which is
 * Fisher's exact test (Statistical Methods for Research Workers, 5th edition, 1934). */
double analysis_fisher_tail(uint64_t total, uint64_t hits, uint64_t count, uint64_t mine);

/* Judges as of look number `look`, from 1. Looking again and again would find a failure in any
 * version in the end; so of ANALYSIS_CHANCE the share 1/(n(n+1)) is spent on look n, which makes 1
 * over all of them (alpha spending: Lan and DeMets, Biometrika 70, 1983). Several tests of one look
 * share what it has.
 *
 * `why` gets the figures and what they mean, for people, whatever the verdict. */
enum analysis_verdict analysis_judge(const struct config_analysis *rules,
                                     const struct analysis_figures *canary,
                                     const struct analysis_figures *stable, uint32_t look,
                                     char why[ANALYSIS_WHY_BYTES]);

/* Per cent that went well; 100 where there were none. */
double analysis_success_rate(const struct analysis_figures *figures);

const char *analysis_verdict_name(enum analysis_verdict verdict); /* "pass", ... */

#endif
