#include "record.h"

#include "json.h"

#include <math.h>
#include <string.h>

static void describe_match(const struct cJSON *match, char text[TEXT_BYTES])
{
    const char *kind = json_get(match, "cookie") != NULL ? "cookie" : "header";
    const struct cJSON *value = json_get(match, kind);

    if (value == NULL)
        snprintf(text, TEXT_BYTES, "match none");
    else
        snprintf(text, TEXT_BYTES, "match %s %.18s", kind, json_text(value, "name"));
}

bool record_is_pause(const struct cJSON *step)
{
    return json_get(step, "pause_ms") != NULL || json_get(step, "pause") != NULL;
}

const char *record_step(const struct cJSON *step, char text[TEXT_BYTES])
{
    char inner[TEXT_BYTES];
    if (json_get(step, "set_weight") != NULL)
        snprintf(text, TEXT_BYTES, "set weight %.16s",
                 text_weight(json_number(step, "set_weight"), inner));
    else if (json_get(step, "rules") != NULL)
        snprintf(text, TEXT_BYTES, "analysis %.16s",
                 text_duration(json_number(step, "rules.interval_ms"), inner));
    else if (json_get(step, "replicas") != NULL)
        snprintf(text, TEXT_BYTES, "replicas %.0f", json_number(step, "replicas"));
    else if (json_get(step, "match") != NULL)
        describe_match(json_get(step, "match"), text);
    else if (json_get(step, "mirror") != NULL)
        snprintf(text, TEXT_BYTES, "mirror %.16s", text_weight(json_number(step, "mirror"), inner));
    else if (json_get(step, "pause_ms") != NULL)
        snprintf(text, TEXT_BYTES, "pause %.16s",
                 text_duration(json_number(step, "pause_ms"), inner));
    else
        snprintf(text, TEXT_BYTES, "pause until promoted");
    return text;
}

bool record_split(const struct cJSON *step, double *ret_exchanges, double *ret_canary,
                  double *ret_error)
{
    double exchanges = 0, canary = 0, error = 0;
    const struct cJSON *row, *split = json_get(step, "split");
    bool by_user = false;
    if (!cJSON_IsArray(split))
        return false;
    cJSON_ArrayForEach(row, split)
    {
        exchanges += json_number(row, "exchanges");
        canary += json_number(row, "canary");
        error = fmax(error, fabs(json_number(row, "error")));
        by_user = by_user || strcmp(json_text(row, "by"), "user") == 0;
    }
    *ret_exchanges = exchanges;
    *ret_canary = canary;
    *ret_error = by_user ? -1 : error;
    return true;
}

const char *record_deviation(double error, char text[TEXT_BYTES])
{
    if (error < 0)
        return "by user";
    snprintf(text, TEXT_BYTES, "off by %.2f", error);
    return text;
}

double record_step_ms(const struct cJSON *step)
{
    double started = text_time_ms(json_text(step, "started"));
    double ended = text_time_ms(json_text(step, "ended"));
    return started < 0 || ended < started ? -1 : ended - started;
}

const char *record_style(const char *state)
{
    if (strcmp(state, "completed") == 0)
        return GOOD;
    if (strcmp(state, "rolled_back") == 0 || strcmp(state, "needs_attention") == 0 ||
        strcmp(state, "aborted") == 0 || strcmp(state, "rolling_back") == 0)
        return BAD;
    return "";
}

const char *record_verdict_style(const char *verdict)
{
    if (strcmp(verdict, "pass") == 0)
        return GOOD;
    return strcmp(verdict, "fail") == 0 ? BAD : WARN;
}

/* What the new version was judged to be, step by step. */
static void add_analyses(const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *step;
    bool any = false;
    cJSON_ArrayForEach(step, json_get(rollout, "steps"))
    {
        const char *verdict = json_text(step, "analysis.verdict");
        if (verdict[0] == '\0')
            continue;
        if (!any)
            lines_add(lines, "%s", "");
        any = true;
        lines_add(lines, "  analysis in step %.0f: %s%s" PLAIN ": %s",
                  json_number(step, "index") + 1, record_verdict_style(verdict), verdict,
                  json_text(step, "analysis.why"));
    }
}

