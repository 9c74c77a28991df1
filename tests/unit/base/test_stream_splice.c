/* Streams joined by a pipe: what goes through it, what holds it up, and who may leave first. */
#include "base/held.h"
#include "base/stream.h"
#include "tests/unit/unit.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <unistd.h>

#define MUCH       ((size_t)4 << 20) /* more than the kernel holds on its way */
#define PIPE_BYTES ((size_t)256 << 10)

struct side {
    struct stream *stream;
    int peer;
    unsigned events[STREAM_ERROR + 1];
    size_t spliced, copied;
    const struct side *sink;
};

struct world {
    struct ev_loop *loop;
    struct stream_hub *hub;
    struct side from, to;
    size_t sent, taken;
    int unused_fd; /* the lowest that is free before all of it */
    int first_fd;  /* and before there is a pipe */
};

static int lowest_fd(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

/* As an owner does: takes all, and rests while the sink has not. */
static void on_event(void *owner, enum stream_event event)
{
    struct side *side = owner;

    side->events[event]++;
    if (event != STREAM_DATA)
        return;
    size_t length = stream_input(side->stream).length;
    side->spliced += stream_spliced(side->stream);
    side->copied += length;
    stream_consume(side->stream, length);
    if (side->sink != NULL && side->sink->stream != NULL)
        stream_want_input(side->stream, stream_pending(side->sink->stream) == 0);
}

static void open_side(struct world *world, struct side *side)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    side->peer = pair[1];
    side->stream = stream_new(world->hub, pair[0], on_event, side);
    assert_non_null(side->stream);
}

static void open_world(struct world *world)
{
    *world = (struct world){.unused_fd = lowest_fd()};
    world->loop = ev_loop_new(EVBACKEND_EPOLL);
    assert_non_null(world->loop);
    world->hub = stream_hub_new(world->loop, 65536);
    stream_hub_set_pipes(world->hub, 1, PIPE_BYTES);
    open_side(world, &world->from);
    open_side(world, &world->to);
    world->from.sink = &world->to;
    world->first_fd = lowest_fd();
}

static void close_side(struct side *side)
{
    stream_close(side->stream);
    side->stream = NULL;
}

static void close_world(struct world *world)
{
    close_side(&world->from);
    close_side(&world->to);
    close(world->from.peer);
    if (world->to.peer >= 0)
        close(world->to.peer);
    stream_hub_free(world->hub);
    ev_loop_destroy(world->loop);
    assert_int_equal(lowest_fd(), world->unused_fd);
}

