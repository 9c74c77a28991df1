/* The client against a server in a thread of its own that says, per path, what each test needs. */
#include "base/clock.h"
#include "base/http_client.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the server ----------------------------------------------------------------------------- */

struct server {
    pthread_t thread;
    int listen_fd, stop_fds[2];
    int connections; /* accepted; read after the thread has ended */
    char url[64];
    char socket_path[64];
    char request[4096]; /* the last one, as it came */
};

static void say(int fd, const char *text)
{
    ssize_t sent = send(fd, text, strlen(text), MSG_NOSIGNAL);

    (void)sent;
}

/* Waits until the client has closed. */
static void wait_for_end(struct server *server, int fd)
{
    struct pollfd polls[2] = {{.fd = fd, .events = POLLIN},
                              {.fd = server->stop_fds[0], .events = POLLIN}};
    char bytes[256];

    while (poll(polls, 2, 10000) > 0 && polls[1].revents == 0)
        if (read(fd, bytes, sizeof(bytes)) <= 0)
            return;
}

static void say_large(int fd, size_t bytes)
{
    char head[128], block[1024];

    memset(block, 'x', sizeof(block));
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", bytes);
    say(fd, head);
    for (size_t sent = 0; sent < bytes; sent += sizeof(block))
        if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
            return;
}

/* Returns whether the connection stays open. */
static bool answer(struct server *server, int fd, const char *path)
{
    if (strcmp(path, "/ok") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        return true;
    }
    if (strcmp(path, "/redirect") == 0) {
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
        return true;
    }
    if (strcmp(path, "/missing") == 0) {
        say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno such x");
        return true;
    }
    if (strcmp(path, "/large") == 0)
        say_large(fd, 64 * 1024);
    else if (strcmp(path, "/never") == 0)
        wait_for_end(server, fd);
    else if (strcmp(path, "/quiet") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        wait_for_end(server, fd);
    } else if (strcmp(path, "/cut") == 0)
        say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\nt");
    else if (strcmp(path, "/pieces") == 0)
        say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                "chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    else if (strcmp(path, "/headers") == 0) {
        say(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 8192; i++)
            say(fd, "X-Filler: 0123456789012345678901234567890123456789\r\n");
    }
    return false;
}

static void serve(struct server *server, int fd)
{
    for (;;) {
        char *request = server->request;
        size_t length = 0;
        char path[64];

        do {
            ssize_t got = read(fd, request + length, sizeof(server->request) - 1 - length);
            if (got <= 0)
                return;
            length += (size_t)got;
            request[length] = '\0';
        } while (strstr(request, "\r\n\r\n") == NULL);
        if (sscanf(request, "%*s %63s", path) != 1 || !answer(server, fd, path))
            return;
    }
}

/* One connection after the other. */
static void *run(void *context)
{
    struct server *server = context;
    struct pollfd polls[2] = {{.fd = server->listen_fd, .events = POLLIN},
                              {.fd = server->stop_fds[0], .events = POLLIN}};

    while (poll(polls, 2, -1) > 0 && polls[1].revents == 0) {
        int fd = accept(server->listen_fd, NULL, NULL);
        if (fd < 0)
            continue;
        server->connections++;
        serve(server, fd);
        close(fd);
    }
    return NULL;
}

static struct server *server_start(bool by_unix_socket)
{
    struct server *server = calloc(1, sizeof(*server));

    assert_non_null(server);
    assert_int_equal(pipe(server->stop_fds), 0);
    if (by_unix_socket) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(server->socket_path, sizeof(server->socket_path), "/tmp/sluice-test-%d.sock",
                 (int)getpid());
        memcpy(address.sun_path, server->socket_path, sizeof(server->socket_path));
        unlink(server->socket_path);
        server->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
        snprintf(server->url, sizeof(server->url), "http://engine");
    } else {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof(address);
        server->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
        getsockname(server->listen_fd, (struct sockaddr *)&address, &length);
        snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    }
    assert_int_equal(listen(server->listen_fd, 64), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
    return server;
}

/* Returns how many connections it has had. */
static int server_stop(struct server *server)
{
    int connections;

    assert_int_equal(write(server->stop_fds[1], "x", 1), 1);
    pthread_join(server->thread, NULL);
    connections = server->connections;
    close(server->listen_fd);
    close(server->stop_fds[0]);
    close(server->stop_fds[1]);
    if (server->socket_path[0] != '\0')
        unlink(server->socket_path);
    free(server);
    return connections;
}

/* --- what came of a request ----------------------------------------------------------------- */

