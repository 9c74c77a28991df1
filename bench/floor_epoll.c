/* The floor on bare epoll: what a proxy that does nothing costs. Watches are armed once; the one
 * for writing only after a short write.
 *
 *     floor-epoll LISTEN-PORT BACKEND-PORT */
#include "floor.h"

#include <sys/epoll.h>

#include <stdio.h>
#include <stdlib.h>

#define EVENTS_MAX 256

struct pair {
    struct side sides[2]; /* first: each side's index follows from its address */
    bool over;
    struct pair *next_over;
};

static int epoll_fd;
static struct pair *over; /* freed when the turn ends: its other side may have an event in it */

static void watch(struct side *side, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = side}};

    if (epoll_ctl(epoll_fd, operation, side->fd, &event) < 0) {
        perror("floor: epoll_ctl");
        exit(1);
    }
}

static struct pair *pair_of(struct side *side)
{
    struct side *first = side < side->other ? side : side->other;

    return (struct pair *)(void *)first;
}

static void end(struct side *side)
{
    struct pair *pair = pair_of(side);

    if (pair->over)
        return;
    pair->over = true;
    pair->next_over = over;
    over = pair;
}

static void reap(void)
{
    while (over != NULL) {
        struct pair *pair = over;
        over = pair->next_over;
        floor_close(pair->sides);
        free(pair);
    }
}

static void accept_all(int listener, uint16_t backend_port)
{
    for (;;) {
        struct pair *pair = calloc(1, sizeof(*pair));
        if (pair == NULL || !floor_open(listener, backend_port, pair->sides)) {
            free(pair);
            return;
        }
        watch(&pair->sides[0], EPOLL_CTL_ADD, EPOLLIN);
        watch(&pair->sides[1], EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void on_readable(struct side *side)
{
    enum floor_result result = floor_pump(side);

    if (result == FLOOR_OVER) {
        end(side);
    } else if (result == FLOOR_BLOCKED) {
        watch(side, EPOLL_CTL_MOD, 0);
        watch(side->other, EPOLL_CTL_MOD, side->other->ended ? EPOLLOUT : EPOLLIN | EPOLLOUT);
    } else if (side->ended) {
        watch(side, EPOLL_CTL_MOD, 0);
    }
}

static void on_writable(struct side *side)
{
    enum floor_result result = floor_flush(side);

    if (result == FLOOR_OVER) {
        end(side);
    } else if (result == FLOOR_MORE) {
        watch(side, EPOLL_CTL_MOD, side->ended ? 0 : EPOLLIN);
        watch(side->other, EPOLL_CTL_MOD, EPOLLIN);
    }
}

int main(int argc, char **argv)
{
    uint16_t backend_port = floor_backend_port(argc, argv);
    int listener = floor_listen(argv[1]);
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN, .data = {.ptr = NULL}};

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        perror("floor: epoll");
        return 1;
    }
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct side *side = events[i].data.ptr;
            if (side == NULL)
                accept_all(listener, backend_port);
            else if (pair_of(side)->over)
                continue;
            else if ((events[i].events & EPOLLOUT) != 0)
                on_writable(side);
            else
                on_readable(side);
        }
        reap();
    }
}
