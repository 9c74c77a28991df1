/* Making a new container from an old one's configuration: inspect, take what its image supplied
 * away, create, connect, inspect. The first ones of a service are made from a template instead. */
#include "act.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "container_changes.h"
#include "crash.h"
#include "create_check.h"
#include "discovery.h"
#include "engine.h"
#include "engine_json.h"
#include "events.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPOSE_IMAGE      "com.docker.compose.image"
#define DIFFERENCES_LOGGED 32u /* of one container */

struct create {
    struct service *service;
    char rollout[32];
    uint16_t ordinal;
    int64_t action_id;
    char source[65]; /* the container whose configuration is taken; empty: the template is */
    char id[65];     /* of the one made; empty: none yet */
    char name[160];
    cJSON *inspect, *old_image, *new_image, *config, *connects;
    cJSON *changes;           /* on purpose; the rollout's own may end before the check does */
    const cJSON *connect;     /* the network that is being connected; NULL: all are */
    bool by_id;               /* the tag has moved since: the image is pinned */
    bool sent;                /* the engine was asked to make it */
    char why[PLAN_WHY_BYTES]; /* why what was made goes again */
    bool is_more;             /* one more of them, that replaces none */
};

static void create_free(struct create *create)
{
    cJSON_Delete(create->inspect);
    cJSON_Delete(create->old_image);
    cJSON_Delete(create->new_image);
    cJSON_Delete(create->config);
    cJSON_Delete(create->connects);
    cJSON_Delete(create->changes);
    free(create);
}

/* Nothing that a rollout could go on from; the planner decides what follows. */
static void create_fail(struct create *create, int error, enum failing failing, const char *message)
{
    struct service *service = create->service;
    struct rollout *rollout = act_rollout(service, create->rollout);
    struct log_line line;

    if (error == -ECANCELED) { /* we are ending; the intent stays open */
        create_free(create);
        return;
    }
    act_journal_end(service, create->action_id, error, message, NULL);
    log_begin(&line, LOG_WARNING, "action-failed");
    log_string(&line, "service", service_name(service));
    log_string(&line, "rollout", create->rollout);
    log_string(&line, "action", "create");
    log_string(&line, "name", create->name);
    log_string(&line, "reason", message);
    log_end(&line);
    if (rollout) {
        rollout->creating--;
        rollout->creating_ordinal[create->ordinal] = false;
        /* What it may have left is not whole: it goes before another is made. */
        rollout->redo[create->ordinal] = create->sent;
        rollout->create_attempts += failing != FAILING_AWAY;
        rollout->create_error_final = failing == FAILING_FINAL;
        rollout->create_retry_ms = clock_ms() + act_backoff_ms(rollout->create_attempts);
        (void)slice_copy_string(slice_from_string(message), rollout->create_error,
                                sizeof(rollout->create_error));
    }
    updater_wake(service->updater);
    create_free(create);
}

static void create_fail_reply(struct create *create, const struct engine_reply *reply)
{
    create_fail(create, reply->error, act_failing(reply), reply->message);
}

/* It is there and has been inspected. */
static void on_made(void *context)
{
    struct create *create = context;
    struct service *service = create->service;
    struct rollout *rollout = act_rollout(service, create->rollout);
    struct container *container = service_container(service, create->id);
    struct member *member;

    if (!container || !rollout) {
        create_fail(create, -ENOENT, FAILING_PASSING,
                    rollout ? "the container made could not be found again"
                            : "it was made, and its rollout has ended meanwhile");
        return;
    }
    crash_at("create", "done");
    act_journal_end(service, create->action_id, 0, "", create->id);
    crash_at("create", "after");
    rollout->creating--;
    rollout->creating_ordinal[create->ordinal] = false;
    rollout->create_attempts = 0;
    rollout->create_error[0] = '\0';
    member = rollout_member(rollout, container);
    if (member) {
        rollout_log(rollout, "container_created", member, member->name);
        events_container(rollout, "container_created", member);
    }
    updater_wake(service->updater);
    create_free(create);
}

static void connect_next(struct create *create);

static void on_half_removed(void *context, const struct engine_reply *reply)
{
    struct create *create = context;

    if (reply->error)
        create_fail_reply(create, reply);
    else
        create_fail(create, -ENETUNREACH, FAILING_PASSING, create->why);
}

