#include "window.h"

#include "api_views.h"
#include "base/log.h"
#include "base/memory.h"
#include "events.h"
#include "rollout.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct base { /* what a backend had when the window was opened */
    uint32_t slot, generation;
    struct analysis_figures figures;
};

struct window {
    struct plan_window seen;
    struct base *bases;
    size_t base_count;
    bool is_done;                  /* another one is to be opened */
    uint32_t told_look;            /* the one that was recorded last */
    enum analysis_verdict verdict; /* as recorded last */
};

struct window *window_new(void)
{
    return memory_new(sizeof(struct window));
}

void window_free(struct window *window)
{
    if (!window)
        return;
    free(window->bases);
    free(window);
}

/* A request is counted once on each backend that it was tried on. A kept connection that had ended
 * before it was used is nobody's failure. */
static void figures_of(const struct score_sum *sum, struct analysis_figures *ret_figures)
{
    uint64_t failures = sum->status[5] + sum->connect_failures + sum->timeouts + sum->resets;

    ret_figures->requests = 0;
    for (unsigned class = 0; class < 6; class ++)
        ret_figures->requests += sum->status[class];
    failures -= sum->stale < failures ? sum->stale : failures;
    /* One that broke off in mid-answer, or was tried again, is counted once as a request. */
    ret_figures->failures = failures < ret_figures->requests ? failures : ret_figures->requests;
    memcpy(ret_figures->latency, sum->latency, sizeof(ret_figures->latency));
}

/* The rows are read while they change: what looks like less than before is nothing. */
static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void add_since(struct analysis_figures *sum, const struct analysis_figures *now,
                      const struct analysis_figures *before)
{
    sum->requests += since(now->requests, before->requests);
    sum->failures += since(now->failures, before->failures);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum->latency[i] += since(now->latency[i], before->latency[i]);
}

static const struct analysis_figures *base_of(const struct window *window, uint32_t slot,
                                              uint32_t generation)
{
    static const struct analysis_figures none;

    for (size_t i = 0; i < window->base_count; i++) {
        if (window->bases[i].slot == slot && window->bases[i].generation == generation)
            return &window->bases[i].figures;
    }
    return &none;
}

/* Calls for each backend of the rollout's service with what it has counted. */
static void each_backend(struct window *window, const struct rollout *rollout,
                         void (*take)(struct window *window, uint32_t slot,
                                      const struct routing_backend *backend,
                                      const struct analysis_figures *figures))
{
    struct updater *updater = rollout->service->updater;

    for (uint32_t slot = 0; slot < updater->table->draft.backend_count; slot++) {
        const struct routing_backend *backend = table_backend(updater->table, (int)slot);
        struct analysis_figures figures;
        struct score_sum sum;

        if (backend->state == BACKEND_FREE || backend->service != rollout->service->row)
            continue;
        scoreboard_sum(&updater->scores, slot, backend->generation, &sum);
        figures_of(&sum, &figures);
        take(window, slot, backend, &figures);
    }
}

static void take_base(struct window *window, uint32_t slot, const struct routing_backend *backend,
                      const struct analysis_figures *figures)
{
    window->bases = memory_resize(window->bases, (window->base_count + 1) * sizeof(*window->bases));
    window->bases[window->base_count++] =
        (struct base){.slot = slot, .generation = backend->generation, .figures = *figures};
}

static void take_look(struct window *window, uint32_t slot, const struct routing_backend *backend,
                      const struct analysis_figures *figures)
{
    struct analysis_figures *sum =
        backend->group == GROUP_CANARY ? &window->seen.canary : &window->seen.stable;

    add_since(sum, figures, base_of(window, slot, backend->generation));
}

static void open_window(struct window *window, const struct rollout *rollout, bool is_own,
                        uint64_t now_ms)
{
    memset(&window->seen, 0, sizeof(window->seen));
    window->seen.since_ms = now_ms;
    window->seen.step = rollout->progress.step;
    window->seen.is_own = is_own;
    window->base_count = 0;
    window->is_done = false;
    window->told_look = 0;
    window->verdict = ANALYSIS_NONE;
    each_backend(window, rollout, take_base);
}

