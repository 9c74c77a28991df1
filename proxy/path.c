#include "path.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t decode(struct slice path, char *buffer)
{
    size_t length = 0;

    for (size_t i = 0; i < path.length && path.data[i] != '?'; i++) {
        char c = path.data[i];
        if (c == '%' && path.length - i >= 3 && hex_value(path.data[i + 1]) >= 0 &&
            hex_value(path.data[i + 2]) >= 0) {
            c = (char)(hex_value(path.data[i + 1]) << 4 | hex_value(path.data[i + 2]));
            i += 2;
        }
        buffer[length++] = c;
    }
    return length;
}

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

/* "." or "..", perhaps with parameters ("..;x"), which some backends take off first. */
static bool is_dot_segment(const char *segment, size_t length)
{
    size_t dots = 0;

    while (dots < length && segment[dots] == '.')
        dots++;
    return (dots == 1 || dots == 2) && (dots == length || segment[dots] == ';');
}

bool path_normalise(struct slice path, char *buffer, struct slice *ret_normal)
{
    size_t length = decode(path, buffer), kept = 0, start = 0;

    for (size_t i = 0; i <= length; i++) {
        if (i < length && !is_separator(buffer[i]))
            continue;
        if (is_dot_segment(buffer + start, i - start))
            return false;
        start = i + 1;
    }
    for (size_t i = 0; i < length; i++)
        if (buffer[i] != '/' || kept == 0 || buffer[kept - 1] != '/')
            buffer[kept++] = buffer[i];
    *ret_normal = (struct slice){buffer, kept};
    return true;
}
