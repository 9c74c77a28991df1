#include "admin.h"

#include "admin_socket.h"
#include "admin_stream.h"
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <ev.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX (ADMIN_STREAMS_MAX + 64) /* so that streams never shut out requests */
#define IDLE_SECONDS    30u                      /* a client that says nothing, streams excepted */
#define DISCARD_BYTES_MAX                                                                          \
    ((size_t)4 * 1024 * 1024) /* of a body too large: read before the 413 is given                 \
                               */
#define ERROR_MESSAGE_BYTES 1024
#define JSON_TYPE           "application/json"
#define EVENTS_PATH         "/v1/events"

struct admin {
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    admin_handler *handler;
    void *context;
    char *path;
    struct stat identity; /* of the socket: what is removed at the end */
    ev_io io;             /* libmicrohttpd's epoll descriptor */
    ev_timer timeout;     /* libmicrohttpd's next deadline */
    ev_timer comment;
    ev_prepare prepare; /* the one place where MHD_run() is called: handlers are never nested */
    struct admin_hub hub;
    struct list deferred; /* not answered yet */
};

struct admin_exchange { /* one request, from its head to the end of its answer */
    char *body;
    size_t length, size;
    size_t discarded;                /* bytes beyond ADMIN_BODY_BYTES_MAX */
    struct admin_deferred *deferred; /* NULL: answered by the handler */
};

/* Owned by its exchange. The connection is suspended while the answer is not there; one whose
 * client has gone is noticed by libmicrohttpd only when it is resumed, so the exchange is there. */
struct admin_deferred {
    struct list node;
    struct admin *admin;
    struct MHD_Connection *connection;
    bool suspended, answered;
    struct admin_answer answer;
};

struct admin_call { /* what a request is part of while the handler runs */
    struct admin_request request;
    struct admin *admin;
    struct admin_exchange *exchange;
};