void window_observe(struct window *window, struct rollout *rollout, struct plan_observed *observed)
{
    struct plan_window *seen = &window->seen;
    bool is_own;
    const struct config_analysis *rules =
        plan_analysis(observed->spec, &observed->progress, observed->weight, &is_own);
    uint64_t look = 0;

    if (rules == NULL) {
        seen->since_ms = 0;
    } else if (seen->since_ms == 0 || window->is_done || seen->step != observed->progress.step ||
               seen->is_own != is_own) {
        open_window(window, rollout, is_own, observed->now_ms);
    } else if (observed->now_ms > seen->since_ms) {
        look = (observed->now_ms - seen->since_ms) / analysis_look_ms(rules);
    }
    if (rules != NULL && look > seen->look) {
        memset(&seen->canary, 0, sizeof(seen->canary));
        memset(&seen->stable, 0, sizeof(seen->stable));
        seen->look = look < UINT32_MAX ? (uint32_t)look : UINT32_MAX;
        each_backend(window, rollout, take_look);
    }
    observed->window = *seen;
}

static cJSON *figures_write(const struct analysis_figures *figures)
{
    cJSON *json = cJSON_CreateObject();
    uint64_t p99_us = histogram_quantile_us(figures->latency, 0.99);

    cJSON_AddNumberToObject(json, "requests", (double)figures->requests);
    cJSON_AddNumberToObject(json, "failures", (double)figures->failures);
    if (figures->requests > 0)
        cJSON_AddNumberToObject(json, "success_rate", analysis_success_rate(figures));
    else
        cJSON_AddNullToObject(json, "success_rate");
    if (p99_us > 0)
        cJSON_AddNumberToObject(json, "p99_ms", (double)p99_us / 1000.);
    else
        cJSON_AddNullToObject(json, "p99_ms");
    return json;
}

static char *record_write(const struct plan_window *seen, const struct plan *plan)
{
    cJSON *json = cJSON_CreateObject();
    char *text;

    cJSON_AddStringToObject(json, "verdict", analysis_verdict_name(plan->verdict));
    cJSON_AddStringToObject(json, "why", plan->verdict_why);
    view_add_time(json, "since", seen->since_ms);
    cJSON_AddNumberToObject(json, "look", seen->look);
    cJSON_AddItemToObject(json, "canary", figures_write(&seen->canary));
    cJSON_AddItemToObject(json, "stable", figures_write(&seen->stable));
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

/* The watch behind the last step is recorded with that. */
static void record(const struct rollout *rollout, const struct plan_window *seen,
                   const struct plan *plan)
{
    struct journal *journal = rollout->service->updater->journal;
    uint32_t last = (uint32_t)rollout->spec.step_count - 1;
    char *text = record_write(seen, plan);
    const struct journal_step step = {.index = seen->step < last ? seen->step : last,
                                      .analysis = text};

    if (rollout->spec.step_count > 0 && journal_step_save(journal, rollout_id(rollout), &step))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
    cJSON_free(text);
}

void window_judged(struct window *window, struct rollout *rollout,
                   const struct plan_observed *observed, const struct plan *plan)
{
    const struct plan_window *seen = &observed->window;

    window->is_done = plan->window_done;
    if (plan->verdict == ANALYSIS_NONE || seen->look == window->told_look)
        return;
    window->told_look = seen->look;
    record(rollout, seen, plan);
    if (plan->verdict != window->verdict) {
        char text[ANALYSIS_WHY_BYTES + 16];

        (void)snprintf(text, sizeof(text), "%s: %s", analysis_verdict_name(plan->verdict),
                       plan->verdict_why);
        rollout_log(rollout, "analysis", NULL, text);
    }
    window->verdict = plan->verdict;
    events_rollout(rollout, "rollout_updated");
}
