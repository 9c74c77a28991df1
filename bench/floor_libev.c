/* The floor on libev: what a proxy costs that does nothing and has the loop that Sluice has.
 * Watchers are armed from accept to close; the one for writing only after a short write.
 *
 *     floor-libev LISTEN-PORT BACKEND-PORT */
#include "floor.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

struct pair {
    struct side sides[2];
    ev_io readers[2], writers[2]; /* of the side with that index */
};

static uint16_t backend_port;

static unsigned index_of(const struct side *side)
{
    return side > side->other;
}

static void end(struct ev_loop *loop, struct pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        ev_io_stop(loop, &pair->readers[i]);
        ev_io_stop(loop, &pair->writers[i]);
    }
    floor_close(pair->sides);
    free(pair);
}

static struct pair *pair_of(struct side *side)
{
    struct side *first = side < side->other ? side : side->other;

    return (struct pair *)(void *)first;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct side *side = watcher->data;
    struct pair *pair = pair_of(side);
    enum floor_result result = floor_pump(side);

    (void)events;
    if (result == FLOOR_OVER) {
        end(loop, pair);
        return;
    }
    if (result == FLOOR_BLOCKED)
        ev_io_start(loop, &pair->writers[index_of(side->other)]);
    if (result == FLOOR_BLOCKED || side->ended)
        ev_io_stop(loop, watcher);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct side *side = watcher->data;
    struct pair *pair = pair_of(side);
    enum floor_result result = floor_flush(side);

    (void)events;
    if (result == FLOOR_OVER) {
        end(loop, pair);
    } else if (result == FLOOR_MORE) {
        ev_io_stop(loop, watcher);
        ev_io_start(loop, &pair->readers[index_of(side->other)]);
    }
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    for (;;) {
        struct pair *pair = calloc(1, sizeof(*pair));
        if (pair == NULL || !floor_open(watcher->fd, backend_port, pair->sides)) {
            free(pair);
            return;
        }
        for (unsigned i = 0; i < 2; i++) {
            ev_io_init(&pair->readers[i], on_readable, pair->sides[i].fd, EV_READ);
            ev_io_init(&pair->writers[i], on_writable, pair->sides[i].fd, EV_WRITE);
            pair->readers[i].data = pair->writers[i].data = &pair->sides[i];
            ev_io_start(loop, &pair->readers[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
    ev_io acceptor;

    backend_port = floor_backend_port(argc, argv);
    if (loop == NULL) {
        fprintf(stderr, "floor: no loop\n");
        return 1;
    }
    ev_io_init(&acceptor, on_acceptable, floor_listen(argv[1]), EV_READ);
    ev_io_start(loop, &acceptor);
    ev_run(loop, 0);
    return 0;
}
