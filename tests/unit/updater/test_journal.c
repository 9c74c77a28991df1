#include "tests/unit/unit.h"
#include "updater/journal.h"
#include "updater/journal_parts.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_(macro)    #macro
#define NAME(macro)     NAME_(macro)
#define VERSION(number) "PRAGMA user_version=" NAME(number)

static char directory[64];
static char why[JOURNAL_WHY_BYTES];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/test_journal.XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
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

static struct journal *open_journal(void)
{
    struct journal *journal = NULL;
    int error = journal_open(directory, &journal, why);

    if (error != 0)
        fail_msg("journal_open: %s: %s", strerror(-error), why);
    return journal;
}

static void add_rollout(struct journal *journal, const char *id, const char *service, uint64_t at)
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

static void end_rollout(struct journal *journal, const char *id, uint64_t at)
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

static void a_rollout_reads_back_as_it_was_written(void **state)
{
    struct journal *journal = open_journal();
    struct journal_rollout in = {.id = "20261123-051500-4f2a",
                                 .service = "web",
                                 .strategy = "canary",
                                 .spec = "{}",
                                 .image = "web:v2",
                                 .previous_image = "web:v1",
                                 .previous_image_id = "sha256:1",
                                 .reason = "it's \"new\"",
                                 .user = "root",
                                 .created_ms = 1795000000000,
                                 .replicas = 3,
                                 .progress = {.phase = PHASE_BACK,
                                              .step = 4,
                                              .step_entered = true,
                                              .step_since_ms = 1795000000001,
                                              .changed_ms = 1795000000002,
                                              .promote_wanted = true,
                                              .aborted = true,
                                              .seen = {UINT64_MAX, 1ull << 63},
                                              .failed = {1ull << 63, UINT64_MAX},
                                              .failures = 3,
                                              .failure_pause = true,
                                              .holding = true,
                                              .why = "web-2 is unhealthy"}};
    struct journal_rollout out;

    (void)state;
    assert_int_equal(journal_rollout_add(journal, &in), 0);
    assert_int_equal(journal_rollout_set_images(journal, in.id, "sha256:2", NULL), 0);
    journal_close(journal);
    journal = open_journal();
    assert_int_equal(journal_rollout_in_progress(journal, "web", &out), 0);
    assert_string_equal(out.id, in.id);
    assert_string_equal(out.reason, in.reason);
    assert_string_equal(out.image_id, "sha256:2");
    assert_null(out.digest);
    assert_int_equal(out.created_ms, in.created_ms);
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(out.progress.step, 4);
    assert_true(out.progress.step_entered && out.progress.promote_wanted && out.progress.aborted);
    assert_true(out.progress.seen[0] == UINT64_MAX && out.progress.seen[1] == 1ull << 63);
    assert_true(out.progress.failed[0] == 1ull << 63 && out.progress.failed[1] == UINT64_MAX);
    assert_int_equal(out.progress.failures, 3);
    assert_true(out.progress.failure_pause && out.progress.holding);
    assert_int_equal(out.progress.changed_ms, in.progress.changed_ms);
    assert_string_equal(out.progress.why, in.progress.why);
    journal_rollout_done(&out);
    assert_int_equal(journal_rollout_in_progress(journal, "shop", &out), -ENOENT);
    journal_close(journal);
}

static void a_second_rollout_of_a_service_is_refused_until_the_first_has_ended(void **state)
{
    struct journal *journal = open_journal();
    struct journal_rollout second = {.id = "b", .service = "web", .spec = "{}"};

    (void)state;
    add_rollout(journal, "a", "web", 1);
    add_rollout(journal, "c", "shop", 1);
    assert_int_equal(journal_rollout_add(journal, &second), -EEXIST);
    assert_string_not_equal(journal_error(journal), "");
    end_rollout(journal, "a", 5);
    assert_int_equal(journal_rollout_add(journal, &second), 0);
    journal_close(journal);
}

