/* Checks: settings that each are fine, but not together, or not with this image. */
#include "engine_json.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_INTERVAL_MS 30000u /* the engine's, of a HEALTHCHECK that says nothing */
#define DEFAULT_RETRIES     3u

#define TIME_BYTES 24u

static const char *time_text(uint64_t ms, char text[TIME_BYTES])
{
    if (ms % 1000 == 0)
        (void)snprintf(text, TIME_BYTES, "%llus", (unsigned long long)(ms / 1000));
    else
        (void)snprintf(text, TIME_BYTES, "%llums", (unsigned long long)ms);
    return text;
}

/* --- health -------------------------------------------------------------------------------- */

/* Whether it is one: ["NONE"] takes the image's away. */
static bool is_healthcheck(const cJSON *check)
{
    const cJSON *first = cJSON_GetArrayItem(engine_json_get(check, "Test"), 0);

    return cJSON_IsString(first) && first->valuestring[0] != '\0' &&
           strcmp(first->valuestring, "NONE") != 0;
}

/* What the new container is going to have: the user's own stays, else the new image's. Where the
 * image is not here yet, the old one's word stands. */
static const cJSON *healthcheck_of(const struct preflight_facts *facts,
                                   const struct preflight_old *old)
{
    const cJSON *its = engine_json_at(old->inspect, "Config", "Healthcheck", NULL);
    const cJSON *supplied = engine_json_at(old->its_image, "Config", "Healthcheck", NULL);
    bool is_own = its != NULL && (supplied == NULL || !cJSON_Compare(its, supplied, true));

    if (is_own || facts->its_image == NULL)
        return its;
    return engine_json_at(facts->its_image, "Config", "Healthcheck", NULL);
}

static uint64_t check_ms(const cJSON *check, const char *key, uint64_t otherwise)
{
    int64_t ns = engine_json_integer(check, key, 0);

    return ns > 0 ? (uint64_t)ns / 1000000 : otherwise;
}

static void check_container_health(const struct preflight_facts *facts,
                                   const struct preflight_old *old, struct preflight_result *result)
{
    const cJSON *check = healthcheck_of(facts, old);
    uint64_t limit_ms = facts->spec->health_timeout_ms;
    uint64_t interval_ms = check_ms(check, "Interval", DEFAULT_INTERVAL_MS);
    int64_t retries = engine_json_integer(check, "Retries", 0);
    uint64_t budget_ms = check_ms(check, "StartPeriod", 0) +
                         interval_ms * (retries > 0 ? (uint64_t)retries : DEFAULT_RETRIES);
    char its[TIME_BYTES], limit[TIME_BYTES];

    if (old->inspect == NULL || limit_ms == 0)
        return;
    time_text(limit_ms, limit);
    if (facts->first > 0 && facts->its_image == NULL)
        preflight_say(result, PREFLIGHT_SKIPPED,
                      "whether it has a HEALTHCHECK is known once the image is here");
    else if (!is_healthcheck(check))
        preflight_say(result, PREFLIGHT_REFUSED,
                      "its health is asked of the container (healthcheck: container), but a new "
                      "one like %s has no HEALTHCHECK: nobody would look whether it works",
                      old->name);
    else if (interval_ms >= limit_ms)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the container's HEALTHCHECK runs first after %s, but a new one must be "
                      "healthy within %s (health_timeout)",
                      time_text(interval_ms, its), limit);
    else if (budget_ms > limit_ms)
        preflight_say(result, PREFLIGHT_WARNING,
                      "the container's HEALTHCHECK may take %s to judge (start period and "
                      "retries), but a new one must be healthy within %s (health_timeout)",
                      time_text(budget_ms, its), limit);
}

void check_health(const struct preflight_facts *facts, struct preflight_result *result)
{
    const struct config_check *check = &facts->config->check;
    const struct plan_spec *spec = facts->spec;
    uint64_t failing_ms = (uint64_t)check->retries * check->interval_ms;
    char its[TIME_BYTES], limit[TIME_BYTES];

    if (check->kind == CHECK_NONE) {
        preflight_say(result, PREFLIGHT_WARNING,
                      "no health check is configured: a new container gets traffic as soon as it "
                      "runs, and is never found to be ill");
        return;
    }
    if (check->kind == CHECK_CONTAINER) {
        for (size_t i = 0; i < facts->old_count; i++)
            check_container_health(facts, &facts->olds[i], result);
    } else if (spec->monitor_ms < check->interval_ms + check->timeout_ms) {
        preflight_say(result, PREFLIGHT_WARNING,
                      "the new version is watched for %s at the end (monitor), but is asked for "
                      "its health each %s only, and found ill after %u failures",
                      time_text(spec->monitor_ms, its), time_text(check->interval_ms, limit),
                      check->retries);
    }
    if (spec->progress_deadline_ms > 0 && failing_ms > spec->progress_deadline_ms)
        preflight_say(result, PREFLIGHT_WARNING,
                      "an ill container is found after %s, but the rollout gives up after %s "
                      "without progress (progress_deadline)",
                      time_text(failing_ms, its), time_text(spec->progress_deadline_ms, limit));
    preflight_say(result, PREFLIGHT_OK, "a new container has %s to become healthy",
                  time_text(spec->health_timeout_ms, limit));
}

