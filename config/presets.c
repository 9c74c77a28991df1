/* Plans by name: those of the file's `presets`, and some that are built in. */
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANALYSIS(length_ms, least, when_unsure)                                                    \
    {                                                                                              \
        .kind = STEP_ANALYSIS, .analysis = {                                                       \
            .on = true,                                                                            \
            .success_rate = 9900,                                                                  \
            .compare = true,                                                                       \
            .min_requests = (least),                                                               \
            .interval_ms = (length_ms),                                                            \
            .inconclusive = (when_unsure)                                                          \
        }                                                                                          \
    }
#define WEIGHT(share)                                                                              \
    {                                                                                              \
        .kind = STEP_SET_WEIGHT, .weight = (share)                                                 \
    }
#define SURELY ANALYSIS(2 * 60 * 1000, 200, INCONCLUSIVE_WAIT)

static struct config_step careful_steps[] = {WEIGHT(100),  SURELY,       WEIGHT(500),
                                             SURELY,       WEIGHT(2000), SURELY,
                                             WEIGHT(5000), SURELY,       WEIGHT(WEIGHT_MAX)};
static struct config_step fast_steps[] = {WEIGHT(2500), ANALYSIS(10 * 1000, 50, INCONCLUSIVE_PASS),
                                          WEIGHT(WEIGHT_MAX)};
static struct config_step at_once_steps[] = {WEIGHT(WEIGHT_MAX)};

#define PRESET(its_name, its_steps)                                                                \
    {                                                                                              \
        .name = (char[]){its_name}, .steps = (its_steps),                                          \
        .step_count = sizeof(its_steps) / sizeof((its_steps)[0])                                   \
    }

static const struct config_preset built_in[] = {
    PRESET("careful", careful_steps), /* every share judged by enough requests; waits for them */
    PRESET("fast", fast_steps),       /* one look at a quarter */
    PRESET("at_once", at_once_steps), /* health checks and the watch at the end alone */
};
#define BUILT_IN (sizeof(built_in) / sizeof(built_in[0]))

const struct config_preset *config_find_preset(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->preset_count; i++) {
        if (strcmp(config->presets[i].name, name) == 0)
            return &config->presets[i];
    }
    for (size_t i = 0; i < BUILT_IN; i++) {
        if (strcmp(built_in[i].name, name) == 0)
            return &built_in[i];
    }
    return NULL;
}

void config_preset_names(const struct config *config, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < config->preset_count + BUILT_IN && used < size; i++) {
        const struct config_preset *preset =
            i < config->preset_count ? &config->presets[i] : &built_in[i - config->preset_count];

        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", preset->name);
    }
}

/* --- reading ------------------------------------------------------------------------------- */

static const struct field preset_fields[] = {
    {.key = "steps", .kind = FIELD_OTHER}, /* read together */
    {.key = "interval", .kind = FIELD_OTHER},
    {.key = "analysis", .kind = FIELD_OTHER, .read = rollout_analysis_read},
};
const struct table preset_table = TABLE("preset", preset_fields);

static void read_preset(struct reader *reader, const struct node *node,
                        struct config_preset *preset)
{
    struct config_rollout plan = {0}; /* what a plan is read into */

    analysis_defaults(&plan.analysis);
    preset->name = memory_copy_string(node->key);
    if (!name_is_valid(node->key))
        reader_tell(reader, node->key_line,
                    "found a bad name, allowed are letters, digits, _ . and -, up to 63");
    table_read(reader, node, &preset_table, &plan);
    if (node->kind == NODE_MAPPING && node_get(node, "steps") == NULL)
        reader_tell(reader, node->key_line, "found no steps, allowed are presets with `steps`");
    else
        rollout_steps_read(reader, node, &plan);
    preset->steps = plan.steps;
    preset->step_count = plan.step_count;
}

void presets_read(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    if (!reader_wants_mapping(reader, node))
        return;
    if (node->count > CONFIG_PRESETS_MAX) {
        reader_refuse(reader, node, "up to %d presets", CONFIG_PRESETS_MAX);
        return;
    }
    config->presets = memory_new_array(node->count + 1, sizeof(*config->presets));
    for (size_t i = 0; i < node->count; i++) {
        size_t mark = reader_enter(reader, node->items[i]->key);

        read_preset(reader, node->items[i], &config->presets[config->preset_count++]);
        reader_leave(reader, mark);
    }
}

void config_presets_done(struct config *config)
{
    for (size_t i = 0; i < config->preset_count; i++) {
        free(config->presets[i].name);
        free(config->presets[i].steps);
    }
    free(config->presets);
}

int config_read_steps(const char *json, const struct config_analysis *usual,
                      struct config_errors *errors, struct config_step **ret_steps,
                      size_t *ret_count)
{
    static const struct config_overrides none;
    struct reader reader = {.overrides = &none, .canonical = true};
    struct config_rollout plan = {.analysis = *usual};
    struct node *root;
    int result;

    *errors = (struct config_errors){0};
    problems_init(&reader.problems, "steps");
    root = document_parse(json, strlen(json), &document_limits_file, &reader.problems);
    if (root != NULL)
        rollout_step_list_read(&reader, root, &plan);
    node_free(root);
    result = reader.problems.count == 0 ? 0 : -EINVAL;
    if (result == 0) {
        *ret_steps = plan.steps;
        *ret_count = plan.step_count;
    } else {
        problems_finish(&reader.problems, errors);
        free(plan.steps);
    }
    problems_done(&reader.problems);
    return result;
}
