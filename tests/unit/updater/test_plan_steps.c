/* Steps beyond weights and pauses: analysis, replicas, match, mirror. */
#include "plan_fixture.h"
#include "updater/rollout_spec.h"

static const struct config_step further[] = {
    {.kind = STEP_MATCH, .match = {.kind = MATCH_HEADER, .name = "X-Team", .value = "yes"}},
    {.kind = STEP_REPLICAS, .replicas = 2},
    {.kind = STEP_MIRROR, .mirror = 5000},
    {.kind = STEP_SET_WEIGHT, .weight = 1000},
    {.kind = STEP_ANALYSIS,
     .analysis = {.on = true, .success_rate = 9900, .min_requests = 100, .interval_ms = 30000}},
    {.kind = STEP_MATCH},
    {.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX}};

static struct config_step own[sizeof(further) / sizeof(further[0])];

static int with_further(void **state)
{
    reset(state);
    memcpy(own, further, sizeof(own));
    spec.steps = own;
    spec.step_count = sizeof(own) / sizeof(own[0]);
    return 0;
}

static void routed(uint32_t weight, uint32_t mirror, bool has_match)
{
    in.weight = weight;
    in.mirror = mirror;
    in.match = (struct config_match){.kind = MATCH_NONE};
    if (has_match)
        in.match = further[0].match;
}

/* In the middle of the analysis, which has gone on for so long. */
static void analysing(uint64_t for_ms, uint64_t requests, uint64_t failures)
{
    at_step(4, 1000, 2);
    routed(1000, 5000, true);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - for_ms;
    in.window = (struct plan_window){.since_ms = NOW - for_ms,
                                     .step = 4,
                                     .is_own = true,
                                     .look = (uint32_t)(for_ms / 6000),
                                     .canary = {.requests = requests, .failures = failures}};
}

/* --- match, mirror, replicas -------------------------------------------------------------- */

static void a_match_needs_one_new_container_and_no_weight(void **state)
{
    (void)state;
    next();
    assert_int_equal(the(ACTION_CREATE)->ordinal, 0);
    (void)add(true, 0);
    next();
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, 0);
    assert_int_equal(the(ACTION_SET_WEIGHT)->match.kind, MATCH_HEADER);
    assert_int_equal(the(ACTION_SET_WEIGHT)->mirror, 0);
}

static void replicas_are_raised_whatever_the_weight(void **state)
{
    (void)state;
    at_step(1, 0, 1);
    routed(0, 0, true);
    next();
    assert_int_equal(the(ACTION_CREATE)->ordinal, 1);
    assert_int_equal(plan_replicas_at(&spec, 3), 2); /* ten per cent of three would be one */
    assert_int_equal(plan_replicas_at(&spec, 6), 3); /* the full weight needs all */
    own[1].replicas = 50;
    assert_int_equal(plan_replicas_at(&spec, 3), 3);
}

static void a_mirror_joins_the_match_and_stays_with_the_weight(void **state)
{
    (void)state;
    at_step(2, 0, 2);
    routed(0, 0, true);
    next();
    assert_int_equal(the(ACTION_SET_WEIGHT)->mirror, 5000);
    assert_int_equal(the(ACTION_SET_WEIGHT)->match.kind, MATCH_HEADER);
    at_step(3, 0, 0);
    routed(0, 5000, true);
    next();
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, 1000);
    assert_int_equal(the(ACTION_SET_WEIGHT)->mirror, 5000);
}

static void the_full_weight_ends_match_and_mirror(void **state)
{
    (void)state;
    at_step(6, 1000, 3);
    routed(1000, 5000, false);
    next();
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, WEIGHT_MAX);
    assert_int_equal(the(ACTION_SET_WEIGHT)->mirror, 0);
}

static void on_the_way_back_match_and_mirror_end_with_the_weight(void **state)
{
    (void)state;
    enter(PHASE_BACK, 0);
    routed(0, 5000, true);
    next();
    assert_int_equal(the(ACTION_SET_WEIGHT)->mirror, 0);
    assert_int_equal(the(ACTION_SET_WEIGHT)->match.kind, MATCH_NONE);
    assert_int_equal(count(ACTION_DRAIN), 0);
}

/* --- analysis ----------------------------------------------------------------------------- */

static void an_analysis_takes_its_interval_and_says_what_it_sees(void **state)
{
    (void)state;
    analysing(12000, 400, 0);
    next();
    assert_int_equal(out.progress.step, 4);
    assert_int_equal(out.verdict, ANALYSIS_PASS);
    assert_non_null(strstr(out.waiting, "0 of 400 requests"));
    assert_int_equal(out.look_again_ms, NOW + 6000); /* the next look */
    analysing(30000, 400, 0);
    next();
    assert_int_equal(out.progress.step, 5); /* which ends the match */
}