static void a_rollout_is_found_by_the_unique_beginning_of_its_id(void **state)
{
    struct journal *journal = open_journal();
    struct journal_rollout out;

    (void)state;
    add_rollout(journal, "2026-aa", "web", 1);
    add_rollout(journal, "2026-ab", "shop", 2);
    add_rollout(journal, "2026-a", "db", 3);
    assert_int_equal(journal_rollout_find(journal, "2026-aa", &out), 0);
    assert_string_equal(out.service, "web");
    journal_rollout_done(&out);
    assert_int_equal(journal_rollout_find(journal, "2026-a", &out), 0); /* exact comes first */
    assert_string_equal(out.service, "db");
    journal_rollout_done(&out);
    assert_int_equal(journal_rollout_find(journal, "2026", &out), -EEXIST);
    assert_int_equal(journal_rollout_find(journal, "%", &out), -ENOENT);
    assert_int_equal(journal_rollout_find(journal, "", &out), -ENOENT);
    journal_close(journal);
}

static void history_is_pruned_to_the_newest_and_never_what_is_in_progress(void **state)
{
    struct journal *journal = open_journal();
    struct journal_rollout *rollouts;
    struct journal_line *lines;
    size_t count;

    (void)state;
    for (int i = 0; i < 6; i++) {
        char id[8];

        snprintf(id, sizeof(id), "r%d", i);
        add_rollout(journal, id, "web", (uint64_t)i);
        assert_int_equal(journal_log(journal, id, 1, "created", "text"), 0);
        if (i < 5)
            end_rollout(journal, id, 10);
    }
    assert_int_equal(journal_prune(journal, "web", 2, NULL, NULL), 0);
    assert_int_equal(journal_rollout_list(journal, "web", 100, &rollouts, &count), 0);
    assert_int_equal(count, 3);
    assert_string_equal(rollouts[0].id, "r5");
    assert_string_equal(rollouts[2].id, "r3");
    assert_int_equal(rollouts[2].ended_ms, 10);
    journal_rollouts_free(rollouts, count);
    assert_int_equal(journal_rollout_list(journal, NULL, 1, &rollouts, &count), 0);
    assert_int_equal(count, 1);
    journal_rollouts_free(rollouts, count);
    assert_int_equal(journal_log_list(journal, "r0", &lines, &count), 0);
    assert_int_equal(count, 0); /* gone with its rollout */
    journal_lines_free(lines, count);
    journal_close(journal);
}

/* A plan that creates one container and stops another. */
static void fill_plan(struct plan_observed *observed, struct plan *plan)
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

