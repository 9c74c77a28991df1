/* What the engine alone can say of a rollout that has ended: volumes that no container has, and
 * addresses of containers that are gone. */
#include "base/log.h"
#include "base/memory.h"
#include "checks.h"
#include "engine.h"
#include "engine_json.h"
#include "record.h"
#include "updater.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_BYTES 384u

struct ask { /* lives until the last answer */
    struct service *service;
    char rollout[32];
    cJSON *gone;     /* {id: name} of the containers that were removed */
    cJSON *volumes;  /* {name: the container's}: what those had */
    cJSON *networks; /* [name]: those of all that took part */
    int next;        /* of networks, that is asked for now */
    unsigned left;   /* addresses */
    char first[160]; /* the first one that is left */
    char trouble[160];
};

static void ask_free(struct ask *ask)
{
    cJSON_Delete(ask->gone);
    cJSON_Delete(ask->volumes);
    cJSON_Delete(ask->networks);
    free(ask);
}

static void tell(const struct ask *ask, const char *name, bool passed, const char *message)
{
    const struct journal_check check = {.name = name, .passed = passed, .message = message};
    struct journal *journal = ask->service->updater->journal;

    if (journal_check_add(journal, ask->rollout, &check))
        log_event(LOG_ERROR, "journal-write-failed", "reason", journal_error(journal));
    if (!passed)
        checks_tell(ask->service, ask->rollout, &check);
}

/* --- addresses ------------------------------------------------------------------------------ */

static const char *text_of(const cJSON *item)
{
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* An endpoint is known by its container's id; one whose container is gone by "ep-" and its own,
 * with the container's name. */
static const char *gone_name(const struct ask *ask, const cJSON *endpoint)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(ask->gone, endpoint->string);
    const char *name = engine_json_string(endpoint, "Name");

    if (item)
        return text_of(item);
    if (strncmp(endpoint->string, "ep-", 3) != 0 || !name)
        return NULL;
    cJSON_ArrayForEach(item, ask->gone)
    {
        if (strcmp(text_of(item), name) == 0)
            return name;
    }
    return NULL;
}

static void next_network(struct ask *ask);

static void on_network(void *context, const struct engine_reply *reply)
{
    struct ask *ask = context;
    const char *network = text_of(cJSON_GetArrayItem(ask->networks, ask->next++));
    const cJSON *endpoint;

    if (reply->error == -ECANCELED) {
        ask_free(ask);
        return;
    }
    if (reply->error && reply->error != -ENOENT && ask->trouble[0] == '\0')
        (void)snprintf(ask->trouble, sizeof(ask->trouble), "%s", reply->message);
    cJSON_ArrayForEach(endpoint, engine_json_get(reply->error ? NULL : reply->json, "Containers"))
    {
        const char *name = endpoint->string ? gone_name(ask, endpoint) : NULL;

        if (name && ask->left++ == 0)
            (void)snprintf(ask->first, sizeof(ask->first), "%s %s", network, name);
    }
    next_network(ask);
}

static void addresses_told(struct ask *ask)
{
    char words[WORDS_BYTES];

    if (ask->left > 0)
        (void)snprintf(words, sizeof(words), "%u; `docker network disconnect -f %s` gives it back",
                       ask->left, ask->first);
    else if (ask->trouble[0] != '\0')
        (void)snprintf(words, sizeof(words), "the engine could not be asked: %s", ask->trouble);
    else
        (void)snprintf(words, sizeof(words), "0 in %d networks", cJSON_GetArraySize(ask->networks));
    tell(ask, "no address of a container that is gone is left over",
         ask->left == 0 && ask->trouble[0] == '\0', words);
}

static void next_network(struct ask *ask)
{
    const char *network = text_of(cJSON_GetArrayItem(ask->networks, ask->next));

    if (network) {
        engine_network(ask->service->updater->engine, network, on_network, ask);
        return;
    }
    addresses_told(ask);
    record_keep(ask->service->updater, ask->rollout);
    ask_free(ask);
}

/* --- volumes -------------------------------------------------------------------------------- */

static void volumes_told(struct ask *ask, const cJSON *unused)
{
    const cJSON *volume;
    const char *first = NULL;
    char words[WORDS_BYTES];
    unsigned left = 0;

    cJSON_ArrayForEach(volume, unused)
    {
        const char *name = engine_json_string(volume, "Name");

        if (name && engine_json_get(ask->volumes, name) != NULL && left++ == 0)
            first = name;
    }
    if (first)
        (void)snprintf(words, sizeof(words),
                       "%u of %d, of %s: no container has it; look at what is in it, then "
                       "`docker volume rm %s`",
                       left, cJSON_GetArraySize(ask->volumes),
                       text_of(cJSON_GetObjectItemCaseSensitive(ask->volumes, first)), first);
    else
        (void)snprintf(words, sizeof(words), "0 of %d", cJSON_GetArraySize(ask->volumes));
    tell(ask, "no anonymous volume is left over", left == 0, words);
}

static void on_volumes(void *context, const struct engine_reply *reply)
{
    struct ask *ask = context;
    char words[WORDS_BYTES];

    if (reply->error == -ECANCELED) {
        ask_free(ask);
        return;
    }
    if (reply->error) {
        (void)snprintf(words, sizeof(words),
                       "the engine could not be asked: %.150s; `docker volume ls -f dangling=true` "
                       "shows those that no container has",
                       reply->message);
        tell(ask, "no anonymous volume is left over", false, words);
    } else {
        volumes_told(ask, engine_json_get(reply->json, "Volumes"));
    }
    next_network(ask);
}

/* --- what to look for ----------------------------------------------------------------------- */

static bool holds(const cJSON *array, const char *text)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, array)
    {
        if (strcmp(text_of(item), text) == 0)
            return true;
    }
    return false;
}

static void gather(struct ask *ask, const struct member *member)
{
    cJSON *attached = member->attached ? cJSON_Parse(member->attached) : NULL;
    const cJSON *item;

    if (member->removed_ms > 0)
        cJSON_AddStringToObject(ask->gone, member->id, member->name);
    cJSON_ArrayForEach(item, engine_json_get(attached, "volumes"))
    {
        if (member->removed_ms > 0 && cJSON_IsString(item) &&
            engine_json_get(ask->volumes, item->valuestring) == NULL)
            cJSON_AddStringToObject(ask->volumes, item->valuestring, member->name);
    }
    cJSON_ArrayForEach(item, engine_json_get(attached, "networks"))
    {
        if (cJSON_IsString(item) && !holds(ask->networks, item->valuestring))
            cJSON_AddItemToArray(ask->networks, cJSON_CreateString(item->valuestring));
    }
    cJSON_Delete(attached);
}

void checks_ask(struct rollout *rollout)
{
    struct ask *ask;

    if (rollout->progress.outcome == OUTCOME_NEEDS_ATTENTION)
        return;
    ask = memory_new(sizeof(*ask));
    ask->service = rollout->service;
    (void)slice_copy_string(slice_from_string(rollout_id(rollout)), ask->rollout,
                            sizeof(ask->rollout));
    ask->gone = cJSON_CreateObject();
    ask->volumes = cJSON_CreateObject();
    ask->networks = cJSON_CreateArray();
    for (unsigned i = 0; i < rollout->members.count; i++)
        gather(ask, &rollout->members.items[i]);
    if (cJSON_GetArraySize(ask->gone) == 0)
        ask_free(ask); /* nothing went, so nothing of it can be left */
    else
        engine_volumes_unused(ask->service->updater->engine, on_volumes, ask);
}
