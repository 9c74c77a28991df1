/* Slots, generations, and what a restart of the updater finds again. */
#include "base/memory.h"
#include "tests/unit/unit.h"
#include "updater/table.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct table *table;
    struct routing_board *board;
    struct scoreboard scores;
    struct score_row *row;
    int number;
};

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    int fd = routing_board_create();

    assert_true(fd >= 0);
    assert_int_equal(routing_board_map(fd, true, &fixture->board), 0);
    fixture->table = table_new();
    fixture->row = memory_new(sizeof(*fixture->row));
    fixture->scores.row_count = 1;
    fixture->scores.rows[0] = fixture->row;
    atomic_store(&fixture->row->state, (uint32_t)ROW_LIVE);
    fixture->number = table_service_row(fixture->table, "web");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    routing_board_unmap(fixture->board);
    free(fixture->table);
    free(fixture->row);
    free(fixture);
    return 0;
}

static struct address address_of(uint16_t port)
{
    return (struct address){.family = AF_INET, .port = port, .bytes = {10, 0, 0, 1}};
}

static struct table_backend backend_of(const struct fixture *fixture, uint16_t port,
                                       uint64_t started_ms)
{
    return (struct table_backend){.row = fixture->number,
                                  .state = BACKEND_READY,
                                  .address = address_of(port),
                                  .started_ms = started_ms,
                                  .name = "web-1"};
}

static int give(struct fixture *fixture, uint16_t port, uint64_t started_ms, bool *ret_found)
{
    struct table_backend backend = backend_of(fixture, port, started_ms);

    return table_give(fixture->table, &backend, 1000, ret_found);
}

static void publish(struct fixture *fixture)
{
    fixture->table->dirty = false;
    (void)routing_board_publish(fixture->board, &fixture->table->draft);
}

static void acknowledge(struct fixture *fixture)
{
    atomic_store(&fixture->row->seen_epoch, fixture->table->draft.epoch);
}

/* A new process: a new draft from what is on the board. */
static void restart(struct fixture *fixture)
{
    struct routing_table *published = memory_new(sizeof(*published));

    assert_int_equal(routing_board_read(fixture->board, published), 0);
    free(fixture->table);
    fixture->table = table_new();
    table_adopt(fixture->table, published, 5000, 5000);
    free(published);
}

static void gives_each_backend_a_slot_and_generation_one(void **state)
{
    struct fixture *fixture = *state;
    bool found = true;

    assert_int_equal(give(fixture, 1, 100, &found), 0);
    assert_false(found);
    assert_int_equal(give(fixture, 2, 100, NULL), 1);
    assert_int_equal(table_backend(fixture->table, 0)->generation, 1);
    assert_int_equal(table_backend(fixture->table, 1)->generation, 1);
    assert_true(fixture->table->dirty);
}

static void does_not_reuse_a_slot_before_every_worker_has_let_go(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);

    publish(fixture);
    acknowledge(fixture);
    table_release(fixture->table, slot, 2000);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 0);
    publish(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 0);
    assert_int_not_equal(give(fixture, 2, 100, NULL), slot);
    acknowledge(fixture);
    score_cell_claim(&fixture->row->cells[slot], 1);
    score_add(&fixture->row->cells[slot].active_all, 1);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 0);
    score_subtract(&fixture->row->cells[slot].active_all, 1);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 1);
    assert_int_equal(table_backend(fixture->table, slot)->state, BACKEND_FREE);
}

static void a_reused_slot_has_the_next_generation(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);

    table_release(fixture->table, slot, 2000);
    publish(fixture);
    acknowledge(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 1);
    assert_int_equal(give(fixture, 2, 200, NULL), slot);
    assert_int_equal(table_backend(fixture->table, slot)->generation, 2);
}

static bool count_calls(void *context, int slot, const struct drain_proof *proof)
{
    unsigned *calls = context;

    assert_int_equal(slot, 0);
    assert_int_equal(proof->row_count, 1);
    (*calls)++;
    return true;
}

