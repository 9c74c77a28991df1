/* TLS towards the backends of a service: whom to believe, what to show, sessions to take up.
 *
 * Owner: the worker, one per service that asks for it; made before the privileges go. */
#ifndef PROXY_TLS_BACKEND_H
#define PROXY_TLS_BACKEND_H

#include <stdint.h>

struct config_service;
struct ssl_session_st;
struct ssl_st;
struct stream;
struct tls_backend;
struct upstream;
struct worker;

/* worker->backend_tls, by the config's service; NULL for those without. What cannot be read is
 * logged, and every connect of that service fails. */
void tls_backends_open(struct worker *worker);
void tls_backends_close(struct worker *worker);
/* How many services cannot be reached for want of their files. */
unsigned tls_backends_unusable(const struct worker *worker);

/* Begins TLS on a connect that is under way. Returns 0, or -errno with the stream untouched. */
int tls_backend_start(struct tls_backend *tls, struct upstream *upstream)
    __attribute__((warn_unused_result));
/* The connect failed: says why, where it was TLS; at most a line per second and service. */
void tls_backend_tell(struct tls_backend *tls, const struct upstream *upstream);

#endif
