/* The memory under a board: a memfd whose size is sealed, so that no process that maps it can be
 * killed by another shrinking it (SIGBUS). Used by the boards only. */
#ifndef BOARD_MEMORY_BOARD_H
#define BOARD_MEMORY_BOARD_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory of `size` bytes, sealed against growing and shrinking. Returns a close-on-exec
 * descriptor or -errno. `name` shows in /proc. */
int memory_board_create(const char *name, size_t size) __attribute__((warn_unused_result));

/* Maps all of it, shared. Returns 0, -EINVAL where the size is another, or -errno. */
int memory_board_map(int fd, size_t size, bool writable, void **ret_memory)
    __attribute__((warn_unused_result));

void memory_board_unmap(void *memory, size_t size);

#endif
