#include "base/memory.h"
#include "base/slice.h"
#include "reader.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

#define SCRIPT_ARGUMENTS_MAX      64
#define SCRIPT_ARGUMENT_BYTES_MAX 4096

static bool parse_status(const char *text, uint64_t *ret_min, uint64_t *ret_max)
{
    const char *dash = strchr(text, '-');
    size_t first = dash == NULL ? strlen(text) : (size_t)(dash - text);

    if (slice_to_u64((struct slice){text, first}, ret_min) < 0)
        return false;
    *ret_max = *ret_min;
    if (dash != NULL && slice_to_u64(slice_from_string(dash + 1), ret_max) < 0)
        return false;
    return *ret_min >= 100 && *ret_max <= 599 && *ret_min <= *ret_max;
}

void status_range_read(struct reader *reader, const struct node *node, uint16_t *ret_min,
                       uint16_t *ret_max)
{
    uint64_t min = 0, max = 0;

    if (node->kind != NODE_SCALAR || !parse_status(node->text, &min, &max)) {
        reader_refuse(reader, node, "a status or a range, from 100 to 599, such as 204 or 200-399");
        return;
    }
    *ret_min = (uint16_t)min;
    *ret_max = (uint16_t)max;
}

static void read_status(struct reader *reader, const struct node *node, void *target)
{
    struct config_check *check = target;

    status_range_read(reader, node, &check->status_min, &check->status_max);
}

static void read_body(struct reader *reader, const struct node *node, void *target)
{
    struct config_check *check = target;

    if (!reader_wants_text(reader, node))
        return;
    size_t length = strlen(node->text);
    if (length == 0 || length > 255) {
        reader_refuse(reader, node, "1 to 255 bytes that the body must hold");
        return;
    }
    free(check->body);
    check->body = memory_copy_string(node->text);
}

/* As a Host header: with a port or without. */
static bool host_header_is_valid(const char *text)
{
    return host_is_valid(text) || endpoint_is_valid(text);
}

static const struct field http_check_fields[] = {
    {.key = "path",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_check, path),
     .max = 255,
     .valid = check_path_is_valid,
     .allowed = "a path that starts with /"},
    {.key = "status", .kind = FIELD_OTHER, .read = read_status},
    {.key = "body", .kind = FIELD_OTHER, .read = read_body},
    {.key = "host",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_check, host),
     .max = 255,
     .valid = host_header_is_valid,
     .allowed = "a host name, with a port or without"},
};
const struct table http_check_table = TABLE("http_check", http_check_fields);
const struct table tcp_check_table = {.name = "tcp_check"};
const struct table container_check_table = {.name = "container_check"};

static char **command_of_shell(const char *line)
{
    char **command = memory_new_array(4, sizeof(char *));

    command[0] = memory_copy_string("/bin/sh");
    command[1] = memory_copy_string("-c");
    command[2] = memory_copy_string(line);
    return command;
}

static void command_of_list(struct reader *reader, const struct node *node, char ***place)
{
    if (!reader_wants_list(reader, node, SCRIPT_ARGUMENTS_MAX))
        return;
    if (node->count == 0) {
        reader_tell(reader, node->line, "found an empty list, allowed are 1 to %d arguments",
                    SCRIPT_ARGUMENTS_MAX);
        return;
    }
    *place = memory_new_array(node->count + 1, sizeof(char *));
    for (size_t i = 0, used = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        size_t mark = reader_enter_index(reader, i);
        if (reader_wants_text(reader, item)) {
            if (strlen(item->text) > SCRIPT_ARGUMENT_BYTES_MAX || (i == 0 && *item->text == '\0'))
                reader_refuse(reader, item, "%s, up to %d bytes", i == 0 ? "a program" : "text",
                              SCRIPT_ARGUMENT_BYTES_MAX);
            else
                (*place)[used++] = memory_copy_string(item->text);
        }
        reader_leave(reader, mark);
    }
}

