#include "api.h"

#include "api_views.h"
#include "base/memory.h"
#include "view_rollout.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROLLOUTS_SHOWN     20u
#define ROLLOUTS_SHOWN_MAX 200u

static void not_found(const struct admin_request *request, struct admin_answer *answer)
{
    admin_error(answer, 404, "not-found", "there is nothing at %s; docs/admin-api.md lists what is",
                request->path);
}

/* Answers 405 where the method is another. */
static bool method_is(const struct admin_request *request, const char *method,
                      struct admin_answer *answer)
{
    if (strcmp(request->method, method) == 0)
        return true;
    admin_error(answer, 405, "method-not-allowed", "%s takes %s only", request->path, method);
    return false;
}

static void answer_json(struct admin_answer *answer, cJSON *body)
{
    answer->status = 200;
    answer->body = body;
}

static void services_list(struct updater *updater, struct admin_answer *answer)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(object, "services");

    for (size_t i = 0; i < updater->service_count; i++)
        cJSON_AddItemToArray(array, view_service(&updater->services[i]));
    view_add_refusals(object, updater);
    answer_json(answer, object);
}

static void no_such_service(struct updater *updater, const char *name, struct admin_answer *answer)
{
    char list[1024] = "";
    size_t used = 0;

    for (size_t i = 0; i < updater->service_count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
                                 service_name(&updater->services[i]));
    admin_error(answer, 404, "no-such-service", "there is no service \"%s\"; there %s %s", name,
                updater->service_count == 1 ? "is" : "are", list);
}

/* "/v1/services/S[/VERB]" behind "/v1/services/" */
static void service_handle(struct updater *updater, const char *rest,
                           const struct admin_request *request, struct admin_answer *answer)
{
    const char *slash = strchr(rest, '/');
    char name[CONFIG_NAME_MAX + 1];
    struct service *service;
    struct slice its = {rest, slash ? (size_t)(slash - rest) : strlen(rest)};

    (void)slice_copy_string(its, name, sizeof(name));
    service = updater_service(updater, name);
    if (!service || its.length > CONFIG_NAME_MAX) {
        no_such_service(updater, name, answer);
    } else if (!slash) {
        if (method_is(request, "GET", answer))
            answer_json(answer, view_service(service));
    } else if (strcmp(slash, "/drains") == 0) {
        if (strcmp(request->method, "POST") == 0)
            api_drain(service, request, answer);
        else if (method_is(request, "GET", answer))
            answer_json(answer, view_drains(service));
    } else if (strcmp(slash, "/weight") == 0) {
        if (method_is(request, "POST", answer))
            api_weight(service, request, answer);
    } else if (strcmp(slash, "/hold") == 0) {
        if (method_is(request, "POST", answer))
            api_hold(service, request, answer);
    } else if (strcmp(slash, "/release") == 0) {
        if (method_is(request, "POST", answer))
            api_release(service, request, answer);
    } else if (strcmp(slash, "/abort") == 0) {
        if (method_is(request, "POST", answer))
            api_abort(service, request, answer);
    } else if (strcmp(slash, "/scale") == 0) {
        if (method_is(request, "POST", answer))
            api_scale(service, request, answer);
    } else if (strcmp(slash, "/rollouts") == 0) {
        if (method_is(request, "POST", answer))
            api_rollout_start(service, request, answer);
    } else if (strcmp(slash, "/rollback") == 0) {
        if (method_is(request, "POST", answer))
            api_rollback(service, request, answer);
    } else {
        not_found(request, answer);
    }
}

/* The one in progress of this id, or NULL. */
static struct rollout *rollout_live(struct updater *updater, const struct journal_rollout *record)
{
    struct service *service = updater_service(updater, record->service);

    return service && service->rollout && strcmp(rollout_id(service->rollout), record->id) == 0
               ? service->rollout
               : NULL;
}

cJSON *api_rollout_show(struct updater *updater, const struct journal_rollout *record)
{
    struct rollout *live = rollout_live(updater, record);

    return live ? view_rollout_live(live) : view_rollout(updater, record, NULL);
}

static void rollouts_list(struct updater *updater, const struct admin_request *request,
                          struct admin_answer *answer)
{
    const char *service = admin_query(request, "service");
    const char *text = admin_query(request, "limit");
    uint64_t limit = ROLLOUTS_SHOWN;
    struct journal_rollout *rollouts;
    size_t count;
    cJSON *object, *array;

