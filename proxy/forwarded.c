#include "forwarded.h"

#include "limits.h"

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80" */
static bool read_node(struct slice text, struct address *ret_address)
{
    struct slice ip = text, port = {NULL, 0};
    uint64_t number = 0;

    if (text.length == 0)
        return false;
    const char *end = text.data + text.length;
    const char *bracket = text.data[0] == '[' ? memchr(text.data, ']', text.length) : NULL;
    const char *behind = bracket == NULL ? text.data : bracket;
    const char *colon = memchr(behind, ':', (size_t)(end - behind));
    bool is_plain_ipv6 = bracket == NULL && colon != NULL &&
                         memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL;
    if (colon != NULL && !is_plain_ipv6) {
        port = (struct slice){colon + 1, (size_t)(end - colon - 1)};
        ip.length = (size_t)(colon - text.data);
        if (slice_to_u64(port, &number) < 0 || number > UINT16_MAX)
            return false;
    }
    if (bracket != NULL) {
        if (ip.data + ip.length != bracket + 1)
            return false;
        ip = (struct slice){ip.data + 1, ip.length - 2};
    }
    return address_from_ip(ip, (uint16_t)number, ret_address) == 0;
}

/* Takes the last element off a comma-separated list. Commas in quoted strings do not count: from
 * the right on, so that an open quote in what a stranger wrote hides nothing behind it. */
static bool take_last(struct slice *list, struct slice *ret_element)
{
    bool quoted = false;
    size_t i = list->length;

    if (list->length == 0)
        return false;
    while (i > 0 && (quoted || list->data[i - 1] != ',')) {
        i--;
        if (list->data[i] == '"' && (i == 0 || list->data[i - 1] != '\\'))
            quoted = !quoted;
    }
    *ret_element = slice_trim((struct slice){list->data + i, list->length - i});
    list->length = i > 0 ? i - 1 : 0;
    return true;
}

/* The node of a forwarded-element (RFC 7239 §4): the value of its one `for`. */
static bool read_element(struct slice element, struct address *ret_address)
{
    while (element.length > 0) {
        bool quoted = false;
        size_t i = 0;
        for (; i < element.length && (quoted || element.data[i] != ';'); i++)
            quoted ^= element.data[i] == '"';
        struct slice pair = slice_trim((struct slice){element.data, i});
        size_t taken = i < element.length ? i + 1 : i;
        element = (struct slice){element.data + taken, element.length - taken};
        if (pair.length < 4 ||
            !slice_equals_ignoring_case((struct slice){pair.data, 4}, SLICE("for=")))
            continue;
        struct slice node = {pair.data + 4, pair.length - 4};
        if (node.length >= 2 && node.data[0] == '"' && node.data[node.length - 1] == '"')
            node = (struct slice){node.data + 1, node.length - 2};
        return read_node(node, ret_address);
    }
    return false;
}

static bool has(const struct http1_request *request, enum http_known_field known)
{
    return (request->seen & 1u << known) != 0;
}

void forwarded_client(const struct http1_request *request, const struct network *trusted,
                      size_t trusted_count, const struct address *peer, struct address *ret_client)
{
    bool listed = has(request, FIELD_X_FORWARDED_FOR);
    enum http_known_field known = listed ? FIELD_X_FORWARDED_FOR : FIELD_FORWARDED;
    unsigned hops = 0;

    *ret_client = *peer;
    for (unsigned i = request->field_count; i > 0 && has(request, known); i--) {
        struct slice list = request->fields[i - 1].value, element;
        if (request->fields[i - 1].known != known)
            continue;
        while (take_last(&list, &element)) {
            if (++hops > FORWARDED_HOPS_MAX ||
                !(listed ? read_node(element, ret_client) : read_element(element, ret_client)))
                return;
            if (!network_any_contains(trusted, trusted_count, ret_client))
                return;
        }
    }
}

/* --- X-Request-Id ------------------------------------------------------------------------- */

static bool is_fit(struct slice id)
{
    if (id.length == 0 || id.length > REQUEST_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < id.length; i++) {
        char c = id.data[i];
        bool alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alphanumeric && (c == 0 || strchr("-_.:/+=@~", c) == NULL))
            return false;
    }
    return true;
}

/* Eight digits at once: the nibbles are spread over the bytes of a word, and those above 9 moved
 * on to the letters. */
static void write_hex(uint32_t bits, char text[8])
{
    uint64_t x = bits;

    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    uint64_t letters = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;
    x += 0x3030303030303030 + letters * ('a' - '0' - 10);
    memcpy(text, &x, sizeof(x));
}

size_t forwarded_request_id(const struct http1_request *request, bool trusted,
                            const uint64_t random[2], char text[REQUEST_ID_BYTES_MAX])
{
    struct slice given = {NULL, 0};
    unsigned count = 0;

    for (unsigned i = 0; trusted && i < request->field_count; i++) {
        if (request->fields[i].known != FIELD_X_REQUEST_ID)
            continue;
        given = request->fields[i].value;
        count++;
    }
    if (count == 1 && is_fit(given)) {
        memcpy(text, given.data, given.length);
        return given.length;
    }
    for (unsigned i = 0; i < 4; i++)
        write_hex((uint32_t)(random[i / 2] >> 32 * (i % 2)), text + (size_t)8 * i);
    return 32;
}
