/* A rollout's spec as JSON: fixed when it starts, so that a later config changes nothing in it. */
#include "base/memory.h"
#include "base/slice.h"
#include "config/value.h"
#include "journal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static cJSON *write_match(const struct config_match *match)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "kind", match->kind);
    cJSON_AddStringToObject(json, "name", match->name);
    cJSON_AddStringToObject(json, "value", match->value);
    return json;
}

static cJSON *write_analysis(const struct config_analysis *analysis)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "success_rate", analysis->success_rate);
    cJSON_AddNumberToObject(json, "latency_p99_ms", analysis->latency_p99_ms);
    cJSON_AddBoolToObject(json, "compare", analysis->compare);
    cJSON_AddNumberToObject(json, "min_requests", analysis->min_requests);
    cJSON_AddNumberToObject(json, "interval_ms", analysis->interval_ms);
    cJSON_AddStringToObject(json, "inconclusive", inconclusive_words[analysis->inconclusive]);
    return json;
}

static cJSON *write_step(const struct config_step *step)
{
    cJSON *json = cJSON_CreateObject();

    if (step->kind == STEP_SET_WEIGHT)
        cJSON_AddNumberToObject(json, "weight", step->weight);
    else if (step->kind == STEP_MATCH)
        cJSON_AddItemToObject(json, "match", write_match(&step->match));
    else if (step->kind == STEP_MIRROR)
        cJSON_AddNumberToObject(json, "mirror", step->mirror);
    else if (step->kind == STEP_ANALYSIS)
        cJSON_AddItemToObject(json, "analysis", write_analysis(&step->analysis));
    else if (step->kind == STEP_REPLICAS)
        cJSON_AddNumberToObject(json, "replicas", step->replicas);
    else if (step->until_promoted)
        cJSON_AddStringToObject(json, "pause", "until_promoted");
    else
        cJSON_AddNumberToObject(json, "pause_ms", step->pause_ms);
    return json;
}

/* How replicas are replaced. Absent in rollouts of before: the canary, start-first. */
static void write_way(cJSON *json, const struct plan_spec *spec)
{
    cJSON_AddStringToObject(json, "strategy", strategy_words[spec->strategy]);
    cJSON_AddStringToObject(json, "order", order_words[spec->order]);
    cJSON_AddStringToObject(json, "order_why", spec->order_why);
    cJSON_AddNumberToObject(json, "max_surge", spec->max_surge);
    cJSON_AddNumberToObject(json, "ramp_ms", spec->ramp_ms);
    cJSON_AddNumberToObject(json, "max_failures", spec->max_failures);
    cJSON_AddStringToObject(json, "failure_action", failure_action_words[spec->failure_action]);
    cJSON_AddNumberToObject(json, "hold_ms", spec->hold_ms);
}

static cJSON *write_drain(const struct config_drain *drain)
{
    cJSON *json = cJSON_CreateObject();

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        cJSON *budget = cJSON_AddObjectToObject(json, config_drain_keys[kind]);

        cJSON_AddNumberToObject(budget, "timeout_ms", drain->budgets[kind].timeout_ms);
        cJSON_AddStringToObject(budget, "on_timeout",
                                config_on_timeout_words[drain->budgets[kind].on_timeout]);
    }
    cJSON_AddNumberToObject(json, "close_spread_ms", drain->close_spread_ms);
    return json;
}

char *journal_spec_write(const struct plan_spec *spec, const cJSON *template)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *steps = cJSON_AddArrayToObject(json, "steps");
    char *printed, *text;

    for (size_t i = 0; i < spec->step_count; i++)
        cJSON_AddItemToArray(steps, write_step(&spec->steps[i]));
    if (spec->analysis.on)
        cJSON_AddItemToObject(json, "analysis", write_analysis(&spec->analysis));
    cJSON_AddItemToObject(json, "drain", write_drain(&spec->drain));
    cJSON_AddNumberToObject(json, "replicas", spec->replicas);
    if (spec->scale_to > 0)
        cJSON_AddNumberToObject(json, "scale_to", spec->scale_to);
    cJSON_AddNumberToObject(json, "max_unavailable", spec->max_unavailable);
    cJSON_AddNumberToObject(json, "health_timeout_ms", spec->health_timeout_ms);
    cJSON_AddNumberToObject(json, "progress_deadline_ms", spec->progress_deadline_ms);
    cJSON_AddNumberToObject(json, "monitor_ms", spec->monitor_ms);
    write_way(json, spec);
    if (template != NULL)
        cJSON_AddItemToObject(json, "template", cJSON_Duplicate(template, true));
    if (spec->task_count > 0)
        cJSON_AddItemToObject(json, "tasks", config_tasks_to_json(spec->tasks, spec->task_count));
    printed = cJSON_PrintUnformatted(json);
    text = memory_format("%s", printed != NULL ? printed : "");
    cJSON_free(printed);
    cJSON_Delete(json);
    return text;
}