    if (text && (slice_to_u64(slice_from_string(text), &limit) || limit == 0 ||
                 limit > ROLLOUTS_SHOWN_MAX)) {
        admin_error(answer, 400, "bad-request", "limit is a whole number from 1 to %u",
                    ROLLOUTS_SHOWN_MAX);
        return;
    }
    if (service && !updater_service(updater, service)) {
        no_such_service(updater, service, answer);
        return;
    }
    if (journal_rollout_list(updater->journal, service, (uint32_t)limit, &rollouts, &count)) {
        admin_error(answer, 500, "journal", "%s", journal_error(updater->journal));
        return;
    }
    object = cJSON_CreateObject();
    array = cJSON_AddArrayToObject(object, "rollouts");
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, api_rollout_show(updater, &rollouts[i]));
    journal_rollouts_free(rollouts, count);
    answer_json(answer, object);
}

static void rollout_handle(struct updater *updater, const char *rest,
                           const struct admin_request *request, struct admin_answer *answer)
{
    static const char *const verbs[] = {"pause", "resume", "promote", "abort"};
    const char *slash = strchr(rest, '/');
    struct slice its = {rest, slash ? (size_t)(slash - rest) : strlen(rest)};
    struct journal_rollout record;
    char id[64];
    int error = -ENOENT;

    if (slice_copy_string(its, id, sizeof(id)) && id[0] != '\0')
        error = journal_rollout_find(updater->journal, id, &record);
    if (error && error != -ENOENT && error != -EEXIST) {
        admin_error(answer, 500, "journal", "%s", journal_error(updater->journal));
        return;
    }
    if (error) {
        admin_error(answer, 404, "no-such-rollout",
                    error == -EEXIST ? "several rollouts begin with \"%s\"; give more of the id"
                                     : "there is no rollout \"%s\"; `sluice history` lists them",
                    id);
        return;
    }
    bool is_verb = false;

    for (size_t i = 0; slash && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        is_verb = is_verb || strcmp(slash + 1, verbs[i]) == 0;
    if (!slash) {
        if (method_is(request, "GET", answer))
            answer_json(answer, api_rollout_show(updater, &record));
    } else if (strcmp(slash, "/report") == 0) {
        if (method_is(request, "GET", answer))
            api_report(updater, &record, request, answer);
    } else if (strcmp(slash, "/confirm") == 0) {
        if (method_is(request, "POST", answer))
            api_confirm(updater, &record, request, answer);
    } else if (strcmp(slash, "/notes") == 0) {
        if (method_is(request, "POST", answer))
            api_note(updater, &record, request, answer);
    } else if (!is_verb) {
        not_found(request, answer);
    } else if (method_is(request, "POST", answer)) {
        api_rollout_verb(updater, record.id, slash + 1, answer);
    }
    journal_rollout_done(&record);
}

static void metrics_answer(struct updater *updater, struct admin_answer *answer)
{
    answer->status = 200;
    answer->text = metrics_write(updater);
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

void api_handle(void *context, const struct admin_request *request, struct admin_answer *ret_answer)
{
    static const char services[] = "/v1/services/", rollouts[] = "/v1/rollouts/";
    struct updater *updater = context;
    const char *path = request->path;

    if (strncmp(path, services, sizeof(services) - 1) == 0)
        service_handle(updater, path + sizeof(services) - 1, request, ret_answer);
    else if (strncmp(path, rollouts, sizeof(rollouts) - 1) == 0)
        rollout_handle(updater, path + sizeof(rollouts) - 1, request, ret_answer);
    else if (strcmp(path, "/v1/services") == 0 && method_is(request, "GET", ret_answer))
        services_list(updater, ret_answer);
    else if (strcmp(path, "/v1/rollouts") == 0 && method_is(request, "GET", ret_answer))
        rollouts_list(updater, request, ret_answer);
    else if (strcmp(path, "/v1/healthz") == 0 && method_is(request, "GET", ret_answer))
        answer_json(ret_answer, view_health(updater));
    else if (strcmp(path, "/v1/metrics") == 0 && method_is(request, "GET", ret_answer))
        metrics_answer(updater, ret_answer);
    else if (ret_answer->status == 0)
        not_found(request, ret_answer);
    updater_wake(updater);
}
