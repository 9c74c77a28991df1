#include "board/routing.h"
#include "tests/unit/unit.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    int fd;
    struct routing_board *writer, *reader;
    struct routing_table draft, copy;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->fd = routing_board_create();
    assert_true(fixture->fd >= 0);
    assert_int_equal(routing_board_map(fixture->fd, true, &fixture->writer), 0);
    assert_int_equal(routing_board_map(fixture->fd, false, &fixture->reader), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    routing_board_unmap(fixture->writer);
    routing_board_unmap(fixture->reader);
    close(fixture->fd);
    free(fixture);
    return 0;
}

/* A table whose every field tells `number`, so that a mixture of two shows. */
static void fill(struct routing_table *table, uint16_t number)
{
    memset(table->secret, number, sizeof(table->secret));
    table->service_count = 2;
    table->backend_count = 1000;
    for (unsigned i = 0; i < table->service_count; i++) {
        snprintf(table->services[i].name, sizeof(table->services[i].name), "service-%u", i);
        table->services[i].salt = number;
        table->services[i].weight = (uint16_t)(number % (WEIGHT_MAX + 1));
    }
    for (unsigned i = 0; i < table->backend_count; i++)
        table->backends[i] = (struct routing_backend){
            .generation = number,
            .service = (uint16_t)(i & 1),
            .state = BACKEND_READY,
            .weight = number,
            .address = {.family = AF_INET, .port = number, .bytes = {127, 0, 0, 1}},
        };
}

static void is_empty_before_the_first_publish(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(routing_board_epoch(fixture->reader), 0);
    assert_int_equal(routing_board_read(fixture->reader, &fixture->copy), 0);
    assert_int_equal(fixture->copy.service_count, 0);
}

static void shows_what_was_published_last(void **state)
{
    struct fixture *fixture = *state;

    for (uint16_t number = 1; number < 10; number++) {
        fill(&fixture->draft, number);
        assert_int_equal(routing_board_publish(fixture->writer, &fixture->draft), number);
        assert_int_equal(routing_board_read(fixture->reader, &fixture->copy), 0);
        assert_int_equal(fixture->copy.epoch, number);
        assert_int_equal(fixture->copy.backends[999].weight, number);
        assert_int_equal(fixture->copy.services[1].salt, number);
        assert_int_equal(fixture->copy.secret[ROUTING_SECRET_BYTES - 1], number);
    }
}

static void refuses_content_that_makes_no_sense(void **state)
{
    struct fixture *fixture = *state;

    fill(&fixture->draft, 1);
    fixture->draft.backends[7].service = 2;
    routing_board_publish(fixture->writer, &fixture->draft);
    assert_int_equal(routing_board_read(fixture->reader, &fixture->copy), -EPROTO);
    fill(&fixture->draft, 2);
    fixture->draft.services[1].weight = WEIGHT_MAX + 1;
    routing_board_publish(fixture->writer, &fixture->draft);
    assert_int_equal(routing_board_read(fixture->reader, &fixture->copy), -EPROTO);
    fill(&fixture->draft, 3);
    fixture->draft.backends[7].address.family = 99;
    routing_board_publish(fixture->writer, &fixture->draft);
    assert_int_equal(routing_board_read(fixture->reader, &fixture->copy), -EPROTO);
}

static void refuses_memory_of_another_size(void **state)
{
    struct routing_board *board = NULL;
    int fd = memfd_create("other", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(routing_board_map(fd, false, &board), -EINVAL);
    close(fd);
}

static void cannot_be_shrunk_under_its_readers(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(ftruncate(fixture->fd, 0), -1);
    assert_int_equal(errno, EPERM);
}

static void never_shows_half_a_table_while_the_writer_runs(void **state)
{
    struct fixture *fixture = *state;
    unsigned good = 0;

    fill(&fixture->draft, 1);
    routing_board_publish(fixture->writer, &fixture->draft);
    pid_t pid = fork();
    if (pid == 0) {
        for (uint16_t number = 2;; number = number == 9999 ? 1 : (uint16_t)(number + 1)) {
            fill(&fixture->draft, number);
            routing_board_publish(fixture->writer, &fixture->draft);
        }
    }
    for (unsigned i = 0; i < 20000 || good == 0; i++) {
        int error = routing_board_read(fixture->reader, &fixture->copy);
        if (error == -EAGAIN)
            continue;
        assert_int_equal(error, 0);
        good++;
        uint16_t number = fixture->copy.services[0].weight;
        assert_int_equal(fixture->copy.services[1].weight, number);
        for (unsigned slot = 0; slot < fixture->copy.backend_count; slot++)
            assert_int_equal(fixture->copy.backends[slot].weight, number);
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_writer_killed_in_the_middle_harms_nobody(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (uint16_t number = 1;; number = number == 9999 ? 1 : (uint16_t)(number + 1)) {
                fill(&fixture->draft, number);
                routing_board_publish(fixture->writer, &fixture->draft);
            }
        }
        uint64_t before = routing_board_epoch(fixture->reader);
        while (routing_board_epoch(fixture->reader) < before + 50)
            sched_yield();
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(routing_board_read(fixture->reader, &fixture->copy), 0);
        for (unsigned slot = 0; slot < fixture->copy.backend_count; slot++)
            assert_int_equal(fixture->copy.backends[slot].weight, fixture->copy.services[0].weight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_empty_before_the_first_publish, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shows_what_was_published_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_content_that_makes_no_sense, set_up, tear_down),
        cmocka_unit_test(refuses_memory_of_another_size),
        cmocka_unit_test_setup_teardown(cannot_be_shrunk_under_its_readers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_shows_half_a_table_while_the_writer_runs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_writer_killed_in_the_middle_harms_nobody, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("routing", tests, NULL, NULL);
}
