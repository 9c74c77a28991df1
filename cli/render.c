#include "render.h"

#include "json.h"
#include "record.h"

#include <math.h>
#include <string.h>

#define BAR_COLUMNS_MIN  10
#define BAR_COLUMNS_MAX  50
#define BAR_TEXT_COLUMNS 50 /* what stands beside a bar */
#define DRAIN_BAR        20
#define BAR_BYTES        (BAR_COLUMNS_MAX * 4 + 1)

static const char *bar(double share, size_t columns, char text[BAR_BYTES])
{
    size_t filled = (size_t)lround(fmin(fmax(share, 0), 1) * (double)columns);
    /* A little is not nothing, and not quite all is not all. */
    if (share > 0 && filled == 0)
        filled = 1;
    if (share < 1 && filled == columns && columns > 0)
        filled = columns - 1;
    char *end = text;
    *end = '\0';
    for (size_t i = 0; i < columns && i < BAR_COLUMNS_MAX; i++)
        end = stpcpy(end, i < filled ? text_glyph("█", "#") : text_glyph("░", "."));
    return text;
}

static size_t bar_columns(size_t columns)
{
    size_t room = columns > BAR_TEXT_COLUMNS ? columns - BAR_TEXT_COLUMNS : 0;
    if (room < BAR_COLUMNS_MIN)
        return BAR_COLUMNS_MIN;
    return room < BAR_COLUMNS_MAX ? room : BAR_COLUMNS_MAX;
}

static void add_head(const struct picture *picture, struct lines *lines)
{
    const struct cJSON *service = picture->service;
    const char *state = json_text(service, "state"), *message = json_text(service, "message");
    bool well = strcmp(state, "steady") == 0 || strcmp(state, "rollout") == 0;
    char rate[TEXT_BYTES] = "";
    double requests = json_number(service, "requests") - json_number(picture->before, "requests");
    if (picture->before != NULL && picture->elapsed_ms > 0 && requests >= 0)
        snprintf(rate, sizeof rate, "  %.0f/s", requests * 1000 / picture->elapsed_ms);
    double queued = json_number(service, "queued");
    char waiting[TEXT_BYTES] = "";
    if (queued > 0)
        snprintf(waiting, sizeof waiting, "  %.0f queued", queued);
    lines_add(lines, BOLD "%s" PLAIN "  %s  %s%s" PLAIN "  %.0f/%.0f healthy%s%s",
              json_text(service, "name"), json_text(service, "protocol"),
              well                         ? GOOD
              : strcmp(state, "held") == 0 ? WARN
                                           : BAD,
              state, json_number(service, "healthy"), json_number(service, "replicas"), rate,
              waiting);
    if (cJSON_IsObject(json_get(service, "pull")))
        lines_add(lines, "  " WARN "%s" PLAIN, message);
    else if (message[0] != '\0')
        lines_add(lines, "  " BAD "%s" PLAIN, message);
}

static void add_group(const struct cJSON *service, const char *name, double weight, size_t columns,
                      struct lines *lines)
{
    const struct cJSON *backend, *group = json_get(json_get(service, "groups"), name);
    char text[BAR_BYTES], percent[TEXT_BYTES];
    unsigned count = 0, healthy = 0;
    cJSON_ArrayForEach(backend, json_get(group, "backends"))
    {
        count++;
        healthy += strcmp(json_text(backend, "health"), "healthy") == 0;
    }
    if (count == 0 && strcmp(name, "canary") == 0)
        return;
    lines_add(lines, "  %s  %6s %s%s" PLAIN "  %u/%u  %s", name, text_weight(weight, percent),
              strcmp(name, "canary") == 0 ? WARN : GOOD,
              bar(weight / 100, bar_columns(columns), text), healthy, count,
              json_text(group, "image"));
}

/* The same backend a while ago: slot and generation tell it from a later one. */
static const struct cJSON *find_before(const struct cJSON *before, const struct cJSON *backend)
{
    const char *groups[] = {"groups.stable.backends", "groups.canary.backends"};
    const struct cJSON *candidate;
    for (unsigned i = 0; i < 2; i++) {
        cJSON_ArrayForEach(candidate, json_get(before, groups[i]))
        {
            if (json_number(candidate, "slot") + 0.5 > json_number(backend, "slot") &&
                json_number(candidate, "slot") - 0.5 < json_number(backend, "slot") &&
                fabs(json_number(candidate, "generation") - json_number(backend, "generation")) <
                    0.5)
                return candidate;
        }
    }
    return NULL;
}