/* --- the port ------------------------------------------------------------------------------ */

static bool is_tcp(const char *port)
{
    const char *slash = port != NULL ? strchr(port, '/') : NULL;

    return port != NULL && (slash == NULL || strcmp(slash, "/tcp") == 0);
}

/* TCP ports that a new one like `old` exposes: the user's own and the new image's. */
static unsigned count_ports(const struct preflight_facts *facts, const struct preflight_old *old)
{
    const cJSON *own = engine_json_at(old->inspect, "Config", "ExposedPorts", NULL);
    const cJSON *before = engine_json_at(old->its_image, "Config", "ExposedPorts", NULL);
    const cJSON *after = engine_json_at(facts->its_image, "Config", "ExposedPorts", NULL);
    const cJSON *port;
    unsigned count = 0;

    cJSON_ArrayForEach(port, after) count += is_tcp(port->string);
    cJSON_ArrayForEach(port, own)
    {
        if (is_tcp(port->string) && engine_json_get(before, port->string) == NULL &&
            engine_json_get(after, port->string) == NULL)
            count++;
    }
    return count;
}

void check_port(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->config->port != 0 || facts->config->published) {
        preflight_say(result, PREFLIGHT_OK, "the config says which port");
        return;
    }
    if (facts->its_image == NULL) {
        preflight_say(result, PREFLIGHT_SKIPPED,
                      "which port it exposes is known once the image is here");
        return;
    }
    for (size_t i = 0; i < facts->old_count; i++) {
        unsigned count = count_ports(facts, &facts->olds[i]);

        if (facts->olds[i].inspect != NULL && count != 1)
            preflight_say(result, PREFLIGHT_REFUSED,
                          "a new one like %s exposes %s TCP port%s: say which one with `port`",
                          facts->olds[i].name, count == 0 ? "no" : "more than one",
                          count == 0 ? "" : "s");
    }
    preflight_say(result, PREFLIGHT_OK, "it exposes one TCP port");
}

/* --- the rest ------------------------------------------------------------------------------ */

/* The planner was asked: in a world where all goes well the rollout has to complete. */
static void check_plan(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->old_count == 0)
        return;
    if (facts->preview->stuck[0] != '\0')
        preflight_say(result, PREFLIGHT_REFUSED,
                      "by these settings it would not end even if all goes well: it waits %.200s",
                      facts->preview->stuck);
    else if (facts->preview->outcome != OUTCOME_COMPLETED)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "by these settings it would not complete even if all goes well, but end as "
                      "%s",
                      plan_outcome_name(facts->preview->outcome));
}

/* Exchanges that wait for the last one's replacement wait for its verifications too. */
static void check_held_verifications(const struct preflight_facts *facts,
                                     struct preflight_result *result)
{
    const struct plan_spec *spec = facts->spec;
    uint64_t longest_ms = 0;
    char its[TIME_BYTES], ours[TIME_BYTES];

    if (spec->order != ORDER_STOP_FIRST || spec->replicas > 1)
        return;
    for (size_t i = 0; i < spec->task_count; i++) {
        if (spec->tasks[i].point == POINT_VERIFY_CANARY)
            longest_ms += spec->tasks[i].timeout_ms;
    }
    if (longest_ms > spec->hold_ms / 2)
        preflight_say(result, PREFLIGHT_WARNING,
                      "requests wait while the new container is verified, which may take %s, but "
                      "after %s (half of hold.timeout) the rollout turns back",
                      time_text(longest_ms, its), time_text(spec->hold_ms / 2, ours));
}

void check_settings(const struct preflight_facts *facts, struct preflight_result *result)
{
    uint64_t grace_ms = facts->config->rollout.stop_grace_period_ms;
    char its[TIME_BYTES], ours[TIME_BYTES];

    check_plan(facts, result);
    check_held_verifications(facts, result);
    for (size_t i = 0; i < facts->old_count; i++) {
        const cJSON *config = engine_json_get(facts->olds[i].inspect, "Config");
        int64_t own_s = engine_json_integer(config, "StopTimeout", 0);

        if (grace_ms > 0 && own_s > 0 && (uint64_t)own_s * 1000 > grace_ms)
            preflight_say(result, PREFLIGHT_WARNING,
                          "%s asks for %s to stop, but stop_grace_period gives it %s",
                          facts->olds[i].name, time_text((uint64_t)own_s * 1000, its),
                          time_text(grace_ms, ours));
    }
    preflight_say(result, PREFLIGHT_OK, "they do not contradict one another");
}
