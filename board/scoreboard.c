#include "scoreboard.h"

#include "base/check.h"
#include "memory_board.h"

#include <errno.h>
#include <string.h>

int score_row_create(void)
{
    struct score_row *row = NULL;
    int fd = memory_board_create("sluice-row", sizeof(struct score_row));

    if (fd < 0)
        return fd;
    int error = memory_board_map(fd, sizeof(*row), true, (void **)&row);
    if (error < 0)
        return error;
    row->version = SCORE_VERSION;
    memory_board_unmap(row, sizeof(*row));
    return fd;
}

int scoreboard_map(struct scoreboard *board, int first_fd, unsigned row_count, int writable_row)
{
    check(row_count <= ROWS_MAX);
    *board = (struct scoreboard){0};
    for (unsigned i = 0; i < row_count; i++) {
        struct score_row *row = NULL;
        bool writable = writable_row == ROWS_MAX || writable_row == (int)i;
        int error = memory_board_map(first_fd + (int)i, sizeof(*row), writable, (void **)&row);
        if (error < 0) {
            scoreboard_unmap(board);
            return error;
        }
        board->rows[board->row_count++] = row;
        if (row->version != SCORE_VERSION) {
            scoreboard_unmap(board);
            return -EINVAL;
        }
    }
    scoreboard_look(board);
    return 0;
}

void scoreboard_look(struct scoreboard *board)
{
    board->live_count = 0;
    for (unsigned i = 0; i < board->row_count; i++)
        if (atomic_load_explicit(&board->rows[i]->state, memory_order_acquire) == ROW_LIVE)
            board->live[board->live_count++] = board->rows[i];
}

void scoreboard_unmap(struct scoreboard *board)
{
    for (unsigned i = 0; i < board->row_count; i++)
        memory_board_unmap(board->rows[i], sizeof(*board->rows[i]));
    *board = (struct scoreboard){0};
}

void score_cell_claim(struct score_cell *cell, uint32_t generation)
{
    if (score_get(&cell->generation) == generation)
        return;
    /* Readers of the new generation must not meet the old one's figures: the generation is taken
     * away first and given last. */
    score_set(&cell->generation, 0);
    atomic_thread_fence(memory_order_seq_cst);
    memset((char *)cell + sizeof(cell->generation), 0, sizeof(*cell) - sizeof(cell->generation));
    atomic_store_explicit(&cell->generation, generation, memory_order_release);
}

/* --- histogram: 4 buckets per octave from 16 µs ------------------------------------------- */

#define HISTOGRAM_FIRST_BIT 4u /* 16 µs */

unsigned histogram_bucket(uint64_t latency_us)
{
    if (latency_us < 1u << HISTOGRAM_FIRST_BIT)
        return 0;
    unsigned top = 63u - (unsigned)__builtin_clzll(latency_us);
    unsigned quarter = (unsigned)(latency_us >> (top - 2)) & 3u;
    unsigned bucket = 1u + (top - HISTOGRAM_FIRST_BIT) * 4u + quarter;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_bound_us(unsigned bucket)
{
    if (bucket >= HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    unsigned octave = HISTOGRAM_FIRST_BIT + bucket / 4;
    return ((uint64_t)1 << octave) + (uint64_t)(bucket % 4) * ((uint64_t)1 << (octave - 2));
}

uint64_t histogram_quantile_us(const uint64_t latency[HISTOGRAM_BUCKETS], double share)
{
    uint64_t total = 0;
    uint64_t below = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += latency[i];
    if (total == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        below += latency[i];
        if ((double)below >= share * (double)total)
            return histogram_bound_us(i);
    }
    return histogram_bound_us(HISTOGRAM_BUCKETS - 2);
}

/* --- holds ---------------------------------------------------------------------------------- */

void score_holds_write(struct score_row *row, const struct score_hold *holds, uint32_t count,
                       uint32_t total)
{
    check(count <= SCORE_HOLDS_MAX && count <= total);
    uint32_t sequence = (score_get(&row->hold_sequence) + 1) & ~1u;

    score_set(&row->hold_sequence, sequence + 1);
    atomic_thread_fence(memory_order_seq_cst);
    row->hold_count = count;
    row->hold_total = total;
    if (count > 0)
        memcpy(row->holds, holds, count * sizeof(*holds));
    atomic_store_explicit(&row->hold_sequence, sequence + 2, memory_order_release);
}

#define READ_TRIES 1000

uint32_t score_holds_read(const struct score_row *row, struct score_hold *holds, uint32_t max,
                          uint32_t *ret_total)
{
    uint32_t count = 0;
    uint32_t total = 0;

    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&row->hold_sequence, memory_order_acquire);
        count = row->hold_count;
        total = row->hold_total;
        if (count > SCORE_HOLDS_MAX)
            count = 0;
        if (count > max)
            count = max;
        memcpy(holds, row->holds, count * sizeof(*holds));
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 && score_get(&row->hold_sequence) == before)
            break;
        count = total = 0;
    }
    for (uint32_t i = 0; i < count; i++)
        holds[i].request[SCORE_TEXT_BYTES - 1] = '\0';
    *ret_total = total;
    return count;
}

