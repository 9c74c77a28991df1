/* Streams over a socket pair: what events tell, what is kept, what holds up what. */
#include "base/clock.h"
#include "base/stream.h"
#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <ev.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct ev_loop *loop;
    struct stream_hub *hub;
    struct stream *stream;
    int peer;
    unsigned events[STREAM_ERROR + 1];
    size_t take; /* how much to consume at each DATA */
    bool close_at_data;
};

static void on_event(void *owner, enum stream_event event)
{
    struct world *world = owner;

    world->events[event]++;
    if (event == STREAM_DATA && world->close_at_data) {
        stream_close(world->stream);
        world->stream = NULL;
    } else if (event == STREAM_DATA) {
        size_t length = stream_input(world->stream).length;
        stream_consume(world->stream, world->take < length ? world->take : length);
    }
}

static void open_world(struct world *world)
{
    int pair[2];

    *world = (struct world){.loop = ev_loop_new(EVBACKEND_EPOLL)};
    assert_non_null(world->loop);
    world->hub = stream_hub_new(world->loop, 4096);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    world->stream = stream_new(world->hub, pair[0], on_event, world);
    assert_non_null(world->stream);
    world->peer = pair[1];
}

static void close_world(struct world *world)
{
    stream_close(world->stream);
    if (world->peer >= 0)
        close(world->peer);
    stream_hub_free(world->hub);
    ev_loop_destroy(world->loop);
}

static void send_text(const struct world *world, const char *text)
{
    assert_int_equal(write(world->peer, text, strlen(text)), strlen(text));
}

static void what_is_not_consumed_is_kept_and_grows(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.take = 1;
    send_text(&world, "abc");
    ev_run(world.loop, EVRUN_ONCE);
    assert_true(slice_equals(stream_input(world.stream), SLICE("bc")));
    send_text(&world, "def");
    ev_run(world.loop, EVRUN_ONCE);
    assert_true(slice_equals(stream_input(world.stream), SLICE("cdef")));
    assert_int_equal(world.events[STREAM_DATA], 2);
    close_world(&world);
}

static void nothing_is_read_while_none_is_wanted(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    stream_want_input(world.stream, false);
    send_text(&world, "abc");
    ev_run(world.loop, EVRUN_NOWAIT);
    ev_run(world.loop, EVRUN_NOWAIT);
    assert_int_equal(world.events[STREAM_DATA], 0);
    stream_want_input(world.stream, true);
    ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(world.events[STREAM_DATA], 1);
    close_world(&world);
}

static void queued_output_is_written_in_order_and_told_of(void **state)
{
    static char bytes[1 << 20], got[1 << 16];
    const struct slice pieces[] = {SLICE("head"), {bytes, sizeof(bytes)}, SLICE("tail")};
    size_t total = 0;
    char last[4] = "";
    struct world world;

    (void)state;
    open_world(&world);
    stream_write(world.stream, pieces, 3);
    assert_true(stream_pending(world.stream) > 0);
    stream_shutdown(world.stream);
    for (;;) {
        ssize_t count = read(world.peer, got, sizeof(got));
        if (count == 0)
            break;
        if (count < 0) {
            ev_run(world.loop, EVRUN_ONCE);
            continue;
        }
        if (total == 0)
            assert_memory_equal(got, "head", 4);
        total += (size_t)count;
        if (count >= 4)
            memcpy(last, got + count - 4, 4);
    }
    assert_int_equal(total, sizeof(bytes) + 8);
    assert_memory_equal(last, "tail", 4);
    assert_int_equal(world.events[STREAM_DRAINED], 1);
    assert_int_equal(stream_pending(world.stream), 0);
    close_world(&world);
}

/* Whatever the kernel takes of them: short ones are sent as one, longer ones each by itself. */
static void pieces_of_any_length_arrive_as_one_stream_of_bytes(void **state)
{
    static const size_t lengths[][3] = {{0, 5, 0},       {1, 2046, 0},  {1, 2047, 0}, {1, 2048, 0},
                                        {2048, 1, 2048}, {100, 0, 900}, {3000, 7, 1}};
    static char bytes[1 << 20], got[1 << 20];
    struct world world;
    size_t written = 0, read_count = 0;

    (void)state;
    open_world(&world);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i % 251);
    for (unsigned turn = 0; stream_pending(world.stream) < 10000; turn++) {
        const size_t *length = lengths[turn % (sizeof(lengths) / sizeof(lengths[0]))];
        struct slice pieces[3];
        for (unsigned i = 0; i < 3; i++) {
            pieces[i] = (struct slice){length[i] > 0 ? bytes + written : NULL, length[i]};
            written += length[i];
        }
        assert_true(written < sizeof(bytes) - 10000);
        stream_write(world.stream, pieces, 3);
    }
    while (read_count < written) {
        ssize_t count = read(world.peer, got + read_count, sizeof(got) - read_count);
        if (count < 0)
            ev_run(world.loop, EVRUN_ONCE);
        else
            read_count += (size_t)count;
    }
    assert_int_equal(read_count, written);
    assert_memory_equal(got, bytes, written);
    close_world(&world);
}

