/* The container that this process runs in, so that it is never asked to replace itself. */
#ifndef UPDATER_OWN_CONTAINER_H
#define UPDATER_OWN_CONTAINER_H

#include <stdbool.h>

/* What /proc/self/mountinfo says: the engine mounts /etc/hostname and its kin from a folder named
 * by the container's id. Writes the id and returns true, or returns false where there is none. */
bool own_container_parse(const char *mounts, char id[65]) __attribute__((warn_unused_result));
/* Of this process. */
bool own_container(char id[65]) __attribute__((warn_unused_result));

#endif
