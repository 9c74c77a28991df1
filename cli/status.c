/* status: one question, one table. */
#include "api.h"
#include "base/memory.h"
#include "command.h"
#include "json.h"
#include "render.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const char *health_style(const char *health)
{
    if (strcmp(health, "healthy") == 0)
        return GOOD;
    return strcmp(health, "unhealthy") == 0 ? BAD : "";
}

/* "-" where nothing has been measured yet. */
static const char *latency_of(const struct cJSON *backend, const char *path, char text[TEXT_BYTES])
{
    bool none = json_number(backend, "exchanges") < 1;
    return text_latency(none ? -1 : json_number_or(backend, path, -1), text);
}

static void image_cell(struct table *table, const struct cJSON *group)
{
    const char *image = json_text(group, "image");
    bool empty = cJSON_GetArraySize(json_get(group, "backends")) == 0;
    table_cell(table, "%s", image[0] != '\0' ? image : empty ? "-" : "static");
}

static void add_services(const struct cJSON *services, struct lines *lines)
{
    const struct cJSON *service;
    char weight[TEXT_BYTES];
    struct table table;
    table_init(&table, "lllrrlrl", "SERVICE|STATE|STABLE|WEIGHT|HEALTHY|CANARY|REQUESTS|MESSAGE");
    cJSON_ArrayForEach(service, services)
    {
        const char *state = json_text(service, "state");
        bool well = strcmp(state, "steady") == 0 || strcmp(state, "rollout") == 0;
        table_cell(&table, "%s", json_text(service, "name"));
        table_cell(&table, "%s%s" PLAIN,
                   well                         ? GOOD
                   : strcmp(state, "held") == 0 ? WARN
                                                : BAD,
                   state);
        image_cell(&table, json_get(service, "groups.stable"));
        table_cell(&table, "%s", text_weight(json_number(service, "weight"), weight));
        table_cell(&table, "%.0f/%.0f", json_number(service, "healthy"),
                   json_number(service, "replicas"));
        image_cell(&table, json_get(service, "groups.canary"));
        table_cell(&table, "%.0f", json_number(service, "requests"));
        table_cell(&table, "%s", json_text(service, "message"));
    }
    table_finish(&table, "", lines);
}

static void add_backends(const struct cJSON *service, const char *group, struct table *table)
{
    char text[TEXT_BYTES];
    const struct cJSON *backend;
    const struct cJSON *groups = json_get(service, "groups");
    cJSON_ArrayForEach(backend, json_get(json_get(groups, group), "backends"))
    {
        const char *health = json_text(backend, "health");
        table_cell(table, "%s", json_text(service, "name"));
        table_cell(table, "%s", json_text(backend, "name"));
        table_cell(table, "%s", group);
        table_cell(table, "%s", json_text(backend, "state"));
        table_cell(table, "%s%s" PLAIN, health_style(health), health);
        table_cell(table, "%.0f", json_number(backend, "active"));
        table_cell(table, "%.0f", json_number(backend, "exchanges"));
        table_cell(table, "%s", latency_of(backend, "latency_us.p50", text));
        table_cell(table, "%s", latency_of(backend, "latency_us.p99", text));
        table_cell(table, "%s", json_text(backend, "address"));
        table_cell(table, "%s", render_note(backend, strcmp(health, "healthy") == 0, text));
    }
}

/* Those that there were; what never happened would hide them. */
static void add_refusals(const struct cJSON *refusals, struct lines *lines)
{
    const struct cJSON *reason;
    struct table table;
    table_init(&table, "lr", "REFUSED|TIMES");
    size_t header = table.count;
    cJSON_ArrayForEach(reason, refusals)
    {
        if (!cJSON_IsNumber(reason) || reason->valuedouble < 1)
            continue;
        table_cell(&table, "%s", reason->string);
        table_cell(&table, "%.0f", reason->valuedouble);
    }
    bool any = table.count > header;
    if (any)
        lines_add(lines, "%s", "");
    struct lines none = {0};
    table_finish(&table, "", any ? lines : &none);
    lines_done(&none);
}

