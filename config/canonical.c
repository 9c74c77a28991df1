/* The canonical form: every default spelled out, in one fixed order. */
#include "base/check.h"
#include "base/memory.h"
#include "canonical_parts.h"
#include "config.h"
#include "value.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file keeps what it says beyond these by the reader's rules; here it is only written. */
cJSON *must(cJSON *item)
{
    if (item == NULL)
        exit(EXIT_TRY_AGAIN);
    return item;
}

void put(cJSON *object, const char *key, cJSON *value)
{
    if (!cJSON_AddItemToObject(object, key, must(value)))
        exit(EXIT_TRY_AGAIN);
}

void append(cJSON *array, cJSON *value)
{
    if (!cJSON_AddItemToArray(array, must(value)))
        exit(EXIT_TRY_AGAIN);
}

void put_text(cJSON *object, const char *key, const char *text)
{
    if (text != NULL)
        put(object, key, cJSON_CreateString(text));
}

void put_number(cJSON *object, const char *key, uint32_t number)
{
    put(object, key, cJSON_CreateNumber(number));
}

void put_duration(cJSON *object, const char *key, uint32_t ms)
{
    char text[DURATION_TEXT_BYTES];

    duration_format(ms, text);
    put(object, key, cJSON_CreateString(text));
}

static cJSON *timeouts_to_json(const struct config_timeouts *timeouts)
{
    cJSON *json = must(cJSON_CreateObject());

    put_duration(json, "header", timeouts->header_ms);
    put_duration(json, "body", timeouts->body_ms);
    put_duration(json, "connect", timeouts->connect_ms);
    put_duration(json, "response", timeouts->response_ms);
    put_duration(json, "idle", timeouts->idle_ms);
    put_duration(json, "tunnel", timeouts->tunnel_ms);
    put_duration(json, "tunnel_lifetime", timeouts->tunnel_lifetime_ms);
    put_duration(json, "queue", timeouts->queue_ms);
    return json;
}

static void put_size(cJSON *object, const char *key, uint64_t bytes)
{
    char text[SIZE_TEXT_BYTES];

    size_format(bytes, text);
    put_text(object, key, text);
}

static cJSON *networks_to_json(const struct network *networks, size_t count)
{
    char text[NETWORK_TEXT_BYTES];
    cJSON *json = must(cJSON_CreateArray());

    for (size_t i = 0; i < count; i++) {
        network_format(&networks[i], text);
        append(json, cJSON_CreateString(text));
    }
    return json;
}

static cJSON *access_log_to_json(const struct config_access_log *log)
{
    if (!log->on)
        return cJSON_CreateString("off");
    cJSON *json = must(cJSON_CreateObject());
    put_text(json, "format", access_format_words[log->format]);
    put_text(json, "file", log->file);
    put(json, "sample", cJSON_CreateNumber(log->sample / 100.0));
    put(json, "query", cJSON_CreateBool(log->query));
    return json;
}

static cJSON *error_pages_to_json(const struct config_error_pages *pages)
{
    char statuses[ERROR_PAGE_TEXT_BYTES];
    cJSON *json = must(cJSON_CreateObject());

    for (size_t i = 0; i < pages->count; i++) {
        error_page_statuses(&pages->items[i], statuses);
        put_text(json, statuses, pages->items[i].file);
    }
    return json;
}

static cJSON *tls_to_json(const struct config_tls *tls)
{
    char hsts[DURATION_TEXT_BYTES];
    cJSON *json = must(cJSON_CreateObject());
    cJSON *certificates = must(cJSON_CreateArray());

    for (size_t i = 0; i < tls->certificate_count; i++) {
        cJSON *certificate = must(cJSON_CreateObject());
        put_text(certificate, "cert", tls->certificates[i].cert);
        put_text(certificate, "key", tls->certificates[i].key);
        put_text(certificate, "ocsp", tls->certificates[i].ocsp);
        append(certificates, certificate);
    }
    put(json, "certificates", certificates);
    put_text(json, "min_version", tls_version_words[tls->min_version]);
    if (tls->client_ca != NULL) {
        cJSON *clients = must(cJSON_CreateObject());
        put_text(clients, "ca", tls->client_ca);
        put(clients, "required", cJSON_CreateBool(tls->client_required));
        put(json, "client_certificates", clients);
    }
    if (tls->hsts_s > 0) {
        hsts_format(tls->hsts_s, hsts);
        put_text(json, "hsts", hsts);
        put(json, "hsts_subdomains", cJSON_CreateBool(tls->hsts_subdomains));
    }
    return json;
}

