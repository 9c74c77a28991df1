#include "view_rollout.h"

#include "api_views.h"
#include "base/memory.h"
#include "changes.h"
#include "config/value.h"
#include "record.h"
#include "steady.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static void add_raw(cJSON *object, const char *key, const char *json)
{
    cJSON *value = json ? cJSON_Parse(json) : NULL;

    cJSON_AddItemToObject(object, key, value ? value : cJSON_CreateArray());
}

cJSON *view_member_drain(const struct member *member)
{
    const struct member_drain *drain = &member->drain;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "container", drain->name);
    cJSON_AddStringToObject(object, "id", member->id);
    cJSON_AddNumberToObject(object, "slot", drain->slot);
    cJSON_AddNumberToObject(object, "generation", drain->generation);
    cJSON_AddBoolToObject(object, "new", member->is_new);
    cJSON_AddNumberToObject(object, "epoch", (double)drain->epoch);
    view_add_time(object, "started", drain->started_ms);
    view_add_time(object, "drained", drain->drained_ms);
    cJSON_AddNumberToObject(object, "duration_ms", (double)drain->duration_ms);
    if (drain->notice_us >= 0)
        cJSON_AddNumberToObject(object, "notice_ms", (double)drain->notice_us / 1000.);
    else
        cJSON_AddNullToObject(object, "notice_ms");
    cJSON_AddBoolToObject(object, "forced", drain->forced);
    view_add_time(object, "stopped", member->stopped_ms);
    view_add_time(object, "removed", member->removed_ms);
    add_raw(object, "proof", drain->proof);
    if (drain->ends != NULL)
        add_raw(object, "ends", drain->ends);
    else
        cJSON_AddNullToObject(object, "ends");
    return object;
}

static const char *state_name(enum container_state state)
{
    static const char *const names[] = {
        [CONTAINER_CREATED] = "created", [CONTAINER_RUNNING] = "running",
        [CONTAINER_PAUSED] = "paused",   [CONTAINER_RESTARTING] = "restarting",
        [CONTAINER_EXITED] = "exited",   [CONTAINER_REMOVING] = "removing",
    };

    return names[state];
}

/* What it is now, where the engine still has it. */
static void add_member_now(cJSON *object, const struct service *service,
                           const struct member *member)
{
    const struct container *container =
        service && !service->is_static ? service_container(service, member->id) : NULL;
    const struct updater *updater = service ? service->updater : NULL;
    const char *state = member->removed_ms ? "removed" : member->stopped_ms ? "exited" : "running";
    const char *backend = "none", *health = "unknown";

    if (container) {
        state = state_name(container->facts.state);
        if (container->slot != TABLE_NONE) {
            const struct routing_backend *its = table_backend(updater->table, container->slot);

            backend = backend_state_name((enum backend_state)its->state);
            health = verdict_state_name(
                verdict_state_of(updater->verdicts, (uint32_t)container->slot, its->generation));
        }
    }
    cJSON_AddStringToObject(object, "state", state);
    cJSON_AddStringToObject(object, "backend", backend);
    cJSON_AddStringToObject(object, "health", health);
}

static void add_members(cJSON *object, const struct service *service,
                        const struct member_list *list)
{
    cJSON *containers = cJSON_AddArrayToObject(object, "containers");
    cJSON *drains = cJSON_AddArrayToObject(object, "drains");

    for (unsigned i = 0; i < list->count; i++) {
        const struct member *member = &list->items[i];
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddStringToObject(entry, "name", member->name);
        cJSON_AddStringToObject(entry, "id", member->id);
        cJSON_AddNumberToObject(entry, "ordinal", member->ordinal);
        cJSON_AddBoolToObject(entry, "new", member->is_new);
        cJSON_AddStringToObject(entry, "image_id", member->image_id);
        view_add_time(entry, "started", member->started_ms);
        view_add_time(entry, "stopped", member->stopped_ms);
        view_add_time(entry, "removed", member->removed_ms);
        add_member_now(entry, service, member);
        cJSON_AddItemToArray(containers, entry);
        if (member->drain.begun)
            cJSON_AddItemToArray(drains, view_member_drain(member));
    }
}

static const char *step_state(const struct plan_progress *progress, uint32_t index)
{
    if (index < progress->step)
        return "done";
    return index == progress->step && progress->phase == PHASE_FORWARD ? "running" : "pending";
}

