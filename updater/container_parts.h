/* Inside of container.c: a container's settings as a create call takes them, made from the raw
 * inspect JSON by copying everything and then taking away what is not a setting. Pure. */
#ifndef UPDATER_CONTAINER_PARTS_H
#define UPDATER_CONTAINER_PARTS_H

#include "container.h"

#include <stdbool.h>

struct cJSON;

/* The body of a create call, all networks in NetworkingConfig. `image` (an image inspect) is what
 * is subtracted: its defaults are not the container's own settings; NULL: nothing is. Image and
 * the labels are left as they are. NULL where the JSON is no inspect's. The caller frees it. */
struct cJSON *container_settings(const struct cJSON *inspect, const struct cJSON *image);

/* The container's volumes without a name of their own, bound by the name the engine gave them, so
 * that the next container sees the same data. Edits HostConfig and Volumes of `settings`. */
void container_keep_volumes(struct cJSON *settings, const struct cJSON *inspect);

/* container_facts.attached of an inspect; the caller frees it. */
char *container_attached(const struct cJSON *inspect);

/* Takes out again what container_keep_volumes() bound for the volumes that `image` asks for: the
 * container was told nothing of them. */
void container_drop_image_volumes(struct cJSON *settings, const struct cJSON *inspect,
                                  const struct cJSON *image);

/* {"EndpointsConfig": {"network": endpoint}} of settings only; NULL: the container's network mode
 * takes none. May edit HostConfig.NetworkMode of `settings`: an id becomes the name. */
struct cJSON *container_networking(struct cJSON *settings, const struct cJSON *inspect);

/* The network of `endpoints` that NetworkMode stands for; NULL: none. */
const char *container_main_network(const struct cJSON *settings, const struct cJSON *endpoints);

/* The first 12 digits of the id: what the engine makes the hostname and an alias of. */
bool container_is_short_id(const struct cJSON *inspect, const char *text);

/* Whether the engine made it up; else the user set it. */
bool container_mac_is_generated(const struct cJSON *inspect, const char *mac);

#endif
