#include "base/check.h"
#include "base/clock.h"
#include "load.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static const char *const kind_names[KIND_COUNT] = {
    [KIND_KEEPALIVE] = "keepalive",
    [KIND_NEW] = "new",
    [KIND_SLOW] = "slow",
    [KIND_UPLOAD] = "upload",
    [KIND_DOWNLOAD] = "download",
    [KIND_WEBSOCKET] = "websocket",
    [KIND_TCP] = "tcp",
};

static unsigned bucket_of(uint64_t us)
{
    if (us < 16)
        return (unsigned)us;
    unsigned power = 63 - (unsigned)__builtin_clzll(us);
    unsigned bucket = (power - 3) * 16 + (unsigned)(us >> (power - 4) & 15);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The upper end of a bucket. */
static uint64_t bucket_us(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    unsigned power = bucket / 16 + 3;
    return ((uint64_t)(bucket % 16 + 17) << (power - 4)) - 1;
}

static uint64_t percentile(const struct kind_statistics *kind, uint64_t per_cent)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        total += kind->latency[i];
    uint64_t wanted = (total * per_cent + 99) / 100;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += kind->latency[i];
        if (seen >= wanted && seen > 0)
            return bucket_us(i) < kind->max_us ? bucket_us(i) : kind->max_us;
    }
    return 0;
}

void statistics_done(struct statistics *statistics, enum kind kind, uint64_t latency_us)
{
    struct kind_statistics *own = &statistics->kinds[kind];

    if (kind != KIND_WEBSOCKET && kind != KIND_TCP)
        statistics->requests++;
    own->requests++;
    own->latency[bucket_of(latency_us)]++;
    if (latency_us > own->max_us)
        own->max_us = latency_us;
}

void statistics_failed(struct statistics *statistics, enum kind kind, const char *detail)
{
    statistics->failed++;
    statistics->kinds[kind].failed++;
    if (statistics->failure_count == FAILURES_LISTED)
        return;
    struct failure *failure = &statistics->failures[statistics->failure_count++];
    failure->elapsed_ms = clock_ms() - statistics->started_ms;
    failure->kind = kind;
    snprintf(failure->detail, sizeof(failure->detail), "%s", detail);
}

void statistics_version(struct statistics *statistics, struct slice version)
{
    char text[VERSION_BYTES];

    (void)slice_copy_string(version, text, sizeof(text));
    for (unsigned i = 0; i < statistics->version_count; i++) {
        if (strcmp(statistics->versions[i].text, text) == 0) {
            statistics->versions[i].count++;
            return;
        }
    }
    if (statistics->version_count == VERSIONS_MAX)
        return;
    struct version_count *fresh = &statistics->versions[statistics->version_count++];
    memcpy(fresh->text, text, sizeof(text));
    fresh->count = 1;
}

static void add(cJSON *object, const char *name, uint64_t value)
{
    check(cJSON_AddNumberToObject(object, name, (double)value) != NULL);
}

static void print(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    check(text != NULL);
    puts(text);
    fflush(stdout);
    free(text);
    cJSON_Delete(object);
}

static void add_versions(cJSON *object, const struct statistics *statistics)
{
    cJSON *versions = cJSON_AddObjectToObject(object, "versions");
    for (unsigned i = 0; i < statistics->version_count; i++)
        add(versions, statistics->versions[i].text, statistics->versions[i].count);
}

void statistics_print_progress(const struct statistics *statistics, uint64_t requests_before,
                               unsigned interval_ms)
{
    cJSON *object = cJSON_CreateObject();

    check(object != NULL);
    add(object, "elapsed_ms", clock_ms() - statistics->started_ms);
    add(object, "requests", statistics->requests);
    add(object, "failed", statistics->failed);
    add_versions(object, statistics);
    add(object, "rps", (statistics->requests - requests_before) * 1000 / interval_ms);
    add(object, "in_flight", statistics->in_flight);
    add(object, "websockets_open", statistics->websockets.open);
    add(object, "tcp_open", statistics->tcp.open);
    print(object);
}

static void add_channel(cJSON *object, const char *name, const struct channel_statistics *channel)
{
    cJSON *own = cJSON_AddObjectToObject(object, name);
    add(own, "open", channel->open);
    add(own, "broken", channel->broken);
    add(own, "closed", channel->closed);
    add(own, "messages", channel->messages);
}

static void add_failures(cJSON *object, const struct statistics *statistics)
{
    cJSON *failures = cJSON_AddArrayToObject(object, "failures");
    for (unsigned i = 0; i < statistics->failure_count; i++) {
        const struct failure *failure = &statistics->failures[i];
        cJSON *own = cJSON_CreateObject();
        add(own, "elapsed_ms", failure->elapsed_ms);
        cJSON_AddStringToObject(own, "kind", kind_names[failure->kind]);
        cJSON_AddStringToObject(own, "detail", failure->detail);
        cJSON_AddItemToArray(failures, own);
    }
}

static void add_kinds(cJSON *object, const struct statistics *statistics)
{
    cJSON *kinds = cJSON_AddObjectToObject(object, "kinds");
    for (unsigned i = 0; i < KIND_COUNT; i++) {
        const struct kind_statistics *kind = &statistics->kinds[i];
        if (kind->requests + kind->failed == 0)
            continue;
        cJSON *own = cJSON_AddObjectToObject(kinds, kind_names[i]);
        add(own, "requests", kind->requests);
        add(own, "failed", kind->failed);
        add(own, "p50_us", percentile(kind, 50));
        add(own, "p99_us", percentile(kind, 99));
        add(own, "max_us", kind->max_us);
    }
}

void statistics_print_final(const struct statistics *statistics)
{
    cJSON *object = cJSON_CreateObject();

    check(object != NULL);
    cJSON_AddBoolToObject(object, "final", true);
    add(object, "elapsed_ms", clock_ms() - statistics->started_ms);
    add(object, "requests", statistics->requests);
    add(object, "failed", statistics->failed);
    add(object, "late", statistics->late);
    add_failures(object, statistics);
    add_versions(object, statistics);
    add_kinds(object, statistics);
    add_channel(object, "websockets", &statistics->websockets);
    add_channel(object, "tcp", &statistics->tcp);
    cJSON *uploads = cJSON_AddObjectToObject(object, "uploads");
    add(uploads, "requests", statistics->kinds[KIND_UPLOAD].requests);
    add(uploads, "failed", statistics->kinds[KIND_UPLOAD].failed);
    add(uploads, "bytes", statistics->uploaded_bytes);
    cJSON *downloads = cJSON_AddObjectToObject(object, "downloads");
    add(downloads, "requests", statistics->kinds[KIND_DOWNLOAD].requests);
    add(downloads, "failed", statistics->kinds[KIND_DOWNLOAD].failed);
    add(downloads, "bytes", statistics->downloaded_bytes);
    print(object);
}
