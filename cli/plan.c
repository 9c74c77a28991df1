#include "plan.h"

#include "json.h"

#include <stdio.h>
#include <string.h>

#define ID_SHOWN 19 /* "sha256:" and twelve digits */

bool plan_is_refused(const struct cJSON *plan)
{
    return strcmp(json_text(plan, "would"), "refuse") == 0;
}

static void add_limits(const struct cJSON *settings, struct table *table)
{
    double memory = json_number(settings, "memory_bytes");
    double cpus = json_number(settings, "nano_cpus");
    char text[TEXT_BYTES] = "no limit";

    if (memory > 0)
        text_bytes(memory, text);
    if (cpus > 0)
        table_cell(table, "%s, %.6g CPUs", text, cpus / 1e9);
    else
        table_cell(table, "%s", text);
}

static void add_names(const struct cJSON *names, struct table *table)
{
    char text[TABLE_CELL_BYTES] = "";
    size_t length = 0;
    const struct cJSON *name;

    cJSON_ArrayForEach(name, names)
    {
        if (cJSON_IsString(name) && length < sizeof text)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length > 0 ? ", " : "", name->valuestring);
    }
    table_cell(table, "%s", text);
}

static void add_running(const struct cJSON *plan, struct lines *lines)
{
    const struct cJSON *container;
    struct table table;
    table_init(&table, "llllll", "RUNNING|IMAGE|ID|DIGEST|LIMITS|NETWORKS");
    cJSON_ArrayForEach(container, json_get(plan, "running"))
    {
        const char *digest = strchr(json_text(container, "digest"), '@');
        table_cell(&table, "%s", json_text(container, "name"));
        table_cell(&table, "%s", json_text(container, "image"));
        table_cell(&table, "%.*s", ID_SHOWN, json_text(container, "image_id"));
        table_cell(&table, "%.*s", ID_SHOWN, digest != NULL ? digest + 1 : "-");
        add_limits(json_get(container, "settings"), &table);
        add_names(json_get(container, "settings.networks"), &table);
    }
    lines_add(lines, "%s", "");
    table_finish(&table, "  ", lines);
}

/* Of a first deployment, in place of what runs. */
static void add_first(const struct cJSON *plan, struct lines *lines)
{
    const struct cJSON *create = json_get(plan, "create"), *mount, *port;
    struct table table;
    char text[TABLE_CELL_BYTES] = "";
    size_t length = 0;
    table_init(&table, "rllll", "MADE|NETWORKS|RESTART|PUBLISHED|VOLUMES");
    table_cell(&table, "%.0f", json_number(create, "replicas"));
    add_names(json_get(create, "settings.networks"), &table);
    table_cell(&table, "%s", json_text(create, "settings.restart"));
    cJSON_ArrayForEach(port, json_get(create, "settings.published"))
    {
        if (length < sizeof text)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length > 0 ? ", " : "", port->string);
    }
    table_cell(&table, "%s", text);
    text[length = 0] = '\0';
    cJSON_ArrayForEach(mount, json_get(create, "settings.mounts"))
    {
        if (length < sizeof text)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length > 0 ? ", " : "", json_text(mount, "path"));
    }
    table_cell(&table, "%s", text);
    lines_add(lines, "%s", "");
    table_finish(&table, "  ", lines);
}

static void add_image(const struct cJSON *plan, struct lines *lines)
{
    const char *digest = json_text(plan, "digest");
    double bytes = json_number(plan, "image_bytes");
    char size[TEXT_BYTES] = "size not known before the pull";

    if (bytes > 0)
        text_bytes(bytes, size);
    lines_add(lines, "%s", "");
    if (json_true(plan, "pull"))
        lines_add(lines, "  would be pulled: %s  %s  (%s)", json_text(plan, "image"), digest, size);
    else
        lines_add(lines, "  on the engine: %s  %.*s  %s  (%s)", json_text(plan, "image"), ID_SHOWN,
                  json_text(plan, "image_id"), digest, size);
}

/* How a container comes up in detail is in the JSON: create stands for it. */
static bool is_detail(const char *kind)
{
    return strcmp(kind, "start") == 0 || strcmp(kind, "publish") == 0 || strcmp(kind, "ready") == 0;
}

static void add_actions(const struct cJSON *plan, struct lines *lines)
{
    const struct cJSON *action;
    char text[TEXT_BYTES];
    struct table table;
    table_init(&table, "rlll", "AFTER|WOULD|WHAT|WHY");
    cJSON_ArrayForEach(action, json_get(plan, "actions"))
    {
        const char *kind = json_text(action, "kind");
        bool is_new = json_true(action, "new");
        if (is_new && is_detail(kind))
            continue;
        table_cell(&table, "%s", text_duration(json_number(action, "after_ms"), text));
        table_cell(&table, "%s", kind);
        if (json_get(action, "weight") != NULL)
            table_cell(&table, "%s", text_weight(json_number(action, "weight"), text));
        else if (json_text(action, "task")[0] != '\0')
            table_cell(&table, "%s", json_text(action, "task"));
        else if (json_text(action, "container")[0] != '\0')
            table_cell(&table, "%s (%s)", json_text(action, "container"), is_new ? "new" : "old");
        else
            table_cell(&table, "%s", "");
        table_cell(&table, "%s", json_text(action, "why"));
    }
    lines_add(lines, "%s", "");
    table_finish(&table, "  ", lines);
    lines_add(lines, "%s", "");
    lines_add(lines,
              "  at least %s, without waiting for health and drains; at most %.0f more containers "
              "at once",
              text_duration(json_number(plan, "takes_ms"), text), json_number(plan, "beside"));
    if (json_text(plan, "waiting")[0] != '\0')
        lines_add(lines, "  it would not end by itself: it waits %s", json_text(plan, "waiting"));
}

static const char *style_of(const char *outcome)
{
    if (strcmp(outcome, "refused") == 0)
        return BAD;
    if (strcmp(outcome, "warning") == 0)
        return WARN;
    return strcmp(outcome, "ok") == 0 ? GOOD : DIM;
}

void plan_check_lines(const struct cJSON *checks, bool with_good, struct lines *lines)
{
    const struct cJSON *check;

    cJSON_ArrayForEach(check, checks)
    {
        const char *outcome = json_text(check, "outcome");
        if (!with_good && (strcmp(outcome, "ok") == 0 || strcmp(outcome, "skipped") == 0))
            continue;
        lines_add(lines, "  %s%-8s" PLAIN " %-14s %s%s", style_of(outcome), outcome,
                  json_text(check, "name"), json_text(check, "message"),
                  json_true(check, "forced") ? " (forced)" : "");
    }
}

void plan_lines(const struct cJSON *plan, struct lines *lines)
{
    lines_add(lines, BOLD "dry run" PLAIN ": rollout of %s (%s) to %s; nothing is changed",
              json_text(plan, "service"), json_text(plan, "strategy"), json_text(plan, "image"));
    if (json_get(plan, "create") != NULL)
        add_first(plan, lines);
    else
        add_running(plan, lines);
    add_image(plan, lines);
    add_actions(plan, lines);
    lines_add(lines, "%s", "");
    plan_check_lines(json_get(plan, "checks"), true, lines);
    lines_add(lines, "%s", "");
    if (plan_is_refused(plan))
        lines_add(lines, BAD "it would be refused" PLAIN);
    else
        lines_add(lines, GOOD "it would begin" PLAIN);
}