static void a_failure_turns_back_at_once_with_its_figures(void **state)
{
    (void)state;
    analysing(6000, 300, 20);
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(out.verdict, ANALYSIS_FAIL);
    assert_non_null(strstr(out.progress.why, "analysis: 20 of 300"));
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, 0);
}

static void without_traffic_it_waits_passes_or_fails_as_told(void **state)
{
    (void)state;
    analysing(60000, 3, 0);
    next();
    assert_int_equal(out.progress.step, 4);
    assert_non_null(strstr(out.waiting, "to be sure"));
    assert_non_null(strstr(out.waiting, "sluice promote"));
    assert_int_not_equal(out.progress.changed_ms, 0); /* the progress deadline runs */
    own[4].analysis.inconclusive = INCONCLUSIVE_PASS;
    next();
    assert_int_equal(out.progress.step, 5); /* which ends the match */
    own[4].analysis.inconclusive = INCONCLUSIVE_FAIL;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_non_null(strstr(out.progress.why, "stayed inconclusive: 0 of 3 requests"));
}

static void a_wait_for_traffic_ends_by_the_progress_deadline(void **state)
{
    (void)state;
    analysing(660000, 3, 0);
    in.progress.changed_ms = NOW - 600000;
    for (unsigned i = 3; i < 5; i++)
        in.containers[i].started_ms = in.containers[i].published_ms = NOW - 700000;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_non_null(strstr(out.progress.why, "no progress for 10m"));
}

static void promote_ends_an_analysis(void **state)
{
    (void)state;
    analysing(12000, 3, 0);
    in.wish_promote = true;
    next();
    assert_int_equal(out.progress.step, 5); /* which ends the match */
    assert_false(out.progress.promote_wanted);
}

static void figures_of_another_step_say_nothing(void **state)
{
    (void)state;
    analysing(60000, 400, 300);
    in.window.step = 3;
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.progress.step, 4);
    assert_int_equal(out.verdict, ANALYSIS_NONE);
    assert_int_equal(out.look_again_ms, NOW); /* at once, with its own */
}

static void a_step_entered_just_now_does_not_pass_by_old_figures(void **state)
{
    (void)state;
    analysing(60000, 400, 0);
    in.progress.step_entered = false;
    next();
    assert_true(out.progress.step_entered);
    assert_int_equal(out.progress.step, 4);
}

/* --- through the whole rollout ------------------------------------------------------------ */

static int throughout(void **state)
{
    reset(state);
    spec.analysis = (struct config_analysis){
        .on = true, .success_rate = 9900, .min_requests = 100, .interval_ms = 30000};
    return 0;
}

static void watched(uint64_t for_ms, uint64_t requests, uint64_t failures)
{
    in.window = (struct plan_window){.since_ms = NOW - for_ms,
                                     .step = in.progress.step,
                                     .look = (uint32_t)(for_ms / 6000),
                                     .canary = {.requests = requests, .failures = failures}};
}

static void a_pause_is_watched_too(void **state)
{
    (void)state;
    at_step(3, 5000, 2);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW;
    watched(6000, 300, 20);
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
}

static void the_watch_at_the_end_is_watched_too(void **state)
{
    (void)state;
    at_step(5, WEIGHT_MAX, 3);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW;
    watched(6000, 300, 20);
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
}

static void a_window_that_has_passed_gives_way_to_another(void **state)
{
    (void)state;
    at_step(3, 5000, 2);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW;
    watched(29999, 300, 0);
    next();
    assert_false(out.window_done);
    watched(30000, 300, 0);
    next();
    assert_true(out.window_done);
    assert_int_equal(out.look_again_ms, NOW);
    watched(90000, 3, 0); /* not sure yet: it goes on */
    next();
    assert_false(out.window_done);
}

static void too_little_traffic_holds_up_no_pause(void **state)
{
    (void)state;
    at_step(1, 2500, 1);
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - 30000;
    watched(30000, 0, 0);
    next();
    assert_int_equal(out.progress.step, 2);
}

/* --- blue_green, and the bake -------------------------------------------------------------- */

static struct config_step room[PLAN_STEPS_MAX];

static struct plan_spec settled(struct config_rollout rollout, enum config_order order)
{
    const struct config_service service = {.rollout = rollout};
    const struct rollout_way way = {.order_given = true, .order = order};

    return rollout_spec(&service, &way, 3, NULL, room);
}

static void blue_green_raises_all_then_switches_once(void **state)
{
    const struct plan_spec green = settled(
        (struct config_rollout){.strategy = STRATEGY_BLUE_GREEN, .auto_promote = true}, ORDER_AUTO);

    (void)state;
    assert_int_equal(green.step_count, 2);
    assert_int_equal(green.steps[0].kind, STEP_REPLICAS);
    assert_int_equal(plan_replicas_at(&green, 0), 3);
    assert_int_equal(plan_weight_at(&green, 0), 0);
    assert_int_equal(green.steps[1].weight, WEIGHT_MAX);
    assert_int_equal(green.order, ORDER_START_FIRST);
    assert_int_equal(green.monitor_ms, 600000);
}

