#include "base/check.h"
#include "base/memory.h"
#include "config.h"
#include "node.h"
#include "problems.h"
#include "value.h"

#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

const struct document_limits document_limits_file = {
    .text_bytes = CONFIG_FILE_BYTES_MAX, .nodes = 100000, .value_bytes = 4u << 20};
const struct document_limits document_limits_canonical = {
    .text_bytes = 16u << 20, .nodes = 1000000, .value_bytes = 16u << 20};

struct anchor {
    char *name;
    const struct node *node;
};

struct builder {
    struct problems *problems;
    size_t nodes_left;
    size_t bytes_left;
    struct node *root;
    struct node *stack[DOCUMENT_DEPTH_MAX]; /* open mappings and sequences */
    size_t depth;
    char *key; /* of the innermost mapping, waiting for its value */
    bool key_is_merge;
    unsigned key_line;
    struct anchor anchors[DOCUMENT_ANCHORS_MAX];
    size_t anchor_count;
};

static bool fail(struct builder *builder, unsigned line, char *text)
{
    problems_add(builder->problems, line, text);
    return false;
}

/* Takes from the budget; `bytes` of text beside the node itself. */
static bool spend(struct builder *builder, unsigned line, size_t bytes)
{
    if (builder->nodes_left == 0 || bytes > builder->bytes_left)
        return fail(builder, line,
                    memory_copy_string("found a document that grows past its limit, allowed are "
                                       "100000 values and 4 MiB with what aliases repeat"));
    builder->nodes_left--;
    builder->bytes_left -= bytes;
    return true;
}

/* Copies what an alias or merge key stands for. Returns NULL when the budget is spent. */
static struct node *copy(struct builder *builder, const struct node *source, unsigned line,
                         size_t depth)
{
    size_t bytes = source->text == NULL ? 0 : strlen(source->text);

    bytes += source->key == NULL ? 0 : strlen(source->key);
    if (depth >= DOCUMENT_DEPTH_MAX) {
        fail(builder, line,
             memory_format("found more than %d levels, allowed are fewer", DOCUMENT_DEPTH_MAX));
        return NULL;
    }
    if (!spend(builder, line, bytes))
        return NULL;
    struct node *node = node_new(source->kind, source->line);
    node->scalar = source->scalar;
    node->plain = source->plain;
    node->key_line = source->key_line;
    node->key = memory_copy_string(source->key);
    node->text = memory_copy_string(source->text);
    for (size_t i = 0; i < source->count; i++) {
        struct node *child = copy(builder, source->items[i], line, depth + 1);
        if (child == NULL) {
            node_free(node);
            return NULL;
        }
        node_append(node, child);
    }
    return node;
}

/* `<<: *base`: keys of the base that the mapping does not give itself (YAML 1.1's merge type). */
static bool merge_one(struct builder *builder, struct node *mapping, const struct node *base)
{
    if (base->kind != NODE_MAPPING)
        return fail(builder, base->key_line,
                    memory_copy_string("<<: found no mapping to merge, allowed is an alias of a "
                                       "mapping, or a list of such"));
    for (size_t i = 0; i < base->count; i++) {
        if (node_get(mapping, base->items[i]->key) != NULL)
            continue;
        if (mapping->count >= DOCUMENT_KEYS_MAX)
            return fail(builder, mapping->line,
                        memory_format("found more than %d keys in a mapping, allowed are fewer",
                                      DOCUMENT_KEYS_MAX));
        struct node *child = copy(builder, base->items[i], mapping->line, builder->depth + 1);
        if (child == NULL)
            return false;
        node_append(mapping, child);
    }
    return true;
}

static bool merge(struct builder *builder, struct node *mapping, const struct node *bases)
{
    if (bases->kind != NODE_SEQUENCE)
        return merge_one(builder, mapping, bases);
    for (size_t i = 0; i < bases->count; i++)
        if (!merge_one(builder, mapping, bases->items[i]))
            return false;
    return true;
}

/* The merge keys of a mapping that is complete: at most one, for keys are unique. */
static bool merge_all(struct builder *builder, struct node *mapping)
{
    for (size_t i = 0; i < mapping->count; i++) {
        struct node *bases = mapping->items[i];
        if (strcmp(bases->key, "<<") != 0)
            continue;
        for (size_t j = i + 1; j < mapping->count; j++)
            mapping->items[j - 1] = mapping->items[j];
        /* node_append() counts on powers of two: shrink through a fresh array. */
        struct node **items = mapping->items;
        size_t count = mapping->count - 1;
        mapping->items = NULL;
        mapping->count = 0;
        for (size_t j = 0; j < count; j++)
            node_append(mapping, items[j]);
        free(items);
        bool merged = merge(builder, mapping, bases);
        node_free(bases);
        return merged;
    }
    return true;
}

