/* Checks: the engine, and what it connects containers to. */
#include "engine_json.h"
#include "engine_text.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the engine ---------------------------------------------------------------------------- */

/* Versions that are known to harm what a rollout does. */
static const struct {
    const char *from, *to; /* both of them too */
    const char *words;
} known_broken[] = {
    {"25.0.0", "25.0.2",
     "gives containers MAC addresses that others have when they are started again (moby#47146, "
     "#47304): the way back may start one; 25.0.3 is mended"},
};

/* "20.10.24+dfsg1" against "25.0.0", part by part. */
static int compare_versions(const char *a, const char *b)
{
    for (unsigned part = 0; part < 3; part++) {
        char *a_end, *b_end;
        unsigned long its = strtoul(a, &a_end, 10), other = strtoul(b, &b_end, 10);

        if (its != other)
            return its < other ? -1 : 1;
        a = *a_end == '.' ? a_end + 1 : "0";
        b = *b_end == '.' ? b_end + 1 : "0";
    }
    return 0;
}

void check_engine(const struct preflight_facts *facts, struct preflight_result *result)
{
    const char *version = engine_json_string(facts->info, "ServerVersion");
    const char *system = engine_json_string(facts->info, "OSType");

    for (size_t i = 0; version != NULL && i < sizeof(known_broken) / sizeof(known_broken[0]); i++) {
        if (compare_versions(version, known_broken[i].from) >= 0 &&
            compare_versions(version, known_broken[i].to) <= 0)
            preflight_say(result, PREFLIGHT_WARNING, "engine %.40s %s", version,
                          known_broken[i].words);
    }
    if (system != NULL && strcmp(system, "linux") != 0)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the engine runs containers of %.40s: Sluice knows linux ones", system);
    else if (version == NULL)
        preflight_say(result, PREFLIGHT_SKIPPED, "API %s; the engine says no more of itself: %s",
                      facts->api_version, facts->info_why != NULL ? facts->info_why : "");
    else
        preflight_say(result, PREFLIGHT_OK, "engine %.40s, API %s", version, facts->api_version);
}

/* Somebody else keeps these containers as they are, and would make them again. */
void check_managed(const struct preflight_facts *facts, struct preflight_result *result)
{
    static const struct {
        const char *label, *words;
    } managers[] = {
        {"com.docker.swarm.service.id", "a Swarm service: `docker service update` changes it"},
        {"com.docker.swarm.task.id", "a Swarm task: `docker service update` changes it"},
        {"io.kubernetes.pod.uid", "a Kubernetes pod: its deployment changes it"},
    };

    for (size_t i = 0; i < facts->old_count; i++) {
        const cJSON *labels = engine_json_at(facts->olds[i].inspect, "Config", "Labels", NULL);

        for (size_t j = 0; j < sizeof(managers) / sizeof(managers[0]); j++) {
            if (engine_json_string(labels, managers[j].label) != NULL)
                preflight_say(result, PREFLIGHT_REFUSED,
                              "%s belongs to %s, and would be made again as it was",
                              facts->olds[i].name, managers[j].words);
        }
    }
    preflight_say(result, PREFLIGHT_OK, "nobody else keeps these containers as they are");
}

/* --- networks ------------------------------------------------------------------------------ */

uint64_t preflight_subnet_room(const char *subnet)
{
    const char *slash = subnet != NULL ? strchr(subnet, '/') : NULL;
    unsigned long prefix = slash != NULL ? strtoul(slash + 1, NULL, 10) : 0;

    if (slash == NULL || strchr(subnet, ':') != NULL || prefix < 1 || prefix > 32)
        return UINT64_MAX; /* of IPv6 there is always room */
    if (prefix > 30)
        return 0;
    return (1ull << (32 - prefix)) - 3; /* less network, broadcast and gateway */
}

static uint64_t network_room(const cJSON *network)
{
    uint64_t room = UINT64_MAX;
    const cJSON *config;

    cJSON_ArrayForEach(config, engine_json_at(network, "IPAM", "Config", NULL))
    {
        const char *range = engine_json_string(config, "IPRange");
        const char *subnet = engine_json_string(config, "Subnet");
        uint64_t its = preflight_subnet_room(range != NULL && range[0] != '\0' ? range : subnet);
        uint64_t taken =
            (uint64_t)cJSON_GetArraySize(engine_json_get(config, "AuxiliaryAddresses"));

        its = its > taken ? its - taken : 0;
        if (its < room)
            room = its;
    }
    return room;
}

void check_networks(const struct preflight_facts *facts, struct preflight_result *result)
{
    for (size_t i = 0; i < facts->network_count; i++) {
        const struct preflight_network *network = &facts->networks[i];
        const char *scope = engine_json_string(network->inspect, "Scope");
        uint64_t used =
            (uint64_t)cJSON_GetArraySize(engine_json_get(network->inspect, "Containers"));
        uint64_t room = network_room(network->inspect);

        if (network->is_gone && facts->first > 0)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "the engine has no network %.80s: `docker network create` makes it",
                          network->name);
        else if (network->is_gone)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "network %.80s, which a container is on, is gone: a new one could not "
                          "be connected",
                          network->name);
        else if (network->inspect == NULL)
            preflight_say(result, PREFLIGHT_SKIPPED, "network %.80s could not be looked at",
                          network->name);
        else if (scope != NULL && strcmp(scope, "local") == 0 &&
                 room - (used < room ? used : room) < facts->preview->beside_max)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "network %.80s has room for %llu containers and %llu on it: %u more "
                          "have no address",
                          network->name, (unsigned long long)room, (unsigned long long)used,
                          facts->preview->beside_max);
    }
    preflight_say(result, PREFLIGHT_OK, "their networks are there and have addresses left");
}