static void a_drain_is_told_once_and_the_slot_is_kept(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);
    unsigned calls = 0;

    table_set_state(fixture->table, slot, BACKEND_DRAINING, 2000);
    assert_int_equal(fixture->table->entries[slot].drain_epoch, table_next_epoch(fixture->table));
    publish(fixture);
    acknowledge(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, count_calls, &calls), 1);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, count_calls, &calls), 0);
    assert_int_equal(calls, 1);
    assert_true(fixture->table->entries[slot].drained);
    assert_int_equal(table_backend(fixture->table, slot)->state, BACKEND_DRAINING);
    table_release(fixture->table, slot, 3000);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, count_calls, &calls), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(table_backend(fixture->table, slot)->state, BACKEND_FREE);
}

static void a_backend_that_serves_again_has_to_be_drained_anew(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);

    table_set_state(fixture->table, slot, BACKEND_DRAINING, 2000);
    publish(fixture);
    acknowledge(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 1);
    table_set_state(fixture->table, slot, BACKEND_READY, 3000);
    assert_false(fixture->table->entries[slot].drained);
    assert_int_equal(fixture->table->entries[slot].drain_epoch, 0);
    publish(fixture);
    table_set_state(fixture->table, slot, BACKEND_DRAINING, 4000);
    publish(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 0);
}

static const struct config_match tester = {
    .kind = MATCH_HEADER, .name = "X-Canary", .value = "always"};

static const struct routing_service *row(const struct fixture *fixture)
{
    return &fixture->table->draft.services[fixture->number];
}

static void after_a_restart_a_backend_is_found_with_slot_generation_state_and_group(void **state)
{
    struct fixture *fixture = *state;
    bool found = false;

    (void)give(fixture, 1, 100, NULL);
    int slot = give(fixture, 2, 100000, NULL);

    table_set_state(fixture->table, slot, BACKEND_DRAINING, 2000);
    table_set_group(fixture->table, slot, GROUP_CANARY);
    table_set_weight(fixture->table, fixture->number, 2500);
    table_set_match(fixture->table, fixture->number, &tester);
    table_set_mirror(fixture->table, fixture->number, 1000);
    publish(fixture);
    restart(fixture);
    assert_true(config_match_equals(&row(fixture)->match, &tester));
    assert_int_equal(row(fixture)->mirror, 1000);
    assert_int_equal(table_service_row(fixture->table, "web"), fixture->number);
    struct table_backend again = backend_of(fixture, 2, 100400); /* the clocks' tolerance */

    again.group = GROUP_CANARY;
    assert_int_equal(table_give(fixture->table, &again, 1000, &found), slot);
    assert_true(found);
    assert_int_equal(table_backend(fixture->table, slot)->generation, 1);
    assert_int_equal(table_backend(fixture->table, slot)->state, BACKEND_DRAINING);
    assert_int_equal(table_backend(fixture->table, slot)->group, GROUP_CANARY);
    assert_int_equal(fixture->table->draft.services[fixture->number].weight, 2500);
    assert_false(fixture->table->dirty);
}

static void after_a_restart_another_run_at_the_same_address_is_another_backend(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);
    bool found = true;

    publish(fixture);
    restart(fixture);
    assert_int_not_equal(give(fixture, 1, 60000, &found), slot);
    assert_false(found);
    table_drop_unclaimed(fixture->table, fixture->number, 6000);
    assert_int_equal(table_backend(fixture->table, slot)->state, BACKEND_DRAINING);
    assert_true(fixture->table->entries[slot].leaving);
}

/* The old one made room on a port of the host a moment after both had been made: its slot, which
 * drains, is not the new one's. */
static void after_a_restart_the_other_group_at_the_same_address_is_another_backend(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);
    struct table_backend new = backend_of(fixture, 1, 900);
    bool found = true;

    table_set_state(fixture->table, slot, BACKEND_DRAINING, 2000);
    publish(fixture);
    restart(fixture);
    new.group = GROUP_CANARY;
    assert_int_not_equal(table_give(fixture->table, &new, 1000, &found), slot);
    assert_false(found);
}

static void after_a_restart_nothing_is_taken_for_drained_before_it_is_found_again(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);

    table_set_state(fixture->table, slot, BACKEND_DRAINING, 2000);
    publish(fixture);
    acknowledge(fixture);
    restart(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 0);
    assert_int_equal(give(fixture, 1, 100, NULL), slot);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 1);
}

