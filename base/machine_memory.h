/* How much memory this machine, or the control group that this process runs in, has. */
#ifndef BASE_MACHINE_MEMORY_H
#define BASE_MACHINE_MEMORY_H

#include <stdint.h>

/* The least of RAM and the limits of the control groups (version 1 and 2). Never 0. */
uint64_t machine_memory_bytes(void);

#endif