static cJSON *backend_tls_to_json(const struct config_backend_tls *tls)
{
    cJSON *json = must(cJSON_CreateObject());

    put(json, "verify", cJSON_CreateBool(tls->verify));
    put_text(json, "ca", tls->ca);
    put_text(json, "name", tls->name);
    put_text(json, "cert", tls->cert);
    put_text(json, "key", tls->key);
    return json;
}

/* What a service inherits is told apart from what is its own, or it would read back as its own. */
static void put_traffic_limits(cJSON *json, const struct config_traffic_limits *limits, bool whole)
{
    put_size(json, "body", limits->body_bytes);
    put(json, "min_rate", cJSON_CreateNumber(limits->min_rate));
    put_duration(json, "min_rate_window", limits->min_rate_window_ms);
    put(json, "trusted", networks_to_json(limits->trusted, limits->trusted_count));
    if (!whole && !limits->own_requests)
        return;
    if (limits->requests.rate == 0) {
        put_text(json, "requests_per_client", "none");
        return;
    }
    cJSON *rate = must(cJSON_CreateObject());
    put(rate, "rate", cJSON_CreateNumber(limits->requests.rate));
    put(rate, "burst", cJSON_CreateNumber(limits->requests.burst));
    put(json, "requests_per_client", rate);
}

static cJSON *service_limits_to_json(const struct config_traffic_limits *limits)
{
    cJSON *json = must(cJSON_CreateObject());

    put_traffic_limits(json, limits, false);
    return json;
}

static cJSON *limits_to_json(const struct config_limits *limits)
{
    cJSON *json = must(cJSON_CreateObject());

    put_traffic_limits(json, &limits->traffic, true);
    put(json, "connections", cJSON_CreateNumber(limits->connections));
    put(json, "connections_per_client", cJSON_CreateNumber(limits->connections_per_client));
    put_size(json, "header_bytes", limits->header_bytes);
    put(json, "header_count", cJSON_CreateNumber(limits->header_count));
    put_size(json, "memory", limits->memory_bytes);
    return json;
}

static cJSON *sni_to_json(const struct config *config, const struct config_listener *listener)
{
    cJSON *json = must(cJSON_CreateArray());

    for (size_t i = 0; i < listener->sni_count; i++) {
        cJSON *entry = must(cJSON_CreateObject());
        put_text(entry, "host", listener->sni[i].host);
        put_text(entry, "service", config->services[listener->sni[i].service].name);
        append(json, entry);
    }
    return json;
}

static cJSON *listener_to_json(const struct config *config, const struct config_listener *listener)
{
    char address[ADDRESS_TEXT_BYTES];
    cJSON *json = must(cJSON_CreateObject());

    address_format(&listener->address, address);
    put_text(json, "address", address);
    put_text(json, "protocol", listener->protocol == PROTOCOL_TCP ? "tcp" : "http");
    if (listener->service >= 0)
        put_text(json, "service", config->services[listener->service].name);
    if (listener->canary)
        put_text(json, "group", "canary");
    if (listener->port != 0)
        put(json, "port", cJSON_CreateNumber(listener->port));
    if (listener->tls.certificate_count > 0)
        put(json, "tls", tls_to_json(&listener->tls));
    if (listener->redirect_port != 0) {
        char redirect[sizeof("https:65535")];
        snprintf(redirect, sizeof(redirect), "https:%u", listener->redirect_port);
        put_text(json, "redirect", redirect);
    }
    put(json, "proxy_protocol", cJSON_CreateBool(listener->proxy_protocol));
    if (listener->protocol == PROTOCOL_HTTP)
        put(json, "defer_accept", cJSON_CreateBool(listener->defer_accept));
    if (listener->sni_count > 0)
        put(json, "sni", sni_to_json(config, listener));
    return json;
}

static cJSON *http_to_json(const struct config_check *check)
{
    char status[16];
    cJSON *json = must(cJSON_CreateObject());

    snprintf(status, sizeof(status), "%u-%u", check->status_min, check->status_max);
    put_text(json, "path", check->path);
    put_text(json, "status", status);
    put_text(json, "body", check->body);
    put_text(json, "host", check->host);
    return json;
}

static cJSON *script_to_json(char *const *script)
{
    cJSON *json = must(cJSON_CreateArray());

    for (; *script != NULL; script++)
        append(json, cJSON_CreateString(*script));
    return json;
}

