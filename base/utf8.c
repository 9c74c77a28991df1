#include "utf8.h"

#include <stdbool.h>
#include <string.h>

/* As the first byte says; 0: none begins so. */
static size_t length_of(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first < 0xe0)
        return 2;
    return first < 0xf0 ? 3 : 4;
}

/* Overlong forms, surrogates, and what lies past U+10FFFF. */
static bool is_second_refused(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second < 0xa0;
    case 0xed:
        return second > 0x9f;
    case 0xf0:
        return second < 0x90;
    case 0xf4:
        return second > 0x8f;
    default:
        return false;
    }
}

size_t utf8_length(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t size = length > 0 ? length_of(bytes[0]) : 0;

    if (size > length)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    return size > 1 && is_second_refused(bytes[0], bytes[1]) ? 0 : size;
}

void utf8_mend(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t size = utf8_length(text, left);

        if (size == 0) {
            *text = '?';
            size = 1;
        }
        text += size;
        left -= size;
    }
}
