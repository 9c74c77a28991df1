#include "base/memory.h"
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

#define STEP_INTERVAL_MS  (30u * 1000)
#define STEP_REPLICAS_MAX 100u /* as many as a rollout takes */

static void read_set_weight(struct reader *reader, const struct node *node, void *target)
{
    struct config_step *step = target;
    uint32_t weight = 0;

    step->kind = STEP_SET_WEIGHT;
    if (node->kind != NODE_SCALAR || !node->plain || config_parse_weight(node->text, &weight) < 0)
        reader_refuse(reader, node, "per cent from 0.01 to 100, to two places");
    else if (weight == 0)
        reader_refuse(reader, node, "more than 0: a step of no traffic tests nothing");
    else
        step->weight = weight;
}

const struct table pause_table = {.name = "pause"};

static void read_pause(struct reader *reader, const struct node *node, void *target)
{
    struct config_step *step = target;

    step->kind = STEP_PAUSE;
    if (node->kind == NODE_MAPPING) {
        step->until_promoted = true;
        table_read(reader, node, &pause_table, step);
    } else if (node->kind != NODE_SCALAR ||
               config_parse_duration(node->text, &step->pause_ms) < 0) {
        reader_refuse(reader, node,
                      "a duration from 0 to 720h, or {} to wait for `sluice "
                      "promote`");
    }
}

static void read_replicas(struct reader *reader, const struct node *node, void *target)
{
    struct config_step *step = target;
    uint64_t count = 0;

    step->kind = STEP_REPLICAS;
    if (node->kind != NODE_SCALAR || !node->plain || !number_parse(node->text, &count) ||
        count == 0 || count > STEP_REPLICAS_MAX)
        reader_refuse(reader, node, "a whole number from 1 to %u: how many new containers",
                      STEP_REPLICAS_MAX);
    else
        step->replicas = (uint32_t)count;
}

static const struct field step_fields[] = {
    {.key = "set_weight", .kind = FIELD_OTHER, .read = read_set_weight},
    {.key = "pause", .kind = FIELD_OTHER, .read = read_pause},
    {.key = "match", .kind = FIELD_OTHER, .read = step_match_read},
    {.key = "mirror", .kind = FIELD_OTHER, .read = step_mirror_read},
    {.key = "analysis", .kind = FIELD_OTHER, .read = step_analysis_read},
    {.key = "replicas", .kind = FIELD_OTHER, .read = read_replicas},
};
const struct table step_table = TABLE("step", step_fields);

static void steps_append(struct config_rollout *rollout, struct config_step step)
{
    rollout->steps =
        memory_resize(rollout->steps, (rollout->step_count + 1) * sizeof(*rollout->steps));
    rollout->steps[rollout->step_count++] = step;
}

static void steps_append_weight(struct config_rollout *rollout, uint32_t weight,
                                uint32_t interval_ms)
{
    if (rollout->step_count > 0 && interval_ms > 0)
        steps_append(rollout, (struct config_step){.kind = STEP_PAUSE, .pause_ms = interval_ms});
    steps_append(rollout, (struct config_step){.kind = STEP_SET_WEIGHT, .weight = weight});
}

void rollout_default_steps(struct config_rollout *rollout, uint32_t interval_ms)
{
    static const uint32_t weights[] = {500, 2500, 5000, WEIGHT_MAX};

    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
        steps_append_weight(rollout, weights[i], interval_ms);
}

/* Returns the last weight, 0 where there is none; refuses an order that makes no sense. */
static uint32_t check_order(struct reader *reader, const struct node *node,
                            const struct config_rollout *rollout)
{
    static const struct config_step none;
    const struct config_step *last = &none;

    if (rollout->step_count == 0 || rollout->steps[0].kind == STEP_PAUSE ||
        rollout->steps[0].kind == STEP_ANALYSIS) {
        reader_tell(reader, node->line,
                    "found a step that waits as the first one, allowed are `set_weight`, "
                    "`replicas`, `match` and `mirror` first");
        return WEIGHT_MAX;
    }
    for (size_t i = 0; i < rollout->step_count; i++) {
        const struct config_step *step = &rollout->steps[i];

        if (step->kind != STEP_SET_WEIGHT)
            continue;
        if (step->weight <= last->weight) {
            reader_tell(reader, node->line,
                        "found %g after %g, allowed are weights that rise from step to step",
                        step->weight / 100.0, last->weight / 100.0);
            return WEIGHT_MAX;
        }
        last = step;
    }
    return last->weight;
}

