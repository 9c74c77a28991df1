#include "slice.h"

#include "check.h"

#include <errno.h>

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c | 0x20);
    return c;
}

bool slice_equals_ignoring_case(struct slice a, struct slice b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.length > 0 && is_blank(s.data[0])) {
        s.data++;
        s.length--;
    }
    while (s.length > 0 && is_blank(s.data[s.length - 1]))
        s.length--;
    return s;
}

int slice_to_u64(struct slice s, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (s.length == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.length; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (i >= 19 && value > (UINT64_MAX - digit) / 10) /* 19 digits fit */
            return -ERANGE;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return 0;
}

bool slice_copy_string(struct slice s, char *buffer, size_t size)
{
    check(size > 0);
    size_t length = s.length < size ? s.length : size - 1;
    if (length > 0)
        memcpy(buffer, s.data, length);
    buffer[length] = '\0';
    return length == s.length;
}
