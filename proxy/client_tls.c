/* A client's TLS handshake: the first that happens on a connection of a listener with `tls`. It has
 * the time of a request's head, and holds nothing but its own connection. */
#include "access_log.h"
#include "base/check.h"
#include "base/log.h"
#include "client.h"
#include "listener.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <string.h>

/* At most one line per listener and second: the internet knocks on every port. */
#define FAILURE_LOG_MS 1000u

bool client_start_tls(struct client *client)
{
    struct ssl_st *ssl = tls_listener_accept(client->listener->tls);

    if (ssl == NULL || stream_start_tls(client->stream, ssl) < 0) {
        SSL_free(ssl);
        return false;
    }
    client->state = CLIENT_GREETING;
    return true;
}

static void log_failure(const struct client *client, const char *reason)
{
    struct listener *listener = client->listener;
    uint64_t now_ms = client->worker->now_ms;
    char address[ADDRESS_TEXT_BYTES];
    struct log_line line;

    if (listener->failure_logged_ms != 0 && now_ms - listener->failure_logged_ms < FAILURE_LOG_MS) {
        listener->failures_untold++;
        return;
    }
    address_format(&client->address, address);
    log_begin(&line, LOG_INFO, "tls-handshake-failed");
    log_string(&line, "listener", listener->config->name);
    log_string(&line, "client", address);
    log_string(&line, "reason", reason);
    if (listener->failures_untold > 0)
        log_u64(&line, "untold", listener->failures_untold);
    log_end(&line);
    listener->failure_logged_ms = now_ms;
    listener->failures_untold = 0;
}

/* Somebody who speaks HTTP to a port of https is told so, in words that he understands. */
static bool speaks_http(const char *failure)
{
    static const char *http;

    if (http == NULL)
        http = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_HTTP_REQUEST));
    return failure != NULL && http != NULL && strcmp(failure, http) == 0;
}

static void fail(struct client *client, const char *reason)
{
    score_add(&client->worker->row->refusals[REFUSAL_TLS], 1);
    log_failure(client, reason);
    if (!speaks_http(stream_tls_failure(client->stream))) {
        client_close(client);
        return;
    }
    stream_drop_tls(client->stream);
    client->state = CLIENT_READING;
    access_log_refused(client->worker, &client->address, NULL, 400, "http-on-https-port");
    client_answer(client, SERVICE_NONE, &(struct answer){.status = 400, .close = true});
    client_finish(client, false);
}

void client_on_handshake(struct client *client, enum stream_event event)
{
    const struct config_timeouts *timeouts = &client->worker->config->timeouts;
    const char *failure = stream_tls_failure(client->stream);
    uint64_t now_ms = client->worker->now_ms;

    switch (event) {
    case STREAM_CONNECTED:
        client->state = CLIENT_READING;
        if (client->listener->config->tls.client_ca != NULL)
            client->certificate = tls_client_certificate(stream_tls(client->stream));
        stream_set_deadline(
            client->stream,
            now_ms + (client->worker->stopping ? timeouts->header_ms : timeouts->idle_ms), now_ms);
        break;
    case STREAM_TIMEOUT:
        fail(client, "it took too long");
        break;
    case STREAM_ERROR:
        fail(client, failure != NULL ? failure : strerror(stream_error(client->stream)));
        break;
    case STREAM_DATA:
    case STREAM_DRAINED:
    case STREAM_EOF:
        break;
    }
}
