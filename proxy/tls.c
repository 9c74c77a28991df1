#include "tls.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "certificate.h"
#include "config/config.h"
#include "limits.h"
#include "tls_ticket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Mozilla's intermediate set (wiki.mozilla.org/Security/Server_Side_TLS, 5.7) without its DHE: a
 * client makes a server pay dearly for those (CVE-2002-20001), and nobody who speaks TLS 1.2 with
 * AES-GCM lacks ECDHE. docs/data-plane.md. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static char groups[] = /* OpenSSL's macro takes it so, and does not write to it */
    "X25519:P-256:P-384";

struct tls_listener {
    const struct config_listener *config;
    SSL_CTX *context;
    struct certificate *certificates; /* those that can be used */
    int count;
    struct sni_table names;
    const struct sni_entry *usual; /* the default's; NULL where it has no name */
    struct tls_tickets tickets;
};

/* --- by name ---------------------------------------------------------------------------------- */

static int entry_index; /* of SSL's place for the entry that was chosen */

static struct tls_listener *listener_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static bool use(SSL *ssl, const struct tls_listener *tls, const struct sni_entry *entry)
{
    SSL_certs_clear(ssl);
    for (unsigned kind = 0; kind < KEY_KINDS; kind++) {
        if (entry->pair[kind] < 0)
            continue;
        const struct certificate *it = &tls->certificates[entry->pair[kind]];
        if (SSL_use_cert_and_key(ssl, it->leaf, it->key, it->chain, 1) != 1)
            return false;
    }
    return true;
}