static void add_steps(const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *step;
    char words[TEXT_BYTES], time[TEXT_BYTES];
    struct table table;
    table_init(&table, "lrrrrrl", "STEP|TIME|REQUESTS|TO NEW|SHARE|ERROR|STATE");
    cJSON_ArrayForEach(step, json_get(rollout, "steps"))
    {
        double exchanges = 0, canary = 0, error = 0;
        table_cell(&table, "%s", record_step(step, words));
        table_cell(&table, "%s", text_duration(record_step_ms(step), time));
        if (record_split(step, &exchanges, &canary, &error)) {
            table_cell(&table, "%.0f", exchanges);
            table_cell(&table, "%.0f", canary);
            if (exchanges > 0)
                table_cell(&table, "%.2f%%", 100 * canary / exchanges);
            else
                table_cell(&table, "-");
            if (error < 0)
                table_cell(&table, "by user");
            else
                table_cell(&table, "%.2f", error);
        } else {
            for (unsigned i = 0; i < 4; i++)
                table_cell(&table, "%s", "");
        }
        table_cell(&table, "%s", json_text(step, "state"));
    }
    lines_add(lines, "%s", "");
    table_finish(&table, "  ", lines);
    add_analyses(rollout, lines);
}

/* ", 3 told, 1 cut off": exchanges that did not finish by themselves. */
static const char *ends_of(const struct cJSON *drain, char text[TEXT_BYTES])
{
    const struct cJSON *kind;
    double told = 0, forced = 0;
    cJSON_ArrayForEach(kind, json_get(drain, "ends"))
    {
        told += json_number(kind, "told");
        forced += json_number(kind, "forced");
    }
    text[0] = '\0';
    if (told + forced > 0)
        snprintf(text, TEXT_BYTES, ", %.0f told, %.0f cut off", told, forced);
    return text;
}

static void add_drains(const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *drain, *drains = json_get(rollout, "drains");
    char text[TEXT_BYTES], ends[TEXT_BYTES];
    struct table table;
    if (cJSON_GetArraySize(drains) == 0)
        return;
    table_init(&table, "llrrlll", "DRAINED|VERSION|TOOK|NOTICED IN|HOW|STOPPED|REMOVED");
    cJSON_ArrayForEach(drain, drains)
    {
        double notice = json_number_or(drain, "notice_ms", -1);
        bool drained = json_text(drain, "drained")[0] != '\0';
        table_cell(&table, "%s", json_text(drain, "container"));
        table_cell(&table, "%s", json_true(drain, "new") ? "new" : "old");
        table_cell(&table, "%s", text_duration(json_number_or(drain, "duration_ms", -1), text));
        if (notice < 0)
            table_cell(&table, "%s", drained ? "was idle" : "-");
        else
            table_cell(&table, "%.1fms", notice);
        table_cell(&table, "%s%s",
                   json_true(drain, "forced") ? "budget ran out"
                   : drained                  ? "by itself"
                                              : "still draining",
                   ends_of(drain, ends));
        table_cell(&table, "%s", text_time(json_text(drain, "stopped"), false, text));
        table_cell(&table, "%s", text_time(json_text(drain, "removed"), false, text));
    }
    lines_add(lines, "%s", "");
    table_finish(&table, "  ", lines);
}

const char *record_before(const struct cJSON *rollout)
{
    const char *image = json_text(rollout, "previous_image");
    return image[0] != '\0' ? image : "nothing";
}

void record_summary(const struct cJSON *rollout, struct lines *lines)
{
    const char *state = json_text(rollout, "state");
    const char *why = json_text(rollout, "why");
    char time[TEXT_BYTES];
    char words[TEXT_BYTES];
    snprintf(words, sizeof words, "%s", state);
    for (char *at = words; *at != '\0'; at++)
        if (*at == '_')
            *at = ' ';
    lines_add(lines, "%s" BOLD "%s" PLAIN " rollout %s of %s: %s %s %s, in %s", record_style(state),
              words, json_text(rollout, "id"), json_text(rollout, "service"),
              record_before(rollout), text_glyph("→", "->"), json_text(rollout, "image"),
              text_duration(json_number_or(rollout, "duration_ms", -1), time));
    if (why[0] != '\0')
        lines_add(lines, "  %s", why);
    if (json_text(rollout, "order_why")[0] != '\0')
        lines_add(lines, "  %s: %s", json_text(rollout, "order"), json_text(rollout, "order_why"));
    if (cJSON_GetArraySize(json_get(rollout, "steps")) > 0)
        add_steps(rollout, lines);
    add_drains(rollout, lines);
}

