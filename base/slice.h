/* A view of bytes that somebody else owns. Bytes from the network are slices, never C strings. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t length;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_from_string(const char *string)
{
    return (struct slice){string, strlen(string)};
}

static inline bool slice_equals(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.length >= prefix.length &&
           (prefix.length == 0 || memcmp(s.data, prefix.data, prefix.length) == 0);
}

/* Compares without regard to the case of ASCII letters, in any locale. */
bool slice_equals_ignoring_case(struct slice a, struct slice b);

/* Without spaces and tabs (HTTP's OWS, RFC 9110 §5.6.3) at both ends. */
struct slice slice_trim(struct slice s);

/* Reads a whole decimal number without sign. Returns 0, -EINVAL where anything but digits is
 * found or nothing at all, -ERANGE past UINT64_MAX. `ret_value` is untouched on failure. */
int slice_to_u64(struct slice s, uint64_t *ret_value) __attribute__((warn_unused_result));

/* Copies into `buffer` and terminates. Returns false, with a cut text, where it did not fit. */
bool slice_copy_string(struct slice s, char *buffer, size_t size);

#endif
