/* The Unix socket that the admin API listens on.
 *
 * Owner: struct admin. The path belongs to whoever answers on it: a socket that nobody answers on
 * is what a killed updater left behind, and is replaced. */
#ifndef UPDATER_ADMIN_SOCKET_H
#define UPDATER_ADMIN_SOCKET_H

#include <sys/stat.h>

/* Listens on `path` with mode 0660, making its folder where only that is missing. Returns 0;
 * -EADDRINUSE where another process answers on it; -EEXIST where the path is not a socket;
 * -ENAMETOOLONG; or another -errno. `ret_identity` tells the socket from a later one in its place.
 */
int admin_socket_open(const char *path, int *ret_fd, struct stat *ret_identity)
    __attribute__((warn_unused_result));

/* Removes the path if it is still the socket of `identity`. Does not close the descriptor. */
void admin_socket_remove(const char *path, const struct stat *identity);

#endif
