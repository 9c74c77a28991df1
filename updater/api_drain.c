/* The admin API's orders for drains that are under way: end one exchange, end a class, extend. */
#include "api.h"
#include "api_views.h"
#include "base/log.h"
#include "drain.h"
#include "journal.h"
#include "steady.h"
#include "turn.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#define EXTEND_MAX_MS (720ull * 3600 * 1000) /* in all, as for a budget */

struct order {
    const char *verb; /* "drain-extended", "drain-class-ended": of the log */
    uint8_t kinds;
    uint32_t extend_ms[KIND_COUNT];
};

static void tell(const struct service *service, const struct admin_request *request,
                 const char *event, const char *what)
{
    struct log_line line;

    log_begin(&line, LOG_INFO, event);
    log_string(&line, "service", service_name(service));
    log_string(&line, "rollout", service->rollout ? rollout_id(service->rollout) : NULL);
    log_string(&line, "what", what);
    log_u64(&line, "uid", request->uid);
    log_end(&line);
}

static bool is_draining(const struct service *service, int slot)
{
    const struct routing_backend *backend = table_backend(service->updater->table, slot);

    return backend->state == BACKEND_DRAINING && backend->service == service->row;
}

static bool anything_drains(const struct service *service)
{
    for (uint32_t slot = 0; slot < service->updater->table->draft.backend_count; slot++) {
        if (is_draining(service, (int)slot))
            return true;
    }
    return false;
}

/* "websockets", "all". Returns the kinds, or 0. */
static uint8_t kinds_of(const char *word)
{
    uint8_t kinds = 0;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (strcmp(word, config_drain_keys[kind]) == 0 || strcmp(word, "all") == 0)
            kinds |= (uint8_t)(1u << kind);
    }
    return kinds;
}

/* --- one exchange --------------------------------------------------------------------------- */

static bool holds_a_drain(const struct service *service, uint64_t id)
{
    const struct scoreboard *scores = &service->updater->scores;

    for (unsigned row = 0; row < scores->row_count; row++) {
        struct score_hold holds[SCORE_HOLDS_MAX];
        uint32_t total;
        uint32_t count = score_holds_read(scores->rows[row], holds, SCORE_HOLDS_MAX, &total);

        for (uint32_t i = 0; i < count; i++) {
            if (holds[i].id == id && holds[i].slot < service->updater->table->draft.backend_count &&
                is_draining(service, (int)holds[i].slot))
                return true;
        }
    }
    return false;
}

static void end_one(struct service *service, const struct admin_request *request, const char *text,
                    struct admin_answer *ret_answer)
{
    uint64_t id;

    if (slice_to_u64(slice_from_string(text), &id)) {
        admin_error(ret_answer, 400, "bad-request", "end is the id of a hold, as `GET` lists it");
    } else if (!holds_a_drain(service, id)) {
        admin_error(ret_answer, 404, "no-such-exchange",
                    "no exchange %s holds a drain of \"%s\" (any more); `sluice drain %s` lists "
                    "those that do",
                    text, service_name(service), service_name(service));
    } else {
        table_end_exchange(service->updater->table, id);
        turn_publish(service->updater);
        tell(service, request, "drain-exchange-ended", text);
        ret_answer->status = 200;
        ret_answer->body = view_drains(service);
    }
}

/* --- a class, and extensions ---------------------------------------------------------------- */

/* Kept before it is answered: it must not be forgotten, whatever becomes of the updater. */
static int keep(struct rollout *rollout, const struct order *order)
{
    struct plan_drain_orders orders = rollout->drain_orders;
    int error;

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        orders.extend_ms[kind] += order->extend_ms[kind];
        if ((order->kinds & 1u << kind) != 0)
            orders.ended_ms[kind] = steady_wall_ms();
    }
    error =
        journal_drain_orders_save(rollout->service->updater->journal, rollout_id(rollout), &orders);
    if (!error)
        rollout->drain_orders = orders;
    return error;
}

