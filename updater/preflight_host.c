/* Checks: is there room for the new containers beside the old ones? */
#include "engine_json.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define DISK_FLOOR_BYTES  (16ull << 20) /* a container's own layer, its log: less is a full disk */
#define STATE_FLOOR_BYTES (16ull << 20) /* the journal grows with a rollout, by much less */
#define BUSY_PER_CPU      1.5
#define DESCRIPTORS_SPARE 256u /* files, bells, listeners; connections that come meanwhile */

#define SIZE_BYTES 24u

static const char *size_text(uint64_t bytes, char text[SIZE_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024. && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024.;
        unit++;
    }
    (void)snprintf(text, SIZE_BYTES, value < 10. && unit > 0 ? "%.1f %s" : "%.0f %s", value,
                   units[unit]);
    return text;
}

uint64_t preflight_sum_largest(const uint64_t *values, size_t count, size_t wanted)
{
    bool taken[PLAN_REPLICAS_MAX] = {false};
    uint64_t sum = 0;

    for (size_t round = 0; round < wanted; round++) {
        size_t best = count;

        for (size_t i = 0; i < count && i < PLAN_REPLICAS_MAX; i++) {
            if (!taken[i] && (best == count || values[i] > values[best]))
                best = i;
        }
        if (best == count)
            break;
        taken[best] = true;
        sum = sum + values[best] < sum ? UINT64_MAX : sum + values[best];
    }
    return sum;
}

/* --- memory -------------------------------------------------------------------------------- */

struct memory_need {
    uint64_t used, limits; /* of all that come beside, the largest ones */
    uint64_t largest_limit;
    const char *largest_name;
    bool measured; /* of at least one */
};

static struct memory_need memory_need(const struct preflight_facts *facts)
{
    uint64_t used[PLAN_REPLICAS_MAX] = {0}, limits[PLAN_REPLICAS_MAX] = {0};
    struct memory_need need = {0};
    size_t count = facts->first > 0 ? facts->first : facts->old_count;

    if (count > PLAN_REPLICAS_MAX)
        count = PLAN_REPLICAS_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct preflight_old *old = &facts->olds[facts->first > 0 ? 0 : i];
        const struct preflight_use *use = &old->use;

        used[i] = use->memory_used;
        limits[i] = use->memory_limit;
        need.measured = need.measured || use->measured;
        if (use->memory_limit > need.largest_limit) {
            need.largest_limit = use->memory_limit;
            need.largest_name = old->name;
        }
    }
    need.used = preflight_sum_largest(used, count, facts->preview->beside_max);
    need.limits = preflight_sum_largest(limits, count, facts->preview->beside_max);
    return need;
}

/* A limit that was changed may be too small for what runs under the old one. */
static void check_limits(const struct preflight_facts *facts, struct preflight_result *result)
{
    char used[SIZE_BYTES], limit[SIZE_BYTES];

    for (size_t i = 0; i < facts->old_count; i++) {
        const struct preflight_use *use = &facts->olds[i].use;

        if (use->measured && use->memory_limit > 0 && use->memory_used > use->memory_limit)
            preflight_say(result, PREFLIGHT_WARNING,
                          "%s uses %s, and one like it is to have no more than %s",
                          facts->olds[i].name, size_text(use->memory_used, used),
                          size_text(use->memory_limit, limit));
    }
}

/* A limit is what one may come to; several together seldom do, so their sum only warns. */
void check_memory(const struct preflight_facts *facts, struct preflight_result *result)
{
    const struct memory_need need = memory_need(facts);
    uint64_t available = facts->host.memory_available;
    char needed[SIZE_BYTES], limit[SIZE_BYTES], left[SIZE_BYTES];

    size_text(available, left);
    size_text(need.used, needed);
    size_text(need.limits, limit);
    check_limits(facts, result);
    if (facts->preview->beside_max == 0)
        preflight_say(result, PREFLIGHT_OK, "no container more than now runs at any time");
    else if (!facts->host.is_here)
        preflight_say(result, PREFLIGHT_SKIPPED,
                      "the engine is on another host, whose free memory it does not tell");
    else if (need.measured && need.used > available)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "%u more containers use %s, going by those that run, but %s are free",
                      facts->preview->beside_max, needed, left);
    else if (need.largest_limit > available)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "a container like %s may use %s by its limit, but %s are free",
                      need.largest_name, size_text(need.largest_limit, limit), left);
    else if (need.limits > available)
        preflight_say(result, PREFLIGHT_WARNING,
                      "%u more containers may use %s by their limits, but %s are free",
                      facts->preview->beside_max, limit, left);
    else if (!need.measured && need.limits > 0)
        preflight_say(result, PREFLIGHT_OK,
                      "%u more containers may use %s by their limits; %s are "
                      "free",
                      facts->preview->beside_max, limit, left);
    else if (!need.measured)
        preflight_say(result, PREFLIGHT_SKIPPED,
                      "the engine does not say what the containers use; %s are free", left);
    else
        preflight_say(result, PREFLIGHT_OK,
                      "%u more containers use %s, going by those that run; %s are free",
                      facts->preview->beside_max, needed, left);
}

/* --- CPU ----------------------------------------------------------------------------------- */

