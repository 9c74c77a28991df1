#include "preflight_gather.h"

#include "base/check.h"
#include "base/memory.h"
#include "engine_json.h"
#include "rollout.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gather {
    struct engine *engine;
    struct preflight_facts *facts;
    void (*done)(void *context, const struct engine_reply *failure);
    void *context;
    unsigned pending;    /* answers */
    bool others_unknown; /* one of them could not be looked at: no reason to refuse */
    struct engine_reply failure;
    char *failure_words;
};

struct gather_part { /* a question about one container */
    struct gather *gather;
    struct preflight_old *old;
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
    check(gather->pending > 0);
    if (--gather->pending > 0)
        return;
    if (gather->others_unknown) {
        cJSON_Delete(gather->facts->others);
        gather->facts->others = NULL;
    }
    gather->done(gather->context, gather->failure.error != 0 ? &gather->failure : NULL);
    free(gather->failure_words);
    free(gather);
}

static struct gather_part *part_new(struct gather *gather, struct preflight_old *old)
{
    struct gather_part *part = memory_new(sizeof(*part));

    *part = (struct gather_part){gather, old};
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

static void on_inspect(void *context, const struct engine_reply *reply)
{
    struct gather_part *part = context;
    struct gather *gather = part->gather;

    if (reply->error == 0) {
        const char *image = engine_json_string(reply->json, "Image");

        part->old->inspect = cJSON_Duplicate(reply->json, true);
        engine_image_inspect(gather->engine, image != NULL ? image : "", on_its_image,
                             part_new(gather, part->old));
    } else if (reply->error != -ENOENT) {
        failed(gather, reply);
    }
    part_done(part);
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
    answered(gather);
}

/* A list says of the modes of sharing only one, so each is inspected. */
static void on_all(void *context, const struct engine_reply *reply)
{
    struct gather *gather = context;
    const cJSON *item;

    gather->others_unknown = reply->error != 0;
    gather->facts->others = cJSON_CreateArray();
    cJSON_ArrayForEach(item, reply->json)
    {
        const char *id = engine_json_string(item, "Id");
        if (id == NULL || is_old(gather->facts, id))
            continue;
        gather->pending++;
        engine_inspect(gather->engine, id, on_other, gather);
    }
    answered(gather);
}

/* --- the service's containers --------------------------------------------------------------- */

static void olds_collect(const struct service *service, struct preflight_facts *facts)
{
    struct container *olds[SERVICE_CONTAINERS_MAX];
    unsigned count = rollout_olds(service, olds);

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
    return facts->keeps_image && facts->old_count > 0 ? facts->olds[0].image_id : facts->image;
}

void preflight_gather(struct service *service, struct preflight_facts *facts,
                      void (*done)(void *context, const struct engine_reply *failure),
                      void *context)
{
    static const char *const everything[] = {NULL};
    struct gather *gather = memory_new(sizeof(*gather));

    *gather = (struct gather){.engine = service->updater->engine,
                              .facts = facts,
                              .done = done,
                              .context = context,
                              .pending = 1};
    preflight_facts_done(facts);
    olds_collect(service, facts);
    engine_image_inspect(gather->engine, image_name(facts), on_image, gather);
    for (size_t i = 0; i < facts->old_count; i++)
        engine_inspect(gather->engine, facts->olds[i].id, on_inspect,
                       part_new(gather, &facts->olds[i]));
    gather->pending++;
    engine_list(gather->engine, everything, on_all, gather);
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
    free(facts->olds);
    free(facts->image_id);
    cJSON_Delete(facts->its_image);
    cJSON_Delete(facts->others);
    facts->others = NULL;
    facts->olds = NULL;
    facts->old_count = 0;
    facts->image_id = NULL;
    facts->its_image = NULL;
}