static void a_slot_that_is_found_is_not_found_twice(void **state)
{
    struct fixture *fixture = *state;
    bool found = true;

    (void)give(fixture, 1, 100, NULL);
    publish(fixture);
    restart(fixture);
    (void)give(fixture, 1, 100, &found);
    assert_true(found);
    (void)give(fixture, 1, 100, &found);
    assert_false(found);
}

static void says_so_when_every_slot_is_in_use(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < ROUTING_BACKENDS_MAX; i++)
        assert_int_equal(give(fixture, (uint16_t)(i + 1), 100, NULL), (int)i);
    assert_int_equal(give(fixture, 9999, 100, NULL), TABLE_NONE);
}

static void a_service_that_left_the_config_leaves_its_row_once_its_backends_are_gone(void **state)
{
    struct fixture *fixture = *state;
    struct config config = {0};
    int slot = give(fixture, 1, 100, NULL);

    table_services_keep(fixture->table, &config, 2000);
    assert_int_equal(table_backend(fixture->table, slot)->state, BACKEND_DRAINING);
    assert_string_equal(fixture->table->draft.services[fixture->number].name, "web");
    publish(fixture);
    acknowledge(fixture);
    assert_int_equal(table_sweep(fixture->table, &fixture->scores, NULL, NULL), 1);
    table_services_keep(fixture->table, &config, 3000);
    assert_string_equal(fixture->table->draft.services[fixture->number].name, "");
    assert_int_equal(table_service_row(fixture->table, "api"), fixture->number);
}

static void what_does_not_change_is_not_published(void **state)
{
    struct fixture *fixture = *state;
    int slot = give(fixture, 1, 100, NULL);

    publish(fixture);
    table_set_state(fixture->table, slot, BACKEND_READY, 2000);
    table_set_group(fixture->table, slot, GROUP_STABLE);
    table_set_name(fixture->table, slot, "web-1");
    table_set_container_health(fixture->table, slot, CONTAINER_HEALTH_NONE);
    table_set_end_kinds(fixture->table, slot, 0, 0);
    table_set_weight(fixture->table, fixture->number, 0);
    table_set_match(fixture->table, fixture->number, &(struct config_match){0});
    table_set_mirror(fixture->table, fixture->number, 0);
    assert_false(fixture->table->dirty);
    table_set_name(fixture->table, slot, "web-2");
    assert_true(fixture->table->dirty);
}

static void match_and_mirror_wait_for_acknowledgement_as_the_weight_does(void **state)
{
    struct fixture *fixture = *state;

    publish(fixture);
    table_set_match(fixture->table, fixture->number, &tester);
    assert_true(fixture->table->dirty);
    assert_int_equal(fixture->table->weight_epochs[fixture->number],
                     table_next_epoch(fixture->table));
    publish(fixture);
    table_set_mirror(fixture->table, fixture->number, 100);
    assert_true(fixture->table->dirty);
    assert_int_equal(fixture->table->weight_epochs[fixture->number],
                     table_next_epoch(fixture->table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_each_backend_a_slot_and_generation_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(does_not_reuse_a_slot_before_every_worker_has_let_go, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reused_slot_has_the_next_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(a_drain_is_told_once_and_the_slot_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_backend_that_serves_again_has_to_be_drained_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            after_a_restart_a_backend_is_found_with_slot_generation_state_and_group, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            after_a_restart_another_run_at_the_same_address_is_another_backend, setup, teardown),
        cmocka_unit_test_setup_teardown(
            after_a_restart_the_other_group_at_the_same_address_is_another_backend, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            after_a_restart_nothing_is_taken_for_drained_before_it_is_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slot_that_is_found_is_not_found_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(says_so_when_every_slot_is_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_service_that_left_the_config_leaves_its_row_once_its_backends_are_gone, setup,
            teardown),
        cmocka_unit_test_setup_teardown(what_does_not_change_is_not_published, setup, teardown),
        cmocka_unit_test_setup_teardown(
            match_and_mirror_wait_for_acknowledgement_as_the_weight_does, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