struct outcome {
    struct http_client *client;
    struct http_request *request;
    const char *next_url; /* started from inside the first callback */
    struct outcome *next;
    int pieces_wanted; /* cancel, or refuse, at this piece; 0: take all */
    bool cancel;
    int calls, pieces;
    int error;
    unsigned status;
    char detail[256], body[256];
    size_t body_length, data_length;
};

static void on_done(void *context, const struct http_answer *answer_)
{
    struct outcome *outcome = context;

    outcome->calls++;
    outcome->error = answer_->error;
    outcome->status = answer_->status;
    outcome->body_length = answer_->body.length;
    slice_copy_string(answer_->body, outcome->body, sizeof(outcome->body));
    snprintf(outcome->detail, sizeof(outcome->detail), "%s", answer_->detail);
    if (outcome->request != NULL)
        http_request_cancel(outcome->request); /* has ended: no effect */
}

static struct http_request *start(struct http_client *client, struct outcome *outcome,
                                  struct http_request_options options)
{
    options.method = options.method != NULL ? options.method : "GET";
    options.on_done = on_done;
    options.context = outcome;
    outcome->client = client;
    outcome->request = http_client_start(client, &options);
    assert_int_equal(outcome->calls, 0); /* never before start returns */
    return outcome->request;
}

static bool on_data(void *context, unsigned status, struct slice piece)
{
    struct outcome *outcome = context;

    assert_int_equal(status, 200);
    outcome->pieces++;
    outcome->data_length += piece.length;
    if (outcome->next != NULL && outcome->pieces == 1)
        start(outcome->client, outcome->next,
              (struct http_request_options){.url = outcome->next_url});
    if (outcome->pieces != outcome->pieces_wanted)
        return true;
    if (!outcome->cancel)
        return false;
    http_request_cancel(outcome->request);
    assert_int_equal(outcome->calls, 1); /* before cancel returns */
    return true;
}

static void on_too_long(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until the request has ended. */
static void wait_for(struct ev_loop *loop, const struct outcome *outcome)
{
    ev_timer limit;

    ev_timer_init(&limit, on_too_long, 20., 0.);
    ev_timer_start(loop, &limit);
    while (outcome->calls == 0 && ev_is_active(&limit))
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &limit);
    assert_int_equal(outcome->calls, 1);
}

struct fixture {
    struct ev_loop *loop;
    struct http_client *client;
    struct server *server;
    char url[128];
};

static const char *url_of(struct fixture *fixture, const char *path)
{
    snprintf(fixture->url, sizeof(fixture->url), "%s%s", fixture->server->url, path);
    return fixture->url;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->loop = ev_loop_new(0);
    fixture->client = http_client_open(fixture->loop);
    assert_non_null(fixture->client);
    fixture->server = server_start(false);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    http_client_close(fixture->client);
    server_stop(fixture->server);
    ev_loop_destroy(fixture->loop);
    free(fixture);
    return 0;
}

static struct outcome fetch(struct fixture *fixture, const char *path,
                            struct http_request_options options)
{
    struct outcome outcome = {0};

    options.url = url_of(fixture, path);
    assert_non_null(start(fixture->client, &outcome, options));
    wait_for(fixture->loop, &outcome);
    return outcome;
}

/* --- the tests ------------------------------------------------------------------------------ */

static void gives_status_and_body(void **state)
{
    struct outcome outcome = fetch(*state, "/ok", (struct http_request_options){0});

    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "hello");
    assert_string_equal(outcome.detail, "");
}

static void follows_no_redirect(void **state)
{
    struct outcome outcome = fetch(*state, "/redirect", (struct http_request_options){0});

    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.status, 302);
}

static void reuses_connections_unless_told_otherwise(void **state)
{
    struct fixture *fixture = *state;
    struct server *second;

    fetch(fixture, "/ok", (struct http_request_options){0});
    fetch(fixture, "/ok", (struct http_request_options){0});
    /* The pooled one is let go, for the server serves one connection at a time. */
    http_client_close(fixture->client);
    fixture->client = http_client_open(fixture->loop);
    assert_int_equal(server_stop(fixture->server), 1);

    second = fixture->server = server_start(false);
    fetch(fixture, "/ok", (struct http_request_options){.fresh_connection = true});
    fetch(fixture, "/ok", (struct http_request_options){.fresh_connection = true});
    assert_int_equal(server_stop(second), 2);
    fixture->server = server_start(false);
}

