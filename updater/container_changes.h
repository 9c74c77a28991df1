/* Changes of a container's configuration that somebody asks for with a rollout, and how they are
 * kept. Pure: JSON in, JSON out.
 *
 * Changes are an object, all of its keys optional:
 *     {"env": {"KEY": "value" | null}, "labels": {"key": "value" | null}, "memory": bytes,
 *      "cpus": 1.5, "command": ["word", …], "default": {…}}
 * null unsets. A memory or cpus of 0 is no limit, a command of no words the image's own. "default"
 * takes back: {"env": ["KEY"], "labels": ["key"]} leaves them to the image again; only
 * container_changes_undo() makes it. api_changes_read() reads and checks what people ask for. */
#ifndef UPDATER_CONTAINER_CHANGES_H
#define UPDATER_CONTAINER_CHANGES_H

#include <stdbool.h>

struct cJSON;

/* The label in which a container carries the names of what is its own though its image supplies the
 * very same, changed on purpose or told by its user before that image came: the next image must not
 * take it away. {"env": ["KEY"], "labels": [], "Healthcheck": [], "ExposedPorts": [], "Volumes":
 * [], "values": ["User"], "command": true, "entrypoint": true} */
#define LABEL_OWN "sluice.own"

/* To settings as a create call takes them. NULL changes nothing. */
void container_changes_apply(struct cJSON *settings, const struct cJSON *changes);

/* What brings a container that `changes` were applied to back to what `inspect` (of `image`; NULL:
 * not known) says it was before. The caller frees it. */
struct cJSON *container_changes_undo(const struct cJSON *inspect, const struct cJSON *image,
                                     const struct cJSON *changes);

/* `first` and then `second`, as one. The caller frees it. NULL is no change. */
struct cJSON *container_changes_join(const struct cJSON *first, const struct cJSON *second);

/* Notes what of `create` (a container's own settings) this image supplies as well. */
void container_note_own(struct cJSON *create, const struct cJSON *image);

/* Whether `list` ("env", "labels") has this name, or "command" is its own (`name` NULL). `labels`
 * are the container's. */
bool container_changes_has(const struct cJSON *labels, const char *list, const char *name);

#endif
