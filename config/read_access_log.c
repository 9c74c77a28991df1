/* access_log: a word, or where it goes and what stands in it. */
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <string.h>

const char *const access_format_words[] = {"logfmt", "json", "common", "combined", NULL};

static void read_file(struct reader *reader, const struct node *node, void *target)
{
    struct config_access_log *log = target;

    path_read(reader, node, &log->file);
}

static void read_sample(struct reader *reader, const struct node *node, void *target)
{
    struct config_access_log *log = target;
    uint32_t share = 0;

    if (node->kind != NODE_SCALAR || !node->plain || config_parse_weight(node->text, &share) < 0 ||
        share == 0)
        reader_refuse(reader, node, "per cent from 0.01 to 100, to two places");
    else
        log->sample = share;
}

static const struct field access_log_fields[] = {
    {.key = "format",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_access_log, format),
     .words = access_format_words,
     .fallback = ACCESS_LOGFMT},
    {.key = "file", .kind = FIELD_OTHER, .read = read_file},
    {.key = "sample", .kind = FIELD_OTHER, .read = read_sample},
    {.key = "query",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_access_log, query),
     .fallback = false},
};
const struct table access_log_table = TABLE("access_log", access_log_fields);

static bool is_word(const struct node *node, const char *word, const char *other)
{
    return node->kind == NODE_SCALAR &&
           (strcmp(node->text, word) == 0 || strcmp(node->text, other) == 0);
}

void access_log_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_access_log *log = &((struct config *)target)->access_log;

    if (is_word(node, "off", "false"))
        return;
    if (!is_word(node, "on", "true") && node->kind != NODE_MAPPING) {
        reader_refuse(reader, node, "on, off or a mapping with format, file, sample and query");
        return;
    }
    log->on = true;
    if (node->kind == NODE_MAPPING)
        table_read(reader, node, &access_log_table, log);
}

void access_log_defaults(struct config_access_log *log)
{
    *log = (struct config_access_log){.sample = WEIGHT_MAX};
    table_defaults(&access_log_table, log);
}
