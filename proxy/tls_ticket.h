/* Session tickets with the keys of the tickets board: any worker takes up what another began.
 *
 * Owner: a listener's TLS. */
#ifndef PROXY_TLS_TICKET_H
#define PROXY_TLS_TICKET_H

#include <stdbool.h>

struct evp_cipher_st;
struct ssl_ctx_st;
struct tickets_board;

struct tls_tickets {
    const struct tickets_board *board; /* not owned */
    struct evp_cipher_st *cipher;
};

bool tls_tickets_use(struct tls_tickets *tickets, const struct tickets_board *board,
                     struct ssl_ctx_st *context) __attribute__((warn_unused_result));
void tls_tickets_done(struct tls_tickets *tickets);

#endif
