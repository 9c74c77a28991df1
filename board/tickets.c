#include "tickets.h"

#include "memory_board.h"

#include <sys/random.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct tickets_board {
    uint32_t version;
    _Atomic uint32_t current; /* counts rotations; its place is this modulo TICKET_KEYS */
    struct ticket_key keys[TICKET_KEYS];
};

static int draw(struct ticket_key *key)
{
    ssize_t got = getrandom(key, sizeof(*key), 0);

    /* Up to 256 bytes come whole, or not at all (getrandom(2)). */
    return got == (ssize_t)sizeof(*key) ? 0 : got < 0 ? -errno : -EIO;
}

int tickets_board_create(void)
{
    struct tickets_board *board;
    int fd = memory_board_create("sluice-tickets", sizeof(*board));
    int error = fd < 0 ? fd : tickets_board_map(fd, true, &board);

    if (error < 0) {
        if (fd >= 0)
            close(fd);
        return error;
    }
    board->version = TICKETS_VERSION;
    error = draw(&board->keys[0]);
    if (error == 0)
        error = draw(&board->keys[1]);
    tickets_board_unmap(board);
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

int tickets_board_map(int fd, bool writable, struct tickets_board **ret_board)
{
    void *memory;
    int error = memory_board_map(fd, sizeof(**ret_board), writable, &memory);

    if (error < 0)
        return error;
    struct tickets_board *board = memory;
    /* 0: just created */
    if (board->version != TICKETS_VERSION && !(writable && board->version == 0)) {
        tickets_board_unmap(board);
        return -EINVAL;
    }
    *ret_board = board;
    return 0;
}

void tickets_board_unmap(struct tickets_board *board)
{
    if (board != NULL)
        memory_board_unmap(board, sizeof(*board));
}

int tickets_rotate(struct tickets_board *board)
{
    uint32_t current = atomic_load_explicit(&board->current, memory_order_relaxed);
    struct ticket_key fresh;
    int error = draw(&fresh);

    if (error < 0)
        return error;
    board->keys[(current + 2) % TICKET_KEYS] = fresh;
    atomic_store_explicit(&board->current, current + 1, memory_order_release);
    explicit_bzero(&board->keys[(current + 3) % TICKET_KEYS], sizeof(fresh));
    explicit_bzero(&fresh, sizeof(fresh));
    return 0;
}

/* Copies the key of one place out. Returns false where the writer came by meanwhile: then the copy
 * may be half of one and half of another. */
static bool copy_out(const struct tickets_board *board, uint32_t current, uint32_t place,
                     struct ticket_key *ret_key)
{
    *ret_key = board->keys[place % TICKET_KEYS];
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&board->current, memory_order_relaxed) == current;
}

void tickets_current(const struct tickets_board *board, struct ticket_key *ret_key)
{
    uint32_t current;

    do
        current = atomic_load_explicit(&board->current, memory_order_acquire);
    while (!copy_out(board, current, current, ret_key));
}

enum ticket_age tickets_find(const struct tickets_board *board, const uint8_t name[TICKET_NAME],
                             struct ticket_key *ret_key)
{
    static const uint32_t places[] = {0, TICKET_KEYS - 1, 1}; /* current, the one before, next */
    static const uint8_t wiped[TICKET_NAME];
    uint32_t current = atomic_load_explicit(&board->current, memory_order_acquire);

    if (memcmp(name, wiped, TICKET_NAME) == 0)
        return TICKET_UNKNOWN;
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct ticket_key key;
        if (!copy_out(board, current, current + places[i], &key))
            return TICKET_UNKNOWN; /* a full handshake, once in an interval */
        if (memcmp(key.name, name, TICKET_NAME) != 0)
            continue;
        *ret_key = key;
        return i == 0 ? TICKET_CURRENT : TICKET_OTHER;
    }
    return TICKET_UNKNOWN;
}
