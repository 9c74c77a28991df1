#include "http_setup.h"

#include "http_client.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>

bool http_url_is_valid(const char *url)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL;
    bool valid = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    curl_url_cleanup(parsed);
    return valid;
}

static bool add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);

    if (longer == NULL)
        return false;
    *headers = longer;
    return true;
}

static bool set_headers(CURL *easy, const struct http_request_options *options,
                        struct curl_slist **headers)
{
    bool typed = false;

    for (const char *const *line = options->headers; line != NULL && *line != NULL; line++) {
        if (!add_header(headers, *line))
            return false;
        if (strncasecmp(*line, "content-type:", 13) == 0)
            typed = true;
    }
    /* libcurl adds both by itself: a wait for 100 (Continue), and a form's type. */
    if (!add_header(headers, "Expect:") || (!typed && !add_header(headers, "Content-Type:")))
        return false;
    return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers) == CURLE_OK;
}

static bool set_method(CURL *easy, const struct http_request_options *options)
{
    bool post = strcmp(options->method, "POST") == 0;
    bool get = strcmp(options->method, "GET") == 0;
    CURLcode code = CURLE_OK;

    if (options->body.data != NULL || post) {
        const char *data = options->body.data != NULL ? options->body.data : "";
        code |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        code |=
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.length);
        code |= curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, data);
    } else if (strcmp(options->method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    }
    if (!post)
        code |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, options->method);
    /* libcurl sends a request again, unasked, where a connection that it took from its pool turns
     * out closed. That is harmless for GET only: the others get a connection of their own. */
    if (!get)
        code |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    return code == CURLE_OK;
}

static bool set_tls(CURL *easy, const char *folder)
{
    static const struct {
        CURLoption option;
        const char *file;
    } files[] = {
        {CURLOPT_CAINFO, "ca.pem"}, {CURLOPT_SSLCERT, "cert.pem"}, {CURLOPT_SSLKEY, "key.pem"}};
    char path[4096];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", folder, files[i].file);
        if (length < 0 || (size_t)length >= sizeof(path) ||
            curl_easy_setopt(easy, files[i].option, path) != CURLE_OK)
            return false;
    }
    return true;
}

static CURLcode set_blob(CURL *easy, CURLoption option, struct slice bytes)
{
    struct curl_blob blob = {.data = (void *)(uintptr_t)bytes.data, /* libcurl writes nothing */
                             .len = bytes.length,
                             .flags = CURL_BLOB_NOCOPY};

    return bytes.length > 0 ? curl_easy_setopt(easy, option, &blob) : CURLE_OK;
}

static bool set_tls_of_memory(CURL *easy, const struct http_tls *tls)
{
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L);
    code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L);
    code |= set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
    code |= set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
    code |= set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
    return code == CURLE_OK;
}

static bool set_place(CURL *easy, const char *place, struct curl_slist **connect_to)
{
    if (place == NULL)
        return true;
    *connect_to = curl_slist_append(NULL, place);
    return *connect_to != NULL &&
           curl_easy_setopt(easy, CURLOPT_CONNECT_TO, *connect_to) == CURLE_OK;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool set_transport(CURL *easy, const struct http_request_options *options)
{
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_URL, options->url);
    code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    code |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    if (options->connect_timeout_ms > 0)
        code |=
            curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    if (options->unix_socket != NULL)
        code |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
    if (options->says_proxy)
        code |= curl_easy_setopt(easy, CURLOPT_HAPROXYPROTOCOL, 1L);
    if (options->fresh_connection) {
        code |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        code |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    return code == CURLE_OK && (options->cert_path == NULL || set_tls(easy, options->cert_path));
}

bool http_request_set_up(CURL *easy, const struct http_request_options *options,
                         struct curl_slist **headers, struct curl_slist **connect_to)
{
    return set_transport(easy, options) && set_place(easy, options->connect_to, connect_to) &&
           (options->tls == NULL || set_tls_of_memory(easy, options->tls)) &&
           set_method(easy, options) && set_headers(easy, options, headers);
}