/* Called for every ClientHello, with a name or without one, resumed or not. */
static int on_name(SSL *ssl, int *alert, void *context)
{
    const struct tls_listener *tls = context;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (asked == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    const struct sni_entry *entry = sni_find(&tls->names, slice_from_string(asked));
    if (entry == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    *alert = SSL_AD_INTERNAL_ERROR;
    if (SSL_set_ex_data(ssl, entry_index, (void *)(uintptr_t)entry) != 1 ||
        (entry != tls->usual && !use(ssl, tls, entry)))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static bool serves(const struct sni_entry *entry, const struct sni_entry *other)
{
    for (unsigned kind = 0; kind < KEY_KINDS; kind++)
        if (entry->pair[kind] >= 0 && entry->pair[kind] == other->pair[kind])
            return true;
    return false;
}

static struct slice without_port(struct slice host)
{
    const char *colon = host.length > 0 ? memchr(host.data, ':', host.length) : NULL;

    if (colon != NULL)
        host.length = (size_t)(colon - host.data);
    return host;
}

/* A client that sent no name, or one that no certificate has, was not led anywhere by it: its Host
 * decides. One whose Host nobody has here gets what the routes say. */
bool tls_is_misdirected(const struct ssl_st *ssl, struct slice host)
{
    const struct tls_listener *tls = listener_of(ssl);
    const struct sni_entry *chosen = SSL_get_ex_data(ssl, entry_index);
    struct slice name = without_port(host);

    if (tls->count < 2 || chosen == NULL ||
        slice_equals_ignoring_case(name, slice_from_string(chosen->name)))
        return false;
    const struct sni_entry *wanted = sni_find(&tls->names, name);
    return wanted != NULL && wanted != chosen && !serves(chosen, wanted);
}

/* --- what is spoken --------------------------------------------------------------------------- */

static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                        const unsigned char *offered, unsigned offered_length, void *context)
{
    static const unsigned char http1[] = "\x08http/1.1";
    unsigned char *out;

    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&out, chosen_length, http1, sizeof(http1) - 1, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
    *chosen = out;
    return SSL_TLSEXT_ERR_OK;
}

/* The staple of the certificate that OpenSSL has chosen. */
static int on_status(SSL *ssl, void *context)
{
    const struct tls_listener *tls = context;
    const X509 *leaf = SSL_get_certificate(ssl);

    for (int i = 0; i < tls->count; i++) {
        const struct certificate *it = &tls->certificates[i];
        if (it->leaf != leaf)
            continue;
        bool fresh = it->staple_until == 0 || it->staple_until > time(NULL);
        void *copy =
            it->staple != NULL && fresh ? OPENSSL_memdup(it->staple, it->staple_length) : NULL;
        if (copy == NULL)
            break;
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)it->staple_length);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

bool tls_kernel_can(void)
{
    static int known = -1;

    if (known < 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* A kernel that has it says that there is no connection yet. */
        known = fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 &&
                errno == ENOTCONN;
        if (fd >= 0)
            close(fd);
    }
    return known == 1;
}

/* Sessions of one listener are none of another's: what was asked of a client there (a certificate)
 * was not asked here. */
static bool set_session_context(SSL_CTX *context, const struct config_listener *config)
{
    char *text = memory_format("%s\n%s\n%d", config->name,
                               config->tls.client_ca != NULL ? config->tls.client_ca : "",
                               config->tls.client_required);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    bool done = EVP_Digest(text, strlen(text), digest, &length, EVP_sha256(), NULL) == 1 &&
                SSL_CTX_set_session_id_context(context, digest, length) == 1;

    free(text);
    return done;
}

static bool set_protocol(SSL_CTX *context, struct tls_listener *tls)
{
    const struct config_tls *config = &tls->config->tls;
    int least = config->min_version == CONFIG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    /* Whoever resumes knows its name anew each time; no state is kept here, tickets hold it all. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    /* All of the set are good, so whose order counts says little: ours, unless the client puts
     * ChaCha first, as those do whose processor has no AES. */
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     (tls_kernel_can() ? SSL_OP_ENABLE_KTLS : 0));
    SSL_CTX_set_app_data(context, tls);
    SSL_CTX_set_tlsext_servername_callback(context, on_name);
    SSL_CTX_set_tlsext_servername_arg(context, tls);
    SSL_CTX_set_tlsext_status_cb(context, on_status);
    SSL_CTX_set_tlsext_status_arg(context, tls);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
    return SSL_CTX_set_min_proto_version(context, least) == 1 &&
           SSL_CTX_set_cipher_list(context, ciphers) == 1 &&
           SSL_CTX_set1_groups_list(context, groups) == 1 &&
           SSL_CTX_set_max_early_data(context, 0) == 1 && set_session_context(context, tls->config);
}

/* --- clients' certificates ---------------------------------------------------------------------
 */

/* Where the authorities cannot be read nobody gets in: to let everybody in would be the fault. */
static bool set_client_authorities(SSL_CTX *context, const struct config_tls *config,
                                   char reason[CERTIFICATE_REASON_BYTES])
{
    STACK_OF(X509) *list = certificate_read_list(config->client_ca, reason);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool good = list != NULL;

    for (int i = 0; good && i < sk_X509_num(list); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(list, i)) == 1 &&
               SSL_CTX_add_client_CA(context, sk_X509_value(list, i)) == 1;
    sk_X509_pop_free(list, X509_free);
    SSL_CTX_set_max_cert_list(context, CLIENT_CERTIFICATES_BYTES_MAX);
    SSL_CTX_set_verify(
        context, SSL_VERIFY_PEER | (config->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
    return good;
}

char *tls_client_certificate(const struct ssl_st *ssl)
{
    const X509 *leaf = SSL_get0_peer_certificate(ssl);
    unsigned char *der = NULL;
    int length = leaf != NULL ? i2d_X509(leaf, &der) : -1;

    if (length <= 0)
        return NULL;
    char *text = malloc((size_t)length / 3 * 4 + 8);
    if (text != NULL) {
        text[0] = ':';
        int used = EVP_EncodeBlock((unsigned char *)text + 1, der, length);
        memcpy(text + 1 + used, ":", 2);
    }
    OPENSSL_free(der);
    return text;
}

/* --- certificates ------------------------------------------------------------------------------
 */

static void tell(enum log_level level, const char *event, const struct tls_listener *tls,
                 const char *file, const char *reason)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_string(&line, "listener", tls->config->name);
    log_string(&line, "file", file);
    log_string(&line, "reason", reason);
    log_end(&line);
}

static void read_certificate(struct tls_listener *tls, const struct config_certificate *config,
                             SSL_CTX *trial)
{
    struct certificate *it = &tls->certificates[tls->count];
    char reason[CERTIFICATE_REASON_BYTES], end[32];

    if (!certificate_read(config, trial, it, reason)) {
        tell(LOG_ERROR, "certificate-left-out", tls, config->cert, reason);
        return;
    }
    if (certificate_is_out_of_date(it)) {
        certificate_end(it, end);
        tell(LOG_WARNING, "certificate-out-of-date", tls, config->cert, end);
    }
    if (config->ocsp != NULL && !certificate_read_staple(it, config->ocsp, reason))
        tell(LOG_WARNING, "staple-left-out", tls, config->ocsp, reason);
    certificate_name(it, tls->count++, &tls->names);
}

/* The first certificate, with those of other kinds that have its name too. */
static bool set_usual(struct tls_listener *tls)
{
    struct sni_table names = {0};
    bool good = true;

    certificate_name(&tls->certificates[0], 0, &names);
    sni_finish(&names);
    if (names.count > 0)
        tls->usual = sni_find(&tls->names, slice_from_string(names.entries[0].name));
    sni_done(&names);
    for (unsigned kind = 0; good && tls->usual != NULL && kind < KEY_KINDS; kind++) {
        int number = tls->usual->pair[kind];
        const struct certificate *it = &tls->certificates[number < 0 ? 0 : number];
        good = number < 0 ||
               SSL_CTX_use_cert_and_key(tls->context, it->leaf, it->key, it->chain, 1) == 1;
    }
    const struct certificate *first = &tls->certificates[0];
    return good &&
           SSL_CTX_use_cert_and_key(tls->context, first->leaf, first->key, first->chain, 1) == 1;
}

static int read_certificates(struct tls_listener *tls)
{
    const struct config_tls *config = &tls->config->tls;
    SSL_CTX *trial = SSL_CTX_new(TLS_server_method());

    if (trial == NULL)
        return -ENOMEM;
    tls->certificates = memory_new_array(config->certificate_count, sizeof(*tls->certificates));
    for (size_t i = 0; i < config->certificate_count; i++)
        read_certificate(tls, &config->certificates[i], trial);
    SSL_CTX_free(trial);
    sni_finish(&tls->names);
    return 0;
}

/* Refuses from now on: there is nothing to serve with. */
static void give_up(struct tls_listener *tls, const char *reason)
{
    tell(LOG_ERROR, "listener-refuses", tls, NULL, reason);
    SSL_CTX_free(tls->context);
    tls->context = NULL;
}

int tls_listener_open(const struct config_listener *config, const struct tickets_board *tickets,
                      struct tls_listener **ret_tls)
{
    struct tls_listener *tls = memory_new(sizeof(*tls));
    char reason[CERTIFICATE_REASON_BYTES];

    if (entry_index == 0)
        entry_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    tls->config = config;
    tls->context = SSL_CTX_new(TLS_server_method());
    int error = tls->context != NULL && entry_index > 0 ? read_certificates(tls) : -ENOMEM;
    if (error == 0 && (!set_protocol(tls->context, tls) ||
                       !tls_tickets_use(&tls->tickets, tickets, tls->context)))
        error = -EPROTO;
    if (error < 0) {
        tls_listener_close(tls);
        return error;
    }
    if (tls->count == 0)
        give_up(tls, "none of its certificates can be used");
    else if (!set_usual(tls))
        give_up(tls, certificate_openssl_reason());
    else if (config->tls.client_ca != NULL &&
             !set_client_authorities(tls->context, &config->tls, reason))
        give_up(tls, reason);
    *ret_tls = tls;
    return 0;
}

unsigned tls_listener_unusable(const struct tls_listener *tls)
{
    unsigned left_out = (unsigned)tls->config->tls.certificate_count - (unsigned)tls->count;

    return left_out + (tls->context == NULL && tls->count > 0);
}

void tls_listener_close(struct tls_listener *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    for (int i = 0; i < tls->count; i++)
        certificate_done(&tls->certificates[i]);
    free(tls->certificates);
    sni_done(&tls->names);
    tls_tickets_done(&tls->tickets);
    free(tls);
}

struct ssl_st *tls_listener_accept(struct tls_listener *tls)
{
    SSL *ssl = tls->context != NULL ? SSL_new(tls->context) : NULL;

    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}