static void end_kinds(struct service *service, const struct admin_request *request,
                      const char *word, struct admin_answer *ret_answer)
{
    struct table *table = service->updater->table;
    const struct order order = {.kinds = kinds_of(word)};

    if (order.kinds == 0) {
        admin_error(ret_answer, 400, "bad-request",
                    "end_kind is requests, uploads, streams, websockets, tcp or all");
        return;
    }
    if (!anything_drains(service)) {
        admin_error(ret_answer, 409, "not-applicable", "nothing of \"%s\" is draining",
                    service_name(service));
        return;
    }
    if (service->rollout && keep(service->rollout, &order)) {
        admin_error(ret_answer, 500, "journal", "%s", journal_error(service->updater->journal));
        return;
    }
    /* What leaves without a rollout is nobody's to plan. */
    for (uint32_t slot = 0; slot < table->draft.backend_count; slot++) {
        if (is_draining(service, (int)slot) && (!service->rollout || table->entries[slot].leaving))
            table_set_end_kinds(table, (int)slot,
                                table->draft.backends[slot].end_kinds | order.kinds,
                                service_drain_budget(service)->close_spread_ms);
    }
    turn_publish(service->updater);
    if (service->rollout)
        rollout_log(service->rollout, "drain-class-ended", NULL, word);
    tell(service, request, "drain-class-ended", word);
    ret_answer->status = 200;
    ret_answer->body = view_drains(service);
}

static bool read_extension(const cJSON *item, uint32_t *ret_ms)
{
    return cJSON_IsString(item) && config_parse_duration(item->valuestring, ret_ms) == 0 &&
           *ret_ms > 0;
}

/* "5m", or {"websockets": "5m"}. */
static bool read_extensions(const cJSON *extend, struct order *order)
{
    const cJSON *item;
    uint32_t ms = 0;

    if (cJSON_IsString(extend)) {
        for (unsigned kind = 0; kind < KIND_COUNT && read_extension(extend, &ms); kind++)
            order->extend_ms[kind] = ms;
        return ms > 0;
    }
    cJSON_ArrayForEach(item, extend)
    {
        uint8_t kinds = kinds_of(item->string);

        if (kinds == 0 || !read_extension(item, &ms))
            return false;
        for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
            if ((kinds & 1u << kind) != 0)
                order->extend_ms[kind] = ms;
        }
    }
    return cJSON_IsObject(extend) && ms > 0;
}

static bool is_too_much(const struct rollout *rollout, const struct order *order)
{
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (rollout->drain_orders.extend_ms[kind] + order->extend_ms[kind] > EXTEND_MAX_MS)
            return true;
    }
    return false;
}

static void extend(struct service *service, const struct admin_request *request, const cJSON *how,
                   struct admin_answer *ret_answer)
{
    struct order order = {0};
    char *text;

    if (!read_extensions(how, &order)) {
        admin_error(ret_answer, 400, "bad-request",
                    "extend is a time such as \"5m\", or {\"websockets\": \"5m\"} by class");
        return;
    }
    if (!service->rollout || !anything_drains(service)) {
        admin_error(ret_answer, 409, "not-applicable", "no drain of \"%s\" has a budget: %s",
                    service_name(service),
                    service->rollout ? "nothing is draining" : "no rollout is in progress");
        return;
    }
    if (is_too_much(service->rollout, &order)) {
        admin_error(ret_answer, 409, "not-applicable", "extensions are 720h in all at most");
        return;
    }
    if (keep(service->rollout, &order)) {
        admin_error(ret_answer, 500, "journal", "%s", journal_error(service->updater->journal));
        return;
    }
    text = cJSON_PrintUnformatted(how);
    rollout_log(service->rollout, "drain-extended", NULL, text ? text : "");
    tell(service, request, "drain-extended", text);
    cJSON_free(text);
    ret_answer->status = 200;
    ret_answer->body = view_drains(service);
}

void api_drain(struct service *service, const struct admin_request *request,
               struct admin_answer *ret_answer)
{
    static const char *const keys[] = {"end", "end_kind", "extend", NULL};
    const cJSON *end, *kind, *how;

    if (!api_body_has_only(request->body, keys, ret_answer))
        return;
    end = cJSON_GetObjectItemCaseSensitive(request->body, "end");
    kind = cJSON_GetObjectItemCaseSensitive(request->body, "end_kind");
    how = cJSON_GetObjectItemCaseSensitive(request->body, "extend");
    if (cJSON_GetArraySize(request->body) != 1 || (end && !cJSON_IsString(end)) ||
        (kind && !cJSON_IsString(kind)))
        admin_error(ret_answer, 400, "bad-request",
                    "one of {\"end\": \"ID\"}, {\"end_kind\": \"websockets\"} and {\"extend\": "
                    "\"5m\"}");
    else if (end)
        end_one(service, request, end->valuestring, ret_answer);
    else if (kind)
        end_kinds(service, request, kind->valuestring, ret_answer);
    else
        extend(service, request, how, ret_answer);
}