/* Bytes that tell their place. */
static void send_some(struct world *world, size_t count)
{
    unsigned char bytes[4096];

    while (count > 0) {
        size_t length = count < sizeof(bytes) ? count : sizeof(bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (unsigned char)((world->sent + i) % 251);
        ssize_t done = write(world->from.peer, bytes, length);
        if (done < 0)
            return;
        world->sent += (size_t)done;
        count -= (size_t)done;
    }
}

/* Returns whether the end was read. */
static bool take_some(struct world *world)
{
    unsigned char bytes[4096];
    ssize_t count;

    while ((count = read(world->to.peer, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < count; i++, world->taken++)
            assert_int_equal(bytes[i], world->taken % 251);
    return count == 0;
}

/* Until the pipe holds bytes that the sink has no room for. */
static void fill(struct world *world)
{
    assert_true(stream_splice(world->from.stream, world->to.stream, UINT64_MAX));
    while (stream_pending(world->to.stream) == 0) {
        send_some(world, MUCH);
        ev_run(world->loop, EVRUN_ONCE);
    }
}

static void spliced_bytes_are_told_of_and_are_no_input(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    assert_true(stream_splice(world.from.stream, world.to.stream, UINT64_MAX));
    send_some(&world, 1000);
    ev_run(world.loop, EVRUN_ONCE);
    take_some(&world);
    assert_int_equal(world.taken, 1000);
    assert_int_equal(world.from.events[STREAM_DATA], 1);
    assert_int_equal(world.from.spliced, 1000);
    assert_int_equal(world.from.copied, 0);
    assert_int_equal(stream_spliced(world.from.stream), 0);
    assert_int_equal(world.to.events[STREAM_DRAINED], 0);
    close_world(&world);
}

static void end_of_sending_waits_for_the_pipe(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    size_t held = held_bytes();
    fill(&world);
    assert_int_equal(held_bytes(), held + stream_pending(world.to.stream));
    assert_int_equal(shutdown(world.from.peer, SHUT_WR), 0);
    bool ended = false;
    while (!ended) {
        ev_run(world.loop, EVRUN_NOWAIT);
        if (world.to.events[STREAM_DRAINED] > 0)
            stream_want_input(world.from.stream, true);
        if (world.from.events[STREAM_EOF] > 0)
            stream_shutdown(world.to.stream);
        ended = take_some(&world);
    }
    assert_int_equal(world.taken, world.sent);
    assert_int_equal(world.from.spliced, world.sent);
    assert_int_equal(held_bytes(), held);
    close_world(&world);
}

static void what_is_written_goes_behind_what_the_pipe_holds(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    fill(&world);
    size_t in_all = world.from.spliced;
    unsigned char next = (unsigned char)(in_all % 251);
    stream_write(world.to.stream, &(struct slice){(char *)&next, 1}, 1);
    stream_shutdown(world.to.stream);
    while (!take_some(&world))
        ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(world.taken, in_all + 1);
    assert_int_equal(world.to.events[STREAM_DRAINED], 1);
    close_world(&world);
}

static void pipe_is_given_back_when_it_is_empty(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    fill(&world);
    stream_unsplice(world.from.stream);
    assert_false(stream_is_spliced(world.from.stream));
    assert_true(lowest_fd() > world.first_fd);
    while (stream_pending(world.to.stream) > 0) {
        take_some(&world);
        ev_run(world.loop, EVRUN_NOWAIT);
    }
    assert_int_equal(lowest_fd(), world.first_fd);
    take_some(&world);
    assert_int_equal(world.taken, world.from.spliced);
    send_some(&world, 1000);
    stream_want_input(world.from.stream, true);
    ev_run(world.loop, EVRUN_ONCE);
    assert_true(world.from.copied > 0); /* input again */
    close_world(&world);
}

static void source_may_go_before_the_pipe_is_empty(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    fill(&world);
    close_side(&world.from);
    stream_shutdown(world.to.stream);
    while (!take_some(&world))
        ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(world.taken, world.from.spliced);
    close_world(&world);
}

static void sink_may_go_before_the_pipe_is_empty(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    size_t held = held_bytes();
    fill(&world);
    close_side(&world.to);
    assert_true(held_bytes() < held); /* neither the sink nor its pipe */
    assert_false(stream_is_spliced(world.from.stream));
    send_some(&world, 1000);
    stream_want_input(world.from.stream, true);
    ev_run(world.loop, EVRUN_ONCE);
    assert_true(world.from.copied > 0);
    close_world(&world);
}

static void sink_that_breaks_is_told_and_the_source_goes_on(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    assert_true(stream_splice(world.from.stream, world.to.stream, UINT64_MAX));
    close(world.to.peer);
    world.to.peer = -1;
    stream_want_input(world.to.stream, false);
    send_some(&world, 1000);
    while (world.to.events[STREAM_ERROR] == 0)
        ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(stream_error(world.to.stream), EPIPE);
    assert_int_equal(stream_pending(world.to.stream), 0);
    assert_false(stream_is_spliced(world.from.stream));
    send_some(&world, 1000);
    ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(world.from.copied, 1000);
    close_world(&world);
}

static void it_is_refused_without_a_pipe_and_with_bytes_queued(void **state)
{
    static char bytes[MUCH];
    struct side third = {.peer = -1}, fourth = {.peer = -1};
    struct world world;

    (void)state;
    open_world(&world);
    open_side(&world, &third);
    open_side(&world, &fourth);
    assert_true(stream_splice(world.from.stream, world.to.stream, UINT64_MAX));
    assert_false(stream_splice(third.stream, fourth.stream, UINT64_MAX)); /* one is the most */
    stream_unsplice(world.from.stream);
    stream_write(fourth.stream, &(struct slice){bytes, sizeof(bytes)}, 1);
    assert_true(stream_pending(fourth.stream) > 0);
    assert_false(stream_splice(third.stream, fourth.stream, UINT64_MAX));
    assert_true(stream_splice(fourth.stream, third.stream, UINT64_MAX)); /* the other way is free */
    close_side(&third);
    close_side(&fourth);
    close(third.peer);
    close(fourth.peer);
    close_world(&world);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    ev_timer_stop(loop, timer);
}

static void pipe_of_one_that_fell_silent_goes_to_another(void **state)
{
    struct side third = {.peer = -1}, fourth = {.peer = -1};
    struct world world;
    ev_timer timer;

    (void)state;
    open_world(&world);
    open_side(&world, &third);
    open_side(&world, &fourth);
    assert_true(stream_splice(world.from.stream, world.to.stream, UINT64_MAX));
    for (unsigned round = 0; round < 2; round++) { /* the first is in use until shortly before */
        ev_timer_init(&timer, on_time, 1.1, 0);
        ev_timer_start(world.loop, &timer);
        while (ev_is_active(&timer))
            ev_run(world.loop, EVRUN_ONCE);
        if (round == 0)
            send_some(&world, 1000);
        ev_run(world.loop, EVRUN_NOWAIT);
        assert_int_equal(stream_splice(third.stream, fourth.stream, UINT64_MAX), round > 0);
    }
    assert_false(stream_is_spliced(world.from.stream));
    send_some(&world, 1000);
    ev_run(world.loop, EVRUN_ONCE);
    assert_int_equal(world.from.copied, 1000);
    close_side(&third);
    close_side(&fourth);
    close(third.peer);
    close(fourth.peer);
    close_world(&world);
}

static void it_is_refused_without_descriptors(void **state)
{
    struct rlimit limit, none;
    struct world world;

    (void)state;
    open_world(&world);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (unsigned left = 0; left < 2; left++) { /* one is not enough */
        none = (struct rlimit){(rlim_t)world.first_fd + left, limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_false(stream_splice(world.from.stream, world.to.stream, UINT64_MAX));
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(lowest_fd(), world.first_fd);
    assert_true(stream_splice(world.from.stream, world.to.stream, UINT64_MAX));
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spliced_bytes_are_told_of_and_are_no_input),
        cmocka_unit_test(end_of_sending_waits_for_the_pipe),
        cmocka_unit_test(what_is_written_goes_behind_what_the_pipe_holds),
        cmocka_unit_test(pipe_is_given_back_when_it_is_empty),
        cmocka_unit_test(source_may_go_before_the_pipe_is_empty),
        cmocka_unit_test(sink_may_go_before_the_pipe_is_empty),
        cmocka_unit_test(sink_that_breaks_is_told_and_the_source_goes_on),
        cmocka_unit_test(it_is_refused_without_a_pipe_and_with_bytes_queued),
        cmocka_unit_test(it_is_refused_without_descriptors),
        cmocka_unit_test(pipe_of_one_that_fell_silent_goes_to_another),
    };

    signal(SIGPIPE, SIG_IGN); /* splice() has no MSG_NOSIGNAL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
