#include "discovery.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "engine.h"
#include "engine_json.h"
#include "steady.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_AGAIN_S  30. /* for what the engine itself may have lost */
#define LIST_RETRY_S  1.  /* after one that failed, or an inspect that did */
#define LIST_BAD_MAX  10  /* so often in a row: what cannot be inspected is left out */
#define LOOK_RETRY_MS 1000u

struct look { /* an inspect in flight */
    struct service *service;
    char id[65];
    uint64_t sequence; /* an answer to an older question never overwrites a newer one */
    void (*done)(void *context);
    void *context;
};

static void trouble_set(struct service *service, const char *what, const char *message)
{
    struct log_line line;
    char text[SERVICE_MESSAGE_BYTES];

    (void)snprintf(text, sizeof(text), "%s: %s", what, message);
    if (strcmp(text, service->trouble) == 0)
        return;
    memcpy(service->trouble, text, sizeof(text));
    service->changed = true;
    log_begin(&line, LOG_WARNING, "discovery-trouble");
    log_string(&line, "service", service_name(service));
    log_string(&line, "reason", text);
    log_end(&line);
}

/* Connections that are open live on without it, but no new one can be made: the next action of a
 * rollout would fail. */
static bool socket_is_gone(const struct updater *updater, char why[256])
{
    static const char scheme[] = "unix://";
    const char *host = updater->config->engine_host;

    if (strncmp(host, scheme, sizeof(scheme) - 1) != 0 ||
        access(host + sizeof(scheme) - 1, F_OK) == 0 || errno != ENOENT)
        return false;
    (void)snprintf(why, 256, "no engine at %.200s: there is no such socket",
                   host + sizeof(scheme) - 1);
    return true;
}

/* What ended in an absence may have ended with the engine. The wall clock, for containers' ends are
 * told by it. */
static void absence_note(struct updater *updater, bool is_back)
{
    if (!is_back) {
        updater->engine_left_ms = clock_wall_ms();
    } else if (updater->engine_left_ms != 0) {
        updater->engine_away_ms = updater->engine_left_ms;
        updater->engine_back_ms = clock_wall_ms();
        updater->engine_left_ms = 0;
    }
}

static void reachable_set(struct updater *updater, bool reachable, const char *message)
{
    struct log_line line;
    char why[256];

    updater->engine_gone = socket_is_gone(updater, why);
    if (reachable && updater->engine_gone) {
        reachable = false;
        message = why;
    }
    (void)slice_copy_string(slice_from_string(message), updater->engine_message,
                            sizeof(updater->engine_message));
    if (updater->engine_reachable == reachable && updater->engine_told)
        return;
    absence_note(updater, reachable);
    updater->engine_reachable = reachable;
    updater->engine_told = true;
    for (size_t i = 0; i < updater->service_count; i++) {
        updater->services[i].changed = true;
        updater->services[i].stale = updater->services[i].stale || !reachable;
    }
    log_begin(&line, reachable ? LOG_INFO : LOG_WARNING,
              reachable ? "engine-reachable" : "engine-unreachable");
    log_string(&line, "host", updater->config->engine_host);
    log_string(&line, "reason", message[0] ? message : NULL);
    log_end(&line);
    updater_wake(updater);
}

static void on_list_due(int revents, void *argument)
{
    struct service *service = argument;

    (void)revents;
    service->list_due = false;
    if (service->updater->engine)
        discovery_list(service);
}

static void list_soon(struct service *service)
{
    if (service->list_due)
        return;
    service->list_due = true;
    ev_once(service->updater->loop, -1, 0, LIST_RETRY_S, on_list_due, service);
}

/* What it is now is not known: nothing is done to it, and no list that has it is whole. */
static void look_failed(struct service *service, struct container *container, const char *message)
{
    trouble_set(service, "a container cannot be inspected", message);
    if (container)
        container->retry_ms = clock_ms() + LOOK_RETRY_MS;
    service->list_good = false;
    list_soon(service);
}

