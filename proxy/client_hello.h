/* A TLS ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2), looked at and not consumed: which name it
 * asks for (RFC 6066 §3). Pure.
 *
 * It may lie in several records (RFC 8446 §5.1) and come in any pieces. Of what it says only the
 * name is used; everything up to there and around it must still be well-formed, so that the server
 * behind cannot read another name out of the same bytes. */
#ifndef PROXY_CLIENT_HELLO_H
#define PROXY_CLIENT_HELLO_H

#include "base/slice.h"

#include <stddef.h>

/* Records included. Today's are 250 bytes to 2 KiB, with keys for post-quantum exchange; a session
 * ticket may add some KiB. Well below what a socket's receive buffer holds, as peeking wants. */
#define CLIENT_HELLO_BYTES_MAX (16u << 10)
#define CLIENT_HELLO_NAME_MAX  255u /* of a host name (RFC 1035 §2.3.4) */

enum client_hello_result {
    CLIENT_HELLO_DONE,
    CLIENT_HELLO_MORE,    /* so far it may be one */
    CLIENT_HELLO_NOT_TLS, /* something else is spoken here */
    CLIENT_HELLO_BROKEN,
    CLIENT_HELLO_TOO_LONG,
    CLIENT_HELLO_RESULT_COUNT,
};

struct client_hello {
    char name[CLIENT_HELLO_NAME_MAX + 1]; /* as it was sent; empty: none was asked for */
};

enum client_hello_result client_hello_parse(struct slice bytes, struct client_hello *ret_hello);

/* "hello-broken" ...: why it was refused, for the log. */
const char *client_hello_result_name(enum client_hello_result result);

#endif