/* False where it is not there, or not a whole number of 32 bits. */
static bool read_number(const cJSON *object, const char *key, uint32_t *ret_number)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX))
        return false;
    *ret_number = (uint32_t)item->valuedouble;
    return (double)*ret_number >= item->valuedouble;
}

static bool read_match(const cJSON *json, struct config_match *match)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "value");
    uint32_t kind;

    if (!read_number(json, "kind", &kind) || kind > MATCH_COOKIE)
        return false;
    return kind == MATCH_NONE ||
           (cJSON_IsString(name) && cJSON_IsString(value) &&
            config_match_set(match, kind, name->valuestring, value->valuestring) == 0);
}

static bool read_analysis(const cJSON *json, struct config_analysis *analysis)
{
    const cJSON *inconclusive = cJSON_GetObjectItemCaseSensitive(json, "inconclusive");

    analysis->on = true;
    analysis->compare = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "compare"));
    if (!cJSON_IsString(inconclusive) ||
        !read_number(json, "success_rate", &analysis->success_rate) ||
        !read_number(json, "latency_p99_ms", &analysis->latency_p99_ms) ||
        !read_number(json, "min_requests", &analysis->min_requests) ||
        !read_number(json, "interval_ms", &analysis->interval_ms) ||
        analysis->success_rate >= WEIGHT_MAX)
        return false;
    for (enum config_inconclusive way = INCONCLUSIVE_WAIT; way <= INCONCLUSIVE_FAIL; way++) {
        if (strcmp(inconclusive->valuestring, inconclusive_words[way]) == 0) {
            analysis->inconclusive = way;
            return true;
        }
    }
    return false;
}

static bool read_step(const cJSON *json, struct config_step *step)
{
    const cJSON *pause = cJSON_GetObjectItemCaseSensitive(json, "pause");
    const cJSON *match = cJSON_GetObjectItemCaseSensitive(json, "match");
    const cJSON *analysis = cJSON_GetObjectItemCaseSensitive(json, "analysis");

    if (analysis != NULL) {
        step->kind = STEP_ANALYSIS;
        return read_analysis(analysis, &step->analysis);
    }
    if (read_number(json, "replicas", &step->replicas)) {
        step->kind = STEP_REPLICAS;
        return step->replicas > 0;
    }

    if (read_number(json, "weight", &step->weight)) {
        step->kind = STEP_SET_WEIGHT;
        return step->weight <= WEIGHT_MAX;
    }
    if (read_number(json, "mirror", &step->mirror)) {
        step->kind = STEP_MIRROR;
        return step->mirror <= WEIGHT_MAX;
    }
    if (match) {
        step->kind = STEP_MATCH;
        return read_match(match, &step->match);
    }
    step->kind = STEP_PAUSE;
    if (cJSON_IsString(pause) && strcmp(pause->valuestring, "until_promoted") == 0) {
        step->until_promoted = true;
        return true;
    }
    return read_number(json, "pause_ms", &step->pause_ms);
}

static bool read_on_timeout(const cJSON *object, enum config_on_timeout *ret_on_timeout)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "on_timeout");

    for (unsigned way = 0; cJSON_IsString(item) && config_on_timeout_words[way] != NULL; way++) {
        if (strcmp(item->valuestring, config_on_timeout_words[way]) == 0) {
            *ret_on_timeout = (enum config_on_timeout)way;
            return true;
        }
    }
    return false;
}

/* As it was when there were three classes and one policy: what was told apart since counted as
 * requests, and was ended all at once. */
static bool read_old_drain(const cJSON *json, struct config_drain *drain)
{
    static const char *const keys[KIND_COUNT] = {"requests_ms", "requests_ms", "requests_ms",
                                                 "websockets_ms", "tcp_ms"};

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (!read_number(json, keys[kind], &drain->budgets[kind].timeout_ms) ||
            !read_on_timeout(json, &drain->budgets[kind].on_timeout))
            return false;
    }
    drain->close_spread_ms = 0;
    return true;
}

static bool read_drain(const cJSON *json, struct config_drain *drain)
{
    if (cJSON_HasObjectItem(json, "requests_ms"))
        return read_old_drain(json, drain);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        const cJSON *budget = cJSON_GetObjectItemCaseSensitive(json, config_drain_keys[kind]);

        if (!read_number(budget, "timeout_ms", &drain->budgets[kind].timeout_ms) ||
            !read_on_timeout(budget, &drain->budgets[kind].on_timeout))
            return false;
    }
    return read_number(json, "close_spread_ms", &drain->close_spread_ms);
}

