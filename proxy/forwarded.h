/* What proxies in front say about the client of a request: X-Forwarded-For, else Forwarded
 * (RFC 7239). Pure.
 *
 * Each proxy writes behind what it got, so the list is read from its right end: as long as the
 * word is a trusted proxy's, the one it names is believed to be its client. */
#ifndef PROXY_FORWARDED_H
#define PROXY_FORWARDED_H

#include "base/network.h"
#include "http1.h"

/* The client's address: the first from the right that is no trusted proxy's, or the last that
 * could be read. `peer`: who sent the request, a trusted proxy. */
void forwarded_client(const struct http1_request *request, const struct network *trusted,
                      size_t trusted_count, const struct address *peer, struct address *ret_client);

/* X-Request-Id: the one that a trusted proxy gave, where it is one and fit for logs (letters,
 * digits and -_.:/+=@~, up to REQUEST_ID_BYTES_MAX); else made of 128 random bits. Returns its
 * length in `text`. */
#define REQUEST_ID_BYTES_MAX 128u
size_t forwarded_request_id(const struct http1_request *request, bool trusted,
                            const uint64_t random[2], char text[REQUEST_ID_BYTES_MAX]);

#endif
