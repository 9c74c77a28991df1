/* Checks: the new image. */
#include "image_names.h"
#include "preflight_parts.h"

#include <string.h>

/* Whether it can be had at all. */
void check_registry(const struct preflight_facts *facts, struct preflight_result *result)
{
    if (facts->its_image != NULL)
        preflight_say(result, PREFLIGHT_OK, "%s is on the engine: nothing is to be pulled",
                      facts->image);
    else if (facts->pull == PULL_NEVER)
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the engine has no image %s, and is not to pull it; nothing was changed",
                      facts->image);
    else if (image_is_id(facts->image))
        preflight_say(result, PREFLIGHT_REFUSED,
                      "the engine has no image %s, and no registry knows one by its id; nothing "
                      "was changed",
                      facts->image);
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
