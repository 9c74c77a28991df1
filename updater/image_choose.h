/* Which images of a service's versions may go. Pure: the history in, image ids out.
 *
 * A version is what a completed rollout brought, or found. Of each service the newest `keep` stay,
 * the one that serves included, whatever other services think of them; so does whatever a rollout
 * in progress is about. What a rollout brought that did not complete is no version to go back to.
 */
#ifndef UPDATER_IMAGE_CHOOSE_H
#define UPDATER_IMAGE_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_KEEP_ALL UINT32_MAX

struct image_rollout { /* of the history; strings are borrowed, "" or NULL where not known */
    const char *service, *image_id, *previous_image_id;
    uint32_t keep; /* of its service */
    bool in_progress, completed;
};

/* `rollouts`: of every service, newest first. Fills `ret_ids`, which has room for two for each
 * rollout, with those of `service` that may go, and returns how many. */
size_t image_choose(const struct image_rollout *rollouts, size_t count, const char *service,
                    const char **ret_ids);

#endif
