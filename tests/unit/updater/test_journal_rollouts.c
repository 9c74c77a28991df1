/* What the journal keeps of rollouts and services, and reads back. */
#include "journal_fixture.h"

#include <errno.h>

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
        TEST(changes_are_kept_with_their_rollout_or_not_at_all),
        TEST(notes_read_back_in_order_and_lessons_across_the_rollouts_of_a_service),
        TEST(what_was_checked_before_a_rollout_reads_back),
        TEST(notes_of_a_rollout_are_limited_and_need_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
