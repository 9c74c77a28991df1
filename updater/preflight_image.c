/* Checks: the new image. */
#include "engine_json.h"
#include "image_names.h"
#include "preflight_parts.h"

#include <cjson/cJSON.h>
#include <string.h>

/* By the digest that the registry tells: each of them has it already. */
static bool is_what_runs(const struct preflight_facts *facts)
{
    for (size_t i = 0; i < facts->old_count; i++) {
        if (!image_has_digest(facts->olds[i].its_image, facts->image, facts->registry.digest))
            return false;
    }
    return facts->old_count > 0;
}

static void check_answer(const struct preflight_facts *facts, struct preflight_result *result)
{
    const struct preflight_registry *registry = &facts->registry;

    if (registry->error != 0)
        preflight_say(result, PREFLIGHT_REFUSED, "%s cannot be pulled: %s", facts->image,
                      registry->message);
    else if (registry->digest == NULL)
        preflight_say(result, PREFLIGHT_SKIPPED, "the registry does not say what %s is",
                      facts->image);
    else if (is_what_runs(facts))
        preflight_say(result, PREFLIGHT_REFUSED,
                      "every container of \"%s\" runs what the registry has as %s (%.19s) already",
                      facts->service, facts->image, registry->digest);
    else
        preflight_say(result, PREFLIGHT_OK, "%s is to be pulled: the registry has it (%.19s)",
                      facts->image, registry->digest);
}

/* Whether it can be had at all. */
void check_registry(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->its_image != NULL)
        preflight_say(result, PREFLIGHT_OK, "%s is on the engine: nothing is to be pulled",
                      facts->image);
    else if (facts->pinned != NULL)
        preflight_say(
            result, PREFLIGHT_REFUSED,
            "the image that %s was then (%.19s) is not on the engine any more; pull it by "
            "its digest if a registry has it, and start a rollout of that; nothing was "
            "changed",
            facts->image, facts->pinned);
    else if (facts->pull == PULL_NEVER)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the engine has no image %s, and is not to pull it; nothing was changed",
                      facts->image);
    else if (image_is_id(facts->image))
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the engine has no image %s, and no registry knows one by its id; nothing "
                      "was changed",
                      facts->image);
    else if (facts->registry.asked)
        check_answer(facts, result);
    else
        preflight_say(result, PREFLIGHT_OK, "%s is to be pulled", facts->image);
}

void check_image(const struct preflight_facts *facts, struct preflight_result *result)
{
    size_t same = 0;

    if (facts->keeps_image && facts->its_image == NULL) {
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the image of \"%s\" is not on the engine any more: say which with --image",
                      facts->service);
        return;
    }
    if (facts->its_image == NULL) {
        preflight_say(result, PREFLIGHT_SKIPPED, "which image %s is, is known once it is pulled",
                      facts->image);
        return;
    }
    for (size_t i = 0; i < facts->old_count; i++)
        same += strcmp(facts->olds[i].image_id, facts->image_id) == 0;
    if (facts->keeps_image && same < facts->old_count)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the containers of \"%s\" run different images: say which with --image",
                      facts->service);
    else if (facts->changes == NULL && facts->old_count > 0 && same == facts->old_count)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "every container of \"%s\" runs %s (%.19s) already; nothing was changed",
                      facts->service, facts->image, facts->image_id);
    else
        preflight_say(result, PREFLIGHT_OK, "%s (%.19s) is on the engine", facts->image,
                      facts->image_id);
}

/* The engine's own word for its processor, as images say it. */
static const char *image_word(const char *processor)
{
    static const char *const words[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"}};

    for (size_t i = 0; processor != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(processor, words[i][0]) == 0)
            return words[i][1];
    }
    return processor;
}

/* Whether one of those that the registry has it for is what runs. */
static bool registry_has(const cJSON *platforms, const char *processor)
{
    const cJSON *platform;

    cJSON_ArrayForEach(platform, platforms)
    {
        const char *its = engine_json_string(platform, "architecture");

        if (its == NULL || its[0] == '\0' || strcmp(its, processor) == 0)
            return true;
    }
    return false;
}

/* "exec format error" is what it would come to. */
void check_platform(const struct preflight_facts *facts, struct preflight_result *result)
{
    const char *its = engine_json_string(facts->its_image, "Architecture");
    const char *runs =
        facts->old_count > 0 ? engine_json_string(facts->olds[0].its_image, "Architecture") : NULL;

    if (runs == NULL || runs[0] == '\0')
        runs = image_word(engine_json_string(facts->info, "Architecture"));
    if (runs != NULL && cJSON_GetArraySize(facts->registry.platforms) > 0 &&
        !registry_has(facts->registry.platforms, runs))
        preflight_say(result, PREFLIGHT_REFUSED, "the registry has it for other processors than %s",
                      runs);
    else if (its == NULL || its[0] == '\0' || runs == NULL)
        preflight_say(result, PREFLIGHT_SKIPPED, "what processor the image is for is not known%s",
                      facts->its_image == NULL ? " before it is here" : "");
    else if (strcmp(its, runs) != 0)
        preflight_say(result, PREFLIGHT_REFUSED, "the image is for %.40s, %s is for %.40s", its,
                      facts->first > 0 ? "the engine" : "what runs", runs);
    else
        preflight_say(result, PREFLIGHT_OK, "the image is for %.40s%s", its,
                      facts->first > 0 ? ", as the engine is" : ", as what runs");
}
