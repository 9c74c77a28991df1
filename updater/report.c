#include "report.h"

#include "base/memory.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text { /* grows */
    char *bytes;
    size_t length, size;
};

static void add_bytes(struct text *text, const char *bytes, size_t length)
{
    while (text->length + length + 1 > text->size) {
        text->size = text->size > 0 ? text->size * 2 : 4096;
        text->bytes = memory_resize(text->bytes, text->size);
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length > 0)
        add_bytes(text, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

/* What came from elsewhere: no markup, no line of its own, no control bytes, those of C1 (U+0080 to
 * U+009F) included: terminals obey them. */
static void add_foreign(struct text *text, const char *foreign)
{
    for (const char *at = foreign; *at != '\0'; at++) {
        bool is_c1 = (unsigned char)at[0] == 0xc2 && ((unsigned char)at[1] & 0xe0) == 0x80;
        if ((unsigned char)*at < 0x20 || *at == 0x7f || is_c1) {
            add_bytes(text, " ", 1);
            at += is_c1;
            continue;
        }
        if (strchr("\\`*<>[]|#!~&", *at) != NULL)
            add_bytes(text, "\\", 1);
        add_bytes(text, at, 1);
    }
}

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *string(const cJSON *object, const char *key)
{
    const cJSON *item = get(object, key);

    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = get(object, key);

    return cJSON_IsNumber(item) ? item->valuedouble : 0.;
}

static bool has_entries(const cJSON *object, const char *key)
{
    return cJSON_GetArraySize(get(object, key)) > 0;
}

/* "1.2 s", "3 min 5 s" */
static void add_duration(struct text *text, double ms)
{
    double seconds = ms / 1000.;

    if (seconds < 60.)
        add(text, "%.1f s", seconds);
    else if (seconds < 3600.)
        add(text, "%d min %d s", (int)seconds / 60, (int)seconds % 60);
    else
        add(text, "%d h %d min", (int)(seconds / 3600.), (int)(seconds / 60.) % 60);
}

/* --- the head ------------------------------------------------------------------------------- */

static void add_row(struct text *text, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    add(text, "| %s | ", name);
    add_foreign(text, value);
    add(text, " |\n");
}

static void add_head(struct text *text, const cJSON *rollout)
{
    add(text, "# ");
    add_foreign(text, string(rollout, "service"));
    add(text, ": ");
    add_foreign(text, string(rollout, "previous_image")[0] != '\0'
                          ? string(rollout, "previous_image")
                          : "nothing"); /* the first containers of the service */
    add(text, " → ");
    add_foreign(text, string(rollout, "image"));
    add(text, ", %s\n\n| | |\n| --- | --- |\n", string(rollout, "state"));
    add_row(text, "rollout", string(rollout, "id"));
    add_row(text, "asked for by", string(rollout, "user"));
    add_row(text, "reason", string(rollout, "reason"));
    add_row(text, "strategy", string(rollout, "strategy"));
    add_row(text, "started", string(rollout, "created"));
    add_row(text, "ended", string(rollout, "ended"));
    add(text, "| took | ");
    add_duration(text, number(rollout, "duration_ms"));
    add(text, " |\n| replicas | %.0f |\n", number(rollout, "replicas"));
    add_row(text, "new image id", string(rollout, "image_id"));
    add_row(text, "digest", string(rollout, "digest"));
    add_row(text, "old image id", string(rollout, "previous_image_id"));
}

/* --- what went wrong ------------------------------------------------------------------------ */

static bool entry_is_wrong(const cJSON *entry)
{
    const char *state = string(entry, "state");

    return strcmp(state, "failed") == 0 || strcmp(state, "warning") == 0;
}

static void add_wrong_entries(struct text *text, const cJSON *entries, const char *what)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, entries)
    {
        if (!entry_is_wrong(entry))
            continue;
        add(text, "- %s ", what);
        add_foreign(text, string(entry, "name"));
        add(text, ": ");
        add_foreign(text, string(entry, "message"));
        add(text, "\n");
    }
}

static void add_failures(struct text *text, const cJSON *failures)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, failures)
    {
        add(text, "- %s: ", string(entry, "action"));
        add_foreign(text, string(entry, "message"));
        add(text, " (%s)\n", string(entry, "time"));
    }
}

static void add_wrong(struct text *text, const cJSON *rollout)
{
    struct text wrong = {0};

    if (string(rollout, "why")[0] != '\0') {
        add(&wrong, "- ");
        add_foreign(&wrong, string(rollout, "why"));
        add(&wrong, "\n");
    }
    add_failures(&wrong, get(rollout, "failures"));
    add_wrong_entries(&wrong, get(rollout, "hooks"), "hook");
    add_wrong_entries(&wrong, get(rollout, "verifications"), "verification");
    add_wrong_entries(&wrong, get(rollout, "checks"), "check");
    if (wrong.length > 0) {
        add(text, "\n## What went wrong\n\n");
        add_bytes(text, wrong.bytes, wrong.length);
    }
    free(wrong.bytes);
}