static double errors_of(const struct cJSON *backend)
{
    return json_number(backend, "status.5xx") + json_number(backend, "connect_failures") +
           json_number(backend, "timeouts") + json_number(backend, "resets");
}

/* "-" where nothing has been measured yet. */
static const char *latency_of(const struct cJSON *backend, const char *path, char text[TEXT_BYTES])
{
    bool none = json_number(backend, "exchanges") < 1;
    return text_latency(none ? -1 : json_number_or(backend, path, -1), text);
}

const char *render_note(const struct cJSON *backend, bool healthy, char text[TEXT_BYTES])
{
    double workers = json_number(backend, "ejected_by");

    if (!healthy || workers < 1)
        return healthy ? "" : json_text(backend, "reason");
    snprintf(text, TEXT_BYTES, "ejected by %.0f worker%s", workers, workers > 1 ? "s" : "");
    return text;
}

static void health_cell(struct table *table, const struct cJSON *backend)
{
    const char *health = json_text(backend, "health");
    bool good = strcmp(health, "healthy") == 0, bad = strcmp(health, "unhealthy") == 0;
    table_cell(table, "%s%s %s" PLAIN,
               good  ? GOOD
               : bad ? BAD
                     : DIM,
               good  ? text_glyph("✔", "+")
               : bad ? text_glyph("✖", "x")
                     : text_glyph("○", "o"),
               health);
}

static void add_backend(const struct picture *picture, const struct cJSON *backend,
                        struct table *table)
{
    char text[TEXT_BYTES];
    const struct cJSON *before = find_before(picture->before, backend);
    double served = json_number(backend, "exchanges") - json_number(before, "exchanges");
    bool unhealthy = strcmp(json_text(backend, "health"), "unhealthy") == 0;
    table_cell(table, "%s", json_text(backend, "name"));
    table_cell(table, "%s", json_text(backend, "group"));
    table_cell(table, "%s", json_text(backend, "state"));
    health_cell(table, backend);
    table_cell(table, "%.0f", json_number(backend, "active_by_kind.request"));
    table_cell(table, "%.0f", json_number(backend, "active_by_kind.websocket"));
    table_cell(table, "%.0f", json_number(backend, "active_by_kind.tcp"));
    if (before != NULL && picture->elapsed_ms > 0 && served >= 0)
        table_cell(table, "%.0f", served * 1000 / picture->elapsed_ms);
    else
        table_cell(table, "-");
    table_cell(table, "%s%.0f" PLAIN, errors_of(backend) > 0 ? BAD : "", errors_of(backend));
    table_cell(table, "%s", latency_of(backend, "latency_us.p50", text));
    table_cell(table, "%s", latency_of(backend, "latency_us.p99", text));
    table_cell(table, "%s", render_note(backend, !unhealthy, text));
}

static void add_backends(const struct picture *picture, struct lines *lines)
{
    const char *groups[] = {"groups.stable.backends", "groups.canary.backends"};
    const struct cJSON *backend;
    struct table table;
    table_init(&table, "llllrrrrrrrl",
               "BACKEND|GROUP|STATE|HEALTH|REQUESTS|WEBSOCKETS|TCP|PER S|ERRORS|P50|P99|");
    for (unsigned i = 0; i < 2; i++) {
        cJSON_ArrayForEach(backend, json_get(picture->service, groups[i]))
        {
            add_backend(picture, backend, &table);
        }
    }
    lines_add(lines, "%s", "");
    table_finish(&table, "  ", lines);
}

static void add_hold(const struct cJSON *hold, struct lines *lines)
{
    char age[TEXT_BYTES], bytes[TEXT_BYTES];
    lines_add(lines, "      %-9s %s  %s  for %s, %s", json_text(hold, "kind"),
              json_text(hold, "client"), json_text(hold, "request"),
              text_duration(json_number(hold, "age_ms"), age),
              text_bytes(json_number(hold, "bytes"), bytes));
}

static void add_drain(const struct cJSON *drain, struct lines *lines)
{
    const struct cJSON *hold, *holds = json_get(drain, "holds");
    char text[BAR_BYTES], waited_text[TEXT_BYTES], left_text[TEXT_BYTES];
    double waited = json_number(drain, "waited_ms"), left = json_number(drain, "left_ms");
    double share = waited + left > 0 ? left / (waited + left) : 0;
    lines_add(lines,
              "    " BOLD "%s" PLAIN "  waited %s  " WARN "%s" PLAIN
              "  %s left, then %s; %.0f active",
              json_text(drain, "container"), text_duration(waited, waited_text),
              bar(share, DRAIN_BAR, text), text_duration(left, left_text),
              json_text(drain, "on_timeout"), json_number(drain, "active"));
    cJSON_ArrayForEach(hold, holds)
    {
        add_hold(hold, lines);
    }
    double more = json_number(drain, "hold_total") - cJSON_GetArraySize(holds);
    if (more > 0 && cJSON_GetArraySize(holds) > 0)
        lines_add(lines, "      and %.0f more", more);
}

