/* The PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2.1 and 2.2): what a
 * proxy in front says of a connection before its first byte. Pure: bytes in, addresses out.
 *
 * Strict: what the specification calls invalid is refused, for whoever may write this header says
 * who the client is. */
#ifndef PROXY_PROXY_PROTOCOL_H
#define PROXY_PROXY_PROTOCOL_H

#include "base/address.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

/* Version 1 with its CRLF, by the specification. */
#define PROXY_PROTOCOL_V1_BYTES_MAX 107u
/* Version 2 with all its TLVs; a client's certificate may be in them. HAProxy's limit too. */
#define PROXY_PROTOCOL_BYTES_MAX (16u << 10)
/* What is written: version 1 is the longer. */
#define PROXY_PROTOCOL_OUT_BYTES_MAX PROXY_PROTOCOL_V1_BYTES_MAX

enum proxy_protocol_result {
    PROXY_PROTOCOL_DONE,
    PROXY_PROTOCOL_MORE,     /* so far it may be one */
    PROXY_PROTOCOL_MISSING,  /* no such header */
    PROXY_PROTOCOL_BROKEN,   /* one that breaks the specification */
    PROXY_PROTOCOL_TOO_LONG, /* longer than the limits above */
    PROXY_PROTOCOL_CHECKSUM, /* its CRC32C is another's */
    PROXY_PROTOCOL_RESULT_COUNT,
};

struct proxy_protocol {
    bool told; /* false (LOCAL, UNKNOWN, no IP): the connection's own addresses count */
    struct address source, destination;
};

/* Looks for a header at the front of `bytes`. When DONE, *ret_length is the header's. */
enum proxy_protocol_result proxy_protocol_parse(struct slice bytes, struct proxy_protocol *ret_told,
                                                size_t *ret_length);

/* Writes a header of `version` (V1 or V2) and returns its length. Where the two are of
 * different families the IPv4 one is told as IPv6 tells it (::ffff:a.b.c.d); where one is of none,
 * nothing is told: UNKNOWN, LOCAL. */
size_t proxy_protocol_write(char buffer[PROXY_PROTOCOL_OUT_BYTES_MAX],
                            enum config_proxy_protocol version, const struct address *source,
                            const struct address *destination);

/* "proxy-header-broken" ...: why it was refused, for the log. */
const char *proxy_protocol_result_name(enum proxy_protocol_result result);

#endif
