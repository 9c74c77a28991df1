#include "preflight_gather.h"

#include "base/check.h"
#include "base/memory.h"
#include "credentials.h"
#include "engine_json.h"
#include "engine_text.h"
#include "image_names.h"
#include "preflight_measure.h"
#include "rollout.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OTHERS_AT_ONCE 16u    /* of some hundred containers, which more at once would not hasten */
#define API_ONE_SHOT   "1.41" /* before it the engine takes two samples, a second apart */

struct gather {
    struct service *service;
    struct engine *engine;
    struct preflight_facts *facts;
    void (*done)(void *context, const struct engine_reply *failure);
    void *context;
    unsigned pending;    /* answers */
    cJSON *other_ids;    /* to be asked about */
    bool others_unknown; /* one of them could not be looked at: no reason to refuse */
    struct credentials *credentials;
    struct engine_reply failure;
    char *failure_words;
};

struct gather_part { /* a question about one container */
    struct gather *gather;
    struct preflight_old *old;
    size_t network; /* index; the array grows while answers come */
};

static void failed(struct gather *gather, const struct engine_reply *reply)
{
    if (gather->failure.error != 0)
        return;
    gather->failure_words = memory_copy_string(reply->message);
    gather->failure = (struct engine_reply){
        .error = reply->error, .status = reply->status, .message = gather->failure_words};
}

static void answered(struct gather *gather)
{
    struct preflight_facts *facts = gather->facts;

    check(gather->pending > 0);
    if (--gather->pending > 0)
        return;
    if (gather->others_unknown) {
        cJSON_Delete(gather->facts->others);
        gather->facts->others = NULL;
    }
    preflight_host_read(gather->service, facts->info,
                        facts->old_count > 0 && facts->first == 0 ? facts->olds[0].id : NULL,
                        &facts->host);
    gather->done(gather->context, gather->failure.error != 0 ? &gather->failure : NULL);
    free(gather->failure_words);
    cJSON_Delete(gather->other_ids);
    free(gather);
}

static struct gather_part *part_new(struct gather *gather, struct preflight_old *old)
{
    struct gather_part *part = memory_new(sizeof(*part));

    *part = (struct gather_part){.gather = gather, .old = old};
    gather->pending++;
    return part;
}

static void part_done(struct gather_part *part)
{
    struct gather *gather = part->gather;

    free(part);
    answered(gather);
}

static void on_its_image(void *context, const struct engine_reply *reply)
{
    struct gather_part *part = context;

    if (reply->error == 0)
        part->old->its_image = cJSON_Duplicate(reply->json, true);
    else if (reply->error != -ENOENT)
        failed(part->gather, reply);
    part_done(part);
}

/* It cannot be measured where somebody forbids the question; limits are known all the same. */
static void on_stats(void *context, const struct engine_reply *reply)
{
    struct gather_part *part = context;

    preflight_use_read(part->old->inspect, part->gather->facts->changes,
                       reply->error == 0 ? reply->json : NULL, &part->old->use);
    part_done(part);
}

static void on_network(void *context, const struct engine_reply *reply)
{
    struct gather_part *part = context;
    struct preflight_network *network = &part->gather->facts->networks[part->network];

    network->is_gone = reply->error == -ENOENT;
    if (reply->error == 0)
        network->inspect = cJSON_Duplicate(reply->json, true);
    part_done(part);
}