static void check_steps(struct reader *reader, const struct node *node,
                        const struct config_rollout *rollout)
{
    uint32_t last = check_order(reader, node, rollout);

    if (last != WEIGHT_MAX)
        reader_tell(reader, node->line,
                    "found %g as the last weight, allowed is 100: a rollout ends with all "
                    "traffic on the new version",
                    last / 100.0);
}

/* `[5, 25, 50, 100]`, with a pause of `interval` between two. */
static void read_short_steps(struct reader *reader, const struct node *node,
                             struct config_rollout *rollout, uint32_t interval_ms)
{
    if (!reader_wants_list(reader, node, CONFIG_STEPS_MAX / 2))
        return;
    for (size_t i = 0; i < node->count; i++) {
        struct config_step step = {.kind = STEP_SET_WEIGHT};
        size_t mark = reader_enter_index(reader, i);
        if (node->items[i]->kind == NODE_SCALAR)
            read_set_weight(reader, node->items[i], &step);
        else
            reader_refuse(reader, node->items[i],
                          "per cent, as in the first entry: either all short or none");
        steps_append_weight(rollout, step.weight, interval_ms);
        reader_leave(reader, mark);
    }
}

static void read_long_steps(struct reader *reader, const struct node *node,
                            struct config_rollout *rollout)
{
    if (!reader_wants_list(reader, node, CONFIG_STEPS_MAX))
        return;
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        struct config_step step = {.analysis = rollout->analysis};
        size_t mark = reader_enter_index(reader, i);
        table_read(reader, item, &step_table, &step);
        if (item->kind == NODE_MAPPING && item->count != 1)
            reader_tell(reader, item->line,
                        "found %s, allowed is one of set_weight, pause, match, mirror, analysis "
                        "and replicas in each step",
                        item->count == 0 ? "nothing" : "several");
        steps_append(rollout, step);
        reader_leave(reader, mark);
    }
}

static bool steps_are_short(const struct node *node)
{
    return node == NULL ||
           (node->kind == NODE_SEQUENCE && node->count > 0 && node->items[0]->kind == NODE_SCALAR);
}

#define DURATION(name, structure, member, smallest, largest, usual)                                \
    {                                                                                              \
        .key = (name), .kind = FIELD_DURATION, .offset = offsetof(structure, member),              \
        .min = (smallest), .max = (largest), .fallback = (usual)                                   \
    }

#define MINUTE_MS (60u * 1000)

#define WORD(name, member, its_words, usual)                                                       \
    {                                                                                              \
        .key = (name), .kind = FIELD_WORD, .offset = offsetof(struct config_rollout, member),      \
        .words = (its_words), .fallback = (usual)                                                  \
    }

static const struct field rollout_fields[] = {
    WORD("strategy", strategy, strategy_words, STRATEGY_CANARY),
    WORD("order", order, order_words, ORDER_AUTO),
    {.key = "parallelism",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_rollout, rolling.parallelism),
     .max = 1000,
     .fallback = 1},
    DURATION("delay", struct config_rollout, rolling.delay_ms, 0, DURATION_MAX_MS, 0),
    DURATION("ramp", struct config_rollout, rolling.ramp_ms, 0, DURATION_MAX_MS, 4000),
    {.key = "max_surge", .kind = FIELD_OTHER, .read = max_surge_read},
    {.key = "max_unavailable", .kind = FIELD_OTHER, .read = max_unavailable_read},
    {.key = "max_failure_ratio", .kind = FIELD_OTHER, .read = max_failure_ratio_read},
    WORD("failure_action", rolling.action, failure_action_words, FAILURE_ROLLBACK),
    {.key = "steps", .kind = FIELD_OTHER}, /* rollout_read() reads these two together */
    {.key = "interval", .kind = FIELD_OTHER},
    {.key = "preset", .kind = FIELD_OTHER},
    {.key = "analysis", .kind = FIELD_OTHER, .read = rollout_analysis_read},
    {.key = "hooks", .kind = FIELD_OTHER}, /* and these two */
    {.key = "verify", .kind = FIELD_OTHER},
    {.key = "drain", .kind = FIELD_OTHER, .read = drain_read},
    DURATION("progress_deadline", struct config_rollout, progress_deadline_ms, 1000,
             DURATION_MAX_MS, 10 * MINUTE_MS),
    DURATION("health_timeout", struct config_rollout, health_timeout_ms, 1, DURATION_MAX_MS, 0),
    DURATION("monitor", struct config_rollout, monitor_ms, 0, DURATION_MAX_MS, 5000),
    DURATION("bake_time", struct config_rollout, bake_ms, 0, DURATION_MAX_MS, 0),
    {.key = "auto_promote",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_rollout, auto_promote),
     .fallback = true},
    DURATION("stop_grace_period", struct config_rollout, stop_grace_period_ms, 0, 3600 * 1000, 0),
    {.key = "history",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_rollout, history),
     .min = 1,
     .max = 1000,
     .fallback = 200},
    {.key = "images",
     .kind = FIELD_TABLE,
     .offset = offsetof(struct config_rollout, images),
     .table = &images_table},
};
const struct table rollout_table = TABLE("rollout", rollout_fields);

