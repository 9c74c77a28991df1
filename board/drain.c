#include "base/check.h"
#include "scoreboard.h"

/* What a row has for this generation of the slot; NULL where it has nothing. */
static const struct score_cell *find_cell(const struct score_row *row, uint32_t slot,
                                          uint32_t generation)
{
    const struct score_cell *cell = &row->cells[slot];

    return atomic_load_explicit(&cell->generation, memory_order_acquire) == generation ? cell
                                                                                       : NULL;
}

uint32_t scoreboard_active_everywhere(const struct scoreboard *board, uint32_t slot,
                                      uint32_t generation)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < board->row_count; i++) {
        const struct score_cell *cell = find_cell(board->rows[i], slot, generation);
        if (cell != NULL)
            sum += score_get(&cell->active_all);
    }
    return sum;
}

uint32_t scoreboard_active(const struct scoreboard *board, uint32_t slot, uint32_t generation)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < board->live_count; i++) {
        const struct score_cell *cell = find_cell(board->live[i], slot, generation);
        if (cell != NULL)
            sum += score_get(&cell->active_all);
    }
    return sum;
}

static void add_cell(struct score_sum *sum, const struct score_cell *cell)
{
    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        sum->active[kind] += score_get(&cell->active[kind]);
    sum->active_all += score_get(&cell->active_all);
    sum->connecting += score_get(&cell->connecting);
    sum->open += score_get(&cell->open);
    sum->idle += score_get(&cell->idle);
    sum->ejected += score_get(&cell->ejected);
    sum->exchanges += score_get(&cell->exchanges);
    for (unsigned i = 0; i < 6; i++)
        sum->status[i] += score_get(&cell->status[i]);
    sum->connect_failures += score_get(&cell->connect_failures);
    sum->timeouts += score_get(&cell->timeouts);
    sum->resets += score_get(&cell->resets);
    sum->stale += score_get(&cell->stale);
    sum->retries += score_get(&cell->retries);
    sum->asset_retries += score_get(&cell->asset_retries);
    sum->ejections += score_get(&cell->ejections);
    sum->mirrored += score_get(&cell->mirrored);
    sum->mirror_compared += score_get(&cell->mirror_compared);
    sum->mirror_status_differs += score_get(&cell->mirror_status_differs);
    sum->mirror_body_differs += score_get(&cell->mirror_body_differs);
    sum->mirror_failures += score_get(&cell->mirror_failures);
    sum->bytes_in += score_get(&cell->bytes_in);
    sum->bytes_out += score_get(&cell->bytes_out);
    uint64_t last_end_us = score_get(&cell->last_end_us);
    if (last_end_us > sum->last_end_us)
        sum->last_end_us = last_end_us;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum->latency[i] += score_get(&cell->latency[i]);
}

void scoreboard_sum(const struct scoreboard *board, uint32_t slot, uint32_t generation,
                    struct score_sum *ret_sum)
{
    check(slot < ROUTING_BACKENDS_MAX);
    *ret_sum = (struct score_sum){0};
    for (unsigned i = 0; i < board->row_count; i++) {
        const struct score_cell *cell = find_cell(board->rows[i], slot, generation);
        if (cell != NULL)
            add_cell(ret_sum, cell);
    }
}

bool scoreboard_has_seen(const struct scoreboard *board, uint64_t epoch)
{
    for (unsigned i = 0; i < board->row_count; i++) {
        const struct score_row *row = board->rows[i];

        if (atomic_load_explicit(&row->state, memory_order_acquire) == ROW_LIVE &&
            atomic_load_explicit(&row->seen_epoch, memory_order_acquire) < epoch)
            return false;
    }
    return true;
}

static void add_left(struct drain_proof *proof, const struct score_cell *cell)
{
    for (unsigned how = 0; how < LEFT_COUNT; how++)
        for (unsigned kind = 0; kind < KIND_COUNT; kind++)
            proof->left[how][kind] += score_get(&cell->left[how][kind]);
}

bool scoreboard_is_drained(const struct scoreboard *board, uint32_t slot, uint32_t generation,
                           uint64_t epoch, struct drain_proof *ret_proof)
{
    bool drained = true;

    check(slot < ROUTING_BACKENDS_MAX);
    *ret_proof = (struct drain_proof){.epoch = epoch, .row_count = board->row_count};
    for (unsigned i = 0; i < board->row_count; i++) {
        const struct score_row *row = board->rows[i];
        struct drain_proof_row *proof = &ret_proof->rows[i];
        proof->row = (uint8_t)i;
        /* The state before the acknowledgement, the acknowledgement before the gauges: a worker
         * that has seen the epoch can only lower them. */
        proof->live = atomic_load_explicit(&row->state, memory_order_acquire) == ROW_LIVE;
        proof->pid = score_get(&row->pid);
        proof->seen_epoch = atomic_load_explicit(&row->seen_epoch, memory_order_acquire);
        if (proof->live && proof->seen_epoch < epoch)
            drained = false;
        const struct score_cell *cell = find_cell(row, slot, generation);
        if (cell == NULL)
            continue;
        proof->active = score_get(&cell->active_all);
        proof->connecting = score_get(&cell->connecting);
        proof->idle = score_get(&cell->idle);
        if (proof->active + proof->connecting + proof->idle > 0)
            drained = false;
        add_left(ret_proof, cell);
        uint64_t last_end_us = score_get(&cell->last_end_us);
        if (last_end_us > ret_proof->last_end_us)
            ret_proof->last_end_us = last_end_us;
    }
    return drained;
}