static cJSON *check_to_json(const struct config_check *check)
{
    if (check->kind == CHECK_NONE)
        return cJSON_CreateString("none");
    cJSON *json = must(cJSON_CreateObject());
    if (check->kind == CHECK_HTTP)
        put(json, "http", http_to_json(check));
    else if (check->kind == CHECK_SCRIPT)
        put(json, "script", script_to_json(check->script));
    else
        put(json, check->kind == CHECK_TCP ? "tcp" : "container", cJSON_CreateObject());
    put_duration(json, "interval", check->interval_ms);
    put_duration(json, "timeout", check->timeout_ms);
    put_duration(json, "start_period", check->start_period_ms);
    put(json, "retries", cJSON_CreateNumber(check->retries));
    put(json, "successes", cJSON_CreateNumber(check->successes));
    return json;
}

static cJSON *texts_to_json(char *const *texts, size_t count)
{
    cJSON *json = must(cJSON_CreateArray());

    for (size_t i = 0; i < count; i++)
        append(json, cJSON_CreateString(texts[i]));
    return json;
}

static cJSON *routes_to_json(const struct config_service *service)
{
    cJSON *json = must(cJSON_CreateArray());

    for (size_t i = 0; i < service->route_count; i++) {
        cJSON *route = must(cJSON_CreateObject());
        put_text(route, "host", service->routes[i].host);
        put_text(route, "path", service->routes[i].path);
        append(json, route);
    }
    return json;
}

static cJSON *discover_to_json(const struct config_service *service)
{
    cJSON *json = must(cJSON_CreateObject());
    const char *value = service->label_value;
    char *label = memory_format("%s%s%s", service->label_key, value == NULL ? "" : "=",
                                value == NULL ? "" : value);

    put_text(json, "label", label);
    put_text(json, "project", service->project);
    free(label);
    return json;
}

static cJSON *sticky_to_json(const struct config_sticky *sticky)
{
    cJSON *json = must(cJSON_CreateObject());

    if (sticky->kind == STICKY_CLIENT_ADDRESS)
        put(json, "client_address", cJSON_CreateTrue());
    else
        put_text(json, sticky->kind == STICKY_COOKIE ? "cookie" : "header", sticky->name);
    return json;
}

static cJSON *hold_to_json(const struct config_hold *hold)
{
    cJSON *json = must(cJSON_CreateObject());

    put(json, "max", cJSON_CreateNumber(hold->max));
    put_duration(json, "timeout", hold->timeout_ms);
    return json;
}

static cJSON *preview_to_json(const struct config_preview *preview)
{
    cJSON *json = must(cJSON_CreateObject());
    cJSON *match = must(cJSON_CreateObject());

    put_text(match, "name", preview->name);
    put_text(match, "value", preview->value);
    put_text(match, "never", preview->never);
    put(json, preview->kind == PREVIEW_COOKIE ? "cookie" : "header", match);
    return json;
}

static cJSON *queue_to_json(const struct config_queue *queue)
{
    cJSON *json = must(cJSON_CreateObject());

    put_number(json, "max", queue->max);
    return json;
}

static void put_hash(cJSON *object, const struct config_hash *hash)
{
    cJSON *json;

    if (hash->kind == HASH_NONE)
        return;
    json = must(cJSON_CreateObject());
    if (hash->kind == HASH_PATH || hash->kind == HASH_CLIENT_ADDRESS)
        put(json, hash->kind == HASH_PATH ? "path" : "client_address", cJSON_CreateTrue());
    else
        put_text(json, hash->kind == HASH_COOKIE ? "cookie" : "header", hash->name);
    put_number(json, "bound", hash->bound_percent);
    put(object, "hash", json);
}

/* What is off has no word in the file and none here. */
static void put_ejection(cJSON *object, const struct config_ejection *ejection)
{
    if (ejection->failures == 0)
        return;
    cJSON *json = must(cJSON_CreateObject());
    put_number(json, "failures", ejection->failures);
    put_duration(json, "time", ejection->time_ms);
    put_number(json, "max_ejection_percent", ejection->max_percent);
    put(object, "ejection", json);
}

static cJSON *retries_to_json(const struct config_retries *retries)
{
    cJSON *json = must(cJSON_CreateObject());

    put_number(json, "attempts", retries->attempts);
    put_number(json, "budget", retries->budget_percent);
    return json;
}

