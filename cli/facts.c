#include "facts.h"

#include "base/memory.h"
#include "json.h"
#include "record.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_EVERY_MS 10000 /* a drain that takes long is mentioned so often */

void facts_init(struct facts *facts)
{
    *facts = (struct facts){.health = cJSON_CreateObject()};
}

void facts_done(struct facts *facts)
{
    lines_done(&facts->told);
    cJSON_Delete(facts->health);
    *facts = (struct facts){0};
}

bool facts_is_end(const char *state)
{
    const char *ends[] = {"completed", "rolled_back", "aborted", "needs_attention"};
    for (unsigned i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(state, ends[i]) == 0)
            return true;
    return false;
}

/* Whether this is the first time; it is not any more after. */
__attribute__((format(printf, 2, 3))) static bool first(struct facts *facts, const char *format,
                                                        ...)
{
    char key[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(key, sizeof key, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < facts->told.count; i++)
        if (strcmp(facts->told.items[i], key) == 0)
            return false;
    lines_add(&facts->told, "%s", key);
    return true;
}

static void tell_health(struct facts *facts, const char *name, const char *health,
                        const char *reason, struct lines *lines)
{
    const char *before = json_text(facts->health, name);
    bool verdict = strcmp(health, "healthy") == 0 || strcmp(health, "unhealthy") == 0;
    if (name[0] == '\0' || !verdict || strcmp(before, health) == 0)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(facts->health, name);
    cJSON_AddStringToObject(facts->health, name, health);
    lines_add(lines, "%s is %s%s" PLAIN "%s%s", name, health[0] == 'h' ? GOOD : BAD, health,
              reason[0] != '\0' && health[0] == 'u' ? ": " : "", health[0] == 'u' ? reason : "");
}

static void tell_containers(struct facts *facts, const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *container;
    cJSON_ArrayForEach(container, json_get(rollout, "containers"))
    {
        const char *name = json_text(container, "name"), *id = json_text(container, "id");
        if (!json_true(container, "new"))
            continue;
        if (id[0] != '\0' && first(facts, "container_created %s", id))
            lines_add(lines, "created %s", name);
        if (strcmp(json_text(container, "state"), "running") == 0 &&
            first(facts, "container_started %s", id))
            lines_add(lines, "started %s", name);
        tell_health(facts, name, json_text(container, "health"), json_text(container, "reason"),
                    lines);
    }
}

/* An entry of rollout.drains. */
static void tell_drain(struct facts *facts, const struct cJSON *drain, struct lines *lines)
{
    const char *name = json_text(drain, "container"), *id = json_text(drain, "id");
    char duration[TEXT_BYTES];
    double notice = json_number_or(drain, "notice_ms", -1);
    if (first(facts, "drain %s", id))
        lines_add(lines, "draining %s (%s version)", name, json_true(drain, "new") ? "new" : "old");
    if (json_text(drain, "drained")[0] != '\0' && first(facts, "drained %s", id)) {
        text_duration(json_number_or(drain, "duration_ms", -1), duration);
        if (json_true(drain, "forced"))
            lines_add(lines, WARN "drained %s" PLAIN " in %s: its budget ran out", name, duration);
        else if (notice < 0)
            lines_add(lines, "drained %s in %s: it was idle", name, duration);
        else
            lines_add(lines, "drained %s in %s, noticed %.1fms after its last exchange", name,
                      duration, notice);
    }
    if (json_text(drain, "stopped")[0] != '\0' && first(facts, "container_stopped %s", id))
        lines_add(lines, "stopped %s", name);
    if (json_text(drain, "removed")[0] != '\0' && first(facts, "container_removed %s", id))
        lines_add(lines, "removed %s", name);
}

/* What the step that ended shows of the split: a weight's own, or where a pause follows it, as that
 * pause ended; when the weight was set, hardly anything had been split by it. */
static const struct cJSON *measured_step(const struct cJSON *step)
{
    bool pause = record_is_pause(step);

    if (pause)
        return json_number(step, "index") > 0 && json_get(step->prev, "set_weight") != NULL
                   ? step->prev /* of the first one that would be the last */
                   : NULL;
    return step->next != NULL && record_is_pause(step->next) ? NULL : step;
}

/* Each verdict once per step; its figures go on changing. */
static void tell_analysis(struct facts *facts, const struct cJSON *step, struct lines *lines)
{
    const char *verdict = json_text(step, "analysis.verdict");
    int index = (int)json_number(step, "index");
    if (verdict[0] != '\0' && first(facts, "analysis %d %s", index, verdict))
        lines_add(lines, "analysis: %s%s" PLAIN ": %s", record_verdict_style(verdict), verdict,
                  json_text(step, "analysis.why"));
}

static void tell_step(struct facts *facts, const struct cJSON *step, int count, struct lines *lines)
{
    double exchanges = 0, canary = 0, error = 0;
    int index = (int)json_number(step, "index");
    const char *state = json_text(step, "state");
    char words[TEXT_BYTES], off[TEXT_BYTES];
    record_step(step, words);
    tell_analysis(facts, step, lines);
    bool pause = record_is_pause(step);
    if (pause && strcmp(state, "running") == 0 && first(facts, "step %d", index))
        lines_add(lines, "step %d of %d: %s%s", index + 1, count, words,
                  strcmp(json_text(step, "pause"), "until_promoted") == 0
                      ? " (`sluice promote` goes on, `sluice abort` takes it back)"
                      : "");
    if (strcmp(state, "done") != 0 || !first(facts, "done %d", index))
        return;
    const struct cJSON *measured = measured_step(step);
    if (measured != NULL && record_split(measured, &exchanges, &canary, &error) && exchanges > 0)
        lines_add(lines,
                  "step %d of %d done: %s; %.0f of %.0f requests went to the new version, "
                  "%s%s",
                  index + 1, count, words, canary, exchanges, record_deviation(error, off),
                  error < 0 ? "" : " per worker at most");
    else if (!pause)
        lines_add(lines, "step %d of %d done: %s", index + 1, count, words);
}

static void tell_state(struct facts *facts, const struct cJSON *rollout, struct lines *lines)
{
    const char *state = json_text(rollout, "state"), *why = json_text(rollout, "why");
    if (strcmp(state, facts->state) == 0)
        return;
    bool was_paused = strcmp(facts->state, "paused") == 0;
    snprintf(facts->state, sizeof facts->state, "%s", state);
    if (strcmp(state, "rolling_back") == 0)
        lines_add(lines, BAD "rolling back" PLAIN "%s%s", why[0] != '\0' ? ": " : "", why);
    else if (strcmp(state, "finishing") == 0 &&
             (strcmp(json_text(rollout, "strategy"), "first") == 0 ||
              strcmp(json_text(rollout, "strategy"), "scale") == 0))
        lines_add(lines, "it stays so: what is too many goes, and names are put right");
    else if (strcmp(state, "finishing") == 0)
        lines_add(lines, "the new version has all traffic; the old one is drained and removed");
    else if (strcmp(state, "paused") == 0)
        lines_add(lines, WARN "paused" PLAIN);
    else if (strcmp(state, "running") == 0 && was_paused)
        lines_add(lines, "going on");
}

/* For the engine, which is told anyway by what it then has done. */
static bool is_brief(const char *waiting)
{
    return strstr(waiting, ": an action on it is under way") != NULL ||
           strcmp(waiting, "for the engine to make a container") == 0;
}

static void tell_waiting(struct facts *facts, const char *waiting, struct lines *lines)
{
    char bare[sizeof facts->waiting];
    size_t length = 0;
    if (is_brief(waiting))
        return;
    for (const char *at = waiting; *at != '\0' && length + 1 < sizeof bare; at++)
        if (!isdigit((unsigned char)*at) && *at != '.')
            bare[length++] = *at;
    bare[length] = '\0';
    if (strcmp(bare, facts->waiting) == 0)
        return;
    memcpy(facts->waiting, bare, length + 1);
    if (bare[0] != '\0')
        lines_add(lines, DIM "waiting %s" PLAIN, waiting);
}

void facts_rollout(struct facts *facts, const struct cJSON *rollout, struct lines *lines)
{
    const struct cJSON *item, *steps = json_get(rollout, "steps");
    char weight[TEXT_BYTES], before[TEXT_BYTES];
    if (!facts->begun)
        lines_add(lines, BOLD "%s" PLAIN ": %s %s %s, %.0f replicas, %d steps; rollout %s",
                  json_text(rollout, "service"), record_before(rollout), text_glyph("→", "->"),
                  json_text(rollout, "image"), json_number(rollout, "replicas"),
                  cJSON_GetArraySize(steps), json_text(rollout, "id"));
    if (!facts->begun && json_text(rollout, "order_why")[0] != '\0')
        lines_add(lines, "%s: %s", json_text(rollout, "order"), json_text(rollout, "order_why"));
    facts->begun = true;
    tell_containers(facts, rollout, lines);
    double now = json_number(rollout, "weight");
    if (now < facts->weight || now > facts->weight) {
        lines_add(lines, BOLD "%s" PLAIN " of the traffic goes to the new version, before: %s",
                  text_weight(now, weight), text_weight(facts->weight, before));
        facts->weight = now;
    }
    cJSON_ArrayForEach(item, steps)
    {
        tell_step(facts, item, cJSON_GetArraySize(steps), lines);
    }
    tell_state(facts, rollout, lines);
    cJSON_ArrayForEach(item, json_get(rollout, "drains"))
    {
        tell_drain(facts, item, lines);
    }
    tell_waiting(facts, json_text(rollout, "waiting"), lines);
}

/* "2 requests, 1 websockets" */
static const char *active_kinds(const struct cJSON *drain, char text[TEXT_BYTES])
{
    const struct cJSON *kind;
    size_t length = 0;
    text[0] = '\0';
    cJSON_ArrayForEach(kind, json_get(drain, "active_by_kind"))
    {
        if (kind->valuedouble < 1 || length + 1 >= TEXT_BYTES)
            continue;
        length += (size_t)snprintf(text + length, TEXT_BYTES - length, "%s%.0f %s%s",
                                   length > 0 ? ", " : "", kind->valuedouble, kind->string,
                                   strcmp(kind->string, "tcp") == 0 ? "" : "s");
    }
    return text;
}

/* Long drains, from the service's backends. */
static void tell_holds(struct facts *facts, const struct cJSON *group, struct lines *lines)
{
    const struct cJSON *backend;
    char left[TEXT_BYTES], kinds[TEXT_BYTES];
    cJSON_ArrayForEach(backend, json_get(group, "backends"))
    {
        const struct cJSON *drain = json_get(backend, "drain");
        double waited = json_number(drain, "waited_ms"), active = json_number(drain, "active");
        if (active < 1 || waited < HOLD_EVERY_MS)
            continue;
        const char *name = json_text(backend, "name");
        if (!first(facts, "hold %s %.0f %d", name, json_number(drain, "epoch"),
                   (int)(waited / HOLD_EVERY_MS)))
            continue;
        lines_add(lines, "%s still has %.0f active (%s), %s left; `sluice drain` shows them", name,
                  active, active_kinds(drain, kinds),
                  text_duration(json_number(drain, "left_ms"), left));
    }
}

void facts_event(struct facts *facts, const char *event, const struct cJSON *data,
                 struct lines *lines)
{
    const char *name = json_text(data, "name");
    if (strncmp(event, "drain_", 6) == 0) {
        tell_drain(facts, json_get(data, "drain"), lines);
    } else if (strncmp(event, "container_", 10) == 0) {
        if (first(facts, "%s %s", event, json_text(data, "container")))
            lines_add(lines, "%s %s", event + 10, name);
    } else if (strcmp(event, "backend_health") == 0) {
        const struct cJSON *backend = json_get(data, "backend");
        tell_health(facts, json_text(backend, "name"), json_text(backend, "health"),
                    json_text(backend, "reason"), lines);
    } else if (strcmp(event, "service") == 0) {
        tell_holds(facts, json_get(data, "groups.stable"), lines);
        tell_holds(facts, json_get(data, "groups.canary"), lines);
    }
}