static void on_connected(void *context, const struct engine_reply *reply)
{
    struct create *create = context;

    if (reply->error == -ECANCELED) {
        create_fail_reply(create, reply);
    } else if (reply->error) { /* without all its networks it must not be started: made again */
        (void)snprintf(create->why, sizeof(create->why),
                       "it could not be connected to the network %.64s: %.256s",
                       create->connect->string, reply->message);
        engine_remove(create->service->updater->engine, create->id, true, true, on_half_removed,
                      create);
    } else {
        create->connect = create->connect->next;
        connect_next(create);
    }
}

/* --- is it like the old one? ------------------------------------------------------------------ */

static void note_differences(struct rollout *rollout, const char *difference)
{
    char text[PLAN_WHY_BYTES];
    unsigned count = 0;

    for (const char *line = difference; *line != '\0' && count < DIFFERENCES_LOGGED; count++) {
        size_t bytes = strcspn(line, "\n");

        (void)slice_copy_string((struct slice){line, bytes}, text, sizeof(text));
        rollout_log(rollout, "container-differs", NULL, text);
        line += bytes + (line[bytes] == '\n');
    }
}

/* Whether it could be removed or not: what was found stands, and what is left is swept. */
static void on_different_removed(void *context, const struct engine_reply *reply)
{
    struct create *create = context;

    create_fail(create, reply->error == -ECANCELED ? -ECANCELED : -EINVAL, FAILING_FINAL,
                create->why);
}

/* Before it is started, and long before it gets any traffic. */
static void on_checked(void *context, const struct engine_reply *failed, const char *difference)
{
    struct create *create = context;
    struct rollout *rollout = act_rollout(create->service, create->rollout);
    char words[PLAN_WHY_BYTES - 80];

    if (failed) {
        create_fail(create, failed->error,
                    failed->error == -ENOENT ? FAILING_PASSING : act_failing(failed),
                    failed->message);
        return;
    }
    if (!difference) {
        discovery_look(create->service, create->id, on_made, create);
        return;
    }
    if (rollout)
        note_differences(rollout, difference);
    create_check_words(difference, words, sizeof(words));
    (void)snprintf(create->why, sizeof(create->why), "it is not like the old one: %s", words);
    engine_remove(create->service->updater->engine, create->id, true, true, on_different_removed,
                  create);
}

static void connect_next(struct create *create)
{
    const cJSON *network = create->connect;

    if (!network && create->source[0] == '\0') { /* there is nothing that it must be like */
        discovery_look(create->service, create->id, on_made, create);
        return;
    }
    if (!network) {
        const struct create_check_request request = {
            .engine = create->service->updater->engine,
            .old_inspect = create->inspect,
            .old_image = create->old_image,
            .changes = create->changes,
            .id = create->id,
            .is_more = create->is_more,
            .done = on_checked,
            .context = create,
        };
        create_check(&request);
        return;
    }
    engine_network_connect(create->service->updater->engine, network->string, create->id, network,
                           on_connected, create);
}

static void made(struct create *create, const char *id)
{
    crash_at("create", "made");
    (void)slice_copy_string(slice_from_string(id), create->id, sizeof(create->id));
    create->connect = create->connects ? create->connects->child : NULL;
    connect_next(create);
}

/* The name is taken: ours, made by an updater that did not hear of it, or a stranger's? */
static void on_namesake(void *context, const struct engine_reply *reply)
{
    struct create *create = context;
    struct rollout *rollout = act_rollout(create->service, create->rollout);
    struct container_facts facts;
    bool ours;

    if (reply->error == -ECANCELED || !rollout) {
        create_fail_reply(create, reply);
        return;
    }
    if (reply->error || container_facts_read(reply->json, &facts)) {
        rollout->name_suffix++; /* neither there nor free: another name (moby#21198) */
        create_fail(create, -EEXIST, FAILING_PASSING,
                    "its name is taken by something that is not there");
        return;
    }
    ours = facts.rollout_label && strcmp(facts.rollout_label, create->rollout) == 0 &&
           facts.ordinal == create->ordinal && facts.state == CONTAINER_CREATED;
    if (ours) {
        /* Whether all its networks were connected is not known: removed, as it has never run, and
         * made again. */
        (void)snprintf(create->why, sizeof(create->why),
                       "it was there already, half made: it is made again");
        engine_remove(create->service->updater->engine, facts.id, true, true, on_half_removed,
                      create);
    } else {
        rollout->name_suffix++;
        create_fail(create, -EEXIST, FAILING_PASSING,
                    "its name is taken by a container of somebody else");
    }
    container_facts_done(&facts);
}

