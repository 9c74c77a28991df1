#include "address.h"

#include "check.h"

#include <arpa/inet.h>

#include <errno.h>
#include <stdio.h>

int address_from_ip(struct slice ip, uint16_t port, struct address *ret_address)
{
    char text[INET6_ADDRSTRLEN];
    struct address address = {.port = port};

    if (ip.length == 0 || !slice_copy_string(ip, text, sizeof(text)))
        return -EINVAL;
    if (inet_pton(AF_INET, text, address.bytes) == 1)
        address.family = AF_INET;
    else if (inet_pton(AF_INET6, text, address.bytes) == 1)
        address.family = AF_INET6;
    else
        return -EINVAL;
    *ret_address = address;
    return 0;
}

int address_parse(struct slice text, struct address *ret_address)
{
    uint64_t port = 0;
    size_t colon = text.length;

    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return -EINVAL;
    struct slice host = {text.data, colon - 1};
    struct slice digits = {text.data + colon, text.length - colon};
    if (digits.length > 5 || slice_to_u64(digits, &port) < 0 || port > UINT16_MAX)
        return -EINVAL;
    if (host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']') {
        host = (struct slice){host.data + 1, host.length - 2};
        if (memchr(host.data, ':', host.length) == NULL)
            return -EINVAL;
    } else if (host.length > 0 && memchr(host.data, ':', host.length) != NULL) {
        return -EINVAL; /* IPv6 wants brackets, or its port could not be told */
    }
    if (host.length == 0)
        host = SLICE("0.0.0.0");
    else if (slice_equals_ignoring_case(host, SLICE("localhost")))
        host = SLICE("127.0.0.1");
    return address_from_ip(host, (uint16_t)port, ret_address);
}

void address_format_ip(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    if (address->family == 0 ||
        inet_ntop(address->family, address->bytes, text, ADDRESS_TEXT_BYTES) == NULL)
        snprintf(text, ADDRESS_TEXT_BYTES, "none");
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    char ip[ADDRESS_TEXT_BYTES];

    address_format_ip(address, ip);
    if (address->family == AF_INET6)
        snprintf(text, ADDRESS_TEXT_BYTES, "[%.45s]:%u", ip, address->port);
    else
        snprintf(text, ADDRESS_TEXT_BYTES, "%.45s:%u", ip, address->port);
}

bool address_equals(const struct address *a, const struct address *b)
{
    size_t length = a->family == AF_INET ? 4 : 16;

    return a->family == b->family && a->port == b->port && memcmp(a->bytes, b->bytes, length) == 0;
}

socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *ret_storage)
{
    *ret_storage = (struct sockaddr_storage){0};
    if (address->family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ret_storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(address->port);
        memcpy(&in6->sin6_addr, address->bytes, 16);
        return sizeof(*in6);
    }
    check(address->family == AF_INET);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)ret_storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(address->port);
    memcpy(&in->sin_addr, address->bytes, 4);
    return sizeof(*in);
}

int address_from_sockaddr(const struct sockaddr_storage *storage, struct address *ret_address)
{
    struct address address = {.family = storage->ss_family};

    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)storage;
        address.port = ntohs(in->sin_port);
        memcpy(address.bytes, &in->sin_addr, 4);
    } else if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)storage;
        address.port = ntohs(in6->sin6_port);
        memcpy(address.bytes, &in6->sin6_addr, 16);
    } else {
        return -EAFNOSUPPORT;
    }
    *ret_address = address;
    return 0;
}
