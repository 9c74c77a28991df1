/* A certificate with its chain and key, read from PEM files, and an OCSP answer to staple.
 *
 * Owner: a listener's TLS (tls.c). Read while the process may still read the files; keys are only
 * in its memory after that. */
#ifndef PROXY_CERTIFICATE_H
#define PROXY_CERTIFICATE_H

#include "sni.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <time.h>

struct config_certificate;
struct ssl_ctx_st;

struct certificate {
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    enum key_kind kind;
    unsigned char *staple; /* DER; NULL: none */
    size_t staple_length;
    time_t staple_until;
};

#define CERTIFICATE_REASON_BYTES 160

/* Reads the pair and proves that OpenSSL takes it, on `trial`. Returns false, with a reason for
 * people, where it cannot be used; then `certificate` is empty. */
bool certificate_read(const struct config_certificate *config, struct ssl_ctx_st *trial,
                      struct certificate *certificate, char reason[CERTIFICATE_REASON_BYTES]);
void certificate_done(struct certificate *certificate);

/* Reads the answer to staple. Returns false with a reason where it is not one, or is too old. */
bool certificate_read_staple(struct certificate *certificate, const char *path,
                             char reason[CERTIFICATE_REASON_BYTES]);

/* Not yet, or no longer valid. */
bool certificate_is_out_of_date(const struct certificate *certificate);
/* "2026-11-24T18:00:00Z" of its end. */
void certificate_end(const struct certificate *certificate, char text[32]);
/* Enters its names: those in subjectAltName, or else the common name. */
void certificate_name(const struct certificate *certificate, int number, struct sni_table *names);

/* All certificates of a PEM file; NULL with a reason where there are none or it cannot be read. */
STACK_OF(X509) * certificate_read_list(const char *path, char reason[CERTIFICATE_REASON_BYTES]);
/* OpenSSL's words for what went wrong last; empties its queue. */
const char *certificate_openssl_reason(void);

#endif
