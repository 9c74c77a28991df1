/* TLS of a listener: its certificates, what is spoken, who is there.
 *
 * Owner: the worker, one per listener that asks for it. Made before the privileges go, for the keys
 * are files of root's. */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include "base/slice.h"

#include <stdbool.h>

struct config_listener;
struct ssl_st;
struct tickets_board;
struct tls_listener;

/* What of it cannot be used is logged and left out; without any certificate left it refuses every
 * handshake. `tickets` outlives it. Returns 0 or -errno. */
int tls_listener_open(const struct config_listener *config, const struct tickets_board *tickets,
                      struct tls_listener **ret_tls) __attribute__((warn_unused_result));
void tls_listener_close(struct tls_listener *tls);
/* How many of its files or pairs of files cannot be used. */
unsigned tls_listener_unusable(const struct tls_listener *tls);

/* For a connection just accepted. NULL: there is nothing to serve with, or no memory. */
struct ssl_st *tls_listener_accept(struct tls_listener *tls);

/* Whether this Host belongs to another certificate of the listener than the one that the connection
 * was opened with: 421 (RFC 9110 §7.4). */
bool tls_is_misdirected(const struct ssl_st *ssl, struct slice host);

/* The client's certificate as a Client-Cert field has it (RFC 9440): ":BASE64:". NULL: none, or no
 * memory. The caller frees it. */
char *tls_client_certificate(const struct ssl_st *ssl) __attribute__((warn_unused_result));

/* Whether the kernel can take over the encryption (kTLS). */
bool tls_kernel_can(void);

#endif