static cJSON *view_analysis(const struct config_analysis *rules)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddNumberToObject(object, "success_rate", view_percent(rules->success_rate));
    cJSON_AddNumberToObject(object, "latency_p99_ms", rules->latency_p99_ms);
    cJSON_AddBoolToObject(object, "compare", rules->compare);
    cJSON_AddNumberToObject(object, "min_requests", rules->min_requests);
    cJSON_AddNumberToObject(object, "interval_ms", rules->interval_ms);
    cJSON_AddStringToObject(object, "inconclusive", inconclusive_words[rules->inconclusive]);
    return object;
}

static void add_step_kind(cJSON *object, const struct config_step *step)
{
    static const char *const kinds[] = {
        [STEP_SET_WEIGHT] = "set_weight", [STEP_PAUSE] = "pause", [STEP_ANALYSIS] = "analysis",
        [STEP_REPLICAS] = "replicas",     [STEP_MATCH] = "match", [STEP_MIRROR] = "mirror",
    };

    cJSON_AddStringToObject(object, "kind", kinds[step->kind]);
    switch (step->kind) {
    case STEP_SET_WEIGHT:
        cJSON_AddNumberToObject(object, "set_weight", view_percent(step->weight));
        break;
    case STEP_PAUSE:
        if (step->until_promoted)
            cJSON_AddStringToObject(object, "pause", "until_promoted");
        else
            cJSON_AddNumberToObject(object, "pause_ms", step->pause_ms);
        break;
    case STEP_ANALYSIS:
        cJSON_AddItemToObject(object, "rules", view_analysis(&step->analysis));
        break;
    case STEP_REPLICAS:
        cJSON_AddNumberToObject(object, "replicas", step->replicas);
        break;
    case STEP_MATCH:
        view_add_match(object, &step->match);
        break;
    case STEP_MIRROR:
        cJSON_AddNumberToObject(object, "mirror", view_percent(step->mirror));
        break;
    }
}

static void add_step(cJSON *array, const struct config_step *step, uint32_t index,
                     const struct plan_progress *progress, const struct journal_step *record)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddNumberToObject(object, "index", index);
    add_step_kind(object, step);
    cJSON_AddStringToObject(object, "state", step_state(progress, index));
    view_add_time(object, "started", record ? record->started_ms : 0);
    view_add_time(object, "ended", record ? record->ended_ms : 0);
    if (step->kind == STEP_SET_WEIGHT)
        add_raw(object, "split", record ? record->figures : NULL);
    if (record && record->analysis)
        add_raw(object, "analysis", record->analysis);
    else
        cJSON_AddNullToObject(object, "analysis");
    cJSON_AddItemToArray(array, object);
}

static const struct journal_step *step_find(const struct journal_step *steps, size_t count,
                                            uint32_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].index == index)
            return &steps[i];
    }
    return NULL;
}

static void add_steps(cJSON *object, struct journal *journal, const struct journal_rollout *record)
{
    cJSON *array = cJSON_AddArrayToObject(object, "steps");
    struct journal_step *records = NULL;
    struct config_step *steps = NULL;
    struct plan_spec spec;
    size_t count = 0;

    if (journal_spec_read(record->spec, &spec, &steps))
        return;
    if (journal_step_list(journal, record->id, &records, &count))
        count = 0;
    for (uint32_t i = 0; i < spec.step_count; i++)
        add_step(array, &steps[i], i, &record->progress, step_find(records, count, i));
    cJSON_AddStringToObject(object, "order", order_words[spec.order]);
    cJSON_AddStringToObject(object, "order_why", spec.order_why);
    cJSON_AddNumberToObject(object, "step", record->progress.step);
    cJSON_AddNumberToObject(object, "step_count", (double)spec.step_count);
    journal_steps_free(records, count);
    journal_spec_done(&spec);
    free(steps);
}

