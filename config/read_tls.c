/* TLS: of listeners, and towards backends. Files are only named here: workers read them, with the
 * privileges that they start with, and what is wrong in one leaves the others serving. */
#include "base/memory.h"
#include "reader.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_SECONDS      86400u
#define HSTS_DAYS_MAX    3650u
#define FILE_PATH_MAX    1024u
#define CERTIFICATES_MAX 1024u /* per listener */

/* A path that is not absolute counts from the folder of the file that names it. */
static char *resolve_path(const struct reader *reader, const char *path)
{
    const char *file = reader->problems.file;
    const char *slash = strrchr(file, '/');

    if (reader->canonical || *path == '/' || slash == NULL)
        return memory_copy_string(path);
    return memory_format("%.*s/%s", (int)(slash - file), file, path);
}

void path_read(struct reader *reader, const struct node *node, char **place)
{
    if (!reader_wants_text(reader, node))
        return;
    if (!text_is_clean(node->text) || strlen(node->text) > FILE_PATH_MAX) {
        reader_refuse(reader, node, "a file's path, up to %u bytes", FILE_PATH_MAX);
        return;
    }
    free(*place);
    *place = resolve_path(reader, node->text);
}

#define READ_PATH(name, type, member)                                                              \
    static void read_##name(struct reader *reader, const struct node *node, void *target)          \
    {                                                                                              \
        path_read(reader, node, &((type *)target)->member);                                        \
    }

READ_PATH(cert, struct config_certificate, cert)
READ_PATH(key, struct config_certificate, key)
READ_PATH(ocsp, struct config_certificate, ocsp)
READ_PATH(client_ca, struct config_tls, client_ca)
READ_PATH(backend_ca, struct config_backend_tls, ca)
READ_PATH(backend_cert, struct config_backend_tls, cert)
READ_PATH(backend_key, struct config_backend_tls, key)

/* --- listeners ------------------------------------------------------------------------------- */

static const struct field certificate_fields[] = {
    {.key = "cert", .kind = FIELD_OTHER, .read = read_cert},
    {.key = "key", .kind = FIELD_OTHER, .read = read_key},
    {.key = "ocsp", .kind = FIELD_OTHER, .read = read_ocsp},
};
const struct table certificate_table = TABLE("certificate", certificate_fields);

static void read_certificates(struct reader *reader, const struct node *node, void *target)
{
    struct config_tls *tls = target;

    if (!reader_wants_list(reader, node, CERTIFICATES_MAX) || node->count == 0)
        return;
    tls->certificates = memory_new_array(node->count, sizeof(*tls->certificates));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        struct config_certificate *certificate = &tls->certificates[tls->certificate_count++];
        size_t mark = reader_enter_index(reader, i);
        table_read(reader, item, &certificate_table, certificate);
        if (item->kind == NODE_MAPPING && node_get(item, "cert") == NULL)
            reader_tell(reader, item->line, "found no cert, allowed is `cert: FILE`");
        else if (certificate->key == NULL && certificate->cert != NULL)
            certificate->key = memory_copy_string(certificate->cert);
        reader_leave(reader, mark);
    }
}

static const struct field client_certificates_fields[] = {
    {.key = "ca", .kind = FIELD_OTHER, .read = read_client_ca},
    {.key = "required",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_tls, client_required),
     .fallback = true},
};
const struct table client_certificates_table =
    TABLE("client_certificates", client_certificates_fields);

static void read_client_certificates(struct reader *reader, const struct node *node, void *target)
{
    table_read(reader, node, &client_certificates_table, target);
    if (node->kind == NODE_MAPPING && node_get(node, "ca") == NULL)
        reader_tell(reader, node->line, "found no ca, allowed is `ca: FILE`");
}

static bool parse_hsts(const char *text, uint32_t *ret_seconds)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t days = 0;
    uint32_t ms = 0;

    if (digits > 0 && digits < 8 && strcmp(text + digits, "d") == 0) {
        if (slice_to_u64((struct slice){text, digits}, &days) < 0 || days > HSTS_DAYS_MAX)
            return false;
        *ret_seconds = (uint32_t)days * DAY_SECONDS;
        return days > 0;
    }
    if (config_parse_duration(text, &ms) < 0 || ms < 1000 || ms % 1000 != 0)
        return false;
    *ret_seconds = ms / 1000;
    return true;
}

static void read_hsts(struct reader *reader, const struct node *node, void *target)
{
    struct config_tls *tls = target;

    if (node->kind != NODE_SCALAR || !parse_hsts(node->text, &tls->hsts_s))
        reader_refuse(reader, node, "whole seconds, 1d to %ud, such as 365d or 5m", HSTS_DAYS_MAX);
}

void hsts_format(uint32_t seconds, char text[DURATION_TEXT_BYTES])
{
    if (seconds % DAY_SECONDS == 0)
        snprintf(text, DURATION_TEXT_BYTES, "%ud", seconds / DAY_SECONDS);
    else
        duration_format(seconds * UINT64_C(1000), text);
}

const char *const tls_version_words[] = {"1.2", "1.3", NULL};

