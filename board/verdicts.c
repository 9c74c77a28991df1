#include "verdicts.h"

#include "base/check.h"
#include "memory_board.h"

#include <errno.h>
#include <string.h>

int verdicts_board_create(void)
{
    struct verdicts_board *board = NULL;
    int fd = memory_board_create("sluice-verdicts", sizeof(struct verdicts_board));

    if (fd < 0)
        return fd;
    int error = memory_board_map(fd, sizeof(*board), true, (void **)&board);
    if (error < 0)
        return error;
    board->version = VERDICTS_VERSION;
    verdicts_board_unmap(board);
    return fd;
}

int verdicts_board_map(int fd, bool writable, struct verdicts_board **ret_board)
{
    struct verdicts_board *board = NULL;
    int error = memory_board_map(fd, sizeof(*board), writable, (void **)&board);

    if (error < 0)
        return error;
    if (board->version != VERDICTS_VERSION) {
        verdicts_board_unmap(board);
        return -EINVAL;
    }
    *ret_board = board;
    return 0;
}

void verdicts_board_unmap(struct verdicts_board *board)
{
    memory_board_unmap(board, sizeof(*board));
}

/* How often a reader tries again while the writer writes. A writer that died in the middle leaves
 * the sequence odd; the word alone still stands then. */
#define READ_TRIES 1000

void verdict_read(const struct verdicts_board *board, uint32_t slot, uint32_t generation,
                  struct verdict *ret_verdict)
{
    check(slot < ROUTING_BACKENDS_MAX);
    const struct verdict_cell *cell = &board->cells[slot];
    enum verdict_state state = verdict_state_of(board, slot, generation);

    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&cell->sequence, memory_order_acquire);
        memcpy(ret_verdict, &cell->verdict, sizeof(*ret_verdict));
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 &&
            atomic_load_explicit(&cell->sequence, memory_order_relaxed) == before)
            break;
    }
    uint64_t word = atomic_load_explicit(&cell->word, memory_order_relaxed);
    if (word >> 32 != generation)
        memset(ret_verdict, 0, sizeof(*ret_verdict));
    else
        ret_verdict->state = state;
    ret_verdict->reason[sizeof(ret_verdict->reason) - 1] = '\0';
}

bool verdict_write(struct verdicts_board *board, uint32_t slot, uint32_t generation,
                   const struct verdict *verdict, uint64_t now_ms)
{
    check(slot < ROUTING_BACKENDS_MAX);
    struct verdict_cell *cell = &board->cells[slot];
    uint64_t old_word = atomic_load_explicit(&cell->word, memory_order_relaxed);
    uint64_t new_word = (uint64_t)generation << 32 | (uint64_t)verdict->state;
    uint64_t since_ms = old_word == new_word ? cell->verdict.since_ms : now_ms;
    /* Even, also where a writer before us died in the middle. */
    uint32_t sequence = (atomic_load_explicit(&cell->sequence, memory_order_relaxed) + 1) & ~1u;

    atomic_store_explicit(&cell->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(&cell->verdict, verdict, sizeof(*verdict));
    cell->verdict.since_ms = since_ms;
    atomic_store_explicit(&cell->word, new_word, memory_order_relaxed);
    atomic_store_explicit(&cell->sequence, sequence + 2, memory_order_release);
    if (old_word != new_word)
        atomic_store_explicit(&board->changes, verdicts_changes(board) + 1, memory_order_release);
    return old_word != new_word;
}

const char *verdict_state_name(enum verdict_state state)
{
    static const char *const names[] = {"unknown", "starting", "healthy", "unhealthy"};

    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "invalid";
}