/* --- tables --------------------------------------------------------------------------------- */

static void add_cell(struct text *text, const char *value)
{
    add_foreign(text, value[0] != '\0' ? value : "–");
    add(text, " | ");
}

static void add_split(struct text *text, const cJSON *split)
{
    double exchanges = 0., canary = 0., error = 0.;
    bool by_user = false;
    const cJSON *row;

    cJSON_ArrayForEach(row, split)
    {
        double its = number(row, "error");

        exchanges += number(row, "exchanges");
        canary += number(row, "canary");
        error = its > error ? its : -its > error ? -its : error;
        by_user = by_user || strcmp(string(row, "by"), "user") == 0;
    }
    if (exchanges > 0.)
        add(text, "%.0f | %.0f (%.2f %%) | ", exchanges, canary, 100. * canary / exchanges);
    else
        add(text, "– | – | ");
    if (exchanges > 0. && !by_user)
        add(text, "%.2f |\n", error);
    else
        add(text, "%s |\n", exchanges > 0. ? "by user" : "–");
}

static void add_step_name(struct text *text, const cJSON *step)
{
    static const char *const leave_out[] = {"index", "state", "started",
                                            "ended", "split", "duration_ms"};
    const cJSON *item;

    cJSON_ArrayForEach(item, step)
    {
        bool is_left_out = false;
        char *value;

        for (size_t i = 0; i < sizeof(leave_out) / sizeof(leave_out[0]); i++)
            is_left_out = is_left_out || strcmp(item->string, leave_out[i]) == 0;
        if (is_left_out)
            continue;
        value = cJSON_PrintUnformatted(item);
        add(text, "%s ", item->string);
        add_foreign(text, value != NULL ? value : "");
        add(text, " ");
        cJSON_free(value);
    }
    add(text, "| ");
}

static void add_steps(struct text *text, const cJSON *rollout)
{
    const cJSON *step;

    if (!has_entries(rollout, "steps"))
        return;
    add(text, "\n## Steps\n\n| step | state | started | ended | requests | to the new version | "
              "furthest off, of one worker |\n| --- | --- | --- | --- | ---: | ---: | ---: |\n");
    cJSON_ArrayForEach(step, get(rollout, "steps"))
    {
        add(text, "| %.0f ", number(step, "index") + 1.);
        add_step_name(text, step);
        add_cell(text, string(step, "state"));
        add_cell(text, string(step, "started"));
        add_cell(text, string(step, "ended"));
        add_split(text, get(step, "split"));
    }
}

