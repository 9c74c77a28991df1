#include "canonical_parts.h"
#include "value.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static cJSON *match_to_json(const struct config_match *match)
{
    if (match->kind == MATCH_NONE)
        return cJSON_CreateString("none");
    cJSON *json = must(cJSON_CreateObject());
    cJSON *value = must(cJSON_CreateObject());
    put_text(value, "name", match->name);
    put_text(value, "value", match->value);
    put(json, match->kind == MATCH_HEADER ? "header" : "cookie", value);
    return json;
}

static cJSON *analysis_to_json(const struct config_analysis *analysis)
{
    cJSON *json = must(cJSON_CreateObject());

    put(json, "success_rate", cJSON_CreateNumber(analysis->success_rate / 100.0));
    put_duration(json, "latency_p99", analysis->latency_p99_ms);
    put(json, "compare", cJSON_CreateBool(analysis->compare));
    put(json, "min_requests", cJSON_CreateNumber(analysis->min_requests));
    put_duration(json, "interval", analysis->interval_ms);
    put_text(json, "inconclusive", inconclusive_words[analysis->inconclusive]);
    return json;
}

static cJSON *step_to_json(const struct config_step *step)
{
    cJSON *json = must(cJSON_CreateObject());

    if (step->kind == STEP_SET_WEIGHT)
        put(json, "set_weight", cJSON_CreateNumber(step->weight / 100.0));
    else if (step->kind == STEP_MATCH)
        put(json, "match", match_to_json(&step->match));
    else if (step->kind == STEP_MIRROR)
        put(json, "mirror", cJSON_CreateNumber(step->mirror / 100.0));
    else if (step->kind == STEP_ANALYSIS)
        put(json, "analysis", analysis_to_json(&step->analysis));
    else if (step->kind == STEP_REPLICAS)
        put(json, "replicas", cJSON_CreateNumber(step->replicas));
    else if (step->until_promoted)
        put(json, "pause", cJSON_CreateObject());
    else
        put_duration(json, "pause", step->pause_ms);
    return json;
}

static cJSON *steps_to_json(const struct config_step *list, size_t count)
{
    cJSON *steps = must(cJSON_CreateArray());

    for (size_t i = 0; i < count; i++)
        append(steps, step_to_json(&list[i]));
    return steps;
}

cJSON *presets_to_json(const struct config *config)
{
    cJSON *json = must(cJSON_CreateObject());

    for (size_t i = 0; i < config->preset_count; i++) {
        const struct config_preset *preset = &config->presets[i];
        cJSON *object = must(cJSON_CreateObject());

        put(object, "steps", steps_to_json(preset->steps, preset->step_count));
        put(json, preset->name, object);
    }
    return json;
}

static cJSON *drain_to_json(const struct config_drain *drain)
{
    cJSON *json = must(cJSON_CreateObject());

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        cJSON *budget = must(cJSON_CreateObject());
        put_duration(budget, "timeout", drain->budgets[kind].timeout_ms);
        put_text(budget, "on_timeout", config_on_timeout_words[drain->budgets[kind].on_timeout]);
        put(json, config_drain_keys[kind], budget);
    }
    put_text(json, "on_timeout", config_on_timeout_words[drain->budgets[KIND_REQUEST].on_timeout]);
    put_duration(json, "close_spread", drain->close_spread_ms);
    put_duration(json, "stream_after", drain->stream_after_ms);
    return json;
}

/* Left out where it follows from something else. */
static void put_amount(cJSON *json, const char *key, struct config_amount amount)
{
    char text[16];

    snprintf(text, sizeof(text), "%u%%", (unsigned)amount.value);
    if (amount.kind == AMOUNT_PERCENT)
        put_text(json, key, text);
    else if (amount.kind == AMOUNT_COUNT)
        put(json, key, cJSON_CreateNumber(amount.value));
}

static void put_rolling(cJSON *json, const struct config_rolling *rolling)
{
    put(json, "parallelism", cJSON_CreateNumber(rolling->parallelism));
    put_duration(json, "delay", rolling->delay_ms);
    put_duration(json, "ramp", rolling->ramp_ms);
    put_amount(json, "max_surge", rolling->max_surge);
    put(json, "max_failure_ratio",
        cJSON_CreateNumber(rolling->max_failure_ratio / (double)WEIGHT_MAX));
    put_text(json, "failure_action", failure_action_words[rolling->action]);
}

static cJSON *images_to_json(const struct config_images *images)
{
    cJSON *json = must(cJSON_CreateObject());

    put_text(json, "pull", config_pull_name(images->pull));
    put_duration(json, "pull_stall", images->pull_stall_ms);
    put_number(json, "keep", images->keep);
    return json;
}

cJSON *rollout_to_json(const struct config_rollout *rollout)
{
    cJSON *json = must(cJSON_CreateObject());

    put_text(json, "strategy", strategy_words[rollout->strategy]);
    put_text(json, "order", order_words[rollout->order]);
    put_amount(json, "max_unavailable", rollout->max_unavailable);
    if (rollout->strategy == STRATEGY_ROLLING)
        put_rolling(json, &rollout->rolling);
    if (rollout->strategy == STRATEGY_CANARY)
        put(json, "steps", steps_to_json(rollout->steps, rollout->step_count));
    if (rollout->analysis.on)
        put(json, "analysis", analysis_to_json(&rollout->analysis));
    cJSON *tasks = must(config_tasks_to_json(rollout->tasks, rollout->task_count));
    put(json, "hooks", cJSON_DetachItemFromObjectCaseSensitive(tasks, "hooks"));
    put(json, "verify", cJSON_DetachItemFromObjectCaseSensitive(tasks, "verify"));
    cJSON_Delete(tasks);
    put(json, "drain", drain_to_json(&rollout->drain));
    put_duration(json, "progress_deadline", rollout->progress_deadline_ms);
    put_duration(json, "health_timeout", rollout->health_timeout_ms);
    put_duration(json, "monitor", rollout->monitor_ms);
    if (rollout->bake_given)
        put_duration(json, "bake_time", rollout->bake_ms);
    if (rollout->strategy == STRATEGY_BLUE_GREEN)
        put(json, "auto_promote", cJSON_CreateBool(rollout->auto_promote));
    put_duration(json, "stop_grace_period", rollout->stop_grace_period_ms);
    put_number(json, "history", rollout->history);
    put(json, "images", images_to_json(&rollout->images));
    return json;
}
