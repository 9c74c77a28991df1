#include "tls_ticket.h"

#include "board/tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

static int tickets_index; /* of SSL_CTX's place for the struct */

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* 1: done; 0: not a ticket of ours; 2: fine, but give the client a new one; -1: broken. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    const struct tls_tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index);
    enum ticket_age age = TICKET_CURRENT;
    struct ticket_key key;
    bool done;

    if (encrypt) {
        tickets_current(tickets->board, &key);
        memcpy(name, key.name, sizeof(key.name));
        done = RAND_bytes(iv, EVP_CIPHER_get_iv_length(tickets->cipher)) == 1 &&
               EVP_EncryptInit_ex(cipher, tickets->cipher, NULL, key.cipher, iv) == 1;
    } else {
        age = tickets_find(tickets->board, name, &key);
        if (age == TICKET_UNKNOWN)
            return 0;
        done = EVP_DecryptInit_ex(cipher, tickets->cipher, NULL, key.cipher, iv) == 1;
    }
    done = done && set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    if (!done)
        return -1;
    return age == TICKET_CURRENT ? 1 : 2;
}

bool tls_tickets_use(struct tls_tickets *tickets, const struct tickets_board *board,
                     struct ssl_ctx_st *context)
{
    if (tickets_index == 0)
        tickets_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    tickets->board = board;
    tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    /* A ticket whose key is gone is worth nothing. */
    SSL_CTX_set_timeout(context, (long)(TICKETS_INTERVAL_MS / 1000));
    return tickets->cipher != NULL && tickets_index > 0 &&
           SSL_CTX_set_ex_data(context, tickets_index, tickets) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
}

void tls_tickets_done(struct tls_tickets *tickets)
{
    EVP_CIPHER_free(tickets->cipher);
    tickets->cipher = NULL;
}