static cJSON *service_to_json(const struct config_service *service)
{
    static const char *const balance[] = {"least_requests", "round_robin", "random", "hash"};
    static const char *const proxy_protocol[] = {"none", "v1", "v2"};
    cJSON *json = must(cJSON_CreateObject());

    if (service->protocol == PROTOCOL_HTTP)
        put(json, "routes", routes_to_json(service));
    if (service->label_key != NULL) {
        put(json, "discover", discover_to_json(service));
        if (service->port > 0)
            put(json, "port", cJSON_CreateNumber(service->port));
        put_text(json, "network", service->network);
        put(json, "published", cJSON_CreateBool(service->published));
    } else {
        put(json, "backends", texts_to_json(service->backends, service->backend_count));
        put(json, "canary", texts_to_json(service->canary, service->canary_count));
    }
    put_text(json, "balance", balance[service->balance]);
    put_hash(json, &service->hash);
    put_duration(json, "slow_start", service->slow_start_ms);
    put_number(json, "max_connections", service->max_connections);
    put(json, "queue", queue_to_json(&service->queue));
    put_ejection(json, &service->ejection);
    put(json, "retries", retries_to_json(&service->retries));
    put_text(json, "send_proxy_protocol", proxy_protocol[service->send_proxy_protocol]);
    put(json, "healthcheck", check_to_json(&service->check));
    put(json, "timeouts", timeouts_to_json(&service->timeouts));
    put(json, "limits", service_limits_to_json(&service->limits));
    put(json, "rollout", rollout_to_json(&service->rollout));
    if (service->tls.enabled)
        put(json, "tls", backend_tls_to_json(&service->tls));
    if (service->sticky.kind != STICKY_NONE)
        put(json, "sticky", sticky_to_json(&service->sticky));
    if (service->preview.kind != PREVIEW_NONE)
        put(json, "preview", preview_to_json(&service->preview));
    put(json, "hold", hold_to_json(&service->hold));
    put(json, "error_pages", error_pages_to_json(&service->error_pages));
    put(json, "retry_assets", cJSON_CreateBool(service->retry_assets));
    return json;
}

/* JSON allows more raw characters in its strings than YAML does (DEL, U+0085, U+FEFF ...). Beyond
 * ASCII all up to U+FFFF are written as escapes; above, surrogates would be needed, which YAML does
 * not know, and raw is fine. Takes `json` over. */
static char *escape_beyond_ascii(char *json)
{
    size_t length = strlen(json);
    char *escaped = memory_new(length * 6 + 1);
    size_t used = 0;

    for (size_t i = 0; i < length;) {
        const unsigned char *at = (const unsigned char *)json + i;
        unsigned point = 0;
        size_t bytes = 1;
        if (at[0] == 0x7f) {
            point = at[0];
        } else if (at[0] >= 0xc2 && at[0] < 0xe0) {
            point = (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
            bytes = 2;
        } else if (at[0] >= 0xe0 && at[0] < 0xf0) {
            point = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
            bytes = 3;
        }
        if (point == 0)
            escaped[used++] = json[i];
        else
            used += (size_t)snprintf(escaped + used, 7, "\\u%04x", point);
        i += bytes;
    }
    free(json);
    return escaped;
}

char *config_to_json(const struct config *config)
{
    cJSON *json = must(cJSON_CreateObject());
    cJSON *listeners = must(cJSON_CreateObject());
    cJSON *services = must(cJSON_CreateObject());
    cJSON *engine = must(cJSON_CreateObject());
    cJSON *admin = must(cJSON_CreateObject());

    for (size_t i = 0; i < config->listener_count; i++)
        put(listeners, config->listeners[i].name, listener_to_json(config, &config->listeners[i]));
    for (size_t i = 0; i < config->service_count; i++)
        put(services, config->services[i].name, service_to_json(&config->services[i]));
    put_text(engine, "host", config->engine_host);
    put(engine, "cert_path",
        config->engine_cert_path == NULL ? cJSON_CreateNull()
                                         : cJSON_CreateString(config->engine_cert_path));
    put_text(admin, "socket", config->admin_socket);
    put(json, "presets", presets_to_json(config));
    put(json, "listeners", listeners);
    put(json, "services", services);
    put(json, "engine", engine);
    put(json, "admin", admin);
    put_text(json, "state", config->state);
    put_text(json, "user", config->user);
    put(json, "timeouts", timeouts_to_json(&config->timeouts));
    put(json, "limits", limits_to_json(&config->limits));
    put(json, "notify", config_notify_to_json(config->notify, config->notify_count));
    put(json, "workers", cJSON_CreateNumber(config->workers));
    put(json, "access_log", access_log_to_json(&config->access_log));
    put(json, "error_pages", error_pages_to_json(&config->error_pages));
    put(json, "trusted_proxies",
        networks_to_json(config->trusted_proxies, config->trusted_proxy_count));
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL)
        exit(EXIT_TRY_AGAIN);
    return escape_beyond_ascii(text);
}