static void sends_method_headers_and_body(void **state)
{
    static const char *const headers[] = {"X-One: 1", "Content-Type: application/json", NULL};
    struct fixture *fixture = *state;
    const char *request = fixture->server->request;

    fetch(fixture, "/ok",
          (struct http_request_options){
              .method = "POST", .headers = headers, .body = SLICE("{\"a\":1}")});
    assert_non_null(strstr(request, "POST /ok HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "X-One: 1\r\n"));
    assert_non_null(strstr(request, "Content-Length: 7\r\n"));
    assert_non_null(strstr(request, "{\"a\":1}"));
    assert_null(strstr(request, "form-urlencoded"));
    assert_null(strstr(request, "Expect:"));
}

static void sends_an_empty_post_with_length_zero(void **state)
{
    struct fixture *fixture = *state;

    fetch(fixture, "/ok", (struct http_request_options){.method = "POST"});
    assert_non_null(strstr(fixture->server->request, "Content-Length: 0\r\n"));
    assert_null(strstr(fixture->server->request, "Content-Type:"));
}

static void sends_other_methods_as_they_are(void **state)
{
    struct fixture *fixture = *state;

    fetch(fixture, "/ok", (struct http_request_options){.method = "DELETE"});
    assert_non_null(strstr(fixture->server->request, "DELETE /ok HTTP/1.1\r\n"));
}

static void speaks_over_a_unix_socket(void **state)
{
    struct fixture *fixture = *state;
    struct server *server = server_start(true);
    struct outcome outcome = {0};

    start(fixture->client, &outcome,
          (struct http_request_options){.url = "http://engine/ok",
                                        .unix_socket = server->socket_path});
    wait_for(fixture->loop, &outcome);
    assert_int_equal(outcome.error, 0);
    assert_string_equal(outcome.body, "hello");
    assert_non_null(strstr(server->request, "Host: engine\r\n"));
    http_client_close(fixture->client);
    fixture->client = http_client_open(fixture->loop);
    server_stop(server);
}

static void a_missing_socket_is_enoent(void **state)
{
    struct outcome outcome = fetch(
        *state, "/ok", (struct http_request_options){.unix_socket = "/tmp/sluice-test-no-such"});

    assert_int_equal(outcome.error, -ENOENT);
    assert_int_not_equal(outcome.detail[0], '\0');
}

static void a_socket_that_nobody_listens_on_is_econnrefused(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct outcome outcome;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/sluice-test-dead-%d", (int)getpid());
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    outcome = fetch(fixture, "/ok", (struct http_request_options){.unix_socket = address.sun_path});
    assert_int_equal(outcome.error, -ECONNREFUSED);
    close(fd);
    unlink(address.sun_path);
}

static void a_closed_port_is_econnrefused(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct outcome outcome = {0};
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound but not listening: the port stays ours */

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
    start(fixture->client, &outcome, (struct http_request_options){.url = url});
    wait_for(fixture->loop, &outcome);
    assert_int_equal(outcome.error, -ECONNREFUSED);
    close(fd);
}

static void the_whole_request_has_a_timeout(void **state)
{
    struct outcome outcome =
        fetch(*state, "/never", (struct http_request_options){.timeout_ms = 80});

    assert_int_equal(outcome.error, -ETIMEDOUT);
}

static void a_stream_that_falls_silent_is_etimedout(void **state)
{
    struct outcome outcome = fetch(
        *state, "/quiet", (struct http_request_options){.silence_ms = 80, .on_data = on_data});

    assert_int_equal(outcome.error, -ETIMEDOUT);
    assert_string_equal(outcome.detail, "no byte for 80 ms");
    assert_int_equal(outcome.data_length, 3);
}

static void a_body_that_is_too_large_is_emsgsize_with_its_beginning(void **state)
{
    struct outcome outcome =
        fetch(*state, "/large", (struct http_request_options){.max_bytes = 100});

    assert_int_equal(outcome.error, -EMSGSIZE);
    assert_int_equal(outcome.status, 200);
    assert_int_equal(outcome.body_length, 100);
}

static void a_body_of_just_the_limit_is_taken(void **state)
{
    struct outcome outcome =
        fetch(*state, "/large", (struct http_request_options){.max_bytes = 65536});

    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.body_length, 65536);
}

static void endless_headers_are_emsgsize(void **state)
{
    struct outcome outcome = fetch(*state, "/headers", (struct http_request_options){0});

    assert_int_equal(outcome.error, -EMSGSIZE);
}

static void a_stream_is_given_piece_by_piece(void **state)
{
    struct outcome outcome =
        fetch(*state, "/pieces", (struct http_request_options){.on_data = on_data});

    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.data_length, 6);
    assert_int_equal(outcome.body_length, 0);
}

