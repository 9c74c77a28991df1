/* sluice-simulate: runs the planner through rollouts with random faults and checks the invariants
 * of DESIGN §5 after every step. A failure is told with its seed, which reproduces it.
 *
 *     sluice-simulate [--rollouts N] [--seed N] [--verbose] [--self-test] */
#include "world.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROLLOUTS     10000u
#define SETTLE_TICKS 60u /* after the end: whatever was under way lands */
#define FAILURES_MAX 10u /* told in full */
#define MUTANT_MAX   20000u

static struct world world; /* large */

struct tally {
    uint64_t passed, failed, clean, ticks;
    uint64_t outcomes[OUTCOME_NEEDS_ATTENTION + 1];
    uint64_t faults[FAULT_COUNT];
};

/* Returns whether every check held. */
static bool run(uint64_t seed)
{
    world_init(&world, seed);
    while (world.progress.phase != PHASE_ENDED && world.now < TICKS_MAX &&
           world.broken[0] == '\0') {
        world_tick(&world);
        updater_tick(&world);
    }
    if (world.progress.phase == PHASE_ENDED)
        check_serving(&world);
    for (unsigned i = 0; i < SETTLE_TICKS && world.broken[0] == '\0'; i++) {
        world.calm_at = 0;
        world_tick(&world);
    }
    if (world.broken[0] == '\0')
        check_end(&world);
    return world.broken[0] == '\0';
}

static void count(struct tally *tally, bool passed)
{
    tally->passed += passed;
    tally->failed += !passed;
    tally->clean += world.is_clean;
    tally->ticks += world.now;
    tally->outcomes[world.progress.outcome]++;
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        tally->faults[i] += world.faults[i];
}

static void print_summary(const struct tally *tally)
{
    printf("outcomes:");
    for (unsigned i = 1; i <= OUTCOME_NEEDS_ATTENTION; i++)
        printf(" %s=%llu", plan_outcome_name((enum plan_outcome)i),
               (unsigned long long)tally->outcomes[i]);
    printf("\nrollouts without a fault: %llu, ticks of %u ms: %llu\nfaults:\n",
           (unsigned long long)tally->clean, TICK_MS, (unsigned long long)tally->ticks);
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        printf("  %-26s %llu\n", fault_name((enum fault)i), (unsigned long long)tally->faults[i]);
}

static int simulate(uint64_t first, uint64_t rollouts)
{
    static struct tally tally;
    bool is_whole = rollouts >= ROLLOUTS;
    int missing = 0;

    for (uint64_t seed = first; seed < first + rollouts; seed++) {
        bool passed = run(seed);

        count(&tally, passed);
        if (!passed && tally.failed <= FAILURES_MAX)
            printf("seed %llu, tick %llu: %s\n", (unsigned long long)seed,
                   (unsigned long long)world.now, world.broken);
    }
    print_summary(&tally);
    for (unsigned i = 0; is_whole && i < FAULT_COUNT; i++) {
        if (tally.faults[i] > 0)
            continue;
        printf("fault never happened: %s\n", fault_name((enum fault)i));
        missing++;
    }
    for (unsigned i = 1; is_whole && i <= OUTCOME_NEEDS_ATTENTION; i++) {
        if (tally.outcomes[i] > 0)
            continue;
        printf("outcome never happened: %s\n", plan_outcome_name((enum plan_outcome)i));
        missing++;
    }
    if (tally.failed > 0)
        printf("see one with --seed N --verbose\n");
    printf("%llu passed, %llu failed\n", (unsigned long long)tally.passed,
           (unsigned long long)tally.failed + (unsigned)missing);
    return tally.failed > 0 || missing > 0;
}

/* Every mutant must be caught. */
static int self_test(void)
{
    unsigned caught = 0, missed = 0;

    for (enum mutation mutation = MUTATION_NONE + 1; mutation < MUTATION_COUNT; mutation++) {
        uint64_t seed = 1;

        world.mutation = mutation;
        while (seed <= MUTANT_MAX && run(seed))
            seed++;
        if (seed <= MUTANT_MAX) {
            printf("caught: %s, by seed %llu: %s\n", mutation_name(mutation),
                   (unsigned long long)seed, world.broken);
            caught++;
        } else {
            printf("MISSED: %s, in %u rollouts\n", mutation_name(mutation), MUTANT_MAX);
            missed++;
        }
    }
    printf("%u passed, %u failed\n", caught, missed);
    return missed > 0;
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*end != '\0' || text[0] == '\0' || text[0] == '-') {
        fprintf(stderr, "sluice-simulate: '%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"rollouts", required_argument, NULL, 'r'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"self-test", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    uint64_t rollouts = 0, seed = 0;
    bool is_self_test = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'r')
            rollouts = number(optarg);
        else if (option == 's')
            seed = number(optarg);
        else if (option == 'v')
            world.verbose = true;
        else if (option == 't')
            is_self_test = true;
        else
            return 2;
    }
    if (is_self_test)
        return self_test();
    if (rollouts == 0)
        rollouts = seed != 0 ? 1 : ROLLOUTS;
    return simulate(seed != 0 ? seed : 1, rollouts);
}