static const struct field tls_fields[] = {
    {.key = "certificates", .kind = FIELD_OTHER, .read = read_certificates},
    {.key = "min_version",
     .kind = FIELD_WORD,
     .offset = offsetof(struct config_tls, min_version),
     .words = tls_version_words,
     .fallback = CONFIG_TLS_1_2},
    {.key = "client_certificates", .kind = FIELD_OTHER, .read = read_client_certificates},
    {.key = "hsts", .kind = FIELD_OTHER, .read = read_hsts},
    {.key = "hsts_subdomains",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_tls, hsts_subdomains),
     .fallback = false},
};
const struct table tls_table = TABLE("tls", tls_fields);

void listener_tls_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_listener *listener = target;
    const struct node *subdomains = node_get(node, "hsts_subdomains");

    table_defaults(&tls_table, &listener->tls);
    listener->tls.client_required = true;
    table_read(reader, node, &tls_table, &listener->tls);
    if (node->kind == NODE_MAPPING && listener->tls.certificate_count == 0)
        reader_tell(reader, node->line,
                    "found no certificates, allowed is `certificates: [ { cert: FILE, key: FILE } "
                    "]`");
    if (subdomains != NULL && listener->tls.hsts_s == 0)
        reader_tell(reader, subdomains->key_line,
                    "found hsts_subdomains without hsts, allowed with it");
}

/* --- towards backends --------------------------------------------------------------------------
 */

static const struct field backend_tls_fields[] = {
    {.key = "verify",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct config_backend_tls, verify),
     .fallback = true},
    {.key = "ca", .kind = FIELD_OTHER, .read = read_backend_ca},
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct config_backend_tls, name),
     .max = 253,
     .valid = host_is_valid,
     .allowed = "the name in the backends' certificate"},
    {.key = "cert", .kind = FIELD_OTHER, .read = read_backend_cert},
    {.key = "key", .kind = FIELD_OTHER, .read = read_backend_key},
};
const struct table backend_tls_table = TABLE("backend_tls", backend_tls_fields);

/* A name that the board cannot hold would be verified cut. */
static bool is_long(char *const *backends, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(backends[i]) >= CONFIG_NAME_MAX)
            return true;
    return false;
}

void service_tls_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_service *service = target;
    struct config_backend_tls *tls = &service->tls;

    table_defaults(&backend_tls_table, tls);
    table_read(reader, node, &backend_tls_table, tls);
    tls->enabled = true;
    if (tls->key != NULL && tls->cert == NULL)
        reader_tell(reader, node->line, "found key without cert, allowed with it");
    if (tls->cert != NULL && tls->key == NULL)
        tls->key = memory_copy_string(tls->cert);
    if (!tls->verify || tls->name != NULL)
        return;
    if (service->label_key != NULL)
        reader_tell(reader, node->line,
                    "found no name with discover, allowed is `name: HOST`, the name in the "
                    "containers' certificate: their addresses change");
    else if (is_long(service->backends, service->backend_count) ||
             is_long(service->canary, service->canary_count))
        reader_tell(reader, node->line,
                    "found no name with a backend of %d bytes or more, allowed is `name: HOST`",
                    CONFIG_NAME_MAX);
}

/* --- redirect ----------------------------------------------------------------------------------
 */

void listener_redirect_read(struct reader *reader, const struct node *node, void *target)
{
    struct config_listener *listener = target;
    uint64_t port = 443;

    if (node->kind != NODE_SCALAR || strncmp(node->text, "https", 5) != 0 ||
        (node->text[5] != '\0' &&
         (node->text[5] != ':' || !number_parse(node->text + 6, &port) || port == 0)) ||
        port > UINT16_MAX) {
        reader_refuse(reader, node, "https or https:PORT");
        return;
    }
    listener->redirect_port = (uint16_t)port;
}

/* --- files -------------------------------------------------------------------------------------
 */

static void tell_file(const char *path, void (*tell)(void *context, const char *path),
                      void *context)
{
    if (path != NULL)
        tell(context, path);
}

void config_each_file(const struct config *config, void (*tell)(void *context, const char *path),
                      void *context)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_tls *tls = &config->listeners[i].tls;
        for (size_t j = 0; j < tls->certificate_count; j++) {
            tell_file(tls->certificates[j].cert, tell, context);
            tell_file(tls->certificates[j].key, tell, context);
            tell_file(tls->certificates[j].ocsp, tell, context);
        }
        tell_file(tls->client_ca, tell, context);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_backend_tls *tls = &config->services[i].tls;
        tell_file(tls->ca, tell, context);
        tell_file(tls->cert, tell, context);
        tell_file(tls->key, tell, context);
    }
}

void config_tls_done(struct config_tls *tls)
{
    for (size_t i = 0; i < tls->certificate_count; i++) {
        free(tls->certificates[i].cert);
        free(tls->certificates[i].key);
        free(tls->certificates[i].ocsp);
    }
    free(tls->certificates);
    free(tls->client_ca);
}

void config_backend_tls_done(struct config_backend_tls *tls)
{
    free(tls->ca);
    free(tls->name);
    free(tls->cert);
    free(tls->key);
}
