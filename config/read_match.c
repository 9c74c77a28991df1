/* Steps that send chosen requests to the canary: `match` and `mirror`. */
#include "base/check.h"
#include "reader.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

struct match_texts {
    char *name;
    char *value;
};

static const struct field step_match_value_fields[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct match_texts, name),
     .max = CONFIG_MATCH_NAME_MAX,
     .valid = token_is_valid,
     .allowed = "the name of a header or cookie"},
    {.key = "value",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct match_texts, value),
     .max = CONFIG_MATCH_VALUE_MAX,
     .valid = cookie_value_is_valid,
     .allowed = "visible ASCII without \" , ; and backslash"},
};
const struct table step_match_value_table = TABLE("step_match_value", step_match_value_fields);

static void read_value(struct reader *reader, const struct node *node, struct config_match *match,
                       enum config_match_kind kind)
{
    struct match_texts texts = {0};

    table_read(reader, node, &step_match_value_table, &texts);
    if (node->kind == NODE_MAPPING &&
        (node_get(node, "name") == NULL || node_get(node, "value") == NULL))
        reader_tell(reader, node->line, "found no name or no value, allowed are both");
    if (texts.name != NULL && texts.value != NULL)
        check(config_match_set(match, kind, texts.name, texts.value) == 0); /* `max` holds */
    free(texts.name);
    free(texts.value);
}

static void read_header(struct reader *reader, const struct node *node, void *target)
{
    read_value(reader, node, target, MATCH_HEADER);
}

static void read_cookie(struct reader *reader, const struct node *node, void *target)
{
    read_value(reader, node, target, MATCH_COOKIE);
}

static const struct field step_match_fields[] = {
    {.key = "header", .kind = FIELD_OTHER, .read = read_header},
    {.key = "cookie", .kind = FIELD_OTHER, .read = read_cookie},
};
const struct table step_match_table = TABLE("step_match", step_match_fields);

void step_match_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_step *step = target;

    step->kind = STEP_MATCH;
    if (node->kind == NODE_SCALAR) {
        if (strcmp(node->text, "none") != 0)
            reader_refuse(reader, node, "{ header: … }, { cookie: … }, or none to end a match");
        return;
    }
    table_read(reader, node, &step_match_table, &step->match);
    if (node->kind == NODE_MAPPING && node->count != 1)
        reader_tell(reader, node->line, "found %zu keys, allowed is one of header, cookie",
                    node->count);
}

void step_mirror_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_step *step = target;

    step->kind = STEP_MIRROR;
    if (node->kind != NODE_SCALAR || !node->plain ||
        config_parse_weight(node->text, &step->mirror) < 0)
        reader_refuse(reader, node, "per cent from 0 (which ends it) to 100, to two places");
}

void steps_check(struct reader *reader, const struct node *node,
                 const struct config_service *service)
{
    const struct node *rollout = node_get(node, "rollout");
    const struct node *steps = node_get(rollout, "steps");
    unsigned line = steps != NULL ? steps->line : node->line; /* a preset's */

    for (size_t i = 0; i < service->rollout.step_count; i++) {
        const struct config_step *step = &service->rollout.steps[i];
        bool is_match = step->kind == STEP_MATCH;

        if (!is_match && step->kind != STEP_MIRROR)
            continue;
        if (service->protocol == PROTOCOL_TCP)
            reader_tell(reader, line,
                        "rollout.steps[%zu]: found %s with a tcp service, allowed for http", i,
                        is_match ? "match" : "mirror");
        else if (is_match && step->match.kind == MATCH_COOKIE &&
                 service->sticky.kind == STICKY_COOKIE && service->sticky.name != NULL &&
                 strcmp(service->sticky.name, step->match.name) == 0)
            reader_tell(reader, line,
                        "rollout.steps[%zu]: found the cookie of `sticky` in match, allowed is "
                        "another one",
                        i);
    }
}