static void add_drains(const struct cJSON *service, struct lines *lines)
{
    const char *groups[] = {"groups.stable.backends", "groups.canary.backends"};
    const struct cJSON *backend;
    bool any = false;
    for (unsigned i = 0; i < 2; i++) {
        cJSON_ArrayForEach(backend, json_get(service, groups[i]))
        {
            const struct cJSON *drain = json_get(backend, "drain");
            if (!cJSON_IsObject(drain))
                continue;
            if (!any) {
                lines_add(lines, "%s", "");
                lines_add(lines, "  DRAINING");
            }
            any = true;
            add_drain(drain, lines);
        }
    }
}

/* ✔ done, ॥ a pause that is on, ● under way, ✖ where it broke off, ○ to come. */
static const char *step_mark(const struct cJSON *rollout, const struct cJSON *step)
{
    const char *state = json_text(step, "state");
    if (strcmp(state, "done") == 0)
        return text_glyph(GOOD "✔" PLAIN, GOOD "+" PLAIN);
    if (strcmp(state, "running") != 0)
        return text_glyph(DIM "○" PLAIN, DIM "o" PLAIN);
    if (strcmp(record_style(json_text(rollout, "state")), BAD) == 0)
        return text_glyph(BAD "✖" PLAIN, BAD "x" PLAIN);
    if (record_is_pause(step))
        return text_glyph(WARN "॥" PLAIN, WARN "=" PLAIN);
    return text_glyph(WARN "●" PLAIN, WARN "*" PLAIN);
}

static void add_step(const struct cJSON *rollout, const struct cJSON *step, bool last,
                     struct lines *lines)
{
    double exchanges = 0, canary = 0, error = 0;
    char words[TEXT_BYTES], time[TEXT_BYTES] = "", split[160] = "", off[TEXT_BYTES];
    double took = record_step_ms(step);
    if (took >= 0)
        text_duration(took, time);
    if (record_split(step, &exchanges, &canary, &error) && exchanges > 0)
        snprintf(split, sizeof split, "%.0f of %.0f (%.2f%%, %s)", canary, exchanges,
                 100 * canary / exchanges, record_deviation(error, off));
    else if (json_text(step, "analysis.verdict")[0] != '\0')
        snprintf(split, sizeof split, "%s%s" PLAIN ": %.120s",
                 record_verdict_style(json_text(step, "analysis.verdict")),
                 json_text(step, "analysis.verdict"), json_text(step, "analysis.why"));
    lines_add(lines, "    %s %s %-20s %8s  %s",
              last ? text_glyph("└─", "`-") : text_glyph("├─", "|-"), step_mark(rollout, step),
              record_step(step, words), time, split);
}

static void add_rollout(const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *step, *steps = json_get(rollout, "steps");
    const char *state = json_text(rollout, "state");
    const char *waiting = json_text(rollout, "waiting"), *why = json_text(rollout, "why");
    char duration[TEXT_BYTES];
    lines_add(lines, "%s", "");
    lines_add(lines, "  ROLLOUT %s  %s%s" PLAIN "  %s %s %s  %s", json_text(rollout, "id"),
              record_style(state), state, record_before(rollout), text_glyph("→", "->"),
              json_text(rollout, "image"),
              text_duration(json_number_or(rollout, "duration_ms", -1), duration));
    if (why[0] != '\0')
        lines_add(lines, "    " BAD "%s" PLAIN, why);
    if (waiting[0] != '\0')
        lines_add(lines, "    waiting %s", waiting);
    cJSON_ArrayForEach(step, steps)
    {
        add_step(rollout, step, step->next == NULL, lines);
    }
}

void render_service(const struct picture *picture, size_t columns, struct lines *lines)
{
    double weight = json_number(picture->service, "weight");
    add_head(picture, lines);
    add_group(picture->service, "stable", 100 - weight, columns, lines);
    add_group(picture->service, "canary", weight, columns, lines);
    add_backends(picture, lines);
    add_drains(picture->service, lines);
    if (picture->rollout != NULL)
        add_rollout(picture->rollout, lines);
}