void command_read(struct reader *reader, const struct node *node, char ***place)
{
    if (node->kind == NODE_SEQUENCE)
        command_of_list(reader, node, place);
    else if (node->kind == NODE_MAPPING || node->scalar == SCALAR_NULL)
        reader_refuse(reader, node, "a list of arguments or a line for the shell");
    else if (reader_wants_text(reader, node)) {
        if (*node->text == '\0' || strlen(node->text) > SCRIPT_ARGUMENT_BYTES_MAX)
            reader_refuse(reader, node, "a line for the shell, up to %d bytes",
                          SCRIPT_ARGUMENT_BYTES_MAX);
        else
            *place = command_of_shell(node->text);
    }
}

static void read_script(struct reader *reader, const struct node *node, void *target)
{
    struct config_check *check = target;

    check->kind = CHECK_SCRIPT;
    command_read(reader, node, &check->script);
}

static void read_http(struct reader *reader, const struct node *node, void *target)
{
    ((struct config_check *)target)->kind = CHECK_HTTP;
    table_read(reader, node, &http_check_table, target);
}

static void read_tcp(struct reader *reader, const struct node *node, void *target)
{
    ((struct config_check *)target)->kind = CHECK_TCP;
    table_read(reader, node, &tcp_check_table, target);
}

static void read_container(struct reader *reader, const struct node *node, void *target)
{
    ((struct config_check *)target)->kind = CHECK_CONTAINER;
    table_read(reader, node, &container_check_table, target);
}

static const struct field healthcheck_fields[] = {
    {.key = "http", .kind = FIELD_OTHER, .read = read_http},
    {.key = "tcp", .kind = FIELD_OTHER, .read = read_tcp},
    {.key = "script", .kind = FIELD_OTHER, .read = read_script},
    {.key = "container", .kind = FIELD_OTHER, .read = read_container},
    {.key = "interval",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_check, interval_ms),
     .min = 10,
     .max = 3600 * 1000,
     .fallback = 2000},
    {.key = "timeout",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_check, timeout_ms),
     .min = 1,
     .max = 3600 * 1000,
     .fallback = 1000},
    {.key = "start_period",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_check, start_period_ms),
     .min = 0,
     .max = 24 * 3600 * 1000,
     .fallback = 0},
    {.key = "retries",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_check, retries),
     .min = 1,
     .max = 100,
     .fallback = 3},
    {.key = "successes",
     .kind = FIELD_NUMBER16,
     .offset = offsetof(struct config_check, successes),
     .min = 1,
     .max = 100,
     .fallback = 1},
};
const struct table healthcheck_table = TABLE("healthcheck", healthcheck_fields);

static void check_kinds(struct reader *reader, const struct node *node)
{
    static const char *const kinds[] = {"http", "tcp", "script", "container"};
    size_t given = 0;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        given += node_get(node, kinds[i]) != NULL;
    if (given != 1)
        reader_tell(reader, node->line,
                    "found %zu kinds of check, allowed is one of http, tcp, "
                    "script, container (or `healthcheck: none`)",
                    given);
}

static void check_timeout(struct reader *reader, const struct node *node,
                          struct config_check *check)
{
    char interval[DURATION_TEXT_BYTES];
    const struct node *timeout = node_get(node, "timeout");

    if (check->timeout_ms <= check->interval_ms)
        return;
    if (timeout == NULL) { /* the default gives way */
        check->timeout_ms = check->interval_ms;
        return;
    }
    duration_format(check->interval_ms, interval);
    size_t mark = reader_enter(reader, "timeout");
    reader_refuse(reader, timeout, "at most the interval, %s%s", interval,
                  node_get(node, "interval") == NULL ? " (the default)" : "");
    reader_leave(reader, mark);
}

void healthcheck_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_check *check = &((struct config_service *)target)->check;
    size_t before = reader->problems.count;

    if (node->kind == NODE_SCALAR && strcmp(node->text, "none") == 0)
        return;
    if (node->kind != NODE_MAPPING) {
        reader_refuse(reader, node, "none, or a mapping with one of http, tcp, script, container");
        return;
    }
    check->status_min = 200;
    check->status_max = 399;
    table_read(reader, node, &healthcheck_table, check);
    check_kinds(reader, node);
    if (reader->problems.count == before)
        check_timeout(reader, node, check);
}