static void add_preflight(cJSON *object, struct journal *journal, const char *id)
{
    cJSON *array = cJSON_AddArrayToObject(object, "preflight");
    struct journal_preflight *checks;
    size_t count;

    if (journal_preflight_list(journal, id, &checks, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        cJSON *check = cJSON_CreateObject();

        view_add_string(check, "name", checks[i].name);
        view_add_string(check, "outcome", checks[i].outcome);
        view_add_string(check, "message", checks[i].message);
        cJSON_AddBoolToObject(check, "forced", checks[i].forced);
        cJSON_AddItemToArray(array, check);
    }
    journal_preflights_free(checks, count);
}

static void add_log(cJSON *object, struct journal *journal, const char *id, size_t line_max)
{
    cJSON *array = cJSON_AddArrayToObject(object, "log");
    struct journal_line *lines;
    size_t count;

    if (journal_log_list(journal, id, &lines, &count))
        return;
    for (size_t i = count > line_max ? count - line_max : 0; i < count; i++) {
        cJSON *line = cJSON_CreateObject();

        view_add_time(line, "time", lines[i].time_ms);
        cJSON_AddStringToObject(line, "event", lines[i].event);
        view_add_string(line, "message", lines[i].message);
        cJSON_AddItemToArray(array, line);
    }
    journal_lines_free(lines, count);
}

static void add_head(cJSON *object, const struct journal_rollout *record,
                     const struct rollout *live)
{
    const struct plan_progress *progress = &record->progress;
    bool paused = live ? rollout_is_paused(live) : record->wish_pause;
    uint64_t end_ms = record->ended_ms ? record->ended_ms : steady_wall_ms();

    cJSON_AddStringToObject(object, "id", record->id);
    cJSON_AddStringToObject(object, "service", record->service);
    cJSON_AddStringToObject(object, "strategy", record->strategy);
    cJSON_AddStringToObject(object, "state", rollout_state_name(progress, paused));
    cJSON_AddStringToObject(object, "phase", plan_phase_name(progress->phase));
    cJSON_AddStringToObject(object, "outcome", plan_outcome_name(progress->outcome));
    cJSON_AddStringToObject(object, "why", progress->why);
    cJSON_AddStringToObject(object, "waiting", live ? live->waiting : "");
    view_add_string(object, "reason", record->reason);
    view_add_string(object, "user", record->user);
    view_add_string(object, "image", record->image);
    view_add_string(object, "image_id", record->image_id);
    view_add_string(object, "digest", record->digest);
    view_add_string(object, "previous_image", record->previous_image);
    view_add_string(object, "previous_image_id", record->previous_image_id);
    cJSON_AddNumberToObject(object, "replicas", record->replicas);
    view_add_time(object, "created", record->created_ms);
    view_add_time(object, "ended", record->ended_ms);
    cJSON_AddNumberToObject(object, "duration_ms",
                            end_ms > record->created_ms ? (double)(end_ms - record->created_ms)
                                                        : 0.);
}

static void add_changes(cJSON *object, struct journal *journal, const char *id)
{
    cJSON *changes = NULL;

    if (changes_load(journal, id, &changes) || !changes)
        changes = cJSON_CreateNull();
    cJSON_AddItemToObject(object, "changes", changes);
}

static cJSON *view(struct updater *updater, const struct journal_rollout *record,
                   const struct rollout *live, size_t line_max)
{
    cJSON *object = cJSON_CreateObject();

    add_head(object, record, live);
    add_changes(object, updater->journal, record->id);
    if (live) {
        uint32_t weight = updater->table->draft.services[live->service->row].weight;

        cJSON_AddNumberToObject(object, "weight", view_percent(weight));
        add_members(object, live->service, &live->members);
    } else {
        struct member_list *list = memory_new(sizeof(*list));

        cJSON_AddNumberToObject(object, "weight", view_percent(record->weight));
        if (member_list_load(updater->journal, record->id, list) == 0)
            add_members(object, updater_service(updater, record->service), list);
        member_list_done(list);
        free(list);
    }
    add_steps(object, updater->journal, record);
    add_log(object, updater->journal, record->id, line_max);
    if (line_max == SIZE_MAX) {
        add_preflight(object, updater->journal, record->id);
        record_view(object, updater->journal, record);
    }
    return object;
}

cJSON *view_rollout(struct updater *updater, const struct journal_rollout *record,
                    const struct rollout *live)
{
    return view(updater, record, live, SIZE_MAX);
}

static cJSON *view_live(const struct rollout *rollout, size_t line_max)
{
    struct journal_rollout record = rollout->record;

    record.progress = rollout->progress;
    return view(rollout->service->updater, &record, rollout, line_max);
}

cJSON *view_rollout_live(const struct rollout *rollout)
{
    return view_live(rollout, SIZE_MAX);
}

cJSON *view_rollout_event(const struct rollout *rollout)
{
    return view_live(rollout, VIEW_EVENT_LINES);
}

cJSON *view_rollout_brief(const struct rollout *rollout)
{
    struct journal_rollout record = rollout->record;
    uint32_t weight =
        rollout->service->updater->table->draft.services[rollout->service->row].weight;
    cJSON *object = cJSON_CreateObject();

    record.progress = rollout->progress;
    add_head(object, &record, rollout);
    cJSON_AddNumberToObject(object, "weight", view_percent(weight));
    cJSON_AddNumberToObject(object, "step", rollout->progress.step);
    cJSON_AddNumberToObject(object, "step_count", (double)rollout->spec.step_count);
    return object;
}
