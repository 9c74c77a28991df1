/* Linux capabilities of this process: what may be kept, the rest is gone for good. */
#ifndef BASE_CAPABILITIES_H
#define BASE_CAPABILITIES_H

#include <stdint.h>

#define CAPABILITY_BIT(number) (UINT64_C(1) << (number))

/* For root only: the bounding set keeps `kept`, and uid 0 means nothing any more to the
 * capabilities of what is executed. Returns 0 or -errno: -EPERM where a container forbids it. */
int capabilities_bound(uint64_t kept) __attribute__((warn_unused_result));

/* Drops all but `kept` from the permitted and effective set, and all from the inheritable and
 * ambient ones. Allowed to everybody. Returns 0 or -errno. */
int capabilities_drop(uint64_t kept) __attribute__((warn_unused_result));

#endif