static void a_streams_error_text_is_gathered(void **state)
{
    struct outcome outcome =
        fetch(*state, "/missing", (struct http_request_options){.on_data = on_data});

    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.status, 404);
    assert_string_equal(outcome.body, "no such x");
    assert_int_equal(outcome.pieces, 0);
}

static void a_stream_that_is_cut_is_eio(void **state)
{
    struct outcome outcome =
        fetch(*state, "/cut", (struct http_request_options){.on_data = on_data});

    assert_int_equal(outcome.error, -EIO);
    assert_int_not_equal(outcome.detail[0], '\0');
}

static void on_data_can_refuse_more(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {.pieces_wanted = 1};

    start(fixture->client, &outcome,
          (struct http_request_options){.url = url_of(fixture, "/quiet"), .on_data = on_data});
    wait_for(fixture->loop, &outcome);
    assert_int_equal(outcome.error, -ECANCELED);
}

static void can_be_cancelled_inside_its_own_callback(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {.pieces_wanted = 1, .cancel = true};

    start(fixture->client, &outcome,
          (struct http_request_options){.url = url_of(fixture, "/quiet"), .on_data = on_data});
    wait_for(fixture->loop, &outcome);
    assert_int_equal(outcome.error, -ECANCELED);
    ev_run(fixture->loop, EVRUN_NOWAIT);
    assert_int_equal(outcome.calls, 1);
}

static void a_callback_can_start_another_request(void **state)
{
    struct fixture *fixture = *state;
    struct outcome second = {0};
    struct outcome outcome = {.next = &second, .next_url = url_of(fixture, "/ok")};
    char url[128];

    snprintf(url, sizeof(url), "%s/pieces", fixture->server->url);
    start(fixture->client, &outcome, (struct http_request_options){.url = url, .on_data = on_data});
    wait_for(fixture->loop, &outcome);
    assert_int_equal(outcome.error, 0);
    wait_for(fixture->loop, &second);
    assert_int_equal(second.error, 0);
    assert_string_equal(second.body, "hello");
}

static void cancel_calls_on_done_before_it_returns(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome = {0};
    struct http_request *request = start(
        fixture->client, &outcome, (struct http_request_options){.url = url_of(fixture, "/never")});

    ev_run(fixture->loop, EVRUN_NOWAIT);
    http_request_cancel(request);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.error, -ECANCELED);
}

static void closing_cancels_what_is_in_flight(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[3] = {{0}};

    for (int i = 0; i < 3; i++)
        start(fixture->client, &outcomes[i],
              (struct http_request_options){.url = url_of(fixture, "/never")});
    ev_run(fixture->loop, EVRUN_NOWAIT);
    http_client_close(fixture->client);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].error, -ECANCELED);
    }
    fixture->client = http_client_open(fixture->loop);
}

static void refuses_what_is_no_http_url(void **state)
{
    static const char *const urls[] = {"", "http://", "file:///etc/passwd", "ftp://127.0.0.1/",
                                       "http://a b/"};
    struct fixture *fixture = *state;
    struct outcome outcome = {0};

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_null(
            start(fixture->client, &outcome, (struct http_request_options){.url = urls[i]}));
    assert_int_equal(outcome.calls, 0);
}

static void takes_no_proxy_from_the_environment(void **state)
{
    struct outcome outcome;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    outcome = fetch(*state, "/ok", (struct http_request_options){0});
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(outcome.error, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_status_and_body),
        TEST(follows_no_redirect),
        TEST(reuses_connections_unless_told_otherwise),
        TEST(sends_method_headers_and_body),
        TEST(sends_an_empty_post_with_length_zero),
        TEST(sends_other_methods_as_they_are),
        TEST(speaks_over_a_unix_socket),
        TEST(a_missing_socket_is_enoent),
        TEST(a_socket_that_nobody_listens_on_is_econnrefused),
        TEST(a_closed_port_is_econnrefused),
        TEST(the_whole_request_has_a_timeout),
        TEST(a_stream_that_falls_silent_is_etimedout),
        TEST(a_body_that_is_too_large_is_emsgsize_with_its_beginning),
        TEST(a_body_of_just_the_limit_is_taken),
        TEST(endless_headers_are_emsgsize),
        TEST(a_stream_is_given_piece_by_piece),
        TEST(a_streams_error_text_is_gathered),
        TEST(a_stream_that_is_cut_is_eio),
        TEST(on_data_can_refuse_more),
        TEST(can_be_cancelled_inside_its_own_callback),
        TEST(a_callback_can_start_another_request),
        TEST(cancel_calls_on_done_before_it_returns),
        TEST(closing_cancels_what_is_in_flight),
        TEST(refuses_what_is_no_http_url),
        TEST(takes_no_proxy_from_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