static void on_look(void *context, const struct engine_reply *reply)
{
    struct look *look = context;
    struct service *service = look->service;
    struct container *container = service_container(service, look->id);

    if (reply->error == 0) {
        if (discovery_apply(service, reply->json, look->sequence))
            look_failed(service, container, "the engine's answer does not describe a container");
    } else if (reply->error == -ENOENT && container && container->looked < look->sequence &&
               (!container->busy || look->done)) /* else what made it go writes that down first */
        container_forget(container);
    else if (reply->error != -ENOENT && reply->error != -ECANCELED)
        look_failed(service, container, reply->message);
    if (look->done)
        look->done(look->context);
    service->changed = true;
    updater_wake(service->updater);
    free(look);
}

void discovery_look(struct service *service, const char *id, void (*done)(void *context),
                    void *context)
{
    struct look *look = memory_new(sizeof(*look));

    look->service = service;
    look->sequence = ++service->updater->looks;
    look->done = done;
    look->context = context;
    (void)slice_copy_string(slice_from_string(id), look->id, sizeof(look->id));
    engine_inspect(service->updater->engine, look->id, on_look, look);
}

/* --- lists --------------------------------------------------------------------------------- */

static void list_start(struct service *service);

/* One inspect of the list has ended; the last one completes it. */
static void list_part_done(struct service *service)
{
    check(service->list_pending > 0);
    if (--service->list_pending > 0)
        return;
    service->listing = false;
    service->list_bad = service->list_good ? 0 : service->list_bad + service->list_given;
    if (!service->list_good)
        list_soon(service);
    if (service->list_good || service->list_bad >= LIST_BAD_MAX)
        service->stale = false;
    if (!service->listed && (service->list_good || service->list_bad >= LIST_BAD_MAX)) {
        service->listed = true;
        table_drop_unclaimed(service->updater->table, service->row, steady_wall_ms());
        log_event(LOG_INFO, "service-discovered", "service", service_name(service));
    }
    service->changed = true;
    updater_wake(service->updater);
    if (service->list_again)
        list_start(service);
}

static void on_listed_look(void *context)
{
    list_part_done(context);
}

static void look_at_listed(struct service *service, const cJSON *array)
{
    const cJSON *item;

    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next)
        container_of(node, struct container, node)->seen = false;
    cJSON_ArrayForEach(item, array)
    {
        const char *id = engine_json_string(item, "Id");
        struct container *container = id ? service_container(service, id) : NULL;

        if (!id)
            continue;
        if (container)
            container->seen = true;
        service->list_pending++;
        discovery_look(service, id, on_listed_look, service);
    }
    /* Known, but not listed: most likely gone, which looking will tell. */
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next) {
        const struct container *container = container_of(node, struct container, node);

        if (container->seen)
            continue;
        service->list_pending++;
        discovery_look(service, container->facts.id, on_listed_look, service);
    }
}

static void on_list(void *context, const struct engine_reply *reply)
{
    struct service *service = context;

    if (reply->error == -ECANCELED)
        return;
    service->list_good = service->list_given = reply->error == 0;
    if (reply->error) {
        trouble_set(service, "its containers cannot be listed", reply->message);
        if (reply->status == 0)
            reachable_set(service->updater, false, reply->message);
    } else {
        service->trouble[0] = '\0';
        reachable_set(service->updater, true, "");
        look_at_listed(service, reply->json);
    }
    list_part_done(service);
}

static void list_start(struct service *service)
{
    const struct config_service *config = service->config;
    char *label = config->label_value
                      ? memory_format("%s=%s", config->label_key, config->label_value)
                      : memory_copy_string(config->label_key);
    char *project =
        config->project ? memory_format("com.docker.compose.project=%s", config->project) : NULL;
    const char *const labels[] = {label, project, NULL};

    service->listing = true;
    service->list_again = false;
    service->list_pending = 1; /* the list itself */
    engine_list(service->updater->engine, labels, on_list, service);
    free(label);
    free(project);
}

void discovery_list(struct service *service)
{
    if (service->listing)
        service->list_again = true;
    else
        list_start(service);
}

static void list_all(struct updater *updater)
{
    for (size_t i = 0; i < updater->service_count; i++) {
        if (!updater->services[i].is_static)
            discovery_list(&updater->services[i]);
    }
}