static bool network_is_known(const struct preflight_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->network_count; i++) {
        if (strcmp(facts->networks[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Each network once, whoever is on it. "none" and "host" have no addresses to give. */
static void ask_networks(struct gather *gather, struct preflight_old *old)
{
    struct preflight_facts *facts = gather->facts;
    const cJSON *endpoint;

    cJSON_ArrayForEach(endpoint, engine_json_at(old->inspect, "NetworkSettings", "Networks", NULL))
    {
        const char *name = endpoint->string;
        struct gather_part *part;

        if (name == NULL || strcmp(name, "host") == 0 || strcmp(name, "none") == 0 ||
            network_is_known(facts, name))
            continue;
        facts->networks =
            memory_resize(facts->networks, (facts->network_count + 1) * sizeof(*facts->networks));
        facts->networks[facts->network_count] =
            (struct preflight_network){.name = memory_copy_string(name)};
        part = part_new(gather, old);
        part->network = facts->network_count++;
        engine_network(gather->engine, name, on_network, part);
    }
}

static void on_inspect(void *context, const struct engine_reply *reply)
{
    struct gather_part *part = context;
    struct gather *gather = part->gather;

    if (reply->error == 0) {
        const char *image = engine_json_string(reply->json, "Image");

        part->old->inspect = cJSON_Duplicate(reply->json, true);
        engine_image_inspect(gather->engine, image != NULL ? image : "", on_its_image,
                             part_new(gather, part->old));
        preflight_use_read(reply->json, gather->facts->changes, NULL, &part->old->use);
        if (engine_version_compare(engine_api_version(gather->engine), API_ONE_SHOT) >= 0)
            engine_stats(gather->engine, part->old->id, on_stats, part_new(gather, part->old));
        ask_networks(gather, part->old);
    } else if (reply->error != -ENOENT) {
        failed(gather, reply);
    }
    part_done(part);
}

static void on_info(void *context, const struct engine_reply *reply)
{
    struct gather *gather = context;

    if (reply->error == 0)
        gather->facts->info = cJSON_Duplicate(reply->json, true);
    else
        gather->facts->info_why = memory_copy_string(reply->message);
    answered(gather);
}

/* --- the registry --------------------------------------------------------------------------- */

static void registry_failed(struct gather *gather, int error, const char *message)
{
    gather->facts->registry.error = error;
    gather->facts->registry.message = memory_copy_string(message);
}

static void on_distribution(void *context, const struct engine_reply *reply)
{
    struct gather *gather = context;
    struct preflight_registry *registry = &gather->facts->registry;
    const cJSON *platforms = engine_json_get(reply->json, "Platforms");

    if (reply->error != 0) {
        registry_failed(gather, reply->error, reply->message);
    } else {
        registry->digest = memory_copy_string(
            engine_json_string(engine_json_get(reply->json, "Descriptor"), "digest"));
        registry->platforms = platforms != NULL ? cJSON_Duplicate(platforms, true) : NULL;
    }
    answered(gather);
}

static void on_credentials(void *context, int error, const char *auth, const char *message)
{
    struct gather *gather = context;

    gather->credentials = NULL;
    if (error == 0) {
        engine_distribution(gather->engine, gather->facts->image, auth, on_distribution, gather);
        return;
    }
    registry_failed(gather, error, message);
    answered(gather);
}

/* A rollout need not ask: its pull says all that the registry could, and changes nothing. */
static void ask_registry(struct gather *gather)
{
    struct preflight_facts *facts = gather->facts;
    struct engine_reference parts = {0};
    bool is_wanted = facts->its_image == NULL || facts->pull == PULL_ALWAYS;

    if (!facts->dry_run || !is_wanted || facts->pull == PULL_NEVER || image_is_id(facts->image))
        return;
    facts->registry.asked = true;
    if (engine_reference_parse(facts->image, &parts) < 0) {
        registry_failed(gather, -EINVAL, "this is no reference to an image");
        return;
    }
    gather->pending++;
    gather->credentials =
        credentials_ask(gather->service->updater->loop, parts.registry, on_credentials, gather);
    engine_reference_done(&parts);
}

void preflight_gather_stop(struct gather *gather)
{
    if (gather == NULL || gather->credentials == NULL)
        return;
    credentials_cancel(gather->credentials);
    gather->credentials = NULL;
    registry_failed(gather, -ECANCELED, "Sluice is restarting");
    answered(gather);
}

static void on_image(void *context, const struct engine_reply *reply)
{
    struct gather *gather = context;

    if (reply->error == 0) {
        const char *id = engine_json_string(reply->json, "Id");

        gather->facts->its_image = cJSON_Duplicate(reply->json, true);
        gather->facts->image_id = memory_copy_string(id != NULL ? id : "");
    } else if (reply->error != -ENOENT) {
        failed(gather, reply);
    }
    ask_registry(gather);
    answered(gather);
}

/* --- all others ------------------------------------------------------------------------------ */

static bool is_old(const struct preflight_facts *facts, const char *id)
{
    for (size_t i = 0; i < facts->old_count; i++) {
        if (strcmp(facts->olds[i].id, id) == 0)
            return true;
    }
    return false;
}

static void on_other(void *context, const struct engine_reply *reply);

static void ask_next_other(struct gather *gather)
{
    cJSON *id = cJSON_DetachItemFromArray(gather->other_ids, 0);

    if (id == NULL)
        return;
    gather->pending++;
    engine_inspect(gather->engine, id->valuestring, on_other, gather);
    cJSON_Delete(id);
}

/* Of what may be many, the part that is looked at. */
static void on_other(void *context, const struct engine_reply *reply)
{
    static const char *const keys[] = {"Id", "Name", "HostConfig"};
    struct gather *gather = context;
    cJSON *other = cJSON_CreateObject();

    for (size_t i = 0; reply->error == 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
        cJSON_AddItemToObject(other, keys[i],
                              cJSON_Duplicate(engine_json_get(reply->json, keys[i]), true));
    if (reply->error == 0)
        cJSON_AddItemToArray(gather->facts->others, other);
    else
        cJSON_Delete(other);
    if (reply->error != 0 && reply->error != -ENOENT)
        gather->others_unknown = true;
    ask_next_other(gather);
    answered(gather);
}

/* A list says of the modes of sharing only one, so each is inspected. */
static void on_all(void *context, const struct engine_reply *reply)
{
    struct gather *gather = context;
    const cJSON *item;

    gather->others_unknown = reply->error != 0;
    gather->facts->others = cJSON_CreateArray();
    gather->other_ids = cJSON_CreateArray();
    cJSON_ArrayForEach(item, reply->json)
    {
        const char *id = engine_json_string(item, "Id");
        if (id != NULL && !is_old(gather->facts, id))
            cJSON_AddItemToArray(gather->other_ids, cJSON_CreateString(id));
    }
    for (unsigned i = 0; i < OTHERS_AT_ONCE; i++)
        ask_next_other(gather);
    answered(gather);
}

/* --- the service's containers --------------------------------------------------------------- */

/* None is there: what the first ones are made like stands for them. */
static void template_enter(struct preflight_facts *facts)
{
    struct preflight_old *old = &facts->olds[0];

    old->id = memory_copy_string("");
    old->name = memory_copy_string(facts->service);
    old->image = memory_copy_string("");
    old->image_id = memory_copy_string("");
    old->inspect = cJSON_Duplicate(facts->template, true);
    preflight_use_read(old->inspect, facts->changes, NULL, &old->use);
    facts->old_count = 1;
}

static void olds_collect(const struct service *service, struct preflight_facts *facts)
{
    struct container *olds[SERVICE_CONTAINERS_MAX];
    unsigned count = facts->template != NULL ? 0 : rollout_olds(service, olds);

    facts->olds = memory_new_array(count + 1, sizeof(*facts->olds));
    facts->old_count = count;
    for (unsigned i = 0; i < count; i++) {
        struct preflight_old *old = &facts->olds[i];

        old->id = memory_copy_string(olds[i]->facts.id);
        old->name = memory_copy_string(olds[i]->facts.name);
        old->image = memory_copy_string(olds[i]->facts.image);
        old->image_id = memory_copy_string(olds[i]->facts.image_id);
        (void)snprintf(old->why, sizeof(old->why), "%s", olds[i]->why);
    }
    if (facts->template != NULL)
        template_enter(facts);
    facts->leftover_count = 0;
    for (struct list *node = service->containers.next; node != &service->containers;
         node = node->next)
        facts->leftover_count += container_of(node, struct container, node)->leftover;
}

/* By its id where it is to stay, or was pulled: the tag may have moved on. */
static const char *image_name(const struct preflight_facts *facts)
{
    if (facts->its_name != NULL)
        return facts->its_name;
    if (facts->pinned != NULL)
        return facts->pinned;
    return facts->keeps_image && facts->old_count > 0 ? facts->olds[0].image_id : facts->image;
}

struct gather *preflight_gather(struct service *service, struct preflight_facts *facts,
                                void (*done)(void *context, const struct engine_reply *failure),
                                void *context)
{
    static const char *const everything[] = {NULL};
    struct gather *gather = memory_new(sizeof(*gather));

    *gather = (struct gather){.service = service,
                              .engine = service->updater->engine,
                              .facts = facts,
                              .done = done,
                              .context = context,
                              .pending = 2};
    preflight_facts_done(facts);
    olds_collect(service, facts);
    engine_image_inspect(gather->engine, image_name(facts), on_image, gather);
    engine_info(gather->engine, on_info, gather);
    if (facts->template != NULL)
        ask_networks(gather, &facts->olds[0]);
    for (size_t i = 0; i < facts->old_count && facts->template == NULL; i++)
        engine_inspect(gather->engine, facts->olds[i].id, on_inspect,
                       part_new(gather, &facts->olds[i]));
    gather->pending++;
    engine_list(gather->engine, everything, on_all, gather);
    return gather;
}

void preflight_facts_done(struct preflight_facts *facts)
{
    for (size_t i = 0; i < facts->old_count; i++) {
        struct preflight_old *old = &facts->olds[i];

        free(old->id);
        free(old->name);
        free(old->image);
        free(old->image_id);
        cJSON_Delete(old->inspect);
        cJSON_Delete(old->its_image);
    }
    for (size_t i = 0; i < facts->network_count; i++) {
        free(facts->networks[i].name);
        cJSON_Delete(facts->networks[i].inspect);
    }
    free(facts->olds);
    free(facts->networks);
    free(facts->image_id);
    free(facts->info_why);
    free(facts->registry.message);
    free(facts->registry.digest);
    cJSON_Delete(facts->registry.platforms);
    facts->registry = (struct preflight_registry){0};
    cJSON_Delete(facts->its_image);
    cJSON_Delete(facts->others);
    facts->others = NULL;
    cJSON_Delete(facts->info);
    facts->info = NULL;
    facts->info_why = NULL;
    facts->networks = NULL;
    facts->network_count = 0;
    facts->olds = NULL;
    facts->old_count = 0;
    facts->image_id = NULL;
    facts->its_image = NULL;
}
