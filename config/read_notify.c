/* `notify`: who is told of rollouts. */
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

const char *const notify_severity_words[] = {"info", "warning", "error", NULL};
static const char *const format_words[] = {"json", "slack", NULL};

static void read_webhook(struct reader *reader, const struct node *node, void *target)
{
    web_url_read(reader, node, &((struct config_notify *)target)->url);
}

static void read_command(struct reader *reader, const struct node *node, void *target)
{
    command_read(reader, node, &((struct config_notify *)target)->command);
}

static const struct field notify_fields[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_notify, name),
     .max = CONFIG_NAME_MAX,
     .valid = name_is_valid,
     .allowed = "letters, digits, _ . and -, a letter or digit first"},
    {.key = "webhook", .kind = FIELD_OTHER, .read = read_webhook},
    {.key = "command", .kind = FIELD_OTHER, .read = read_command},
    {.key = "format",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_notify, format),
     .words = format_words,
     .fallback = NOTIFY_JSON},
    {.key = "severity",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_notify, severity),
     .words = notify_severity_words,
     .fallback = SEVERITY_INFO},
    {.key = "timeout",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_notify, timeout_ms),
     .min = 1,
     .max = 3600 * 1000,
     .fallback = 10 * 1000},
    {.key = "retries",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_notify, retries),
     .min = 0,
     .max = 100,
     .fallback = 5},
};
const struct table notify_table = TABLE("notify", notify_fields);

static void check_entry(struct reader *reader, const struct node *node,
                        const struct config_notify *notify)
{
    const struct node *format = node_get(node, "format");

    if (node->kind == NODE_MAPPING &&
        (node_get(node, "webhook") == NULL) == (node_get(node, "command") == NULL))
        reader_tell(reader, node->line, "found %s, allowed is one of webhook and command",
                    node_get(node, "webhook") == NULL ? "neither" : "both");
    if (notify->format == NOTIFY_SLACK && format != NULL && node_get(node, "command") != NULL)
        reader_tell(reader, format->key_line, "found slack with a command, allowed is json");
}

void notify_read(struct reader *reader, const struct node *node, void *target)
{
    struct config *config = target;

    if (!reader_wants_list(reader, node, CONFIG_NOTIFY_MAX))
        return;
    config->notify = memory_new_array(node->count + 1, sizeof(*config->notify));
    for (size_t i = 0; i < node->count; i++) {
        struct config_notify *notify = &config->notify[config->notify_count++];
        size_t mark = reader_enter_index(reader, i);

        table_defaults(&notify_table, notify);
        table_read(reader, node->items[i], &notify_table, notify);
        check_entry(reader, node->items[i], notify);
        if (notify->name == NULL)
            notify->name = memory_format("notify-%zu", i + 1);
        reader_leave(reader, mark);
    }
}

void config_notify_free(struct config_notify *notify, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(notify[i].name);
        free(notify[i].url);
        for (char **word = notify[i].command; word != NULL && *word != NULL; word++)
            free(*word);
        free(notify[i].command);
    }
    free(notify);
}

cJSON *config_notify_to_json(const struct config_notify *notify, size_t count)
{
    char timeout[DURATION_TEXT_BYTES];
    cJSON *json = cJSON_CreateArray();

    for (size_t i = 0; i < count; i++) {
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddStringToObject(entry, "name", notify[i].name);
        if (notify[i].url != NULL) {
            cJSON_AddStringToObject(entry, "webhook", notify[i].url);
            cJSON_AddStringToObject(entry, "format", format_words[notify[i].format]);
        } else {
            cJSON *command = cJSON_AddArrayToObject(entry, "command");
            for (char *const *word = notify[i].command; *word != NULL; word++)
                cJSON_AddItemToArray(command, cJSON_CreateString(*word));
        }
        cJSON_AddStringToObject(entry, "severity", notify_severity_words[notify[i].severity]);
        duration_format(notify[i].timeout_ms, timeout);
        cJSON_AddStringToObject(entry, "timeout", timeout);
        cJSON_AddNumberToObject(entry, "retries", notify[i].retries);
        cJSON_AddItemToArray(json, entry);
    }
    return json;
}