void check_cpu(const struct preflight_facts *facts, struct preflight_result *result)
{
    double cpus = (double)engine_json_integer(facts->info, "NCPU", 0);

    if (cpus < 1.) {
        preflight_say(result, PREFLIGHT_SKIPPED, "the engine does not say how many CPUs it has");
        return;
    }
    for (size_t i = 0; i < facts->old_count; i++) {
        double wanted = (double)facts->olds[i].use.nano_cpus / 1e9;

        if (wanted > cpus)
            preflight_say(result, PREFLIGHT_REFUSED, "%s is given %.4g CPUs, the engine has %.0f",
                          facts->olds[i].name, wanted, cpus);
    }
    if (facts->host.is_here && facts->preview->beside_max > 0 &&
        facts->host.load > BUSY_PER_CPU * cpus)
        preflight_say(result, PREFLIGHT_WARNING,
                      "the host is busy (load %.1f on %.0f CPUs): new containers come up late",
                      facts->host.load, cpus);
    preflight_say(result, PREFLIGHT_OK, "the engine has %.0f CPUs", cpus);
}

/* --- disk ---------------------------------------------------------------------------------- */

/* Before a pull nobody knows the layers' size; the old image is the best guess there is. */
static uint64_t image_guess(const struct preflight_facts *facts)
{
    int64_t largest = 0;

    for (size_t i = 0; facts->its_image == NULL && i < facts->old_count; i++) {
        int64_t size = engine_json_integer(facts->olds[i].its_image, "Size", 0);

        if (size > largest)
            largest = size;
    }
    return (uint64_t)largest;
}

void check_disk(const struct preflight_facts *facts, struct preflight_result *result)
{
    const struct preflight_disk *engine = &facts->host.engine_disk;
    const struct preflight_disk *state = &facts->host.state_disk;
    uint64_t need = DISK_FLOOR_BYTES + image_guess(facts);
    char needed[SIZE_BYTES], left[SIZE_BYTES];

    if (state->known && state->free_bytes < STATE_FLOOR_BYTES)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "%s are free under %.160s, where the journal is: %s are wanted",
                      size_text(state->free_bytes, left), state->path,
                      size_text(STATE_FLOOR_BYTES, needed));
    if (!engine->known) {
        preflight_say(result, PREFLIGHT_SKIPPED, "the engine's data folder%s%.160s is not here",
                      engine->path[0] != '\0' ? " " : "", engine->path);
        return;
    }
    size_text(need, needed);
    size_text(engine->free_bytes, left);
    if (engine->no_inodes)
        preflight_say(result, PREFLIGHT_REFUSED, "no inode is free under %.160s", engine->path);
    else if (engine->free_bytes < need)
        preflight_say(result, PREFLIGHT_REFUSED, "%s are free under %.160s; %s are wanted%s", left,
                      engine->path, needed,
                      facts->its_image == NULL ? ", with an image as large as the old one" : "");
    else
        preflight_say(result, PREFLIGHT_OK, "%s are free under %.160s", left, engine->path);
}

/* --- processes and descriptors -------------------------------------------------------------- */

void check_processes(const struct preflight_facts *facts, struct preflight_result *result)
{
    uint64_t pids[PLAN_REPLICAS_MAX] = {0};
    size_t count = facts->old_count < PLAN_REPLICAS_MAX ? facts->old_count : PLAN_REPLICAS_MAX;
    uint64_t need, left;

    for (size_t i = 0; i < count; i++) {
        const struct preflight_use *use = &facts->olds[i].use;

        pids[i] = use->pids;
        if (use->pids_limit > 0 && use->pids * 10 >= use->pids_limit * 9)
            preflight_say(result, PREFLIGHT_WARNING,
                          "%s has %llu processes, and may have %llu: a new one may not come up",
                          facts->olds[i].name, (unsigned long long)use->pids,
                          (unsigned long long)use->pids_limit);
    }
    if (!facts->host.is_here || facts->host.threads_max == 0) {
        preflight_say(result, PREFLIGHT_SKIPPED,
                      "how many processes the engine's host may have is not known here");
        return;
    }
    need = preflight_sum_largest(pids, count, facts->preview->beside_max);
    left = facts->host.threads_max > facts->host.threads
               ? facts->host.threads_max - facts->host.threads
               : 0;
    if (need > left)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "%u more containers have %llu processes, going by those that run, but this "
                      "host may have %llu more",
                      facts->preview->beside_max, (unsigned long long)need,
                      (unsigned long long)left);
    preflight_say(result, PREFLIGHT_OK, "this host may have %llu processes more",
                  (unsigned long long)left);
}

/* Of the fullest worker: each backend that comes takes as many connections as one has now. */
void check_descriptors(const struct preflight_facts *facts, struct preflight_result *result)
{
    const struct preflight_host *host = &facts->host;
    uint64_t each = facts->old_count > 0
                        ? (host->service_connections + facts->old_count - 1) / facts->old_count
                        : 0;
    uint64_t need = host->descriptors_used + each * facts->preview->beside_max + DESCRIPTORS_SPARE;

    if (facts->preview->beside_max > host->slots_free)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "%u more backends are needed, the routing table has room for %u",
                      facts->preview->beside_max, host->slots_free);
    else if (host->descriptors_max == 0)
        preflight_say(result, PREFLIGHT_SKIPPED,
                      "how many descriptors a worker may have is not "
                      "known");
    else if (need > host->descriptors_max)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "a worker has %llu connections and may need %llu descriptors while both "
                      "versions run, but may have %llu (RLIMIT_NOFILE)",
                      (unsigned long long)host->descriptors_used, (unsigned long long)need,
                      (unsigned long long)host->descriptors_max);
    else
        preflight_say(
            result, PREFLIGHT_OK, "a worker has %llu connections, and may have %llu descriptors",
            (unsigned long long)host->descriptors_used, (unsigned long long)host->descriptors_max);
}