/* --- events -------------------------------------------------------------------------------- */

static bool label_matches(const cJSON *attributes, const char *key, const char *value)
{
    const char *its = engine_json_string(attributes, key);

    return its && (!value || strcmp(its, value) == 0);
}

static bool service_matches(const struct service *service, const cJSON *event)
{
    const struct config_service *config = service->config;
    const cJSON *attributes = engine_json_get(engine_json_get(event, "Actor"), "Attributes");

    return label_matches(attributes, config->label_key, config->label_value) &&
           (!config->project ||
            label_matches(attributes, "com.docker.compose.project", config->project));
}

/* Signals that end a process by default; HUP, USR1 and the like are for it to act upon. */
static bool signal_ends(const cJSON *event)
{
    static const char *const endings[] = {"15", "9", "2", "3", "6"};
    const char *signal = engine_json_string(
        engine_json_get(engine_json_get(event, "Actor"), "Attributes"), "signal");

    for (size_t i = 0; signal && i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strcmp(signal, endings[i]) == 0)
            return true;
    }
    return false;
}

static void on_event(void *context, const char *action, const char *id, const cJSON *event)
{
    struct updater *updater = context;
    bool goes = strcmp(action, "die") == 0 || strcmp(action, "stop") == 0 ||
                strcmp(action, "destroy") == 0 ||
                (strcmp(action, "kill") == 0 && signal_ends(event));

    for (size_t i = 0; i < updater->service_count; i++) {
        struct service *service = &updater->services[i];
        struct container *container;

        if (service->is_static)
            continue;
        container = service_container(service, id);
        if (container && goes)
            discovery_going(container);
        if (container || service_matches(service, event))
            discovery_look(service, id, NULL, NULL);
    }
}

static void on_pinged(void *context, const struct engine_reply *reply)
{
    struct updater *updater = context;

    if (reply->error == -ECANCELED)
        return;
    if (reply->error == 0 || reply->status != 0)
        updater->engine_lived_ms = updater->engine_asked_ms;
    else
        reachable_set(updater, false, reply->message);
    updater->engine_asked_ms = 0;
    if (reply->error)
        list_all(updater); /* which finds out when it is back */
    updater_wake(updater);
}

void discovery_ask_whether_it_lives(struct updater *updater)
{
    if (updater->engine_asked_ms != 0)
        return;
    updater->engine_asked_ms = clock_ms();
    engine_ping(updater->engine, on_pinged, updater);
}

static void on_gap(void *context)
{
    reachable_set(context, true, "");
    list_all(context);
}

static void on_lost(void *context, const char *message)
{
    reachable_set(context, false, message);
}

static void on_list_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    list_all(watcher->data);
}

void discovery_start(struct updater *updater)
{
    const struct config *config = updater->config;
    const struct engine_event_handlers handlers = {
        .on_event = on_event, .on_gap = on_gap, .on_lost = on_lost, .context = updater};
    int error;

    if (!config->engine_needed)
        return;
    error =
        engine_open(updater->loop, config->engine_host, config->engine_cert_path, &updater->engine);
    if (error) {
        reachable_set(updater, false, strerror(-error));
        return;
    }
    (void)slice_copy_string(SLICE("it has not answered yet"), updater->engine_message,
                            sizeof(updater->engine_message));
    engine_follow(updater->engine, &handlers);
    list_all(updater);
    ev_timer_init(&updater->list_again, on_list_again, LIST_AGAIN_S, LIST_AGAIN_S);
    updater->list_again.data = updater;
    ev_timer_start(updater->loop, &updater->list_again);
}

void discovery_tick(struct updater *updater)
{
    bool was_gone = updater->engine_gone;

    if (!updater->engine)
        return;
    if (updater->engine_reachable)
        reachable_set(updater, true, ""); /* unless it is gone */
    else if (was_gone && !socket_is_gone(updater, (char[256]){0}))
        list_all(updater); /* which says that it is back */
}

void discovery_stop(struct updater *updater)
{
    if (!updater->engine)
        return;
    ev_timer_stop(updater->loop, &updater->list_again);
    engine_close(updater->engine);
    updater->engine = NULL;
}