static uint32_t read_interval(struct reader *reader, const struct node *node, bool usable)
{
    uint32_t interval_ms = STEP_INTERVAL_MS;

    if (node == NULL)
        return interval_ms;
    size_t mark = reader_enter(reader, "interval");
    if (!usable)
        reader_refuse(reader, node,
                      "only with short steps such as [5, 25, 50, 100]; long ones "
                      "have `pause`");
    else if (node->kind != NODE_SCALAR || config_parse_duration(node->text, &interval_ms) < 0)
        reader_refuse(reader, node, "a duration from 0 to 720h, such as 30s, 5m");
    reader_leave(reader, mark);
    return interval_ms;
}

static void read_preset(struct reader *reader, const struct node *node,
                        struct config_rollout *rollout)
{
    const struct config_preset *preset = NULL;
    size_t mark = reader_enter(reader, "preset");
    char names[512];

    if (node->kind == NODE_SCALAR)
        preset = config_find_preset(reader->config, node->text);
    if (preset == NULL) {
        config_preset_names(reader->config, names, sizeof(names));
        reader_refuse(reader, node, "one of %s", names);
    } else {
        free(rollout->steps);
        rollout->steps = memory_new_array(preset->step_count + 1, sizeof(*rollout->steps));
        memcpy(rollout->steps, preset->steps, preset->step_count * sizeof(*rollout->steps));
        rollout->step_count = preset->step_count;
    }
    reader_leave(reader, mark);
}

void rollout_step_list_read(struct reader *reader, const struct node *steps,
                            struct config_rollout *rollout)
{
    size_t before = reader->problems.count;

    read_long_steps(reader, steps, rollout);
    if (reader->problems.count == before)
        (void)check_order(reader, steps, rollout);
}

void rollout_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_rollout *rollout = &((struct config_service *)target)->rollout;
    const struct node *preset = node_get(node, "preset");

    size_t before = reader->problems.count;
    table_read(reader, node, &rollout_table, rollout);
    if (reader->problems.count == before)
        rolling_check(reader, node, rollout);
    rollout->bake_given = node_get(node, "bake_time") != NULL;
    tasks_read(reader, node, rollout);
    if (preset == NULL)
        rollout_steps_read(reader, node, rollout);
    else if (node_get(node, "steps") != NULL || node_get(node, "interval") != NULL)
        reader_tell(reader, preset->key_line,
                    "found preset with steps or interval of its own, allowed is one of them");
    else
        read_preset(reader, preset, rollout);
}

void rollout_steps_read(struct reader *reader, const struct node *node,
                        struct config_rollout *rollout)
{
    const struct node *steps = node_get(node, "steps");
    bool are_short = steps_are_short(steps);

    size_t before = reader->problems.count;
    uint32_t interval_ms = read_interval(reader, node_get(node, "interval"), are_short);
    if (steps == NULL) {
        rollout_default_steps(rollout, interval_ms);
        return;
    }
    size_t mark = reader_enter(reader, "steps");
    if (are_short)
        read_short_steps(reader, steps, rollout, interval_ms);
    else
        read_long_steps(reader, steps, rollout);
    if (reader->problems.count == before)
        check_steps(reader, steps, rollout);
    reader_leave(reader, mark);
}