static void add_containers(struct text *text, const cJSON *rollout)
{
    const cJSON *container;

    if (!has_entries(rollout, "containers"))
        return;
    add(text, "\n## Containers\n\n| name | version | id | image id | started | stopped | removed | "
              "now |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    cJSON_ArrayForEach(container, get(rollout, "containers"))
    {
        add(text, "| ");
        add_cell(text, string(container, "name"));
        add_cell(text, cJSON_IsTrue(get(container, "new")) ? "new" : "old");
        add(text, "%.12s | ", string(container, "id"));
        add_cell(text, string(container, "image_id"));
        add_cell(text, string(container, "started"));
        add_cell(text, string(container, "stopped"));
        add_cell(text, string(container, "removed"));
        add_foreign(text, string(container, "state"));
        add(text, " |\n");
    }
}

static void add_proof(struct text *text, const cJSON *drain)
{
    const cJSON *row;

    add(text, "epoch %.0f", number(drain, "epoch"));
    if (cJSON_GetArraySize(get(drain, "proof")) == 0 && !cJSON_IsNull(get(drain, "drained")))
        add(text, "; no worker was running"); /* it died, and what it had ended with it */
    cJSON_ArrayForEach(row, get(drain, "proof"))
    {
        add(text, "; worker %.0f (pid %.0f) saw %.0f, %.0f active, %.0f connecting, %.0f idle",
            number(row, "row"), number(row, "pid"), number(row, "seen_epoch"),
            number(row, "active"), number(row, "connecting"), number(row, "idle"));
    }
}

static void add_drains(struct text *text, const cJSON *rollout)
{
    const cJSON *drain;

    if (!has_entries(rollout, "drains"))
        return;
    add(text, "\n## Drains\n\n| container | version | began | drained | took | ended by | proof |\n"
              "| --- | --- | --- | --- | ---: | --- | --- |\n");
    cJSON_ArrayForEach(drain, get(rollout, "drains"))
    {
        add(text, "| ");
        add_cell(text, string(drain, "container"));
        add_cell(text, cJSON_IsTrue(get(drain, "new")) ? "new" : "old");
        add_cell(text, string(drain, "started"));
        add_cell(text, string(drain, "drained"));
        add_duration(text, number(drain, "duration_ms"));
        add(text, " | %s | ",
            cJSON_IsTrue(get(drain, "forced"))    ? "its budget"
            : string(drain, "drained")[0] != '\0' ? "itself"
                                                  : "–");
        add_proof(text, drain);
        add(text, " |\n");
    }
}

static void add_tasks(struct text *text, const cJSON *tasks, const char *title)
{
    const cJSON *task;

    if (cJSON_GetArraySize(tasks) == 0)
        return;
    add(text,
        "\n## %s\n\n| name | at | kind | result | tries | took | by | it said |\n"
        "| --- | --- | --- | --- | ---: | ---: | --- | --- |\n",
        title);
    cJSON_ArrayForEach(task, tasks)
    {
        add(text, "| ");
        add_cell(text, string(task, "name"));
        add(text, "%s, step %.0f | ", string(task, "on"), number(task, "step") + 1.);
        add_cell(text, string(task, "kind"));
        add_cell(text, string(task, "state"));
        add(text, "%.0f | ", number(task, "attempts"));
        add_duration(text, number(task, "duration_ms"));
        add(text, " | ");
        add_cell(text, string(task, "user"));
        add_foreign(text, string(task, "message"));
        add(text, " |\n");
    }
}

/* --- lists ---------------------------------------------------------------------------------- */

static void add_checks(struct text *text, const cJSON *rollout)
{
    const cJSON *check;

    if (!has_entries(rollout, "checks"))
        return;
    add(text, "\n## Checked at the end\n\n");
    cJSON_ArrayForEach(check, get(rollout, "checks"))
    {
        add(text, "- %s: ", string(check, "state"));
        add_foreign(text, string(check, "name"));
        if (string(check, "message")[0] != '\0')
            add(text, ": ");
        add_foreign(text, string(check, "message"));
        add(text, "\n");
    }
}

/* Before it began: what was not simply well. */
static void add_preflight(struct text *text, const cJSON *rollout)
{
    struct text list = {0};
    const cJSON *check;

    cJSON_ArrayForEach(check, get(rollout, "preflight"))
    {
        const char *outcome = string(check, "outcome");

        if (strcmp(outcome, "ok") == 0)
            continue;
        add(&list, "- ");
        add_foreign(&list, outcome);
        add(&list, ": ");
        add_foreign(&list, string(check, "name"));
        add(&list, ": ");
        add_foreign(&list, string(check, "message"));
        add(&list, "%s\n", cJSON_IsTrue(get(check, "forced")) ? " (forced)" : "");
    }
    if (list.length > 0) {
        add(text, "\n## Checked before it began\n\n");
        add_bytes(text, list.bytes, list.length);
    }
    free(list.bytes);
}

static void add_notes(struct text *text, const cJSON *notes, const char *title, bool lessons_only)
{
    struct text list = {0};
    const cJSON *note;

    cJSON_ArrayForEach(note, notes)
    {
        const char *user = string(note, "user");

        if (lessons_only && !cJSON_IsTrue(get(note, "lesson")))
            continue;
        add(&list, "- ");
        add_foreign(&list, string(note, "message"));
        add(&list, " (");
        add_foreign(&list, user[0] != '\0' ? user : "Sluice");
        add(&list, ", %s)\n", string(note, "time"));
    }
    if (list.length > 0) {
        add(text, "\n## %s\n\n", title);
        add_bytes(text, list.bytes, list.length);
    }
    free(list.bytes);
}

static void add_log(struct text *text, const cJSON *rollout)
{
    const cJSON *line;

    if (!has_entries(rollout, "log"))
        return;
    add(text, "\n## Log\n\n| time | event | |\n| --- | --- | --- |\n");
    cJSON_ArrayForEach(line, get(rollout, "log"))
    {
        add(text, "| %s | ", string(line, "time"));
        add_cell(text, string(line, "event"));
        add_foreign(text, string(line, "message"));
        add(text, " |\n");
    }
}

char *report_markdown(const cJSON *rollout)
{
    struct text text = {0};

    add_head(&text, rollout);
    add_wrong(&text, rollout);
    add_notes(&text, get(rollout, "notes"), "Lessons for the next time", true);
    add_notes(&text, get(rollout, "lessons"), "Lessons that were there before", false);
    add_preflight(&text, rollout);
    add_steps(&text, rollout);
    add_containers(&text, rollout);
    add_drains(&text, rollout);
    add_tasks(&text, get(rollout, "hooks"), "Hooks");
    add_tasks(&text, get(rollout, "verifications"), "Verifications");
    add_checks(&text, rollout);
    add_notes(&text, get(rollout, "notes"), "Notes", false);
    add_log(&text, rollout);
    return text.bytes;
}
