/* What a new version's requests are judged by: `analysis` of a rollout and of a step. */
#include "reader.h"
#include "value.h"

#include <string.h>

static void read_success_rate(struct reader *reader, const struct node *node, void *target)
{
    struct config_analysis *analysis = target;
    uint32_t share = 0;

    if (node->kind != NODE_SCALAR || !node->plain || config_parse_weight(node->text, &share) < 0)
        reader_refuse(reader, node, "per cent from 0 to 99.99, to two places; 0: any");
    else if (share == WEIGHT_MAX)
        reader_refuse(reader, node,
                      "less than 100: one failed request in a million would be one "
                      "too many");
    else
        analysis->success_rate = share;
}

const char *const inconclusive_words[] = {"wait", "pass", "fail", NULL};

static const struct field analysis_fields[] = {
    {.key = "success_rate", .kind = FIELD_OTHER, .read = read_success_rate},
    {.key = "latency_p99",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_analysis, latency_p99_ms),
     .min = 0,
     .max = 60 * 1000, /* the histogram ends there */
     .fallback = 0},
    {.key = "compare",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_analysis, compare),
     .fallback = true},
    {.key = "min_requests",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_analysis, min_requests),
     .min = 1,
     .max = 1000000,
     .fallback = 100},
    {.key = "interval",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_analysis, interval_ms),
     .min = 1000,
     .max = DURATION_MAX_MS,
     .fallback = 30 * 1000},
    {.key = "inconclusive",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_analysis, inconclusive),
     .words = inconclusive_words,
     .fallback = INCONCLUSIVE_WAIT},
};
const struct table analysis_table = TABLE("analysis", analysis_fields);

void analysis_defaults(struct config_analysis *analysis)
{
    analysis->on = false;
    table_defaults(&analysis_table, analysis);
    analysis->success_rate = 9900;
}

void analysis_read(struct reader *reader, const struct node *node, struct config_analysis *analysis)
{
    analysis->on = true;
    if (node->kind == NODE_MAPPING) {
        table_read(reader, node, &analysis_table, analysis);
    } else if (node->kind != NODE_SCALAR || node->scalar != SCALAR_BOOL) {
        reader_refuse(reader, node, "true, or what the new version is judged by");
    } else {
        analysis->on = strcmp(node->text, "true") == 0;
    }
}

void rollout_analysis_read(struct reader *reader, const struct node *node, void *target)
{
    analysis_read(reader, node, &((struct config_rollout *)target)->analysis);
}

void step_analysis_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_step *step = target;

    step->kind = STEP_ANALYSIS;
    analysis_read(reader, node, &step->analysis);
    if (node->kind == NODE_SCALAR && node->scalar == SCALAR_BOOL && !step->analysis.on)
        reader_refuse(reader, node, "true; a step that judges nothing can be left out");
}