/* --- the supervisor's --------------------------------------------------------------------------
 */

void score_row_bury(struct score_row *row)
{
    for (unsigned slot = 0; slot < ROUTING_BACKENDS_MAX; slot++) {
        struct score_cell *cell = &row->cells[slot];
        if (score_get(&cell->generation) == 0)
            continue;
        score_set(&cell->active_all, 0);
        for (unsigned kind = 0; kind < KIND_COUNT; kind++)
            score_set(&cell->active[kind], 0);
        score_set(&cell->connecting, 0);
        score_set(&cell->open, 0);
        score_set(&cell->idle, 0);
        score_set(&cell->ejected, 0);
    }
    for (unsigned i = 0; i < ROUTING_SERVICES_MAX; i++) {
        score_set(&row->queued[i], 0);
        for (unsigned g = 0; g < GROUP_COUNT; g++)
            score_set(&row->queued_since_ms[i][g], 0);
    }
    score_set(&row->clients, 0);
    score_set(&row->memory_held, 0);
    score_set(&row->memory_pressure, 0);
    score_holds_write(row, NULL, 0, 0);
    score_set(&row->pid, 0);
    score_set(&row->seen_epoch, 0);
    atomic_store_explicit(&row->state, ROW_EMPTY, memory_order_release);
}

uint64_t scoreboard_refusals(const struct scoreboard *board, enum refusal refusal)
{
    uint64_t count = 0;

    for (unsigned row = 0; row < board->row_count; row++)
        count += score_get(&board->rows[row]->refusals[refusal]);
    return count;
}

const char *refusal_name(enum refusal refusal)
{
    static const char *const names[] = {
        [REFUSAL_BAD_REQUEST] = "bad-request",
        [REFUSAL_NO_ROUTE] = "no-route",
        [REFUSAL_NO_BACKEND] = "no-backend",
        [REFUSAL_CONNECT_FAILED] = "connect-failed",
        [REFUSAL_BAD_RESPONSE] = "bad-response",
        [REFUSAL_RESPONSE_TIMEOUT] = "response-timeout",
        [REFUSAL_SLOW_CLIENT] = "slow-client",
        [REFUSAL_MEMORY] = "out-of-memory",
        [REFUSAL_HEAD_SIZE] = "head-size",
        [REFUSAL_BODY_SIZE] = "body-size",
        [REFUSAL_HELD] = "held",
        [REFUSAL_SLOW_BODY] = "slow-body",
        [REFUSAL_SLOW_READ] = "slow-read",
        [REFUSAL_RATE] = "rate",
        [REFUSAL_CLIENT_CONNECTIONS] = "client-connections",
        [REFUSAL_CONNECTIONS] = "connections",
        [REFUSAL_DESCRIPTORS] = "descriptors",
        [REFUSAL_PRESSURE] = "memory-pressure",
        [REFUSAL_SHED] = "shed",
        [REFUSAL_RETRY_BUDGET] = "retry-budget",
        [REFUSAL_TLS] = "tls",
        [REFUSAL_MISDIRECTED] = "misdirected",
        [REFUSAL_UNTRUSTED_PROXY] = "untrusted-proxy",
        [REFUSAL_PROXY_HEADER] = "proxy-header",
        [REFUSAL_BAD_HELLO] = "bad-hello",
        [REFUSAL_QUEUE_FULL] = "queue-full",
        [REFUSAL_QUEUE_TIMEOUT] = "queue-timeout",
        [REFUSAL_ENDED] = "ended",
        [REFUSAL_NO_CANARY] = "no-canary",
    };

    return (unsigned)refusal < REFUSAL_COUNT ? names[refusal] : "invalid";
}