/* What a rollout sends to the canary beside the weight's share, and what came of the copies. */
static void add_mirrors(const struct cJSON *services, struct lines *lines)
{
    const struct cJSON *service;
    char mirror[TEXT_BYTES];
    struct table table;
    struct lines none = {0};
    table_init(&table, "llrrrrrr",
               "SERVICE|MATCH|MIRROR|COPIES|COMPARED|OTHER STATUS|OTHER BODY|FAILED");
    size_t header = table.count;
    cJSON_ArrayForEach(service, services)
    {
        const struct cJSON *match = json_get(service, "match");
        const char *kind = json_get(match, "cookie") != NULL ? "cookie" : "header";
        bool matches = cJSON_IsObject(match);
        if (!matches && json_number(service, "mirror") <= 0 &&
            json_number(service, "mirrored.sent") < 1)
            continue;
        table_cell(&table, "%s", json_text(service, "name"));
        if (matches)
            table_cell(&table, "%s %s: %s", kind, json_text(json_get(match, kind), "name"),
                       json_text(json_get(match, kind), "value"));
        else
            table_cell(&table, "-");
        table_cell(&table, "%s", text_weight(json_number(service, "mirror"), mirror));
        table_cell(&table, "%.0f", json_number(service, "mirrored.sent"));
        table_cell(&table, "%.0f", json_number(service, "mirrored.compared"));
        table_cell(&table, "%.0f", json_number(service, "mirrored.status_differs"));
        table_cell(&table, "%.0f", json_number(service, "mirrored.body_differs"));
        table_cell(&table, "%.0f", json_number(service, "mirrored.failed"));
    }
    bool any = table.count > header;
    if (any)
        lines_add(lines, "%s", "");
    table_finish(&table, "", any ? lines : &none);
    lines_done(&none);
}

/* `refusals`: NULL where one service was asked for, for they are the whole proxy's. */
static void print_status(const struct invocation *invocation, const struct cJSON *services,
                         const struct cJSON *refusals)
{
    const struct cJSON *service;
    struct lines lines = {0};
    struct table table;
    if (cJSON_GetArraySize(services) == 0)
        lines_add(&lines, "no services");
    else
        add_services(services, &lines);
    table_init(&table, "lllllrrrrll",
               "SERVICE|BACKEND|GROUP|STATE|HEALTH|ACTIVE|REQUESTS|P50|P99|ADDRESS|REASON");
    size_t header = table.count;
    cJSON_ArrayForEach(service, services)
    {
        add_backends(service, "stable", &table);
        add_backends(service, "canary", &table);
    }
    bool any = table.count > header;
    if (any)
        lines_add(&lines, "%s", "");
    struct lines backends = {0};
    table_finish(&table, "", any ? &lines : &backends);
    lines_done(&backends);
    add_mirrors(services, &lines);
    add_refusals(refusals, &lines);
    lines_print(&lines, stdout, invocation->colour);
    lines_done(&lines);
}

enum exit_code command_status(const struct invocation *invocation)
{
    struct api_reply reply;
    const char *name = invocation->arguments[0];
    char *escaped = name != NULL ? api_escape(name) : NULL;
    char *path =
        memory_format("/v1/services%s%s", name != NULL ? "/" : "", name != NULL ? escaped : "");
    if (api_ask(invocation, "GET", path, NULL, &reply)) {
        if (invocation->json) {
            json_print(reply.json);
        } else if (name == NULL) {
            print_status(invocation, json_get(reply.json, "services"),
                         json_get(reply.json, "refusals"));
        } else {
            struct cJSON *services = cJSON_CreateArray();
            cJSON_AddItemReferenceToArray(services, reply.json);
            print_status(invocation, services, NULL);
            cJSON_Delete(services);
        }
    }
    enum exit_code code = api_exit_code(&reply);
    api_reply_done(&reply);
    free(escaped);
    free(path);
    return code;
}