/* False where it is there and none of the words. */
static bool read_word(const cJSON *json, const char *key, const char *const *words,
                      unsigned *ret_word)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    if (item == NULL)
        return true;
    for (unsigned i = 0; cJSON_IsString(item) && words[i] != NULL; i++) {
        if (strcmp(item->valuestring, words[i]) == 0) {
            *ret_word = i;
            return true;
        }
    }
    return false;
}

/* False where it is there and no number. */
static bool read_optional(const cJSON *json, const char *key, uint32_t *ret_number)
{
    return cJSON_GetObjectItemCaseSensitive(json, key) == NULL ||
           read_number(json, key, ret_number);
}

static bool read_way(const cJSON *json, struct plan_spec *spec)
{
    const cJSON *why = cJSON_GetObjectItemCaseSensitive(json, "order_why");
    unsigned strategy = STRATEGY_CANARY, order = ORDER_START_FIRST, action = FAILURE_ROLLBACK;

    if (!read_word(json, "strategy", strategy_words, &strategy) ||
        !read_word(json, "order", order_words, &order) ||
        !read_word(json, "failure_action", failure_action_words, &action) ||
        !read_optional(json, "max_surge", &spec->max_surge) ||
        !read_optional(json, "ramp_ms", &spec->ramp_ms) ||
        !read_optional(json, "scale_to", &spec->scale_to) ||
        !read_optional(json, "max_failures", &spec->max_failures) ||
        !read_optional(json, "hold_ms", &spec->hold_ms))
        return false;
    spec->strategy = (enum config_strategy)strategy;
    spec->order = (enum config_order)order;
    spec->failure_action = (enum config_failure_action)action;
    if (cJSON_IsString(why))
        (void)slice_copy_string(slice_from_string(why->valuestring), spec->order_why,
                                sizeof(spec->order_why));
    return true;
}

/* Specs of an older Sluice have none. */
static bool read_tasks(const cJSON *json, struct plan_spec *spec)
{
    struct config_task *tasks = NULL;
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    bool good = !json || (text && config_tasks_read_text(text, &tasks, &spec->task_count) == 0);

    spec->tasks = tasks;
    cJSON_free(text);
    return good;
}

void journal_spec_done(struct plan_spec *spec)
{
    /* What the planner may only read is ours here. */
    config_tasks_free((struct config_task *)(uintptr_t)spec->tasks, spec->task_count);
    spec->tasks = NULL;
    spec->task_count = 0;
}

int journal_spec_read(const char *json, struct plan_spec *ret_spec, struct config_step **ret_steps)
{
    struct plan_spec spec = {0};
    cJSON *root = cJSON_Parse(json);
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(root, "steps");
    const cJSON *analysis = cJSON_GetObjectItemCaseSensitive(root, "analysis");
    struct config_step *read = NULL;
    const cJSON *item;
    int count = cJSON_GetArraySize(steps);
    int error = -EINVAL;

    if (!cJSON_IsArray(steps) || count > (int)PLAN_STEPS_MAX || !read_way(root, &spec) ||
        (analysis != NULL && !read_analysis(analysis, &spec.analysis)) ||
        !read_drain(cJSON_GetObjectItemCaseSensitive(root, "drain"), &spec.drain) ||
        !read_number(root, "replicas", &spec.replicas) ||
        !read_number(root, "max_unavailable", &spec.max_unavailable) ||
        !read_number(root, "health_timeout_ms", &spec.health_timeout_ms) ||
        !read_number(root, "progress_deadline_ms", &spec.progress_deadline_ms) ||
        !read_number(root, "monitor_ms", &spec.monitor_ms))
        goto out;
    read = memory_new_array((size_t)count + 1, sizeof(*read));
    cJSON_ArrayForEach(item, steps)
    {
        if (!read_step(item, &read[spec.step_count]))
            goto out;
        spec.step_count++;
    }
    if (!read_tasks(cJSON_GetObjectItemCaseSensitive(root, "tasks"), &spec))
        goto out;
    spec.steps = read;
    *ret_spec = spec;
    *ret_steps = read;
    read = NULL;
    error = 0;
out:
    free(read);
    cJSON_Delete(root);
    return error;
}

cJSON *journal_spec_template(const char *json)
{
    cJSON *root = cJSON_Parse(json);
    cJSON *template = cJSON_DetachItemFromObjectCaseSensitive(root, "template");

    cJSON_Delete(root);
    return template;
}