static void end_of_input_is_told_once(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    assert_int_equal(shutdown(world.peer, SHUT_WR), 0);
    ev_run(world.loop, EVRUN_ONCE);
    ev_run(world.loop, EVRUN_NOWAIT);
    assert_int_equal(world.events[STREAM_EOF], 1);
    close_world(&world);
}

static void write_to_a_closed_side_is_told_even_while_not_reading(void **state)
{
    const struct slice piece = SLICE("x");
    struct world world;

    (void)state;
    open_world(&world);
    stream_want_input(world.stream, false);
    close(world.peer);
    world.peer = -1;
    stream_write(world.stream, &piece, 1);
    ev_run(world.loop, EVRUN_NOWAIT);
    assert_int_equal(world.events[STREAM_ERROR], 1);
    assert_int_not_equal(stream_error(world.stream), 0);
    close_world(&world);
}

/* Two ends of a TCP connection: only there is a reset. */
static void open_tcp_world(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *world = (struct world){.loop = ev_loop_new(EVBACKEND_EPOLL)};
    world->hub = stream_hub_new(world->loop, 4096);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), 0);
    world->peer = accept(listener, NULL, NULL);
    close(listener);
    world->stream = stream_new(world->hub, fd, on_event, world);
    assert_non_null(world->stream);
}

static void a_reset_that_a_write_met_first_is_no_end(void **state)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    const struct slice byte = SLICE("x");
    struct world world;

    (void)state;
    open_tcp_world(&world);
    assert_int_equal(setsockopt(world.peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(world.peer);
    world.peer = -1;
    stream_write(world.stream, &byte, 1); /* takes the error off the socket */
    ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(world.events[STREAM_EOF], 0);
    assert_int_equal(world.events[STREAM_ERROR], 1);
    close_world(&world);
}

static void an_end_and_then_a_reset_are_both_told(void **state)
{
    const struct slice byte = SLICE("x");
    struct world world;

    (void)state;
    open_tcp_world(&world);
    stream_want_input(world.stream, false);
    ev_run(world.loop, EVRUN_NOWAIT);
    close(world.peer); /* in order; the byte that comes then is answered by a reset */
    world.peer = -1;
    stream_write(world.stream, &byte, 1);
    stream_write(world.stream, &byte, 1);
    stream_want_input(world.stream, true);
    for (unsigned i = 0; i < 5 && world.events[STREAM_ERROR] == 0; i++)
        ev_run(world.loop, EVRUN_NOWAIT);
    assert_int_equal(world.events[STREAM_EOF], 1);
    assert_int_equal(world.events[STREAM_ERROR], 1);
    close_world(&world);
}

static void stream_may_be_closed_in_its_own_handler(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world.close_at_data = true;
    send_text(&world, "abc");
    ev_run(world.loop, EVRUN_ONCE);
    assert_null(world.stream);
    close_world(&world);
}

static void deadline_is_told_and_may_be_taken_back(void **state)
{
    struct world world;
    uint64_t now = clock_ms();

    (void)state;
    open_world(&world);
    stream_set_deadline(world.stream, now + 20, now);
    stream_set_deadline(world.stream, 0, now);
    ev_run(world.loop, EVRUN_ONCE); /* the watcher fires for nothing */
    assert_int_equal(world.events[STREAM_TIMEOUT], 0);
    now = clock_ms();
    stream_set_deadline(world.stream, now + 20, now);
    while (world.events[STREAM_TIMEOUT] == 0)
        ev_run(world.loop, EVRUN_ONCE);
    assert_true(clock_ms() >= now + 20);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_consumed_is_kept_and_grows),
        cmocka_unit_test(nothing_is_read_while_none_is_wanted),
        cmocka_unit_test(queued_output_is_written_in_order_and_told_of),
        cmocka_unit_test(pieces_of_any_length_arrive_as_one_stream_of_bytes),
        cmocka_unit_test(end_of_input_is_told_once),
        cmocka_unit_test(write_to_a_closed_side_is_told_even_while_not_reading),
        cmocka_unit_test(a_reset_that_a_write_met_first_is_no_end),
        cmocka_unit_test(an_end_and_then_a_reset_are_both_told),
        cmocka_unit_test(stream_may_be_closed_in_its_own_handler),
        cmocka_unit_test(deadline_is_told_and_may_be_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