void admin_error(struct admin_answer *answer, unsigned status, const char *code, const char *format,
                 ...)
{
    char message[ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    cJSON_Delete(answer->body);
    free(answer->text);
    *answer = (struct admin_answer){.status = status, .body = cJSON_CreateObject()};
    struct cJSON *error = cJSON_AddObjectToObject(answer->body, "error");
    cJSON_AddStringToObject(error, "code", code);
    cJSON_AddStringToObject(error, "message", message);
}

const char *admin_query(const struct admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     const char *content_type, struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    if (content_type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Takes over what `answer` holds. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, struct admin_answer *answer)
{
    char *text = answer->text;
    const char *content_type = answer->content_type;
    if (answer->body != NULL) {
        text = cJSON_PrintUnformatted(answer->body);
        content_type = JSON_TYPE;
        cJSON_Delete(answer->body);
    }
    if (text != NULL)
        utf8_mend(text);
    unsigned status = answer->status != 0 ? answer->status : MHD_HTTP_OK;
    *answer = (struct admin_answer){0};
    static char nothing[] = "";
    struct MHD_Response *response =
        text == NULL ? MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT)
                     : MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(text);
    return send_response(connection, status, text == NULL ? NULL : content_type, response);
}

static void position_of(const char *text, size_t offset, unsigned *ret_line, unsigned *ret_column)
{
    *ret_line = *ret_column = 1;
    for (size_t i = 0; i < offset; i++) {
        *ret_column += 1;
        if (text[i] == '\n') {
            *ret_line += 1;
            *ret_column = 1;
        }
    }
}

/* Parses a body that holds one JSON value and nothing after it. NULL: `answer` says why not. */
static struct cJSON *parse_body(const struct admin_exchange *exchange, struct admin_answer *answer)
{
    const char *end = exchange->body;
    const char *limit = exchange->body + exchange->length;
    struct cJSON *body = cJSON_ParseWithLengthOpts(exchange->body, exchange->length, &end, 0);
    while (body != NULL && end < limit && strchr(" \t\r\n", *end) != NULL && *end != '\0')
        end++;
    if (body != NULL && end == limit)
        return body;
    unsigned line, column;
    position_of(exchange->body, (size_t)(end - exchange->body), &line, &column);
    admin_error(answer, MHD_HTTP_BAD_REQUEST, "bad-request",
                "the body is not JSON: line %u, column %u; send one JSON object", line, column);
    cJSON_Delete(body);
    return NULL;
}

static void read_credentials(struct MHD_Connection *connection, struct admin_request *request)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    const union MHD_ConnectionInfo *information =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    request->uid = (uid_t)-1;
    if (information == NULL ||
        getsockopt(information->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return;
    request->uid = credentials.uid;
    request->pid = credentials.pid;
}

static void log_request(const struct admin_request *request, unsigned status)
{
    struct log_line line;
    bool changes = strcmp(request->method, MHD_HTTP_METHOD_GET) != 0;
    log_begin(&line, changes ? LOG_INFO : LOG_DEBUG, "admin-request");
    log_string(&line, "method", request->method);
    log_string(&line, "path", request->path);
    log_u64(&line, "status", status);
    log_i64(&line, "uid", (int64_t)request->uid);
    log_i64(&line, "pid", request->pid);
    log_end(&line);
}

struct admin_deferred *admin_defer(const struct admin_request *request)
{
    const struct admin_call *call =
        (const struct admin_call *)(const void *)((const char *)request -
                                                  offsetof(struct admin_call, request));
    struct admin_deferred *deferred = memory_new(sizeof *deferred);
    check(call->exchange->deferred == NULL);
    deferred->admin = call->admin;
    deferred->connection = request->connection;
    list_append(&call->admin->deferred, &deferred->node);
    call->exchange->deferred = deferred;
    return deferred;
}

void admin_answer_deferred(struct admin_deferred *deferred, struct admin_answer *answer)
{
    check(!deferred->answered);
    list_remove(&deferred->node);
    deferred->answered = true;
    deferred->answer = *answer;
    *answer = (struct admin_answer){0};
    if (deferred->suspended) {
        deferred->suspended = false;
        MHD_resume_connection(deferred->connection);
        deferred->admin->hub.run_wanted = true;
    }
}

static void deferred_free(struct admin_deferred *deferred)
{
    if (deferred == NULL)
        return;
    list_remove(&deferred->node);
    cJSON_Delete(deferred->answer.body);
    free(deferred->answer.text);
    free(deferred);
}

/* Sends the answer that has come meanwhile, or waits for it. */
static enum MHD_Result send_deferred(struct admin_exchange *exchange)
{
    struct admin_deferred *deferred = exchange->deferred;
    if (!deferred->answered) {
        deferred->suspended = true;
        MHD_suspend_connection(deferred->connection);
        return MHD_YES;
    }
    return send_answer(deferred->connection, &deferred->answer);
}

/* At the end: whoever still waits is told so. */
static void deferred_end_all(struct admin *admin)
{
    bool any = !list_is_empty(&admin->deferred);
    while (!list_is_empty(&admin->deferred)) {
        struct admin_deferred *deferred =
            container_of(admin->deferred.next, struct admin_deferred, node);
        struct admin_answer answer = {0};
        admin_error(&answer, MHD_HTTP_SERVICE_UNAVAILABLE, "ending",
                    "the updater is ending; ask again in a moment");
        admin_answer_deferred(deferred, &answer);
    }
    if (any || admin->hub.run_wanted)
        MHD_run(admin->daemon);
}

static void answer_request(struct admin *admin, struct admin_request *request,
                           const struct admin_exchange *exchange, struct admin_answer *ret_answer)
{
    bool known = strcmp(request->method, MHD_HTTP_METHOD_GET) == 0 ||
                 (strcmp(request->method, MHD_HTTP_METHOD_POST) == 0 &&
                  strcmp(request->path, EVENTS_PATH) != 0);
    if (!known) {
        admin_error(ret_answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method-not-allowed",
                    "%s is not a method of %s", request->method, request->path);
        return;
    }
    if (exchange->discarded > 0) {
        admin_error(ret_answer, MHD_HTTP_CONTENT_TOO_LARGE, "bad-request",
                    "the body is larger than %u bytes", ADMIN_BODY_BYTES_MAX);
        return;
    }
    struct cJSON *body = NULL;
    if (exchange->length > 0) {
        body = parse_body(exchange, ret_answer);
        if (body == NULL)
            return;
    }
    request->body = body;
    admin->handler(admin->context, request, ret_answer);
    request->body = NULL;
    cJSON_Delete(body);
}

static enum MHD_Result open_stream(struct admin *admin, struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        admin_stream_new(&admin->hub, connection,
                         MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "service"),
                         MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID"));
    if (response == NULL) {
        struct admin_answer answer = {0};
        admin_error(&answer, MHD_HTTP_SERVICE_UNAVAILABLE, "too-many-streams",
                    "%u clients follow events already; end one of them", ADMIN_STREAMS_MAX);
        return send_answer(connection, &answer);
    }
    /* It is silent for as long as nothing happens. */
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    return send_response(connection, MHD_HTTP_OK, "text/event-stream", response);
}

static void gather(struct admin_exchange *exchange, const char *data, size_t length)
{
    if (exchange->discarded > 0 || exchange->length + length > (size_t)ADMIN_BODY_BYTES_MAX) {
        exchange->discarded += length;
        return;
    }
    if (exchange->length + length > exchange->size) {
        exchange->size = (exchange->length + length) * 2;
        exchange->body = memory_resize(exchange->body, exchange->size);
    }
    memcpy(exchange->body + exchange->length, data, length);
    exchange->length += length;
}

/* libmicrohttpd's handler: first with the head, then with each piece of the body, then at its end.
 */
/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *data_length, void **state)
{
    struct admin *admin = context;
    struct admin_exchange *exchange = *state;
    (void)version;
    if (exchange == NULL) {
        *state = memory_new(sizeof *exchange);
        return MHD_YES;
    }
    if (*data_length > 0) {
        gather(exchange, data, *data_length);
        *data_length = 0;
        return exchange->discarded > DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    if (exchange->deferred != NULL)
        return send_deferred(exchange);
    struct admin_call call = {
        .request = {.method = method, .path = path, .connection = connection},
        .admin = admin,
        .exchange = exchange,
    };
    read_credentials(connection, &call.request);
    if (strcmp(path, EVENTS_PATH) == 0 && strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        return open_stream(admin, connection);
    struct admin_answer answer = {0};
    answer_request(admin, &call.request, exchange, &answer);
    if (answer.status != 0) /* else: who has deferred it logs what comes of it */
        log_request(&call.request, answer.status);
    return exchange->deferred != NULL ? send_deferred(exchange) : send_answer(connection, &answer);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct admin_exchange *exchange = *state;
    (void)context;
    (void)connection;
    (void)code;
    if (exchange != NULL) {
        free(exchange->body);
        deferred_free(exchange->deferred);
    }
    free(exchange);
    *state = NULL;
}

__attribute__((format(printf, 2, 0))) static void on_daemon_log(void *context, const char *format,
                                                                va_list arguments)
{
    char text[512];
    (void)context;
    vsnprintf(text, sizeof text, format, arguments);
    log_event(LOG_DEBUG, "admin-http", "message", text);
}

static void on_io(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct admin *admin = watcher->data;
    (void)loop;
    (void)events;
    admin->hub.run_wanted = true;
}

static void on_timeout(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct admin *admin = watcher->data;
    (void)loop;
    (void)events;
    admin->hub.run_wanted = true;
}

static void on_comment(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct admin *admin = watcher->data;
    (void)loop;
    (void)events;
    admin_hub_comment(&admin->hub);
}

/* Before the loop sleeps: what came in, and what was published in this turn. */
static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct admin *admin = watcher->data;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    (void)events;
    if (admin->hub.run_wanted) {
        admin->hub.run_wanted = false;
        MHD_run(admin->daemon);
    }
    ev_timer_stop(loop, &admin->timeout);
    if (admin->hub.run_wanted)
        wait_ms = 0;
    else if (MHD_get_timeout(admin->daemon, &wait_ms) != MHD_YES)
        return;
    ev_timer_set(&admin->timeout, (ev_tstamp)wait_ms / 1000., 0.);
    ev_timer_start(loop, &admin->timeout);
}

static struct MHD_Daemon *start_daemon(struct admin *admin, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                            NULL, on_request, admin,                          /* */
                            MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log, admin, /* */
                            MHD_OPTION_LISTEN_SOCKET, fd,                     /* */
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, admin, /* */
                            MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,     /* */
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_END);
}

static void start_watchers(struct admin *admin, int epoll_fd)
{
    ev_io_init(&admin->io, on_io, epoll_fd, EV_READ);
    ev_timer_init(&admin->timeout, on_timeout, 0., 0.);
    ev_timer_init(&admin->comment, on_comment, ADMIN_COMMENT_SECONDS, ADMIN_COMMENT_SECONDS);
    ev_prepare_init(&admin->prepare, on_prepare);
    /* After every other: what they publish before the loop waits is sent before it waits. */
    ev_set_priority(&admin->prepare, EV_MINPRI);
    admin->io.data = admin->timeout.data = admin->comment.data = admin->prepare.data = admin;
    ev_io_start(admin->loop, &admin->io);
    ev_timer_start(admin->loop, &admin->comment);
    ev_prepare_start(admin->loop, &admin->prepare);
}

int admin_open(struct ev_loop *loop, const char *path, admin_handler *handler, void *context,
               struct admin **ret_admin)
{
    int fd = -1;
    struct stat identity;
    int error = admin_socket_open(path, &fd, &identity);
    if (error < 0)
        return error;
    struct admin *admin = memory_new(sizeof *admin);
    admin->loop = loop;
    admin->handler = handler;
    admin->context = context;
    admin->path = memory_copy_string(path);
    admin->identity = identity;
    admin_hub_init(&admin->hub);
    list_init(&admin->deferred);
    admin->daemon = start_daemon(admin, fd);
    const union MHD_DaemonInfo *information = NULL;
    if (admin->daemon != NULL)
        information = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (information == NULL) {
        if (admin->daemon != NULL)
            MHD_stop_daemon(admin->daemon); /* which closes fd */
        admin_socket_remove(path, &identity);
        free(admin->path);
        free(admin);
        return -EIO;
    }
    start_watchers(admin, information->epoll_fd);
    *ret_admin = admin;
    return 0;
}

void admin_close(struct admin *admin)
{
    if (admin == NULL)
        return;
    ev_io_stop(admin->loop, &admin->io);
    ev_timer_stop(admin->loop, &admin->timeout);
    ev_timer_stop(admin->loop, &admin->comment);
    ev_prepare_stop(admin->loop, &admin->prepare);
    /* First the path, so that whoever comes now is told at once that nobody is here. */
    admin_socket_remove(admin->path, &admin->identity);
    deferred_end_all(admin);
    admin_hub_resume_all(&admin->hub);
    MHD_stop_daemon(admin->daemon);
    admin_hub_done(&admin->hub);
    free(admin->path);
    free(admin);
}

void admin_publish(struct admin *admin, const char *event, const struct cJSON *data)
{
    admin_hub_publish(&admin->hub, event, data);
}
