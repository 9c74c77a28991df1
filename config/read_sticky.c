/* Which users belong together, and how long they may be kept waiting: `sticky`, `preview` and
 * `hold` of a service. */
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX  64
#define VALUE_BYTES_MAX 128

static void read_name(struct reader *reader, const struct node *node, struct config_sticky *sticky,
                      enum config_sticky_kind kind, const char *what)
{
    if (!reader_wants_text(reader, node))
        return;
    if (!token_is_valid(node->text) || strlen(node->text) > NAME_BYTES_MAX) {
        reader_refuse(reader, node, "the name of a %s, up to %d bytes", what, NAME_BYTES_MAX);
        return;
    }
    free(sticky->name);
    sticky->name = memory_copy_string(node->text);
    sticky->kind = kind;
}

static void read_cookie(struct reader *reader, const struct node *node, void *target)
{
    read_name(reader, node, target, STICKY_COOKIE, "cookie");
}

static void read_header(struct reader *reader, const struct node *node, void *target)
{
    read_name(reader, node, target, STICKY_HEADER, "header");
}

static void read_client_address(struct reader *reader, const struct node *node, void *target)
{
    struct config_sticky *sticky = target;

    if (node->kind != NODE_SCALAR || node->scalar != SCALAR_BOOL || strcmp(node->text, "true") != 0)
        reader_refuse(reader, node, "true; without it, leave the key out");
    else
        sticky->kind = STICKY_CLIENT_ADDRESS;
}

static const struct field sticky_fields[] = {
    {.key = "cookie", .kind = FIELD_OTHER, .read = read_cookie},
    {.key = "header", .kind = FIELD_OTHER, .read = read_header},
    {.key = "client_address", .kind = FIELD_OTHER, .read = read_client_address},
};
const struct table sticky_table = TABLE("sticky", sticky_fields);

static const struct field preview_match_fields[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_preview, name),
     .max = NAME_BYTES_MAX,
     .valid = token_is_valid,
     .allowed = "the name of a header or cookie"},
    {.key = "value",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_preview, value),
     .max = VALUE_BYTES_MAX,
     .valid = cookie_value_is_valid,
     .allowed = "visible ASCII without \" , ; and backslash"},
    {.key = "never",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_preview, never),
     .max = VALUE_BYTES_MAX,
     .valid = cookie_value_is_valid,
     .allowed = "visible ASCII without \" , ; and backslash"},
};
const struct table preview_match_table = TABLE("preview_match", preview_match_fields);

static void read_match(struct reader *reader, const struct node *node, void *target,
                       enum config_preview_kind kind)
{
    struct config_preview *preview = target;

    preview->kind = kind;
    table_read(reader, node, &preview_match_table, preview);
    if (node->kind == NODE_MAPPING &&
        (node_get(node, "name") == NULL || node_get(node, "value") == NULL))
        reader_tell(reader, node->line, "found no name or no value, allowed are both");
    if (preview->never != NULL && preview->value != NULL &&
        strcmp(preview->never, preview->value) == 0)
        reader_tell(reader, node->line, "found one text for value and never, allowed are two");
}

static void read_preview_header(struct reader *reader, const struct node *node, void *target)
{
    read_match(reader, node, target, PREVIEW_HEADER);
}

static void read_preview_cookie(struct reader *reader, const struct node *node, void *target)
{
    read_match(reader, node, target, PREVIEW_COOKIE);
}

static const struct field preview_fields[] = {
    {.key = "header", .kind = FIELD_OTHER, .read = read_preview_header},
    {.key = "cookie", .kind = FIELD_OTHER, .read = read_preview_cookie},
};
const struct table preview_table = TABLE("preview", preview_fields);

static const struct field hold_fields[] = {
    {.key = "max",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_hold, max),
     .min = 1,
     .max = UINT16_MAX,
     .fallback = 1024},
    {.key = "timeout",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_hold, timeout_ms),
     .min = 1,
     .max = CONFIG_HOLD_MAX_MS,
     .fallback = 30 * 1000},
};
const struct table hold_table = TABLE("hold", hold_fields);

/* Exactly one of the table's keys. */
static void read_one(struct reader *reader, const struct node *node, const struct table *table,
                     void *target, const char *kinds)
{
    table_read(reader, node, table, target);
    if (node->kind == NODE_MAPPING && node->count != 1)
        reader_tell(reader, node->line, "found %zu keys, allowed is one of %s", node->count, kinds);
}

void sticky_read(struct reader *reader, const struct node *node, void *target)
{
    read_one(reader, node, &sticky_table, &((struct config_service *)target)->sticky,
             "cookie, header, client_address");
}

void preview_read(struct reader *reader, const struct node *node, void *target)
{
    read_one(reader, node, &preview_table, &((struct config_service *)target)->preview,
             "header, cookie");
}

void sticky_check(struct reader *reader, const struct node *node,
                  const struct config_service *service)
{
    const struct config_sticky *sticky = &service->sticky;
    const struct config_preview *preview = &service->preview;
    bool tcp = service->protocol == PROTOCOL_TCP;

    if (tcp && (sticky->kind == STICKY_COOKIE || sticky->kind == STICKY_HEADER))
        reader_tell(reader, node_get(node, "sticky")->key_line,
                    "sticky: found %s with a tcp service, allowed is `client_address: true`",
                    sticky->kind == STICKY_COOKIE ? "cookie" : "header");
    if (tcp && preview->kind != PREVIEW_NONE)
        reader_tell(reader, node_get(node, "preview")->key_line,
                    "preview: found with a tcp service, allowed for http");
    if (tcp && service->retry_assets)
        reader_tell(reader, node_get(node, "retry_assets")->key_line,
                    "retry_assets: found with a tcp service, allowed for http");
    if (sticky->kind == STICKY_COOKIE && preview->kind == PREVIEW_COOKIE && preview->name != NULL &&
        strcmp(sticky->name, preview->name) == 0)
        reader_tell(reader, node_get(node, "preview")->key_line,
                    "preview: found the cookie of `sticky`, allowed is another one");
}
