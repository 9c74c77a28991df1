/* Who asks, and for which group: said of an exchange before it is placed. */
#ifndef PROXY_USER_H
#define PROXY_USER_H

#include "exchange.h"

struct http1_request;

/* "NAME=VALUE; Path=/; HttpOnly; SameSite=Lax; Secure" with a name of 64 bytes. */
#define USER_SET_COOKIE_BYTES 160u

/* Sets the exchange's user and the group that it asks for, as its service wants. Returns whether
 * it is a new user, to be told by a cookie. */
bool user_look(struct exchange *x, const struct http1_request *request);
static inline bool user_identify(struct exchange *x, const struct http1_request *request)
{
#ifdef BARE
    return false;
#endif
    return (x->config->sticky.kind != STICKY_NONE || x->config->preview.kind != PREVIEW_NONE) &&
           user_look(x, request);
}
/* Where a rollout sends chosen requests to the canary: whether this is one. What `preview` says of
 * it comes first. */
void user_look_for_match(struct exchange *x, const struct http1_request *request);
/* The same for what has no request: by its address. */
void user_identify_connection(struct exchange *x);

/* Whether a proxy in front, whose word counts, says that he came to it by TLS. */
bool user_came_by_tls(const struct http1_request *request);
/* The value of the Set-Cookie field that tells a new user; empty where there is no memory. `tls`:
 * he came by it. */
struct slice user_set_cookie(struct exchange *x, bool tls, char buffer[USER_SET_COOKIE_BYTES]);

#endif
