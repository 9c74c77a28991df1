/* `rollout.images`: how new images come onto the engine and old ones leave it. */
#include "config.h"
#include "reader.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const pull_words[] = {"missing", "always", "never", NULL};

static const struct field images_fields[] = {
    {.key = "pull",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_images, pull),
     .words = pull_words,
     .fallback = PULL_MISSING},
    {.key = "pull_stall",
     .kind = FIELD_DURATION,
     .offset = offsetof(struct config_images, pull_stall_ms),
     .min = 1000,
     .max = 3600 * 1000,
     .fallback = 60 * 1000},
    {.key = "keep",
     .kind = FIELD_NUMBER32,
     .offset = offsetof(struct config_images, keep),
     .min = 0,
     .max = CONFIG_IMAGES_KEPT_MAX,
     .fallback = 3},
};
const struct table images_table = TABLE("images", images_fields);

int config_parse_pull(const char *text, enum config_pull *ret_pull)
{
    for (unsigned i = 0; pull_words[i] != NULL; i++) {
        if (strcmp(text, pull_words[i]) == 0) {
            *ret_pull = (enum config_pull)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *config_pull_name(enum config_pull pull)
{
    return pull_words[pull];
}
