#include "board/tickets.h"
#include "tests/unit/unit.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct tickets_board *make(void)
{
    struct tickets_board *board = NULL;
    int fd = tickets_board_create();

    assert_true(fd >= 0);
    assert_int_equal(tickets_board_map(fd, true, &board), 0);
    close(fd);
    return board;
}

static void a_ticket_is_taken_for_two_intervals_and_then_never_again(void **state)
{
    struct tickets_board *board = make();
    struct ticket_key made, found;

    (void)state;
    tickets_current(board, &made);
    assert_int_equal(tickets_find(board, made.name, &found), TICKET_CURRENT);
    assert_memory_equal(&found, &made, sizeof(made));
    assert_int_equal(tickets_rotate(board), 0);
    assert_int_equal(tickets_find(board, made.name, &found), TICKET_OTHER);
    assert_memory_equal(&found, &made, sizeof(made));
    for (int i = 0; i < 9; i++) {
        assert_int_equal(tickets_rotate(board), 0);
        assert_int_equal(tickets_find(board, made.name, &found), TICKET_UNKNOWN);
    }
    tickets_board_unmap(board);
}

static void each_interval_has_a_key_of_its_own(void **state)
{
    struct tickets_board *board = make();
    struct ticket_key seen[8];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        tickets_current(board, &seen[i]);
        for (unsigned j = 0; j < i; j++) {
            assert_memory_not_equal(seen[i].name, seen[j].name, TICKET_NAME);
            assert_memory_not_equal(seen[i].cipher, seen[j].cipher, 32);
            assert_memory_not_equal(seen[i].mac, seen[j].mac, 32);
        }
        assert_int_equal(tickets_rotate(board), 0);
    }
    tickets_board_unmap(board);
}

static void the_empty_place_is_no_key(void **state)
{
    struct tickets_board *board = make();
    struct ticket_key found;
    const uint8_t nothing[TICKET_NAME] = {0};

    (void)state;
    assert_int_equal(tickets_find(board, nothing, &found), TICKET_UNKNOWN);
    assert_int_equal(tickets_rotate(board), 0);
    assert_int_equal(tickets_find(board, nothing, &found), TICKET_UNKNOWN);
    tickets_board_unmap(board);
}

static void what_was_rotated_out_is_nowhere_in_the_memory(void **state)
{
    int fd = tickets_board_create();
    struct tickets_board *board = NULL;
    struct ticket_key old;
    char memory[4096];

    (void)state;
    assert_int_equal(tickets_board_map(fd, true, &board), 0);
    tickets_current(board, &old);
    ssize_t length = pread(fd, memory, sizeof(memory), 0);
    assert_non_null(memmem(memory, (size_t)length, old.cipher, sizeof(old.cipher)));
    assert_int_equal(tickets_rotate(board), 0);
    assert_int_equal(tickets_rotate(board), 0);
    length = pread(fd, memory, sizeof(memory), 0);
    assert_null(memmem(memory, (size_t)length, old.cipher, sizeof(old.cipher)));
    tickets_board_unmap(board);
    close(fd);
}

static void a_board_of_another_layout_is_refused(void **state)
{
    struct tickets_board *board = NULL;
    int fd = tickets_board_create();
    uint32_t version = TICKETS_VERSION + 1;

    (void)state;
    assert_int_equal(pwrite(fd, &version, sizeof(version), 0), sizeof(version));
    assert_int_equal(tickets_board_map(fd, false, &board), -EINVAL);
    close(fd);
    fd = memfd_create("short", MFD_CLOEXEC);
    assert_int_equal(tickets_board_map(fd, false, &board), -EINVAL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_taken_for_two_intervals_and_then_never_again),
        cmocka_unit_test(each_interval_has_a_key_of_its_own),
        cmocka_unit_test(the_empty_place_is_no_key),
        cmocka_unit_test(what_was_rotated_out_is_nowhere_in_the_memory),
        cmocka_unit_test(a_board_of_another_layout_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