static bool take_key(struct builder *builder, const char *text, size_t length, unsigned line)
{
    struct node *mapping = builder->stack[builder->depth - 1];
    char quoted[QUOTED_BYTES];

    quote_text(text, length, quoted);
    if (memchr(text, '\0', length) != NULL || length > 255)
        return fail(builder, line,
                    memory_format("%s: found a key that is none, allowed are up to 255 bytes of "
                                  "text",
                                  quoted));
    if (mapping->count >= DOCUMENT_KEYS_MAX)
        return fail(builder, line,
                    memory_format("found more than %d keys in a mapping, allowed are fewer",
                                  DOCUMENT_KEYS_MAX));
    builder->key = memory_new(length + 1);
    memcpy(builder->key, text, length);
    builder->key_line = line;
    const struct node *before = node_get(mapping, builder->key);
    if (before != NULL) /* told, but no reason to stop */
        fail(builder, line,
             memory_format("%s: found twice, allowed once (first on line %u)", quoted,
                           before->key_line));
    return true;
}

/* Gives a complete or opening node its place. */
static void place(struct builder *builder, struct node *node)
{
    if (builder->depth == 0) {
        check(builder->root == NULL);
        builder->root = node;
        return;
    }
    struct node *parent = builder->stack[builder->depth - 1];
    if (parent->kind == NODE_MAPPING) {
        free(node->key);
        node->key = builder->key;
        node->key_line = builder->key_line;
        builder->key = NULL;
    }
    node_append(parent, node);
}

static bool remember_anchor(struct builder *builder, struct fy_token *token,
                            const struct node *node)
{
    size_t length = 0;
    const char *text = token == NULL ? NULL : fy_token_get_text(token, &length);

    if (text == NULL)
        return true;
    if (builder->anchor_count == DOCUMENT_ANCHORS_MAX)
        return fail(
            builder, node->line,
            memory_format("found more than %d anchors, allowed are fewer", DOCUMENT_ANCHORS_MAX));
    struct anchor *anchor = &builder->anchors[builder->anchor_count++];
    anchor->name = memory_new(length + 1);
    memcpy(anchor->name, text, length);
    anchor->node = node;
    return true;
}

static bool on_alias(struct builder *builder, struct fy_token *token, unsigned line)
{
    size_t length = 0;
    const char *text = fy_token_get_text(token, &length);
    const struct node *source = NULL;
    char quoted[QUOTED_BYTES];

    quote_text(text == NULL ? "" : text, text == NULL ? 0 : length, quoted);
    for (size_t i = builder->anchor_count; i > 0 && source == NULL; i--)
        if (text != NULL && strlen(builder->anchors[i - 1].name) == length &&
            memcmp(builder->anchors[i - 1].name, text, length) == 0)
            source = builder->anchors[i - 1].node;
    if (source == NULL)
        return fail(builder, line,
                    memory_format("*%s: found an alias without its anchor, allowed is the name of "
                                  "an anchor above",
                                  quoted));
    if (source->open)
        return fail(builder, line,
                    memory_format("*%s: found an alias inside of what it stands for, allowed is "
                                  "an anchor that is complete",
                                  quoted));
    struct node *node = copy(builder, source, line, builder->depth);
    if (node == NULL)
        return false;
    node->line = line;
    place(builder, node);
    return true;
}

static bool on_scalar(struct builder *builder, const struct fy_event *event, unsigned line)
{
    size_t length = 0;
    const char *text = fy_token_get_text(event->scalar.value, &length);
    struct node *parent = builder->depth == 0 ? NULL : builder->stack[builder->depth - 1];

    if (text == NULL) {
        text = "";
        length = 0;
    }
    if (!spend(builder, line, length))
        return false;
    if (parent != NULL && parent->kind == NODE_MAPPING && builder->key == NULL)
        return take_key(builder, text, length, line);
    if (memchr(text, '\0', length) != NULL)
        return fail(builder, line,
                    memory_copy_string("found text with a NUL in it, allowed is text without"));
    struct node *node = node_new(NODE_SCALAR, line);
    node->text = memory_new(length + 1);
    memcpy(node->text, text, length);
    node->plain = fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
    node->scalar = node->plain ? scalar_classify(node->text) : SCALAR_TEXT;
    place(builder, node);
    return remember_anchor(builder, event->scalar.anchor, node);
}