static void add_proofs(const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *drain, *row;
    struct table table;
    bool any = false;
    table_init(&table, "lrrrrrrr", "PROOF|EPOCH|WORKER|PID|SEEN|ACTIVE|CONNECTING|IDLE");
    cJSON_ArrayForEach(drain, json_get(rollout, "drains"))
    {
        cJSON_ArrayForEach(row, json_get(drain, "proof"))
        {
            any = true;
            table_cell(&table, "%s", json_text(drain, "container"));
            table_cell(&table, "%.0f", json_number(drain, "epoch"));
            table_cell(&table, "%.0f", json_number(row, "row"));
            table_cell(&table, "%.0f", json_number(row, "pid"));
            table_cell(&table, "%.0f", json_number(row, "seen_epoch"));
            table_cell(&table, "%.0f", json_number(row, "active"));
            table_cell(&table, "%.0f", json_number(row, "connecting"));
            table_cell(&table, "%.0f", json_number(row, "idle"));
        }
    }
    struct lines proofs = {0};
    table_finish(&table, "  ", &proofs);
    if (any)
        lines_add(lines, "%s", "");
    for (size_t i = 0; any && i < proofs.count; i++)
        lines_add(lines, "%s", proofs.items[i]);
    lines_done(&proofs);
}

static void add_changed(const struct cJSON *map, const char *what, struct lines *lines)
{
    const struct cJSON *item;
    cJSON_ArrayForEach(item, map) lines_add(lines, "  changed %s %s%s", what, item->string,
                                            cJSON_IsNull(item) ? " (unset)" : "");
}

/* What was changed on purpose; of variables and labels the names, for values may be secrets. */
static void add_changes(const struct cJSON *changes, struct lines *lines)
{
    static const char *const plain[] = {"memory", "cpus", "command"};
    add_changed(json_get(changes, "env"), "env", lines);
    add_changed(json_get(changes, "labels"), "label", lines);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        const struct cJSON *item = json_get(changes, plain[i]);
        char *text = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
        if (text != NULL)
            lines_add(lines, "  changed %s: %s", plain[i], text);
        cJSON_free(text);
    }
}

void record_full(const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *entry, *log = json_get(rollout, "log");
    char started[TEXT_BYTES], ended[TEXT_BYTES];
    record_summary(rollout, lines);
    lines_add(lines, "%s", "");
    lines_add(lines, "  started %s by %s, ended %s",
              text_time(json_text(rollout, "created"), true, started), json_text(rollout, "user"),
              text_time(json_text(rollout, "ended"), true, ended));
    if (json_text(rollout, "reason")[0] != '\0')
        lines_add(lines, "  reason: %s", json_text(rollout, "reason"));
    lines_add(lines, "  image   %s  %s", json_text(rollout, "image"),
              json_text(rollout, "image_id"));
    lines_add(lines, "  before  %s  %s", record_before(rollout),
              json_text(rollout, "previous_image_id"));
    add_changes(json_get(rollout, "changes"), lines);
    add_proofs(rollout, lines);
    if (cJSON_GetArraySize(log) > 0)
        lines_add(lines, "%s", "");
    cJSON_ArrayForEach(entry, log)
    {
        lines_add(lines, "  %s  %-22s %s", text_time(json_text(entry, "time"), false, started),
                  json_text(entry, "event"), json_text(entry, "message"));
    }
}

void record_list(const struct cJSON *rollouts, struct lines *lines)
{
    const struct cJSON *rollout;
    char created[TEXT_BYTES], duration[TEXT_BYTES];
    struct table table;
    if (cJSON_GetArraySize(rollouts) == 0) {
        lines_add(lines, "no rollouts yet");
        return;
    }
    table_init(&table, "lllllrl", "STARTED|ROLLOUT|SERVICE|IMAGE|STATE|TOOK|WHY");
    cJSON_ArrayForEach(rollout, rollouts)
    {
        const char *state = json_text(rollout, "state");
        const char *why = json_text(rollout, "why");
        table_cell(&table, "%s", text_time(json_text(rollout, "created"), true, created));
        table_cell(&table, "%s", json_text(rollout, "id"));
        table_cell(&table, "%s", json_text(rollout, "service"));
        table_cell(&table, "%s", json_text(rollout, "image"));
        table_cell(&table, "%s%s" PLAIN, record_style(state), state);
        table_cell(&table, "%s",
                   text_duration(json_number_or(rollout, "duration_ms", -1), duration));
        table_cell(&table, "%s", why[0] != '\0' ? why : json_text(rollout, "reason"));
    }
    table_finish(&table, "", lines);
}
