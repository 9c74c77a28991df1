#include "value.h"

#include "base/slice.h"
#include "base/utf8.h"
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint32_t ms;
};

static const struct unit units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int config_parse_duration(const char *text, uint32_t *ret_ms)
{
    uint64_t sum = 0;
    size_t next_unit = 0; /* units come from large to small, each once */

    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return 0;
    }
    if (*text == '\0')
        return -EINVAL;
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789");
        uint64_t number = 0;
        if (digits > 10 || slice_to_u64((struct slice){text, digits}, &number) < 0)
            return -EINVAL;
        text += digits;
        size_t letters = 0;
        while (is_letter(text[letters]))
            letters++;
        while (next_unit < UNIT_COUNT && (strlen(units[next_unit].name) != letters ||
                                          memcmp(units[next_unit].name, text, letters) != 0))
            next_unit++;
        if (next_unit == UNIT_COUNT)
            return -EINVAL;
        sum += number * units[next_unit++].ms;
        if (sum > DURATION_MAX_MS)
            return -EINVAL;
        text += letters;
    }
    *ret_ms = (uint32_t)sum;
    return 0;
}

void duration_format(uint64_t ms, char text[DURATION_TEXT_BYTES])
{
    size_t used = 0;

    snprintf(text, DURATION_TEXT_BYTES, "0");
    for (size_t i = 0; i < UNIT_COUNT && used < DURATION_TEXT_BYTES; i++) {
        uint64_t number = ms / units[i].ms;
        ms %= units[i].ms;
        if (number > 0)
            used += (size_t)snprintf(text + used, DURATION_TEXT_BYTES - used, "%llu%s",
                                     (unsigned long long)number, units[i].name);
    }
}

static const char size_units[] = "kmgt"; /* by 1024 each */

int config_parse_size(const char *text, uint64_t *ret_bytes)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t number = 0;
    unsigned shift = 0;

    if (digits == 0 || digits > 13 || (text[0] == '0' && digits > 1) ||
        slice_to_u64((struct slice){text, digits}, &number) < 0)
        return -EINVAL;
    if (text[digits] != '\0') {
        const char *unit = strchr(size_units, tolower((unsigned char)text[digits]));
        if (unit == NULL || text[digits + 1] != '\0')
            return -EINVAL;
        shift = 10 * (unsigned)(unit - size_units + 1);
    }
    if (number > SIZE_MAX_BYTES >> shift)
        return -EINVAL;
    *ret_bytes = number << shift;
    return 0;
}

void size_format(uint64_t bytes, char text[SIZE_TEXT_BYTES])
{
    size_t unit = 0;
    char suffix[2] = "";

    while (bytes > 0 && bytes % 1024 == 0 && size_units[unit] != '\0') {
        bytes /= 1024;
        unit++;
    }
    if (unit > 0)
        suffix[0] = size_units[unit - 1];
    snprintf(text, SIZE_TEXT_BYTES, "%llu%s", (unsigned long long)bytes, suffix);
}

int config_parse_weight(const char *text, uint32_t *ret_weight)
{
    size_t whole = strspn(text, "0123456789");
    uint64_t per_cent = 0;
    uint32_t hundredths = 0;

    if (whole > 3 || slice_to_u64((struct slice){text, whole}, &per_cent) < 0)
        return -EINVAL;
    text += whole;
    if (*text == '.') {
        size_t places = strspn(text + 1, "0123456789");
        if (places == 0)
            return -EINVAL;
        for (size_t i = 2; i < places; i++)
            if (text[1 + i] != '0') /* finer than the resolution of 0.01 */
                return -EINVAL;
        hundredths = (uint32_t)(text[1] - '0') * 10;
        hundredths += places > 1 ? (uint32_t)(text[2] - '0') : 0;
        text += 1 + places;
    }
    uint64_t weight = per_cent * 100 + hundredths;
    if (*text != '\0' || weight > WEIGHT_MAX)
        return -EINVAL;
    *ret_weight = (uint32_t)weight;
    return 0;
}

bool number_parse(const char *text, uint64_t *ret_value)
{
    if (text[0] == '0' && text[1] != '\0')
        return false;
    return slice_to_u64(slice_from_string(text), ret_value) == 0;
}

