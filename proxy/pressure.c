#include "pressure.h"

#include "base/log.h"
#include "listener.h"
#include "upstream.h"
#include "worker.h"

void pressure_init(struct worker *worker)
{
    uint64_t limit = worker->config->limits.memory_bytes;

    worker->pressure =
        (struct pressure){.limit = limit, .high = limit / 100 * PRESSURE_TIGHT_PERCENT};
    score_set(&worker->row->memory_limit, limit);
}

static void set_bounds(struct pressure *pressure)
{
    uint64_t percent = pressure->limit / 100;

    switch (pressure->level) {
    case PRESSURE_NONE:
        pressure->low = 0;
        pressure->high = percent * PRESSURE_TIGHT_PERCENT;
        break;
    case PRESSURE_TIGHT:
        pressure->low = percent * PRESSURE_TIGHT_LEFT_PERCENT;
        pressure->high = percent * PRESSURE_FULL_PERCENT;
        break;
    case PRESSURE_FULL:
        pressure->low = percent * PRESSURE_FULL_LEFT_PERCENT;
        pressure->high = UINT64_MAX;
        break;
    }
}

static void tell(const struct worker *worker)
{
    static const char *const names[] = {"none", "tight", "full"};
    struct log_line line;

    log_begin(&line, worker->pressure.level == PRESSURE_NONE ? LOG_INFO : LOG_WARNING,
              "memory-pressure");
    log_string(&line, "pressure", names[worker->pressure.level]);
    log_u64(&line, "held_bytes", held_bytes());
    log_u64(&line, "limit_bytes", worker->pressure.limit);
    log_end(&line);
}

static void enter(struct worker *worker, enum pressure_level level)
{
    bool was_full = worker->pressure.level == PRESSURE_FULL;

    worker->pressure.level = level;
    set_bounds(&worker->pressure);
    score_set(&worker->row->memory_pressure, (uint32_t)level);
    score_set(&worker->row->memory_held, held_bytes());
    stream_hub_set_read_max(worker->hub,
                            level == PRESSURE_NONE ? READ_BYTES_MAX : PRESSURE_READ_BYTES);
    if (level == PRESSURE_FULL) {
        score_add(&worker->row->refusals[REFUSAL_PRESSURE], 1);
        listeners_hold(worker);
        for (uint32_t slot = 0; slot < worker->table.backend_count; slot++)
            upstream_close_idle(worker, slot);
    } else if (was_full) {
        listeners_resume(worker);
    }
    tell(worker);
}

void pressure_act(struct worker *worker)
{
    const struct pressure *pressure = &worker->pressure;
    uint64_t held = held_bytes();

    if (held >= pressure->high)
        enter(worker, pressure->level == PRESSURE_NONE &&
                              held < pressure->limit / 100 * PRESSURE_FULL_PERCENT
                          ? PRESSURE_TIGHT
                          : PRESSURE_FULL);
    else if (held < pressure->low)
        enter(worker, held < pressure->limit / 100 * PRESSURE_TIGHT_LEFT_PERCENT ? PRESSURE_NONE
                                                                                 : PRESSURE_TIGHT);
    if (pressure->level != PRESSURE_NONE)
        listeners_shed(worker, SHED_BATCH);
}
