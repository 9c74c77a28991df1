#include "access_log.h"

#include "base/log.h"
#include "worker.h"

/* "GET /path?query" without the query, which may hold secrets. */
static void put_request(struct log_line *line, const struct exchange *x)
{
    struct slice request = x->protocol->request_line(x);
    const char *space = request.length > 0 ? memchr(request.data, ' ', request.length) : NULL;

    if (space == NULL)
        return;
    struct slice method = {request.data, (size_t)(space - request.data)};
    struct slice path = {space + 1, request.length - method.length - 1};
    const char *query = memchr(path.data, '?', path.length);
    if (query != NULL)
        path.length = (size_t)(query - path.data);
    log_slice(line, "method", method);
    log_slice(line, "path", path);
}

static void put_client(struct log_line *line, const struct address *client)
{
    char text[ADDRESS_TEXT_BYTES];

    address_format(client, text);
    log_string(line, "client", text);
}

void access_log_exchange(const struct exchange *x, enum exchange_why why)
{
    const struct worker *worker = x->worker;
    struct log_line line;

    if (worker->config->access_log == ACCESS_LOG_OFF)
        return;
    log_begin(&line, LOG_INFO, "exchange");
    log_u64(&line, "id", x->id);
    log_string(&line, "kind", exchange_kind_name(x->kind));
    put_client(&line, &x->client);
    log_string(&line, "service", exchange_service(x)->name);
    if (x->placed_us != 0) {
        log_string(&line, "group", group_name(x->group));
        log_string(&line, "backend", worker->table.backends[x->slot].name);
    }
    put_request(&line, x);
    if (x->protocol->request_id != NULL)
        log_slice(&line, "request_id", x->protocol->request_id(x));
    if (why == WHY_CLIENT_CLOSED && x->status == 0)
        log_u64(&line, "status", 499);
    else if (x->status != 0)
        log_u64(&line, "status", x->status);
    log_u64(&line, "bytes_in", x->bytes_in);
    log_u64(&line, "bytes_out", x->bytes_out);
    log_u64(&line, "tries", x->join_count);
    if (x->placed_us != 0)
        log_u64(&line, "placed_us", x->placed_us - x->started_us);
    if (x->answered_us != 0)
        log_u64(&line, "answered_us", x->answered_us - x->started_us);
    log_u64(&line, "total_us", worker->now_us - x->started_us);
    log_string(&line, "why", exchange_why_name(why));
    log_end(&line);
}

void access_log_refused(const struct worker *worker, const struct address *client, unsigned status,
                        const char *why)
{
    struct log_line line;

    if (worker->config->access_log == ACCESS_LOG_OFF)
        return;
    log_begin(&line, LOG_INFO, "request-refused");
    put_client(&line, client);
    log_u64(&line, "status", status);
    log_string(&line, "why", why);
    log_end(&line);
}
