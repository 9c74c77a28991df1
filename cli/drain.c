/* drain: what holds the drains of a service; ends one exchange or a class of them; gives more time.
 */
#include "api.h"
#include "base/memory.h"
#include "command.h"
#include "config/config.h"
#include "json.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WATCH_SECONDS 1

static void add_holds(const struct cJSON *holds, struct lines *lines)
{
    char text[TEXT_BYTES];
    const struct cJSON *hold;
    struct table table;

    table_init(&table, "llllrrrlr", "ID|KIND|CLIENT|REQUEST|AGE|BYTES|LEFT|ENDING|WORKER");
    cJSON_ArrayForEach(hold, holds)
    {
        const char *ending = json_text(hold, "ending");
        double left = json_number_or(hold, "left_ms", -1);
        table_cell(&table, "%s", json_text(hold, "id"));
        table_cell(&table, "%s", json_text(hold, "kind"));
        table_cell(&table, "%s", json_text(hold, "client"));
        table_cell(&table, "%s", json_text(hold, "request"));
        table_cell(&table, "%s", text_duration(json_number(hold, "age_ms"), text));
        table_cell(&table, "%s", text_bytes(json_number(hold, "bytes"), text));
        table_cell(&table, "%s", left < 0 ? "-" : text_duration(left, text));
        table_cell(&table, "%s", ending[0] != '\0' ? ending : "-");
        table_cell(&table, "%.0f", json_number(hold, "row"));
    }
    table_finish(&table, "  ", lines);
}

static void add_drain(const struct cJSON *drain, struct lines *lines)
{
    const struct cJSON *holds = json_get(drain, "holds");
    char waited[TEXT_BYTES], left[TEXT_BYTES];
    lines_add(lines, BOLD "%s" PLAIN "  waited %s, %s left, then %s; %.0f active",
              json_text(drain, "container"), text_duration(json_number(drain, "waited_ms"), waited),
              text_duration(json_number(drain, "left_ms"), left), json_text(drain, "on_timeout"),
              json_number(drain, "active"));
    if (cJSON_GetArraySize(holds) == 0)
        return;
    add_holds(holds, lines);
    double more = json_number(drain, "hold_total") - cJSON_GetArraySize(holds);
    if (more > 0)
        lines_add(lines, "  and %.0f more", more);
}

/* Returns whether anything is draining. */
static bool print_drains(const struct invocation *invocation, const struct cJSON *answer)
{
    const struct cJSON *drain, *drains = json_get(answer, "drains");
    struct lines lines = {0};
    bool any = cJSON_GetArraySize(drains) > 0;

    if (invocation->json) {
        json_print(answer);
        return any;
    }
    cJSON_ArrayForEach(drain, drains)
    {
        add_drain(drain, &lines);
    }
    if (!any)
        lines_add(&lines, "nothing of %s is draining", invocation->arguments[0]);
    lines_print(&lines, stdout, invocation->colour);
    lines_done(&lines);
    fflush(stdout);
    return any;
}

/* "5m", "websockets=5m". NULL: not that. */
static struct cJSON *read_extension(const char *text)
{
    const char *equals = strchr(text, '=');
    const char *time = equals != NULL ? equals + 1 : text;
    uint32_t ms;

    if (config_parse_duration(time, &ms) < 0 || ms == 0)
        return NULL;
    if (equals == NULL)
        return cJSON_CreateString(time);
    char *kind = memory_format("%.*s", (int)(equals - text), text);
    struct cJSON *extend = cJSON_CreateObject();
    cJSON_AddStringToObject(extend, kind, time);
    free(kind);
    return extend;
}

/* What is asked for beyond a look. *ret_body stays NULL where that is all. */
static enum exit_code read_order(const struct invocation *invocation, struct cJSON **ret_body)
{
    const char *end = invocation_option(invocation, "end");
    const char *extend = invocation_option(invocation, "extend");

    if (end != NULL && extend != NULL)
        return complain(USAGE, "one of --end and --extend at a time");
    if (end != NULL) {
        *ret_body = cJSON_CreateObject();
        cJSON_AddStringToObject(*ret_body, isdigit((unsigned char)end[0]) ? "end" : "end_kind",
                                end);
    } else if (extend != NULL) {
        struct cJSON *how = read_extension(extend);
        if (how == NULL)
            return complain(USAGE, "--extend takes a time such as 5m, or CLASS=TIME such as "
                                   "websockets=5m");
        *ret_body = cJSON_CreateObject();
        cJSON_AddItemToObject(*ret_body, "extend", how);
    }
    return DONE;
}

/* Asks once. *ret_any: something is draining. */
static enum exit_code ask(const struct invocation *invocation, const char *path,
                          const struct cJSON *body, bool *ret_any)
{
    struct api_reply reply;
    bool answered = api_ask(invocation, body != NULL ? "POST" : "GET", path, body, &reply);

    *ret_any = answered && print_drains(invocation, reply.json);
    enum exit_code code = api_exit_code(&reply);
    api_reply_done(&reply);
    return code;
}

/* Until nothing drains any more. */
static enum exit_code watch(const struct invocation *invocation, const char *path)
{
    const struct timespec rest = {.tv_sec = WATCH_SECONDS};
    bool screen = !invocation->json && isatty(STDOUT_FILENO), any = true;
    enum exit_code code = DONE;

    while (code == DONE && any) {
        if (screen)
            fputs("\033[H\033[J", stdout);
        code = ask(invocation, path, NULL, &any);
        if (code == DONE && any)
            nanosleep(&rest, NULL);
    }
    return code;
}

enum exit_code command_drain(const struct invocation *invocation)
{
    char *escaped = api_escape(invocation->arguments[0]);
    char *path = memory_format("/v1/services/%s/drains", escaped);
    struct cJSON *body = NULL;
    bool any;
    enum exit_code code = read_order(invocation, &body);

    bool watches = invocation_option(invocation, "watch") != NULL;

    if (code == DONE && (body != NULL || !watches))
        code = ask(invocation, path, body, &any);
    if (code == DONE && watches)
        code = watch(invocation, path);
    cJSON_Delete(body);
    free(escaped);
    free(path);
    return code;
}
