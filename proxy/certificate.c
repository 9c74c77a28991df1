#include "certificate.h"

#include "config/config.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* Answers of one certificate have some KiB. */
#define STAPLE_BYTES_MAX (64u << 10)

const char *certificate_openssl_reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    ERR_clear_error();
    return reason != NULL ? reason : "OpenSSL does not say";
}

static bool refuse(char reason[CERTIFICATE_REASON_BYTES], const char *path, const char *why)
{
    snprintf(reason, CERTIFICATE_REASON_BYTES, "%.100s: %.50s", path, why);
    ERR_clear_error();
    return false;
}

/* A key with a passphrase is refused: nobody is there to type it. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

STACK_OF(X509) * certificate_read_list(const char *path, char reason[CERTIFICATE_REASON_BYTES])
{
    FILE *file = fopen(path, "re");
    STACK_OF(X509) *list = sk_X509_new_null();
    X509 *found;

    if (file == NULL || list == NULL) {
        refuse(reason, path, file == NULL ? strerror(errno) : strerror(ENOMEM));
        goto out;
    }
    ERR_clear_error();
    while ((found = PEM_read_X509(file, NULL, no_passphrase, NULL)) != NULL)
        if (sk_X509_push(list, found) == 0)
            X509_free(found);
    /* The end of the file is an error like others. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        refuse(reason, path, certificate_openssl_reason());
        sk_X509_pop_free(list, X509_free);
        list = NULL;
    } else if (sk_X509_num(list) == 0) {
        refuse(reason, path, "no certificate (PEM) in it");
        sk_X509_free(list);
        list = NULL;
    }
    ERR_clear_error();
out:
    if (file == NULL) {
        sk_X509_free(list);
        return NULL;
    }
    fclose(file);
    return list;
}

/* OpenSSL says of a file without a key that it is unsupported. */
static const char *what_key_lacks(void)
{
    int last = ERR_GET_REASON(ERR_peek_last_error());

    if (last == PEM_R_NO_START_LINE || last == ERR_R_UNSUPPORTED)
        return "no private key (PEM) in it";
    if (last == PEM_R_BAD_PASSWORD_READ)
        return "it has a passphrase, which nobody is there to type";
    return certificate_openssl_reason();
}

static EVP_PKEY *read_key(const char *path, char reason[CERTIFICATE_REASON_BYTES])
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        refuse(reason, path, strerror(errno));
        return NULL;
    }
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    fclose(file);
    if (key == NULL)
        refuse(reason, path, what_key_lacks());
    return key;
}

static bool find_kind(EVP_PKEY *key, enum key_kind *ret_kind)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
        *ret_kind = KEY_RSA;
        return true;
    case EVP_PKEY_EC:
        *ret_kind = KEY_ECDSA;
        return true;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        *ret_kind = KEY_EDDSA;
        return true;
    default:
        return false;
    }
}

bool certificate_read(const struct config_certificate *config, struct ssl_ctx_st *trial,
                      struct certificate *certificate, char reason[CERTIFICATE_REASON_BYTES])
{
    struct certificate read = {.chain = certificate_read_list(config->cert, reason)};
    bool good = read.chain != NULL;

    if (good) {
        read.leaf = sk_X509_shift(read.chain);
        read.key = read_key(config->key, reason);
        good = read.key != NULL;
    }
    if (good && X509_check_private_key(read.leaf, read.key) != 1)
        good = refuse(reason, config->key, "not the key of this certificate");
    if (good && !find_kind(read.key, &read.kind))
        good = refuse(reason, config->key, "neither RSA nor ECDSA nor EdDSA");
    if (good && SSL_CTX_use_cert_and_key(trial, read.leaf, read.key, read.chain, 1) != 1)
        good = refuse(reason, config->cert, certificate_openssl_reason());
    if (good)
        *certificate = read;
    else
        certificate_done(&read);
    return good;
}

void certificate_done(struct certificate *certificate)
{
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    OPENSSL_free(certificate->staple);
    *certificate = (struct certificate){0};
}

/* --- staples --------------------------------------------------------------------------------- */

/* When the first of its answers is no longer good; 0: it never says. */
static time_t answers_end(OCSP_BASICRESP *basic)
{
    time_t end = 0;

    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        ASN1_GENERALIZEDTIME *next = NULL;
        struct tm parts;
        OCSP_single_get0_status(OCSP_resp_get0(basic, i), NULL, NULL, NULL, &next);
        if (next == NULL || ASN1_TIME_to_tm(next, &parts) != 1)
            continue;
        time_t until = timegm(&parts);
        if (end == 0 || until < end)
            end = until;
    }
    return end;
}

static const char *judge_staple(struct certificate *certificate)
{
    const unsigned char *at = certificate->staple;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)certificate->staple_length);
    OCSP_BASICRESP *basic = response != NULL ? OCSP_response_get1_basic(response) : NULL;
    const char *wrong = NULL;

    if (response == NULL)
        wrong = "no OCSP answer (DER)";
    else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL || basic == NULL)
        wrong = "an OCSP answer that says nothing";
    if (wrong == NULL) {
        certificate->staple_until = answers_end(basic);
        if (certificate->staple_until != 0 && certificate->staple_until <= time(NULL))
            wrong = "an OCSP answer that has expired";
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return wrong;
}

bool certificate_read_staple(struct certificate *certificate, const char *path,
                             char reason[CERTIFICATE_REASON_BYTES])
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return refuse(reason, path, strerror(errno));
    certificate->staple = OPENSSL_malloc(STAPLE_BYTES_MAX);
    if (certificate->staple != NULL)
        certificate->staple_length = fread(certificate->staple, 1, STAPLE_BYTES_MAX, file);
    fclose(file);
    const char *wrong = certificate->staple == NULL ? strerror(ENOMEM) : judge_staple(certificate);
    if (wrong == NULL)
        return true;
    OPENSSL_free(certificate->staple);
    certificate->staple = NULL;
    return refuse(reason, path, wrong);
}

/* --- what is in it ---------------------------------------------------------------------------- */

bool certificate_is_out_of_date(const struct certificate *certificate)
{
    return X509_cmp_current_time(X509_get0_notAfter(certificate->leaf)) < 0 ||
           X509_cmp_current_time(X509_get0_notBefore(certificate->leaf)) > 0;
}

void certificate_end(const struct certificate *certificate, char text[32])
{
    struct tm parts;

    text[0] = '\0';
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate->leaf), &parts) == 1)
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static void add_string(const ASN1_STRING *string, enum key_kind kind, int number,
                       struct sni_table *names)
{
    struct slice name = {(const char *)ASN1_STRING_get0_data(string),
                         (size_t)ASN1_STRING_length(string)};

    sni_add(names, name, kind, number);
}

/* RFC 6125 §6.4.4: the common name counts only where there is no other. */
void certificate_name(const struct certificate *certificate, int number, struct sni_table *names)
{
    GENERAL_NAMES *alternatives =
        X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    const X509_NAME *subject = X509_get_subject_name(certificate->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
        const GENERAL_NAME *alternative = sk_GENERAL_NAME_value(alternatives, i);
        if (alternative->type == GEN_DNS)
            add_string(alternative->d.dNSName, certificate->kind, number, names);
    }
    if (alternatives == NULL && at >= 0)
        add_string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), certificate->kind,
                   number, names);
    GENERAL_NAMES_free(alternatives);
}
