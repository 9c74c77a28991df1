/* What the journal's tests share: a directory of their own, and rollouts in it. The code lies here
 * so that each program has its own, and a function that it does not use is no warning. */
#ifndef TESTS_JOURNAL_FIXTURE_H
#define TESTS_JOURNAL_FIXTURE_H

#include "tests/unit/unit.h"
#include "updater/journal.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static char why[JOURNAL_WHY_BYTES];

static inline int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/test_journal.XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static inline int remove_directory(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};

    (void)state;
    (void)chmod(directory, 0700);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    return rmdir(directory);
}

static inline struct journal *open_journal(void)
{
    struct journal *journal = NULL;
    int error = journal_open(directory, &journal, why);

    if (error != 0)
        fail_msg("journal_open: %s: %s", strerror(-error), why);
    return journal;
}

static inline void add_rollout(struct journal *journal, const char *id, const char *service,
                               uint64_t at)
{
    struct journal_rollout rollout = {.id = id,
                                      .service = service,
                                      .strategy = "canary",
                                      .spec = "{}",
                                      .image = "web:v2",
                                      .created_ms = at,
                                      .replicas = 3,
                                      .user = "root"};

    assert_int_equal(journal_rollout_add(journal, &rollout), 0);
}

static inline void end_rollout(struct journal *journal, const char *id, uint64_t at)
{
    static struct plan_observed observed;
    static struct plan plan;
    int64_t ids[PLAN_ACTIONS_MAX];

    memset(&observed, 0, sizeof(observed));
    memset(&plan, 0, sizeof(plan));
    observed.now_ms = at;
    plan.progress.phase = PHASE_ENDED;
    plan.progress.outcome = OUTCOME_COMPLETED;
    assert_int_equal(journal_save_plan(journal, id, &observed, &plan, ids), 0);
}

/* A plan that creates one container and stops another. */
static inline void fill_plan(struct plan_observed *observed, struct plan *plan)
{
    memset(observed, 0, sizeof(*observed));
    memset(plan, 0, sizeof(*plan));
    observed->now_ms = 77;
    observed->weight = 500;
    observed->container_count = 1;
    snprintf(observed->containers[0].id, sizeof(observed->containers[0].id), "abc");
    plan->progress.step = 1;
    plan->action_count = 2;
    plan->actions[0] = (struct plan_action){.kind = ACTION_CREATE, .ordinal = 2};
    plan->actions[1] = (struct plan_action){.kind = ACTION_STOP, .why = "it is drained"};
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

#endif
