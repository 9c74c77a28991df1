/* Socket addresses: parsing "host:port" literals, printing, comparing. No name resolution. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "slice.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stdint.h>

/* Plain data, so that it can lie on a board. */
struct address {
    uint16_t family;   /* AF_INET, AF_INET6; 0: none */
    uint16_t port;     /* host byte order */
    uint8_t bytes[16]; /* network byte order; IPv4 uses the first four */
};

#define ADDRESS_TEXT_BYTES 56 /* "[v6]:65535" and its end */

/* Parses "127.0.0.1:80", "[::1]:80", ":80" (every IPv4 address) and "localhost:80". Returns 0 or
 * -EINVAL. */
int address_parse(struct slice text, struct address *ret_address)
    __attribute__((warn_unused_result));

/* From an IP literal without port ("172.17.0.2"). Returns 0 or -EINVAL. */
int address_from_ip(struct slice ip, uint16_t port, struct address *ret_address)
    __attribute__((warn_unused_result));

void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES]);
/* The IP alone, without brackets and port. */
void address_format_ip(const struct address *address, char text[ADDRESS_TEXT_BYTES]);
bool address_equals(const struct address *a, const struct address *b);

socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *ret_storage);
/* Returns 0, or -EAFNOSUPPORT for anything but IPv4 and IPv6. */
int address_from_sockaddr(const struct sockaddr_storage *storage, struct address *ret_address)
    __attribute__((warn_unused_result));

#endif