static void on_create(void *context, const struct engine_reply *reply)
{
    struct create *create = context;
    const char *id = engine_json_string(reply->json, "Id");

    if (reply->error == -EEXIST)
        engine_inspect(create->service->updater->engine, create->name, on_namesake, create);
    else if (reply->error)
        create_fail_reply(create, reply);
    else if (!id)
        create_fail(create, -EPROTO, FAILING_PASSING, "the engine gave no id");
    else
        made(create, id);
}

static const char *label_of(const struct create *create, const char *key)
{
    return engine_json_string(engine_json_at(create->inspect, "Config", "Labels", NULL), key);
}

/* What the old one is found by the new one is found by, though its image may not supply it. */
static void label_keep(const struct create *create, const char *key, cJSON *labels)
{
    const char *value = label_of(create, key);

    if (value)
        cJSON_AddStringToObject(labels, key, value);
}

/* Compose tells its containers apart by this number, which is that of the name. */
static void number_it(const struct create *create, cJSON *labels)
{
    const struct rollout *rollout = act_rollout(create->service, create->rollout);
    const cJSON *old = engine_json_get(engine_json_get(create->inspect, "Config"), "Labels");
    char name[128];
    size_t at;

    if (!rollout || !engine_json_string(old, LABEL_COMPOSE_NUMBER))
        return;
    rollout_final_name(rollout, create->ordinal, name, sizeof(name));
    at = strlen(name);
    while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9')
        at--;
    cJSON_AddStringToObject(labels, LABEL_COMPOSE_NUMBER, name + at);
}

static cJSON *labels_make(const struct create *create, const char *image_id)
{
    const struct config_service *config = create->service->config;
    cJSON *labels = cJSON_CreateObject();
    char ordinal[8];

    (void)snprintf(ordinal, sizeof(ordinal), "%u", (unsigned)create->ordinal);
    label_keep(create, config->label_key, labels);
    if (config->project)
        label_keep(create, "com.docker.compose.project", labels);
    /* Compose makes anew what is not of the image that this label says. */
    if (label_of(create, COMPOSE_IMAGE))
        cJSON_AddStringToObject(labels, COMPOSE_IMAGE, image_id);
    if (create->is_more)
        number_it(create, labels);
    cJSON_AddStringToObject(labels, LABEL_ROLLOUT, create->rollout);
    cJSON_AddStringToObject(labels, LABEL_GROUP,
                            group_name(create->is_more ? GROUP_STABLE : GROUP_CANARY));
    cJSON_AddStringToObject(labels, LABEL_ORDINAL, ordinal);
    return labels;
}

/* By the name that people know where it still means the image that was checked, else by id. */
static void on_image_name(void *context, const struct engine_reply *reply)
{
    struct create *create = context;
    struct rollout *rollout = act_rollout(create->service, create->rollout);
    struct engine *engine = create->service->updater->engine;
    const char *id = engine_json_string(reply->json, "Id");
    char why[256] = "";
    cJSON *labels;
    int error;

    if (!rollout || (reply->error && reply->error != -ENOENT)) {
        create_fail_reply(create, reply);
        return;
    }
    create->by_id = !id || strcmp(id, rollout->record.image_id) != 0;
    labels = labels_make(create, rollout->record.image_id);
    error =
        container_recreate(create->inspect, create->old_image,
                           create->by_id ? rollout->record.image_id : rollout->record.image, labels,
                           engine_api_version(engine), &create->config, &create->connects, why);
    cJSON_Delete(labels);
    if (error) {
        create_fail(create, error, FAILING_FINAL, why);
        return;
    }
    create->changes = rollout->changes ? cJSON_Duplicate(rollout->changes, true) : NULL;
    container_changes_apply(create->config, create->changes);
    container_note_own(create->config, create->new_image);
    create->sent = true;
    engine_create(engine, create->name, create->config, on_create, create);
}

