/* Prometheus text format 0.0.4. */
#include "api.h"
#include "api_views.h"
#include "base/check.h"
#include "hold.h"
#include "notify.h"

#include <stdio.h>
#include <stdlib.h>

static void label_write(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void labels_write(FILE *out, const struct updater *updater, uint32_t slot)
{
    const struct routing_backend *backend = &updater->table->draft.backends[slot];

    fputs("{service=\"", out);
    label_write(out, updater->table->draft.services[backend->service].name);
    fputs("\",backend=\"", out);
    label_write(out, backend->name);
    fprintf(out, "\",group=\"%s\",slot=\"%u\"", group_name((enum group)backend->group), slot);
}

struct metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct score_sum *sum);
};

static uint64_t value_active(const struct score_sum *sum)
{
    return sum->active_all;
}

static uint64_t value_exchanges(const struct score_sum *sum)
{
    return sum->exchanges;
}

static uint64_t value_connect_failures(const struct score_sum *sum)
{
    return sum->connect_failures;
}

static uint64_t value_timeouts(const struct score_sum *sum)
{
    return sum->timeouts;
}

static uint64_t value_resets(const struct score_sum *sum)
{
    return sum->resets;
}

static uint64_t value_retries(const struct score_sum *sum)
{
    return sum->retries;
}

static uint64_t value_ejected(const struct score_sum *sum)
{
    return sum->ejected;
}

static uint64_t value_ejections(const struct score_sum *sum)
{
    return sum->ejections;
}

static uint64_t value_asset_retries(const struct score_sum *sum)
{
    return sum->asset_retries;
}

static uint64_t value_mirrored(const struct score_sum *sum)
{
    return sum->mirrored;
}

static uint64_t value_mirror_compared(const struct score_sum *sum)
{
    return sum->mirror_compared;
}

static uint64_t value_mirror_status(const struct score_sum *sum)
{
    return sum->mirror_status_differs;
}

static uint64_t value_mirror_body(const struct score_sum *sum)
{
    return sum->mirror_body_differs;
}

static uint64_t value_mirror_failures(const struct score_sum *sum)
{
    return sum->mirror_failures;
}

static uint64_t value_bytes_in(const struct score_sum *sum)
{
    return sum->bytes_in;
}

static uint64_t value_bytes_out(const struct score_sum *sum)
{
    return sum->bytes_out;
}

static const struct metric metrics[] = {
    {"sluice_backend_active", "gauge", "Exchanges in flight.", value_active},
    {"sluice_backend_exchanges_total", "counter", "Exchanges started.", value_exchanges},
    {"sluice_backend_connect_failures_total", "counter", "Connects that failed.",
     value_connect_failures},
    {"sluice_backend_timeouts_total", "counter", "Exchanges that timed out.", value_timeouts},
    {"sluice_backend_resets_total", "counter", "Exchanges that broke off.", value_resets},
    {"sluice_backend_retries_total", "counter", "Exchanges taken elsewhere.", value_retries},
    {"sluice_backend_asset_retries_total", "counter",
     "Assets not found that the other group was asked for.", value_asset_retries},
    {"sluice_backend_mirrored_total", "counter",
     "Copies of requests sent to it, among the exchanges.", value_mirrored},
    {"sluice_backend_mirror_compared_total", "counter",
     "Copies whose answer was compared with the client's.", value_mirror_compared},
    {"sluice_backend_mirror_status_differs_total", "counter", "Of them, those with another status.",
     value_mirror_status},
    {"sluice_backend_mirror_body_differs_total", "counter", "Of them, those with another body.",
     value_mirror_body},
    {"sluice_backend_mirror_failures_total", "counter", "Copies that got no whole answer.",
     value_mirror_failures},
    {"sluice_backend_ejected", "gauge", "Workers that leave it out for its failures.",
     value_ejected},
    {"sluice_backend_ejections_total", "counter", "Ejections by a worker.", value_ejections},
    {"sluice_backend_bytes_in_total", "counter", "Bytes from the backend.", value_bytes_in},
    {"sluice_backend_bytes_out_total", "counter", "Bytes to the backend.", value_bytes_out},
};

static void backends_write(FILE *out, const struct updater *updater, const struct metric *metric)
{
    const struct routing_table *table = &updater->table->draft;

    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
            metric->type);
    for (uint32_t slot = 0; slot < table->backend_count; slot++) {
        struct score_sum sum;

        if (table->backends[slot].state == BACKEND_FREE)
            continue;
        scoreboard_sum(&updater->scores, slot, table->backends[slot].generation, &sum);
        fputs(metric->name, out);
        labels_write(out, updater, slot);
        fprintf(out, "} %llu\n", (unsigned long long)metric->value(&sum));
    }
}

static void health_write(FILE *out, const struct updater *updater)
{
    const struct routing_table *table = &updater->table->draft;

    fputs("# HELP sluice_backend_healthy Whether the last verdict is healthy.\n"
          "# TYPE sluice_backend_healthy gauge\n",
          out);
    for (uint32_t slot = 0; slot < table->backend_count; slot++) {
        if (table->backends[slot].state == BACKEND_FREE)
            continue;
        fputs("sluice_backend_healthy", out);
        labels_write(out, updater, slot);
        fprintf(out, "} %d\n",
                verdict_state_of(updater->verdicts, slot, table->backends[slot].generation) ==
                    VERDICT_HEALTHY);
    }
}

