/* Allocation for start-up and for the control processes, where being out of memory has no better
 * answer than to end with exit code 111 ("try again"), so that the supervisor starts anew. The
 * data plane does not use these while it serves: there a failed allocation is a 503 and a counter.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Exit codes that tell the supervisor what to do with a process that ended. */
#define EXIT_FINISHED   0   /* it is done; do not restart */
#define EXIT_NO_RESTART 100 /* it cannot work, whatever is tried; do not restart */
#define EXIT_TRY_AGAIN  111 /* a passing fault: restart with back-off */

/* Zeroed memory; never NULL. Freed by free(). */
void *memory_new(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *memory_new_array(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, warn_unused_result));

/* Like realloc; never NULL for size > 0. New bytes are not zeroed. */
void *memory_resize(void *old, size_t size) __attribute__((warn_unused_result));

/* A copy on the heap; NULL stays NULL. Freed by free(). */
char *memory_copy_string(const char *string) __attribute__((warn_unused_result));

/* printf into a new string. Freed by free(). */
char *memory_format(const char *format, ...)
    __attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));

#endif