bool name_is_valid(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > CONFIG_NAME_MAX || !(is_letter(*text) || is_digit(*text)))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_letter(text[i]) && !is_digit(text[i]) && strchr("_.-", text[i]) == NULL)
            return false;
    return true;
}

static bool host_slice_is_valid(struct slice host)
{
    char ip[48];
    struct address address;

    if (host.length == 0 || host.length > 253)
        return false;
    if (host.data[0] == '[')
        return host.length < sizeof(ip) && host.data[host.length - 1] == ']' &&
               memchr(host.data, ':', host.length) != NULL &&
               address_from_ip((struct slice){host.data + 1, host.length - 2}, 0, &address) == 0;
    for (size_t i = 0; i < host.length; i++) {
        char c = host.data[i];
        bool edge = i == 0 || host.data[i - 1] == '.';
        if (!is_letter(c) && !is_digit(c) && c != '_' && (edge || (c != '-' && c != '.')))
            return false;
    }
    return host.data[host.length - 1] != '.';
}

bool host_is_valid(const char *text)
{
    return host_slice_is_valid(slice_from_string(text));
}

bool endpoint_is_valid(const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;

    if (colon == NULL || !number_parse(colon + 1, &port) || port == 0 || port > UINT16_MAX)
        return false;
    return host_slice_is_valid((struct slice){text, (size_t)(colon - text)});
}

bool check_path_is_valid(const char *text)
{
    if (*text != '/')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || *text == '#')
            return false;
    return true;
}

/* A route's path is compared with normal paths only: a segment that none of them has would never
 * match. */
bool path_is_valid(const char *text)
{
    if (!check_path_is_valid(text) || strpbrk(text, "?\\") != NULL || strstr(text, "//") != NULL)
        return false;
    for (const char *segment = strchr(text, '/'); segment != NULL; segment = strchr(segment, '/')) {
        size_t length = strcspn(++segment, "/");
        if (length > 0 && length <= 2 && strspn(segment, ".") >= length)
            return false;
    }
    return true;
}

bool token_is_valid(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("!#$%&'*+-.^_`|~", *text) == NULL)
            return false;
    return true;
}

bool cookie_value_is_valid(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || strchr("\",;\\", *text) != NULL)
            return false;
    return true;
}

bool text_is_clean(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)text[1] < 0xa0))
            return false;
    }
    return true;
}

bool web_url_is_valid(const char *text)
{
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;

    if (scheme == 0 || text[scheme] == '\0' || strchr("/?#:@", text[scheme]) != NULL)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f)
            return false;
    return true;
}

bool engine_host_is_valid(const char *text)
{
    if (strncmp(text, "unix://", 7) == 0)
        return text[7] == '/' && strlen(text + 7) <= 107 && text_is_clean(text);
    return strncmp(text, "tcp://", 6) == 0 && endpoint_is_valid(text + 6);
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t min = a < b ? a : b;

    return min < c ? min : c;
}

/* Damerau and Levenshtein's, with three rows. Long words are cut: they are no typing errors. */
size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t rows[3][LONGEST + 1];
    size_t length_a = strnlen(a, LONGEST);
    size_t length_b = strnlen(b, LONGEST);

    for (size_t j = 0; j <= length_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        const size_t *above = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t change = above[j - 1] +
                            (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            row[j] = min3(above[j] + 1, row[j - 1] + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                size_t swapped = rows[(i - 2) % 3][j - 2] + 1;
                row[j] = swapped < row[j] ? swapped : row[j];
            }
        }
    }
    return rows[length_a % 3][length_b];
}

static bool is_control(unsigned char byte)
{
    return byte == 0x7f || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r');
}

unsigned text_find_bad_line(const char *bytes, size_t length)
{
    unsigned line = 1;

    for (size_t i = 0; i < length;) {
        size_t size = utf8_length(bytes + i, length - i);
        if (size == 0 || is_control((unsigned char)bytes[i]))
            return line;
        line += bytes[i] == '\n';
        i += size;
    }
    return 0;
}
