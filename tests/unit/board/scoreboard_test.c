#include "board/scoreboard.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

#define ROWS       3
#define SLOT       9
#define GENERATION 4

static struct scoreboard board;

static int set_up(void **state)
{
    const int first = 100;

    (void)state;
    for (int row = 0; row < ROWS; row++) {
        int fd = score_row_create();
        assert_true(fd >= 0);
        assert_int_equal(dup2(fd, first + row), first + row);
        close(fd);
    }
    assert_int_equal(scoreboard_map(&board, first, ROWS, ROWS_MAX), 0);
    for (int row = 0; row < ROWS; row++) {
        close(first + row);
        score_cell_claim(&board.rows[row]->cells[SLOT], GENERATION);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scoreboard_unmap(&board);
    return 0;
}

static void live(unsigned row, uint64_t seen_epoch)
{
    score_set(&board.rows[row]->state, ROW_LIVE);
    score_set(&board.rows[row]->seen_epoch, seen_epoch);
}

static bool drained(void)
{
    struct drain_proof proof;

    return scoreboard_is_drained(&board, SLOT, GENERATION, 10, &proof);
}

static void is_not_drained_before_every_live_row_has_acknowledged(void **state)
{
    (void)state;
    live(0, 10);
    live(1, 9);
    assert_false(drained());
    score_set(&board.rows[1]->seen_epoch, 10);
    assert_true(drained());
    score_set(&board.rows[1]->seen_epoch, 11);
    assert_true(drained());
}

static void rows_without_a_worker_need_no_acknowledgement(void **state)
{
    (void)state;
    live(0, 10);
    assert_true(drained());
}

static void each_gauge_alone_holds_a_drain(void **state)
{
    struct score_cell *cell = &board.rows[1]->cells[SLOT];
    _Atomic uint32_t *const gauges[] = {&cell->active_all, &cell->connecting, &cell->idle};

    (void)state;
    live(0, 10);
    live(1, 10);
    for (unsigned i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        score_set(gauges[i], 1);
        assert_false(drained());
        score_set(gauges[i], 0);
        assert_true(drained());
    }
}

static void figures_of_another_generation_do_not_count(void **state)
{
    struct score_sum sum;

    (void)state;
    live(0, 10);
    score_set(&board.rows[0]->cells[SLOT].active_all, 5);
    score_set(&board.rows[0]->cells[SLOT].exchanges, 50);
    assert_int_equal(scoreboard_active(&board, SLOT, GENERATION), 0); /* not looked yet */
    scoreboard_look(&board);
    assert_int_equal(scoreboard_active(&board, SLOT, GENERATION), 5);
    assert_int_equal(scoreboard_active(&board, SLOT, GENERATION + 1), 0);
    score_cell_claim(&board.rows[0]->cells[SLOT], GENERATION + 1);
    scoreboard_sum(&board, SLOT, GENERATION + 1, &sum);
    assert_int_equal(sum.active_all, 0);
    assert_int_equal(sum.exchanges, 0);
}

static void burying_a_row_clears_gauges_and_keeps_counters(void **state)
{
    struct score_cell *cell = &board.rows[0]->cells[SLOT];
    struct score_hold hold = {.id = 1};
    struct score_sum sum;
    uint32_t total = 9;

    (void)state;
    live(0, 3);
    score_set(&cell->active_all, 2);
    score_set(&cell->active[KIND_TCP], 2);
    score_set(&cell->idle, 3);
    score_set(&cell->exchanges, 77);
    score_set(&board.rows[0]->clients, 8);
    score_set(&board.rows[0]->queued[1], 4);
    score_set(&board.rows[0]->queued_since_ms[1][GROUP_CANARY], 5);
    score_set(&cell->ejected, 1);
    score_holds_write(board.rows[0], &hold, 1, 1);
    assert_false(drained());
    score_row_bury(board.rows[0]);
    assert_true(drained());
    scoreboard_sum(&board, SLOT, GENERATION, &sum);
    assert_int_equal(sum.exchanges, 77);
    assert_int_equal(sum.idle, 0);
    assert_int_equal(score_get(&board.rows[0]->clients), 0);
    assert_int_equal(score_get(&board.rows[0]->queued[1]), 0);
    assert_int_equal(score_get(&board.rows[0]->queued_since_ms[1][GROUP_CANARY]), 0);
    assert_int_equal(sum.ejected, 0);
    assert_int_equal(score_get(&board.rows[0]->seen_epoch), 0);
    assert_int_equal(score_holds_read(board.rows[0], &hold, 1, &total), 0);
    assert_int_equal(total, 0);
}

static void the_proof_tells_every_row(void **state)
{
    struct drain_proof proof;

    (void)state;
    live(0, 12);
    score_set(&board.rows[0]->pid, 123);
    score_set(&board.rows[0]->cells[SLOT].last_end_us, 111);
    score_set(&board.rows[2]->cells[SLOT].last_end_us, 222);
    assert_true(scoreboard_is_drained(&board, SLOT, GENERATION, 10, &proof));
    assert_int_equal(proof.row_count, ROWS);
    assert_true(proof.rows[0].live);
    assert_int_equal(proof.rows[0].pid, 123);
    assert_int_equal(proof.rows[0].seen_epoch, 12);
    assert_false(proof.rows[1].live);
    assert_int_equal(proof.last_end_us, 222);
}

static void histogram_buckets_are_in_order_and_at_most_a_quarter_wide(void **state)
{
    uint64_t last_bound = 0;

    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t bound = histogram_bound_us(i);
        assert_true(bound > last_bound);
        if (i > 0)
            assert_true((bound - last_bound) * 4 <= bound);
        assert_int_equal(histogram_bucket(bound - 1), i);
        assert_int_equal(histogram_bucket(bound), i + 1);
        last_bound = bound;
    }
    assert_true(last_bound >= 50000000);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(0), 0);
}

static void quantiles_come_from_the_buckets(void **state)
{
    uint64_t latency[HISTOGRAM_BUCKETS] = {0};

    (void)state;
    assert_int_equal(histogram_quantile_us(latency, 0.5), 0);
    latency[histogram_bucket(100)] = 90;
    latency[histogram_bucket(10000)] = 10;
    assert_in_range(histogram_quantile_us(latency, 0.5), 100, 125);
    assert_in_range(histogram_quantile_us(latency, 0.99), 10000, 12500);
}

static void the_split_word_keeps_its_three_parts(void **state)
{
    uint64_t word = score_split_pack(WEIGHT_MAX, SPLIT_COUNT_MAX, SPLIT_COUNT_MAX - 1);

    (void)state;
    assert_int_equal(score_split_weight(word), WEIGHT_MAX);
    assert_int_equal(score_split_exchanges(word), SPLIT_COUNT_MAX);
    assert_int_equal(score_split_canary(word), SPLIT_COUNT_MAX - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_not_drained_before_every_live_row_has_acknowledged),
        TEST(rows_without_a_worker_need_no_acknowledgement),
        TEST(each_gauge_alone_holds_a_drain),
        TEST(figures_of_another_generation_do_not_count),
        TEST(burying_a_row_clears_gauges_and_keeps_counters),
        TEST(the_proof_tells_every_row),
        TEST(histogram_buckets_are_in_order_and_at_most_a_quarter_wide),
        TEST(quantiles_come_from_the_buckets),
        TEST(the_split_word_keeps_its_three_parts),
    };

    return cmocka_run_group_tests_name("scoreboard", tests, NULL, NULL);
}