static void on_new_image(void *context, const struct engine_reply *reply)
{
    struct create *create = context;
    struct rollout *rollout = act_rollout(create->service, create->rollout);
    char why[256];

    if (!rollout || (reply->error && reply->error != -ENOENT)) {
        create_fail_reply(create, reply);
        return;
    }
    if (reply->error) { /* pulled, and removed since by somebody */
        (void)snprintf(why, sizeof(why), "the image %.100s (%.19s) is not on the engine any more",
                       rollout->record.image, rollout->record.image_id);
        create_fail(create, reply->error, FAILING_FINAL, why);
        return;
    }
    create->new_image = cJSON_Duplicate(reply->json, true);
    engine_image_inspect(create->service->updater->engine, rollout->record.image, on_image_name,
                         create);
}

static void on_old_image(void *context, const struct engine_reply *reply)
{
    struct create *create = context;
    struct rollout *rollout = act_rollout(create->service, create->rollout);

    if (!rollout || (reply->error && reply->error != -ENOENT)) {
        create_fail_reply(create, reply);
        return;
    }
    if (!reply->error)
        create->old_image = cJSON_Duplicate(reply->json, true);
    engine_image_inspect(create->service->updater->engine, rollout->record.image_id, on_new_image,
                         create);
}

static void on_source(void *context, const struct engine_reply *reply)
{
    struct create *create = context;
    const char *image = engine_json_string(reply->json, "Image");

    if (reply->error) {
        create_fail(create, reply->error,
                    reply->error == -ENOENT ? FAILING_PASSING : act_failing(reply), reply->message);
        return;
    }
    create->inspect = cJSON_Duplicate(reply->json, true);
    if (create->is_more) /* its own are its own */
        container_forget_anonymous_volumes(create->inspect);
    engine_image_inspect(create->service->updater->engine, image ? image : "", on_old_image,
                         create);
}

/* The old one of the same ordinal; where it is gone, any other old one. */
static const struct member *source_find(struct rollout *rollout, uint16_t ordinal)
{
    const struct member *other = NULL;

    for (unsigned i = 0; i < rollout->members.count; i++) {
        const struct member *member = &rollout->members.items[i];

        if (member->is_new || !service_container(rollout->service, member->id))
            continue;
        if (member->ordinal == ordinal)
            return member;
        other = member;
    }
    return other;
}

static void name_make(struct rollout *rollout, uint16_t ordinal, char *name, size_t size)
{
    const char *dash = strrchr(rollout_id(rollout), '-');
    char wanted[128];

    rollout_final_name(rollout, ordinal, wanted, sizeof(wanted));
    if (rollout->name_suffix)
        (void)snprintf(name, size, "%s-%s-%u", wanted[0] ? wanted : "sluice", dash ? dash + 1 : "",
                       rollout->name_suffix + 1);
    else
        (void)snprintf(name, size, "%s-%s", wanted[0] ? wanted : "sluice", dash ? dash + 1 : "");
}

void act_create(struct rollout *rollout, const struct plan_action *action, int64_t action_id)
{
    struct create *create;
    const struct member *source = source_find(rollout, action->ordinal);

    check(action->ordinal < PLAN_REPLICAS_MAX);
    if (rollout->creating_ordinal[action->ordinal]) {
        act_journal_end(rollout->service, action_id, -EALREADY, "under way already", NULL);
        return;
    }
    create = memory_new(sizeof(*create));
    create->service = rollout->service;
    create->ordinal = action->ordinal;
    create->is_more = rollout->spec.scale_to > 0;
    create->action_id = action_id;
    (void)slice_copy_string(slice_from_string(rollout_id(rollout)), create->rollout,
                            sizeof(create->rollout));
    name_make(rollout, action->ordinal, create->name, sizeof(create->name));
    rollout->creating++;
    rollout->creating_ordinal[action->ordinal] = true;
    rollout->redo[action->ordinal] = false;
    if (rollout->template) {
        create->inspect = cJSON_Duplicate(rollout->template, true);
        engine_image_inspect(rollout->service->updater->engine, rollout->record.image_id,
                             on_new_image, create);
        return;
    }
    if (!source) {
        create_fail(create, -ENOENT, FAILING_FINAL,
                    "no old container is left whose configuration could be taken");
        return;
    }
    (void)slice_copy_string(slice_from_string(source->id), create->source, sizeof(create->source));
    engine_inspect(rollout->service->updater->engine, create->source, on_source, create);
}
