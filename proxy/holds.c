#include "holds.h"

#include "worker.h"

void holds_check_drained(struct worker *worker, uint32_t slot)
{
    const struct score_cell *cell = &worker->row->cells[slot];
    uint32_t busy =
        score_get(&cell->active_all) + score_get(&cell->connecting) + score_get(&cell->idle);

    if (worker->table.backends[slot].state != BACKEND_DRAINING)
        return;
    worker->holds_changed = true;
    if (busy == 0)
        bell_ring(DESCRIPTOR_BELL_UPDATER);
}

static void fill(const struct exchange *x, struct score_hold *hold)
{
    struct slice line = x->protocol->request_line(x);

    *hold = (struct score_hold){
        .id = x->id,
        .slot = x->slot,
        .generation = x->generation,
        .kind = (uint8_t)x->kind,
        .client = x->client,
        .started_ms = x->started_us / 1000,
        .ending = x->ending,
        .bytes_left = exchange_bytes_left(x),
        .bytes = x->bytes_in + x->bytes_out,
    };
    for (size_t i = 0; i < line.length && i < SCORE_TEXT_BYTES - 1; i++) {
        char c = line.data[i];
        if (c < ' ' || c >= 0x7f)
            c = '?';
        hold->request[i] = c;
    }
}

void holds_publish(struct worker *worker)
{
    static struct score_hold holds[SCORE_HOLDS_MAX];
    uint64_t begun_us = clock_us();
    uint32_t total = 0;

    for (unsigned s = 0; s < EXCHANGE_DONE; s++) {
        struct list *head = &worker->exchanges[s];
        for (struct list *node = head->next; node != head; node = node->next) {
            struct exchange *x = container_of(node, struct exchange, node);
            if (!x->placed || worker->table.backends[x->slot].state != BACKEND_DRAINING)
                continue;
            exchange_note_stream(x);
            if (total < SCORE_HOLDS_MAX)
                fill(x, &holds[total]);
            total++;
        }
    }
    score_holds_write(worker->row, holds, total < SCORE_HOLDS_MAX ? total : SCORE_HOLDS_MAX, total);
    worker->holds_changed = false;
    uint64_t done_us = clock_us();
    worker->holds_due_us = done_us + HOLDS_REST * (done_us - begun_us);
}