struct service_metric {
    const char *name, *help;
    uint64_t (*value)(const struct service *service);
};

static uint64_t value_held(const struct service *service)
{
    return hold_left_ms(service) > 0;
}

static uint64_t value_rollout(const struct service *service)
{
    return service->rollout != NULL;
}

static const struct service_metric service_metrics[] = {
    {"sluice_service_held", "Whether an operator holds it.", value_held},
    {"sluice_service_queued", "Exchanges that wait, for a backend or the end of a hold.",
     view_queued},
    {"sluice_service_rollout", "Whether a rollout is in progress.", value_rollout},
};

static void service_write(FILE *out, const struct updater *updater,
                          const struct service_metric *metric)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", metric->name, metric->help, metric->name);
    for (size_t i = 0; i < updater->service_count; i++) {
        fprintf(out, "%s{service=\"", metric->name);
        label_write(out, service_name(&updater->services[i]));
        fprintf(out, "\"} %llu\n", (unsigned long long)metric->value(&updater->services[i]));
    }
}

static void services_write(FILE *out, const struct updater *updater)
{
    fputs("# HELP sluice_service_canary_weight_percent The canary's share.\n"
          "# TYPE sluice_service_canary_weight_percent gauge\n",
          out);
    for (size_t i = 0; i < updater->service_count; i++) {
        const struct service *service = &updater->services[i];
        uint32_t weight = updater->table->draft.services[service->row].weight;

        fputs("sluice_service_canary_weight_percent{service=\"", out);
        label_write(out, service_name(service));
        fprintf(out, "\"} %u.%02u\n", weight / 100, weight % 100);
    }
    for (size_t i = 0; i < sizeof(service_metrics) / sizeof(service_metrics[0]); i++)
        service_write(out, updater, &service_metrics[i]);
}

static void access_log_write(FILE *out, const struct updater *updater)
{
    uint64_t count = 0;

    for (unsigned row = 0; row < updater->scores.row_count; row++)
        count += score_get(&updater->scores.rows[row]->access_log_lost);
    fprintf(out,
            "# HELP sluice_access_log_lost_total Lines that could not be written.\n"
            "# TYPE sluice_access_log_lost_total counter\nsluice_access_log_lost_total %llu\n",
            (unsigned long long)count);
}

static void spliced_write(FILE *out, const struct updater *updater)
{
    uint64_t bytes = 0;

    for (unsigned row = 0; row < updater->scores.row_count; row++)
        bytes += score_get(&updater->scores.rows[row]->spliced_bytes);
    fprintf(out,
            "# HELP sluice_spliced_bytes_total Bytes of tunnels and long answers moved without a "
            "copy.\n"
            "# TYPE sluice_spliced_bytes_total counter\nsluice_spliced_bytes_total %llu\n",
            (unsigned long long)bytes);
}

static void notify_write(FILE *out, const struct updater *updater)
{
    fprintf(out,
            "# HELP sluice_notifications_dropped_total Notifications that nobody got.\n"
            "# TYPE sluice_notifications_dropped_total counter\n"
            "sluice_notifications_dropped_total %llu\n",
            (unsigned long long)notify_dropped(updater));
}

static void refusals_write(FILE *out, const struct updater *updater)
{
    fputs("# HELP sluice_refusals_total What the proxy refused, by reason.\n"
          "# TYPE sluice_refusals_total counter\n",
          out);
    for (enum refusal why = 0; why < REFUSAL_COUNT; why++)
        fprintf(out, "sluice_refusals_total{reason=\"%s\"} %llu\n", refusal_name(why),
                (unsigned long long)scoreboard_refusals(&updater->scores, why));
}

static void workers_write(FILE *out, const struct updater *updater)
{
    static const struct {
        const char *name, *help;
    } gauges[] = {
        {"sluice_worker_clients", "HTTP connections of clients."},
        {"sluice_worker_memory_held_bytes", "What the worker's connections hold."},
        {"sluice_worker_memory_limit_bytes", "What they may hold."},
        {"sluice_worker_memory_pressure", "0: none, 1: tight, 2: full, and none are accepted."},
    };

    for (unsigned i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", gauges[i].name, gauges[i].help,
                gauges[i].name);
        for (unsigned n = 0; n < updater->scores.row_count; n++) {
            const struct score_row *row = updater->scores.rows[n];
            uint64_t values[] = {score_get(&row->clients), score_get(&row->memory_held),
                                 score_get(&row->memory_limit), score_get(&row->memory_pressure)};
            if (score_get(&row->state) == ROW_LIVE)
                fprintf(out, "%s{worker=\"%u\"} %llu\n", gauges[i].name, n,
                        (unsigned long long)values[i]);
        }
    }
}

char *metrics_write(const struct updater *updater)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    check(out != NULL);
    fprintf(out,
            "# HELP sluice_epoch The routing table's epoch.\n# TYPE sluice_epoch gauge\n"
            "sluice_epoch %llu\n",
            (unsigned long long)updater->table->draft.epoch);
    services_write(out, updater);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
        backends_write(out, updater, &metrics[i]);
    health_write(out, updater);
    refusals_write(out, updater);
    access_log_write(out, updater);
    spliced_write(out, updater);
    notify_write(out, updater);
    workers_write(out, updater);
    check(fclose(out) == 0);
    return text;
}
