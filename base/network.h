/* IP networks ("10.0.0.0/8", "::1"): parsing, printing, and whether an address is in one.
 *
 * Plain data. An IPv4 address written in IPv6 (::ffff:10.0.0.1), as a socket that takes both has
 * it, is the IPv4 address here: on both sides of the comparison. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "address.h"

#include <stddef.h>

struct network {
    uint16_t family;   /* AF_INET or AF_INET6 */
    uint8_t bits;      /* of the prefix */
    uint8_t bytes[16]; /* network byte order, none set behind the prefix; IPv4: the first four */
};

#define NETWORK_TEXT_BYTES 52 /* IPv6 with "/128" and its end */

/* Parses "ADDRESS/BITS" or an address alone, which is a network of one. Returns 0, -EINVAL for
 * anything else, or -EDOM where bits are set behind the prefix ("10.0.0.1/8"): one of the two
 * numbers is a mistake. */
int network_parse(struct slice text, struct network *ret_network)
    __attribute__((warn_unused_result));

/* Reads back to the same. */
void network_format(const struct network *network, char text[NETWORK_TEXT_BYTES]);

bool network_equals(const struct network *a, const struct network *b);

/* The port does not count. An IPv6 network, ::/0 too, holds no IPv4 addresses. */
bool network_contains(const struct network *network, const struct address *address);

/* Whether any of `count` networks does. */
bool network_any_contains(const struct network *networks, size_t count,
                          const struct address *address);

#endif
