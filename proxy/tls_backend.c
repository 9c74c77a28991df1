#include "tls_backend.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/stream.h"
#include "certificate.h"
#include "tls.h"
#include "upstream.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FAILURE_LOG_MS 1000u

struct tls_backend {
    const struct config_service *config;
    SSL_CTX *context; /* NULL: cannot be used */
    uint64_t failure_logged_ms, failures_untold;
};

/* --- whom to believe ---------------------------------------------------------------------------
 */

/* Where distributions keep the authorities that they trust, as one file: a folder of them would be
 * read only when it is needed, and then it is out of reach. */
static const char *system_authorities(void)
{
    const char *const places[] = {
        getenv(X509_get_default_cert_file_env()),
        X509_get_default_cert_file(),
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (places[i] != NULL && access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

/* For all services: some hundred certificates. */
static X509_STORE *system_store;

static bool add_authorities(X509_STORE *store, const char *file,
                            char reason[CERTIFICATE_REASON_BYTES])
{
    STACK_OF(X509) *list = store != NULL ? certificate_read_list(file, reason) : NULL;
    bool good = list != NULL;

    for (int i = 0; good && i < sk_X509_num(list); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(list, i)) == 1;
    sk_X509_pop_free(list, X509_free);
    return good;
}

static bool trust_system(SSL_CTX *context, char reason[CERTIFICATE_REASON_BYTES])
{
    const char *file = system_authorities();

    if (file == NULL) {
        snprintf(reason, CERTIFICATE_REASON_BYTES,
                 "this machine has no list of authorities: say `ca: FILE`");
        return false;
    }
    if (system_store == NULL) {
        X509_STORE *store = X509_STORE_new();
        if (!add_authorities(store, file, reason)) {
            X509_STORE_free(store);
            return false;
        }
        system_store = store;
    }
    SSL_CTX_set1_cert_store(context, system_store);
    return true;
}

static bool set_authorities(SSL_CTX *context, const struct config_backend_tls *config,
                            char reason[CERTIFICATE_REASON_BYTES])
{
    if (!config->verify)
        return true;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (config->ca == NULL)
        return trust_system(context, reason);
    /* An authority of the operator's own choice need not be a root. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    return add_authorities(SSL_CTX_get_cert_store(context), config->ca, reason);
}

static bool set_own(SSL_CTX *context, const struct config_backend_tls *config,
                    char reason[CERTIFICATE_REASON_BYTES])
{
    struct config_certificate own = {.cert = config->cert, .key = config->key};
    struct certificate pair;

    if (config->cert == NULL)
        return true;
    if (!certificate_read(&own, context, &pair, reason))
        return false;
    certificate_done(&pair); /* the context has its own hold of it */
    return true;
}

/* --- sessions ----------------------------------------------------------------------------------
 */

/* Kept with the backend that gave it; 1: taken over. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct upstream *upstream = SSL_get_app_data(ssl);
    struct backend *backend = &upstream->worker->table.backends[upstream->slot];

    if (backend->generation != upstream->generation)
        return 0;
    SSL_SESSION_free(backend->session);
    backend->session = session;
    backend->session_generation = upstream->generation;
    return 1;
}

static void take_up(SSL *ssl, const struct backend *backend, uint32_t generation)
{
    if (backend->session != NULL && backend->session_generation == generation &&
        SSL_SESSION_is_resumable(backend->session))
        SSL_set_session(ssl, backend->session); /* without it, a full handshake */
}

/* --- a connection ------------------------------------------------------------------------------
 */

/* Of "host", "[address]", each with a port behind it or not. */
static void host_of(const char *name, bool has_port, char host[256])
{
    const char *colon = has_port ? strrchr(name, ':') : NULL;
    size_t length = colon != NULL ? (size_t)(colon - name) : strlen(name);

    if (length >= 2 && name[0] == '[' && name[length - 1] == ']') {
        name++;
        length -= 2;
    }
    slice_copy_string((struct slice){name, length}, host, 256);
}

static bool set_name(SSL *ssl, const struct tls_backend *tls, const struct backend *backend)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *name = tls->config->tls.name;
    char host[256];

    host_of(name != NULL ? name : backend->name, name == NULL, host);
    ERR_clear_error();
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
        return true; /* an address is never sent as a name (RFC 6066 §3) */
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_backend_start(struct tls_backend *tls, struct upstream *upstream)
{
    const struct backend *backend = &upstream->worker->table.backends[upstream->slot];
    SSL *ssl = tls->context != NULL ? SSL_new(tls->context) : NULL;

    if (ssl == NULL)
        return tls->context == NULL ? -EPROTO : -ENOMEM;
    SSL_set_connect_state(ssl);
    SSL_set_app_data(ssl, upstream);
    int error = set_name(ssl, tls, backend) ? 0 : -EPROTO;
    if (error == 0) {
        take_up(ssl, backend, upstream->generation);
        error = stream_start_tls(upstream->stream, ssl);
    }
    if (error < 0)
        SSL_free(ssl);
    return error;
}

void tls_backend_tell(struct tls_backend *tls, const struct upstream *upstream)
{
    const char *failure = stream_tls_failure(upstream->stream);
    uint64_t now_ms = upstream->worker->now_ms;
    struct log_line line;

    if (failure == NULL)
        return;
    if (tls->failure_logged_ms != 0 && now_ms - tls->failure_logged_ms < FAILURE_LOG_MS) {
        tls->failures_untold++;
        return;
    }
    log_begin(&line, LOG_WARNING, "backend-tls-failed");
    log_string(&line, "service", tls->config->name);
    log_string(&line, "backend", upstream->worker->table.backends[upstream->slot].name);
    log_string(&line, "reason", failure);
    if (tls->failures_untold > 0)
        log_u64(&line, "untold", tls->failures_untold);
    log_end(&line);
    tls->failure_logged_ms = now_ms;
    tls->failures_untold = 0;
}

/* --- life --------------------------------------------------------------------------------------
 */

static bool set_protocol(SSL_CTX *context, const struct config_service *config)
{
    static const unsigned char http1[] = "\x08http/1.1";

    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     (tls_kernel_can() ? SSL_OP_ENABLE_KTLS : 0));
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    if (config->protocol == PROTOCOL_HTTP &&
        SSL_CTX_set_alpn_protos(context, http1, sizeof(http1) - 1) != 0)
        return false;
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
}

static struct tls_backend *open_one(const struct config_service *config)
{
    struct tls_backend *tls = memory_new(sizeof(*tls));
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char reason[CERTIFICATE_REASON_BYTES] = "no memory";
    struct log_line line;

    tls->config = config;
    if (context != NULL && set_protocol(context, config) &&
        set_authorities(context, &config->tls, reason) && set_own(context, &config->tls, reason)) {
        tls->context = context;
        return tls;
    }
    log_begin(&line, LOG_ERROR, "service-tls-unusable");
    log_string(&line, "service", config->name);
    log_string(&line, "reason", reason);
    log_end(&line);
    SSL_CTX_free(context);
    return tls;
}

void tls_backends_open(struct worker *worker)
{
    const struct config *config = worker->config;

    worker->backend_tls = memory_new_array(config->service_count + 1, sizeof(*worker->backend_tls));
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].tls.enabled)
            worker->backend_tls[i] = open_one(&config->services[i]);
}

unsigned tls_backends_unusable(const struct worker *worker)
{
    unsigned count = 0;

    for (size_t i = 0; i < worker->config->service_count; i++)
        count += worker->backend_tls[i] != NULL && worker->backend_tls[i]->context == NULL;
    return count;
}

void tls_backends_close(struct worker *worker)
{
    for (size_t i = 0; i < worker->config->service_count; i++) {
        if (worker->backend_tls[i] != NULL)
            SSL_CTX_free(worker->backend_tls[i]->context);
        free(worker->backend_tls[i]);
    }
    free(worker->backend_tls);
    X509_STORE_free(system_store);
    system_store = NULL;
    for (size_t i = 0; i < ROUTING_BACKENDS_MAX; i++)
        SSL_SESSION_free(worker->table.backends[i].session);
}