static void blue_green_waits_for_a_yes_where_one_is_wanted(void **state)
{
    const struct plan_spec green = settled((struct config_rollout){.strategy = STRATEGY_BLUE_GREEN,
                                                                   .bake_given = true,
                                                                   .bake_ms = 1000,
                                                                   .monitor_ms = 5000},
                                           ORDER_AUTO);

    (void)state;
    assert_int_equal(green.step_count, 3);
    assert_true(green.steps[1].until_promoted);
    assert_int_equal(green.monitor_ms, 5000); /* the longer one */
}

static void a_canary_bakes_too_where_told(void **state)
{
    const struct plan_spec baked =
        settled((struct config_rollout){.bake_given = true, .bake_ms = 60000, .monitor_ms = 5000},
                ORDER_AUTO);

    (void)state;
    assert_int_equal(baked.monitor_ms, 60000);
    assert_int_equal(settled((struct config_rollout){.monitor_ms = 5000}, ORDER_AUTO).monitor_ms,
                     5000);
}

static void baking(uint64_t for_ms)
{
    reset(NULL);
    at_step(5, WEIGHT_MAX, 3);
    spec.monitor_ms = 600000;
    in.progress.step_entered = true;
    in.progress.step_since_ms = NOW - for_ms;
}

static void an_abort_in_the_bake_sets_the_weight_first(void **state)
{
    (void)state;
    baking(1000);
    in.wish_abort = true;
    next();
    assert_int_equal(out.progress.phase, PHASE_BACK);
    assert_int_equal(out.action_count, 1);
    assert_int_equal(the(ACTION_SET_WEIGHT)->weight, 0);
}

static void a_promote_ends_the_bake_but_not_one_from_before(void **state)
{
    (void)state;
    baking(1000);
    in.progress.promote_wanted = true;
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_false(out.progress.promote_wanted);
    in.wish_promote = true;
    next();
    assert_int_equal(out.progress.phase, PHASE_PROMOTED);
}

static void one_promote_does_not_end_a_pause_and_the_bake_behind_it(void **state)
{
    static const struct config_step last[] = {{.kind = STEP_SET_WEIGHT, .weight = WEIGHT_MAX},
                                              {.kind = STEP_PAUSE, .until_promoted = true}};

    (void)state;
    reset(NULL);
    spec.steps = last;
    spec.step_count = 2;
    at_step(1, WEIGHT_MAX, 3);
    in.progress.step_entered = true;
    in.wish_promote = true;
    next();
    assert_int_equal(out.progress.phase, PHASE_FORWARD);
    assert_int_equal(out.progress.step, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_match_needs_one_new_container_and_no_weight, with_further),
        cmocka_unit_test_setup(replicas_are_raised_whatever_the_weight, with_further),
        cmocka_unit_test_setup(a_mirror_joins_the_match_and_stays_with_the_weight, with_further),
        cmocka_unit_test_setup(the_full_weight_ends_match_and_mirror, with_further),
        cmocka_unit_test_setup(on_the_way_back_match_and_mirror_end_with_the_weight, with_further),
        cmocka_unit_test_setup(an_analysis_takes_its_interval_and_says_what_it_sees, with_further),
        cmocka_unit_test_setup(a_failure_turns_back_at_once_with_its_figures, with_further),
        cmocka_unit_test_setup(without_traffic_it_waits_passes_or_fails_as_told, with_further),
        cmocka_unit_test_setup(a_wait_for_traffic_ends_by_the_progress_deadline, with_further),
        cmocka_unit_test_setup(promote_ends_an_analysis, with_further),
        cmocka_unit_test_setup(figures_of_another_step_say_nothing, with_further),
        cmocka_unit_test_setup(a_step_entered_just_now_does_not_pass_by_old_figures, with_further),
        cmocka_unit_test_setup(a_pause_is_watched_too, throughout),
        cmocka_unit_test_setup(the_watch_at_the_end_is_watched_too, throughout),
        cmocka_unit_test_setup(a_window_that_has_passed_gives_way_to_another, throughout),
        cmocka_unit_test_setup(too_little_traffic_holds_up_no_pause, throughout),
        cmocka_unit_test(blue_green_raises_all_then_switches_once),
        cmocka_unit_test(blue_green_waits_for_a_yes_where_one_is_wanted),
        cmocka_unit_test(a_canary_bakes_too_where_told),
        cmocka_unit_test(an_abort_in_the_bake_sets_the_weight_first),
        cmocka_unit_test(a_promote_ends_the_bake_but_not_one_from_before),
        cmocka_unit_test(one_promote_does_not_end_a_pause_and_the_bake_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
