#include "network.h"

#include <errno.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(uint16_t family, const uint8_t bytes[16])
{
    return family == AF_INET6 && memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static bool prefix_equals(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return bits % 8 == 0 || (a[whole] ^ b[whole]) >> (8 - bits % 8) == 0;
}

static bool is_clear_behind(const struct network *network)
{
    static const uint8_t zeros[16];
    struct network prefix = *network;
    unsigned length = network->family == AF_INET ? 4 : 16, whole = network->bits / 8u;

    if (whole == length)
        return true;
    prefix.bytes[whole] &= (uint8_t)(0xffu >> network->bits % 8);
    return memcmp(prefix.bytes + whole, zeros, length - whole) == 0;
}

int network_parse(struct slice text, struct network *ret_network)
{
    struct address address;
    struct network network;
    struct slice ip = text;
    uint64_t bits = UINT64_MAX;
    const char *slash = text.length > 0 ? memchr(text.data, '/', text.length) : NULL;

    if (slash != NULL) {
        struct slice digits = {slash + 1, (size_t)(text.data + text.length - slash - 1)};
        ip.length = (size_t)(slash - text.data);
        if (digits.length > 3 || (digits.length > 1 && digits.data[0] == '0') ||
            slice_to_u64(digits, &bits) < 0)
            return -EINVAL;
    }
    if (address_from_ip(ip, 0, &address) < 0)
        return -EINVAL;
    unsigned bits_max = address.family == AF_INET ? 32 : 128;
    if (slash == NULL)
        bits = bits_max;
    if (bits > bits_max)
        return -EINVAL;
    network = (struct network){.family = address.family, .bits = (uint8_t)bits};
    memcpy(network.bytes, address.bytes, sizeof(network.bytes));
    if (!is_clear_behind(&network))
        return -EDOM;
    if (is_mapped(network.family, network.bytes) && network.bits >= 96) {
        network = (struct network){.family = AF_INET, .bits = (uint8_t)(bits - 96)};
        memcpy(network.bytes, address.bytes + 12, 4);
    }
    *ret_network = network;
    return 0;
}

void network_format(const struct network *network, char text[NETWORK_TEXT_BYTES])
{
    char ip[ADDRESS_TEXT_BYTES];
    struct address address = {.family = network->family};

    memcpy(address.bytes, network->bytes, sizeof(address.bytes));
    address_format_ip(&address, ip);
    snprintf(text, NETWORK_TEXT_BYTES, "%.45s/%u", ip, network->bits);
}

bool network_equals(const struct network *a, const struct network *b)
{
    return a->family == b->family && a->bits == b->bits &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool network_contains(const struct network *network, const struct address *address)
{
    const uint8_t *bytes = address->bytes;
    uint16_t family = address->family;

    if (is_mapped(family, bytes)) {
        family = AF_INET;
        bytes += 12;
    }
    return family == network->family && prefix_equals(network->bytes, bytes, network->bits);
}

bool network_any_contains(const struct network *networks, size_t count,
                          const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (network_contains(&networks[i], address))
            return true;
    return false;
}