static bool on_start(struct builder *builder, enum node_kind kind, struct fy_token *anchor,
                     unsigned line)
{
    struct node *parent = builder->depth == 0 ? NULL : builder->stack[builder->depth - 1];

    if (parent != NULL && parent->kind == NODE_MAPPING && builder->key == NULL)
        return fail(builder, line,
                    memory_copy_string("found a key that is a mapping or a list, allowed is text"));
    if (builder->depth == DOCUMENT_DEPTH_MAX)
        return fail(
            builder, line,
            memory_format("found more than %d levels, allowed are fewer", DOCUMENT_DEPTH_MAX));
    if (!spend(builder, line, 0))
        return false;
    struct node *node = node_new(kind, line);
    place(builder, node);
    node->open = true;
    builder->stack[builder->depth++] = node;
    return remember_anchor(builder, anchor, node);
}

static bool on_end(struct builder *builder)
{
    check(builder->depth > 0);
    struct node *node = builder->stack[--builder->depth];

    node->open = false;
    return node->kind != NODE_MAPPING || merge_all(builder, node);
}

/* Returns false where reading cannot go on; the problem is told. */
static bool on_event(struct builder *builder, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    unsigned line = mark == NULL || mark->line < 0 ? 1 : (unsigned)mark->line + 1;

    switch (event->type) {
    case FYET_ALIAS:
    case FYET_SCALAR:
    case FYET_MAPPING_START:
    case FYET_SEQUENCE_START:
        if (event->type != FYET_ALIAS && fy_event_get_tag_token(event) != NULL)
            return fail(builder, line,
                        memory_copy_string("found a tag, allowed are values without"));
        if (event->type == FYET_SCALAR)
            return on_scalar(builder, event, line);
        if (event->type == FYET_MAPPING_START)
            return on_start(builder, NODE_MAPPING, event->mapping_start.anchor, line);
        if (event->type == FYET_SEQUENCE_START)
            return on_start(builder, NODE_SEQUENCE, event->sequence_start.anchor, line);
        if (builder->depth > 0 && builder->stack[builder->depth - 1]->kind == NODE_MAPPING &&
            builder->key == NULL)
            return fail(builder, line,
                        memory_copy_string("found an alias as a key, allowed is text"));
        return on_alias(builder, event->alias.anchor, line);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return on_end(builder);
    case FYET_DOCUMENT_START:
        return builder->root == NULL ||
               fail(builder, line, memory_copy_string("found a second document, allowed is one"));
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        break;
    }
    return true;
}

/* The parser's own complaint; it tells the first best and then what follows from it. */
static void tell_syntax(struct builder *builder, struct fy_diag *diag)
{
    void *iterator = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &iterator);
    char quoted[QUOTED_BYTES];

    if (error == NULL || error->msg == NULL) {
        fail(builder, 1, memory_copy_string("found text that is neither YAML nor JSON"));
        return;
    }
    quote_text(error->msg, strlen(error->msg), quoted);
    fail(builder, error->line <= 0 ? 1 : (unsigned)error->line,
         memory_format("found text that is neither YAML nor JSON: %s", quoted));
}

static void parse_events(struct builder *builder, const char *text, size_t length)
{
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (diag == NULL)
        exit(EXIT_TRY_AGAIN);
    fy_diag_set_collect_errors(diag, true);

    struct fy_parse_cfg parse_config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&parse_config);
    if (parser == NULL || fy_parser_set_string(parser, text, length) != 0)
        exit(EXIT_TRY_AGAIN);
    struct fy_event *event;
    bool reading = true;
    while (reading && (event = fy_parser_parse(parser)) != NULL) {
        reading = on_event(builder, event);
        fy_parser_event_free(parser, event);
    }
    if (reading && (fy_parser_get_stream_error(parser) || builder->depth > 0))
        tell_syntax(builder, diag);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
}

struct node *document_parse(const char *text, size_t length, const struct document_limits *limits,
                            struct problems *problems)
{
    size_t before = problems->count;
    struct builder builder = {
        .problems = problems, .nodes_left = limits->nodes, .bytes_left = limits->value_bytes};

    if (length > limits->text_bytes) {
        fail(&builder, 0,
             memory_format("found %zu bytes, allowed are %zu", length, limits->text_bytes));
        return NULL;
    }
    unsigned bad_line = text_find_bad_line(text, length);
    if (bad_line > 0) {
        fail(&builder, bad_line,
             memory_copy_string("found bytes that are no text, allowed is UTF-8"));
        return NULL;
    }
    if (length > 0)
        parse_events(&builder, text, length);
    if (builder.root == NULL && problems->count == before)
        fail(&builder, 0,
             memory_copy_string("found nothing, allowed is a mapping with at least "
                                "listeners and services"));
    for (size_t i = 0; i < builder.anchor_count; i++)
        free(builder.anchors[i].name);
    free(builder.key);
    if (problems->count == before)
        return builder.root;
    /* Nothing but duplicated keys: the rest can still be judged. */
    if (builder.root != NULL && builder.depth == 0)
        return builder.root;
    node_free(builder.root);
    return NULL;
}