static void a_plan_is_saved_with_its_intents_and_results_follow(void **state)
{
    struct journal *journal = open_journal();
    static struct plan_observed observed;
    static struct plan plan;
    int64_t ids[PLAN_ACTIONS_MAX];
    struct journal_action *actions;
    struct journal_rollout rollout;
    size_t count;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    fill_plan(&observed, &plan);
    assert_int_equal(journal_save_plan(journal, "a", &observed, &plan, ids), 0);
    assert_int_equal(journal_action_end(journal, ids[0], 80, 0, "", "def"), 0);
    journal_close(journal); /* the updater dies before the stop is answered */
    journal = open_journal();
    assert_int_equal(journal_action_list(journal, "a", true, &actions, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(actions[0].kind, "stop");
    assert_string_equal(actions[0].container, "abc");
    assert_string_equal(actions[0].detail, "it is drained");
    assert_int_equal(actions[0].id, ids[1]);
    journal_actions_free(actions, count);
    assert_int_equal(journal_action_list(journal, "a", false, &actions, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(actions[0].container, "def");
    assert_int_equal(actions[0].ordinal, 2);
    journal_actions_free(actions, count);
    assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
    assert_int_equal(rollout.progress.step, 1);
    assert_int_equal(rollout.weight, 500);
    journal_rollout_done(&rollout);
    assert_int_equal(journal_action_end(journal, 4711, 1, 0, NULL, NULL), -ENOENT);
    assert_int_equal(journal_save_plan(journal, "b", &observed, &plan, ids), -ENOENT);
    journal_close(journal);
}

static void wishes_are_kept_until_a_plan_has_consumed_them(void **state)
{
    struct journal *journal = open_journal();
    static struct plan_observed observed;
    static struct plan plan;
    int64_t ids[PLAN_ACTIONS_MAX];
    struct journal_rollout rollout;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    assert_int_equal(journal_rollout_set_wishes(journal, "a", true, true, true), 0);
    assert_int_equal(journal_rollout_set_wishes(journal, "z", true, true, true), -ENOENT);
    fill_plan(&observed, &plan);
    observed.wish_pause = observed.wish_promote = true; /* the abort came after this was observed */
    plan.progress.promote_wanted = true;
    assert_int_equal(journal_save_plan(journal, "a", &observed, &plan, ids), 0);
    assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
    assert_true(rollout.wish_pause && !rollout.wish_promote && rollout.wish_abort);
    journal_rollout_done(&rollout);
    plan.progress.phase = PHASE_BACK;
    assert_int_equal(journal_save_plan(journal, "a", &observed, &plan, ids), 0);
    assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
    assert_false(rollout.wish_pause || rollout.wish_promote || rollout.wish_abort);
    journal_rollout_done(&rollout);
    journal_close(journal);
}

static off_t size_of_wal(void)
{
    struct stat status;
    char path[128];

    snprintf(path, sizeof(path), "%s/journal.db-wal", directory);
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void a_plan_that_changes_nothing_writes_nothing(void **state)
{
    struct journal *journal = open_journal();
    static struct plan_observed observed;
    static struct plan plan;
    int64_t ids[PLAN_ACTIONS_MAX];
    off_t before;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    fill_plan(&observed, &plan);
    plan.action_count = 0;
    assert_int_equal(journal_save_plan(journal, "a", &observed, &plan, ids), 0);
    before = size_of_wal();
    assert_true(before > 0);
    assert_int_equal(journal_save_plan(journal, "a", &observed, &plan, ids), 0);
    assert_int_equal(size_of_wal(), before);
    plan.progress.step++;
    assert_int_equal(journal_save_plan(journal, "a", &observed, &plan, ids), 0);
    assert_true(size_of_wal() > before);
    journal_close(journal);
}

static void orders_for_drains_are_kept_with_the_rollout(void **state)
{
    struct journal *journal = open_journal();
    struct plan_drain_orders orders = {.extend_ms = {[KIND_TCP] = 300000},
                                       .ended_ms = {[KIND_STREAM] = 17}};
    struct plan_drain_orders read;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    assert_int_equal(journal_drain_orders_load(journal, "a", &read), 0);
    assert_int_equal(read.extend_ms[KIND_TCP], 0);
    assert_int_equal(journal_drain_orders_save(journal, "a", &orders), 0);
    orders.extend_ms[KIND_TCP] = 600000;
    assert_int_equal(journal_drain_orders_save(journal, "a", &orders), 0);
    journal_close(journal);
    journal = open_journal();
    assert_int_equal(journal_drain_orders_load(journal, "a", &read), 0);
    assert_memory_equal(&read, &orders, sizeof(orders));
    assert_int_equal(journal_drain_orders_save(journal, "nobody", &orders), -ENOENT);
    journal_close(journal);
}

static void what_belongs_to_a_rollout_reads_back(void **state)
{
    struct journal *journal = open_journal();
    struct journal_container container = {.id = "abc",
                                          .name = "web-1-new",
                                          .final_name = "web-1",
                                          .ordinal = 0,
                                          .is_new = true,
                                          .slot = 4,
                                          .generation = 2};
    struct journal_drain drain = {
        .id = "old", .container = "web-1", .epoch = 17, .started_ms = 5, .notice_us = -1};
    struct journal_step step = {.index = 1, .started_ms = 10};
    struct journal_container *containers;
    struct journal_drain *drains;
    struct journal_step *steps;
    size_t count;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    assert_int_equal(journal_container_save(journal, "a", &container), 0);
    container.removed_ms = 99;
    assert_int_equal(journal_container_save(journal, "a", &container), 0);
    assert_int_equal(journal_container_save(journal, "nobody", &container), -ENOENT);
    assert_int_equal(journal_drain_save(journal, "a", &drain), 0);
    drain.proof = "[]";
    drain.ends = "{}";
    drain.drained_ms = 7;
    assert_int_equal(journal_drain_save(journal, "a", &drain), 0);
    assert_int_equal(journal_step_save(journal, "a", &step), 0);
    step = (struct journal_step){.index = 1, .ended_ms = 20, .figures = "[1]"};
    assert_int_equal(journal_step_save(journal, "a", &step), 0);
    assert_int_equal(journal_container_list(journal, "a", &containers, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(containers[0].removed_ms, 99);
    assert_string_equal(containers[0].final_name, "web-1");
    journal_containers_free(containers, count);
    assert_int_equal(journal_drain_list(journal, "a", &drains, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(drains[0].notice_us, -1);
    assert_string_equal(drains[0].proof, "[]");
    assert_string_equal(drains[0].ends, "{}");
    assert_int_equal(drains[0].epoch, 17);
    journal_drains_free(drains, count);
    assert_int_equal(journal_step_list(journal, "a", &steps, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(steps[0].started_ms, 10);
    assert_int_equal(steps[0].ended_ms, 20);
    assert_string_equal(steps[0].figures, "[1]");
    journal_steps_free(steps, count);
    journal_close(journal);
}

static void the_log_keeps_the_newest_lines_within_its_limit(void **state)
{
    struct journal *journal = open_journal();
    struct journal_line *lines;
    size_t count;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    for (uint64_t i = 0; i < JOURNAL_LOG_MAX + 5; i++)
        assert_int_equal(journal_log(journal, "a", i, "event", NULL), 0);
    assert_int_equal(journal_log_list(journal, "a", &lines, &count), 0);
    assert_int_equal(count, JOURNAL_LOG_MAX);
    assert_int_equal(lines[0].time_ms, 5);
    assert_null(lines[0].message);
    journal_lines_free(lines, count);
    journal_close(journal);
}

static void a_service_is_kept_with_its_weight(void **state)
{
    struct journal *journal = open_journal();
    struct journal_service in = {.name = "web", .options = "{}", .weight = 1000}, out;

    (void)state;
    assert_int_equal(journal_service_load(journal, "web", &out), -ENOENT);
    assert_int_equal(journal_service_save(journal, &in), 0);
    in.weight = 25;
    assert_int_equal(journal_service_save(journal, &in), 0);
    assert_int_equal(journal_service_load(journal, "web", &out), 0);
    assert_int_equal(out.weight, 25);
    assert_string_equal(out.options, "{}");
    assert_null(out.stable_rollout);
    journal_service_done(&out);
    journal_close(journal);
}

static void a_spec_survives_the_way_through_json(void **state)
{
    const struct config_step steps[] = {
        {.kind = STEP_SET_WEIGHT, .weight = 25},
        {.kind = STEP_PAUSE, .pause_ms = 30000},
        {.kind = STEP_PAUSE, .until_promoted = true},
        {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX},
        {.kind = STEP_MATCH, .match = {.kind = MATCH_COOKIE, .name = "tester", .value = "yes"}},
        {.kind = STEP_MATCH},
        {.kind = STEP_MIRROR, .mirror = 1050}};
    const struct plan_spec in = {.replicas = 3,
                                 .max_unavailable = 1,
                                 .steps = steps,
                                 .step_count = 7,
                                 .health_timeout_ms = UINT32_MAX,
                                 .progress_deadline_ms = 600000,
                                 .monitor_ms = 5000,
                                 .strategy = STRATEGY_ROLLING,
                                 .order = ORDER_STOP_FIRST,
                                 .order_why = "it has a static IP",
                                 .max_surge = 4,
                                 .ramp_ms = 4000,
                                 .max_failures = 2,
                                 .failure_action = FAILURE_PAUSE,
                                 .hold_ms = 30000,
                                 .drain = {.budgets = {{1, ON_TIMEOUT_CLOSE},
                                                       {2, ON_TIMEOUT_WAIT},
                                                       {3, ON_TIMEOUT_FAIL},
                                                       {4, ON_TIMEOUT_CLOSE},
                                                       {5, ON_TIMEOUT_FAIL}},
                                           .close_spread_ms = 6}};
    char *json = journal_spec_write(&in, NULL);
    struct plan_spec out;
    struct config_step *read;

    (void)state;
    assert_int_equal(journal_spec_read(json, &out, &read), 0);
    assert_int_equal(out.step_count, 7);
    for (size_t i = 4; i < 7; i++) {
        assert_int_equal(out.steps[i].kind, steps[i].kind);
        assert_true(config_match_equals(&out.steps[i].match, &steps[i].match));
    }
    assert_int_equal(out.steps[6].mirror, 1050);
    assert_int_equal(out.steps[0].weight, 25);
    assert_int_equal(out.steps[1].pause_ms, 30000);
    assert_true(out.steps[2].until_promoted);
    assert_int_equal(out.health_timeout_ms, UINT32_MAX);
    assert_int_equal(out.max_unavailable, 1);
    assert_memory_equal(&out.drain, &in.drain, sizeof(in.drain));
    assert_int_equal(out.strategy, STRATEGY_ROLLING);
    assert_int_equal(out.order, ORDER_STOP_FIRST);
    assert_string_equal(out.order_why, "it has a static IP");
    assert_int_equal(out.max_surge, 4);
    assert_int_equal(out.ramp_ms, 4000);
    assert_int_equal(out.max_failures, 2);
    assert_int_equal(out.failure_action, FAILURE_PAUSE);
    assert_int_equal(out.hold_ms, 30000);
    free(read);
    free(json);
}

static void a_spec_of_the_first_schema_is_a_canary_that_starts_first(void **state)
{
    struct plan_spec spec;
    struct config_step *steps;

    (void)state;
    assert_int_equal(
        journal_spec_read("{\"steps\":[],\"drain\":{\"requests_ms\":1,\"websockets_ms\":1,"
                          "\"tcp_ms\":1,\"on_timeout\":\"close\"},\"replicas\":1,"
                          "\"max_unavailable\":0,\"health_timeout_ms\":1,"
                          "\"progress_deadline_ms\":1,\"monitor_ms\":1}",
                          &spec, &steps),
        0);
    assert_int_equal(spec.strategy, STRATEGY_CANARY);
    assert_int_equal(spec.order, ORDER_START_FIRST);
    assert_int_equal(spec.hold_ms, 0);
    free(steps);
}

static void the_template_of_the_first_ones_comes_back(void **state)
{
    const struct plan_spec spec = {.scale_to = 2};
    cJSON *template = cJSON_Parse("{\"Config\":{\"User\":\"1000\"}}");
    char *json = journal_spec_write(&spec, template), *without = journal_spec_write(&spec, NULL);
    cJSON *read = journal_spec_template(json);

    (void)state;
    assert_true(cJSON_Compare(read, template, true));
    assert_null(journal_spec_template(without));
    assert_null(journal_spec_template("no JSON"));
    cJSON_Delete(read);
    cJSON_Delete(template);
    free(without);
    free(json);
}

static void a_spec_of_three_classes_is_still_read(void **state)
{
    const char *json =
        "{\"steps\":[],\"drain\":{\"requests_ms\":1,\"websockets_ms\":2,\"tcp_ms\":3,"
        "\"on_timeout\":\"wait\"},\"replicas\":1,\"max_unavailable\":0,"
        "\"health_timeout_ms\":1,\"progress_deadline_ms\":1,\"monitor_ms\":1}";
    const uint32_t budgets[KIND_COUNT] = {1, 1, 1, 2, 3};
    struct plan_spec spec;
    struct config_step *steps;

    (void)state;
    assert_int_equal(journal_spec_read(json, &spec, &steps), 0);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        assert_int_equal(spec.drain.budgets[kind].timeout_ms, budgets[kind]);
        assert_int_equal(spec.drain.budgets[kind].on_timeout, ON_TIMEOUT_WAIT);
    }
    free(steps);
}

static void what_is_no_spec_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"steps\": 3}",
        "{\"steps\":[{\"weight\":10001}],\"drain\":{\"requests_ms\":1,\"websockets_ms\":1,"
        "\"tcp_ms\":1,\"on_timeout\":\"close\"},\"replicas\":1,\"max_unavailable\":0,"
        "\"health_timeout_ms\":1,\"progress_deadline_ms\":1,\"monitor_ms\":1}",
        "{\"steps\":[],\"drain\":{\"requests_ms\":-1,\"websockets_ms\":1,\"tcp_ms\":1,"
        "\"on_timeout\":\"close\"},\"replicas\":1,\"max_unavailable\":0,\"health_timeout_ms\":1,"
        "\"progress_deadline_ms\":1,\"monitor_ms\":1}"};
    struct plan_spec spec;
    struct config_step *steps;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(journal_spec_read(bad[i], &spec, &steps), -EINVAL);
}

/* --- opening, and what goes wrong ----------------------------------------------------------- */

static void a_second_opener_is_refused_and_told_who_has_it(void **state)
{
    struct journal *journal = open_journal();
    struct journal *second = NULL;
    char pid[16];

    (void)state;
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_int_equal(journal_open(directory, &second, why), -EBUSY);
    assert_non_null(strstr(why, pid));
    assert_null(second);
    journal_close(journal);
    journal_close(open_journal()); /* free again; the file with the pid is still there */
}

static void execute(const char *sql)
{
    char path[128];
    sqlite3 *database;

    snprintf(path, sizeof(path), "%s/journal.db", directory);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void a_journal_of_a_newer_sluice_is_refused_untouched(void **state)
{
    struct journal *journal = open_journal();

    (void)state;
    add_rollout(journal, "a", "web", 1);
    journal_close(journal);
    execute(VERSION(1000));
    assert_int_equal(journal_open(directory, &journal, why), -ENOTSUP);
    assert_non_null(strstr(why, "newer"));
    execute(VERSION(JOURNAL_SCHEMA));
    journal_close(open_journal());
}

/* As the first Sluice left it, with a rollout in progress. */
static void a_journal_of_an_older_sluice_is_brought_up_to_date(void **state)
{
    struct journal_rollout rollout;
    struct journal *journal;

    (void)state;
    execute(journal_way_from(0));
    execute("PRAGMA application_id=" NAME(JOURNAL_APPLICATION) "; PRAGMA user_version=1");
    execute(
        "INSERT INTO rollouts VALUES ('a', 'web', 'canary', '{}', 'web:v2', NULL, NULL, NULL,"
        " NULL, NULL, NULL, 1, 0, 3, 500, 0, 0, 0, 'forward', 'none', 2, 1, 7, 8, 0, 0, 1, 0, '')");
    journal = open_journal();
    assert_int_equal(journal_rollout_in_progress(journal, "web", &rollout), 0);
    assert_string_equal(rollout.id, "a");
    assert_int_equal(rollout.progress.step, 2);
    journal_rollout_done(&rollout);
    assert_int_equal(
        journal_note_add(journal, "a", &(struct journal_note){.time_ms = 1, .message = "kept"}), 0);
    journal_close(journal);
    journal_close(open_journal());
}

static void changes_are_kept_with_their_rollout_or_not_at_all(void **state)
{
    const struct journal_rollout rollout = {.id = "a", .service = "web", .spec = "{}"};
    const struct journal_rollout second = {.id = "b", .service = "web", .spec = "{}"};
    const struct journal_changes changes = {.wanted = "{\"memory\":1}", .undo = "{\"memory\":2}"};
    struct journal *journal = open_journal();
    struct journal_changes read;
    struct journal_rollout found;

    (void)state;
    assert_int_equal(journal_rollout_add_changed(journal, &rollout, &changes), 0);
    assert_int_equal(journal_rollout_add_changed(journal, &second, &changes), -EEXIST);
    assert_int_equal(journal_changes_load(journal, "b", &read), -ENOENT);
    journal_close(journal);
    journal = open_journal();
    assert_int_equal(journal_rollout_find(journal, "a", &found), 0);
    journal_rollout_done(&found);
    assert_int_equal(journal_changes_load(journal, "a", &read), 0);
    assert_string_equal(read.wanted, changes.wanted);
    assert_string_equal(read.undo, changes.undo);
    journal_changes_done(&read);
    journal_close(journal);
}

static void add_note(struct journal *journal, const char *rollout, const char *message,
                     bool is_lesson)
{
    const struct journal_note note = {
        .time_ms = 5, .user = "root", .message = message, .is_lesson = is_lesson};

    assert_int_equal(journal_note_add(journal, rollout, &note), 0);
}

static void notes_read_back_in_order_and_lessons_across_the_rollouts_of_a_service(void **state)
{
    struct journal *journal = open_journal();
    struct journal_note *notes;
    size_t count;

    (void)state;
    add_rollout(journal, "a", "web", 1);
    add_rollout(journal, "b", "db", 2);
    add_note(journal, "a", "watch the \"cart\"", false);
    add_note(journal, "a", "migrate first", true);
    add_note(journal, "b", "of another service", true);
    assert_int_equal(journal_note_list(journal, "a", &notes, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(notes[0].message, "watch the \"cart\"");
    assert_string_equal(notes[0].user, "root");
    assert_int_equal(notes[0].time_ms, 5);
    assert_true(notes[1].is_lesson);
    journal_notes_free(notes, count);
    assert_int_equal(journal_lesson_list(journal, "web", 2, 5, &notes, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(notes[0].message, "migrate first");
    assert_string_equal(notes[0].rollout, "a");
    journal_notes_free(notes, count);
    assert_int_equal(journal_lesson_list(journal, "web", 1, 5, &notes, &count), 0);
    assert_int_equal(count, 0); /* its own, and those after it, are none that it could read */
    journal_notes_free(notes, count);
    journal_close(journal);
}

static void what_was_checked_before_a_rollout_reads_back(void **state)
{
    const struct journal_preflight written[] = {
        {.name = "memory", .outcome = "warning", .message = "it is tight", .forced = true},
        {.name = "disk", .outcome = "ok", .message = NULL}};
    struct journal *journal = open_journal();
    struct journal_preflight *read;
    size_t count;

    (void)state;
    assert_int_equal(journal_preflight_save(journal, "a", written, 2), -ENOENT);
    add_rollout(journal, "a", "web", 1);
    assert_int_equal(journal_preflight_save(journal, "a", written, 2), 0);
    assert_int_equal(journal_preflight_list(journal, "a", &read, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(read[0].name, "memory");
    assert_string_equal(read[0].outcome, "warning");
    assert_string_equal(read[0].message, "it is tight");
    assert_true(read[0].forced);
    assert_null(read[1].message);
    assert_false(read[1].forced);
    journal_preflights_free(read, count);
    assert_int_equal(journal_preflight_list(journal, "b", &read, &count), 0);
    assert_int_equal(count, 0);
    journal_preflights_free(read, count);
    journal_close(journal);
}

static void notes_of_a_rollout_are_limited_and_need_it(void **state)
{
    const struct journal_note note = {.time_ms = 1, .message = "again"};
    struct journal *journal = open_journal();

    (void)state;
    add_rollout(journal, "a", "web", 1);
    for (unsigned i = 0; i < JOURNAL_NOTES_MAX; i++)
        assert_int_equal(journal_note_add(journal, "a", &note), 0);
    assert_int_equal(journal_note_add(journal, "a", &note), -EDQUOT);
    assert_int_equal(journal_note_add(journal, "x", &note), -ENOENT);
    journal_close(journal);
}

static void a_file_that_is_no_journal_is_refused(void **state)
{
    struct journal *journal = NULL;
    char path[128];
    int fd;

    (void)state;
    execute("CREATE TABLE other (x)");
    assert_int_equal(journal_open(directory, &journal, why), -EINVAL);
    snprintf(path, sizeof(path), "%s/journal.db", directory);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "this is not a database at all, but text\n", 40), 40);
    close(fd);
    assert_int_equal(journal_open(directory, &journal, why), -EINVAL);
    assert_non_null(strstr(why, "journal.db"));
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    struct journal *journal = NULL;

    (void)state;
    assert_int_equal(journal_open("/nowhere/at/all", &journal, why), -ENOENT);
    assert_non_null(strstr(why, "/nowhere/at/all"));
}

static void the_journal_is_private(void **state)
{
    struct stat status;
    char path[128];

    (void)state;
    journal_close(open_journal());
    snprintf(path, sizeof(path), "%s/journal.db", directory);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* Writes until it is killed; tells over the pipe what has been written durably. */
static void write_until_killed(int fd)
{
    struct journal *journal = NULL;
    static struct plan_observed observed;
    static struct plan plan;
    int64_t ids[PLAN_ACTIONS_MAX];

    if (journal_open(directory, &journal, why) != 0)
        _exit(1);
    fill_plan(&observed, &plan);
    for (uint32_t step = 1;; step++) {
        plan.progress.step = step;
        if (journal_save_plan(journal, "a", &observed, &plan, ids) != 0 ||
            write(fd, &step, sizeof(step)) != sizeof(step))
            _exit(1);
    }
}

static void kill_9_in_the_middle_of_writing_loses_nothing_that_was_answered(void **state)
{
    struct journal *journal = open_journal();

    (void)state;
    add_rollout(journal, "a", "web", 1);
    journal_close(journal);
    for (int round = 0; round < 10; round++) {
        struct journal_rollout rollout;
        struct journal_action *actions;
        uint32_t step = 0, last = 0;
        size_t count;
        int pipe_fds[2];
        pid_t child;

        assert_int_equal(pipe(pipe_fds), 0);
        child = fork();
        if (child == 0)
            write_until_killed(pipe_fds[1]);
        close(pipe_fds[1]);
        while (last < 3u + (uint32_t)round && read(pipe_fds[0], &step, sizeof(step)) > 0)
            last = step;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(pipe_fds[0], &step, sizeof(step)) == sizeof(step))
            last = step;
        close(pipe_fds[0]);
        journal = open_journal();
        assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
        /* the one that was being written when it died may be there or not, but never in part */
        assert_in_range(rollout.progress.step, last, last + 1);
        assert_int_equal(journal_action_list(journal, "a", true, &actions, &count), 0);
        assert_int_equal(count % 2, 0);
        journal_actions_free(actions, count);
        journal_rollout_done(&rollout);
        journal_close(journal);
    }
}

static void a_full_disk_is_told_and_what_was_written_stays(void **state)
{
    struct journal *journal;
    struct journal_rollout rollout;
    char text[4096];
    const struct journal_note note = {.time_ms = 1, .message = text};
    int error = 0;

    (void)state;
    if (mount("sluice-test", directory, "tmpfs", 0, "size=512k") != 0)
        skip();
    journal = open_journal();
    add_rollout(journal, "a", "web", 1);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 1000 && error == 0; i++)
        error = journal_log(journal, "a", 1, "fill", text);
    assert_int_equal(error, -ENOSPC);
    assert_string_not_equal(journal_error(journal), "");
    /* Told apart from a rollout that has as many notes as it may have. */
    assert_int_equal(journal_note_add(journal, "a", &note), -ENOSPC);
    assert_int_equal(journal_rollout_find(journal, "a", &rollout), 0);
    journal_rollout_done(&rollout);
    journal_close(journal);
    journal_close(open_journal());
    assert_int_equal(umount(directory), 0);
}

static void a_read_only_directory_is_told(void **state)
{
    struct journal *journal = NULL;
    bool is_mounted = mount("sluice-test", directory, "tmpfs", MS_RDONLY, "size=64k") == 0;
    int error;

    (void)state;
    if (!is_mounted && geteuid() == 0)
        skip(); /* root may write where modes forbid it, so without the mount nothing is shown */
    if (!is_mounted)
        assert_int_equal(chmod(directory, 0500), 0);
    error = journal_open(directory, &journal, why);
    assert_int_equal(error, is_mounted ? -EROFS : -EACCES);
    assert_non_null(strstr(why, directory));
    if (is_mounted)
        assert_int_equal(umount(directory), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rollout_reads_back_as_it_was_written),
        TEST(a_second_rollout_of_a_service_is_refused_until_the_first_has_ended),
        TEST(a_rollout_is_found_by_the_unique_beginning_of_its_id),
        TEST(history_is_pruned_to_the_newest_and_never_what_is_in_progress),
        TEST(a_plan_is_saved_with_its_intents_and_results_follow),
        TEST(wishes_are_kept_until_a_plan_has_consumed_them),
        TEST(a_plan_that_changes_nothing_writes_nothing),
        TEST(what_belongs_to_a_rollout_reads_back),
        TEST(orders_for_drains_are_kept_with_the_rollout),
        TEST(the_log_keeps_the_newest_lines_within_its_limit),
        TEST(a_service_is_kept_with_its_weight),
        TEST(a_spec_survives_the_way_through_json),
        TEST(the_template_of_the_first_ones_comes_back),
        TEST(a_spec_of_three_classes_is_still_read),
        TEST(a_spec_of_the_first_schema_is_a_canary_that_starts_first),
        TEST(what_is_no_spec_is_refused),
        TEST(a_second_opener_is_refused_and_told_who_has_it),
        TEST(a_journal_of_a_newer_sluice_is_refused_untouched),
        TEST(changes_are_kept_with_their_rollout_or_not_at_all),
        TEST(a_journal_of_an_older_sluice_is_brought_up_to_date),
        TEST(notes_read_back_in_order_and_lessons_across_the_rollouts_of_a_service),
        TEST(what_was_checked_before_a_rollout_reads_back),
        TEST(notes_of_a_rollout_are_limited_and_need_it),
        TEST(a_file_that_is_no_journal_is_refused),
        TEST(a_directory_that_is_not_there_is_named),
        TEST(the_journal_is_private),
        TEST(kill_9_in_the_middle_of_writing_loses_nothing_that_was_answered),
        TEST(a_full_disk_is_told_and_what_was_written_stays),
        TEST(a_read_only_directory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
