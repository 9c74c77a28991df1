/* The admin API's transport over real sockets: the clients are watchers on the server's own loop,
 * so nothing sleeps and nothing races. */
#include "base/memory.h"
#include "tests/unit/unit.h"
#include "updater/admin.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCHDOG_SECONDS 20.

static char folder[64];
static char path[96];
static struct ev_loop *loop;
static struct admin *admin;
static unsigned handled;
static struct admin_deferred *deferred;

struct client {
    ev_io watcher;
    int fd;
    char *text;
    size_t length;
    bool ended;
};

static void on_watchdog(struct ev_loop *where, ev_timer *watcher, int events)
{
    (void)where;
    (void)watcher;
    (void)events;
    fail_msg("nothing happened for too long");
}

static void handle(void *context, const struct admin_request *request,
                   struct admin_answer *ret_answer)
{
    (void)context;
    handled++;
    if (strcmp(request->path, "/v1/text") == 0) {
        ret_answer->text = memory_copy_string("sluice_up 1\n");
        ret_answer->content_type = "text/plain; version=0.0.4";
        return;
    }
    if (strcmp(request->path, "/v1/latin") == 0) { /* as a script may say it */
        admin_error(ret_answer, 422, "x", "caf\xe9");
        return;
    }
    if (strcmp(request->path, "/v1/later") == 0) {
        deferred = admin_defer(request);
        return;
    }
    if (strcmp(request->path, "/v1/publish") == 0) {
        admin_publish(admin, "service", request->body);
        ret_answer->body = cJSON_CreateObject();
        return;
    }
    if (strcmp(request->path, "/v1/echo") != 0) {
        admin_error(ret_answer, 404, "not-found", "no such thing: %s", request->path);
        return;
    }
    ret_answer->status = 201;
    ret_answer->body = cJSON_CreateObject();
    cJSON_AddStringToObject(ret_answer->body, "method", request->method);
    cJSON_AddNumberToObject(ret_answer->body, "uid", request->uid);
    cJSON_AddNumberToObject(ret_answer->body, "pid", request->pid);
    const char *limit = admin_query(request, "limit");
    if (limit != NULL)
        cJSON_AddStringToObject(ret_answer->body, "limit", limit);
    if (request->body != NULL)
        cJSON_AddItemToObject(ret_answer->body, "body", cJSON_Duplicate(request->body, 1));
}

static void on_readable(struct ev_loop *where, ev_io *watcher, int events)
{
    struct client *client = watcher->data;
    char bytes[65536];
    (void)events;
    ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        client->ended = true;
        ev_io_stop(where, watcher);
        return;
    }
    client->text = memory_resize(client->text, client->length + (size_t)got + 1);
    memcpy(client->text + client->length, bytes, (size_t)got);
    client->length += (size_t)got;
    client->text[client->length] = '\0';
}

static void client_open(struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(client, 0, sizeof *client);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    client->text = memory_copy_string("");
    ev_io_init(&client->watcher, on_readable, client->fd, EV_READ);
    client->watcher.data = client;
    ev_io_start(loop, &client->watcher);
}

static void client_close(struct client *client)
{
    ev_io_stop(loop, &client->watcher);
    close(client->fd);
    free(client->text);
}

/* Runs the loop while `pending` holds, at most until the watchdog. */
static void turn(void)
{
    ev_timer watchdog;
    ev_timer_init(&watchdog, on_watchdog, WATCHDOG_SECONDS, 0.);
    ev_timer_start(loop, &watchdog);
    ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &watchdog);
}

/* For what happens before the loop waits, so that nothing would end its waiting. */
static void turn_without_waiting(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

static void client_send(struct client *client, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            turn();
            continue;
        }
        data += sent;
        length -= (size_t)sent;
    }
}

static void client_wait(struct client *client, const char *text)
{
    while (strstr(client->text, text) == NULL) {
        assert_false(client->ended);
        turn();
    }
}

static void client_wait_end(struct client *client)
{
    while (!client->ended)
        turn();
}

/* Sends one request and waits for its whole answer; the connection closes after it. */
static void ask(struct client *client, const char *method, const char *target, const char *body)
{
    client_open(client);
    char *head = memory_format("%s %s HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               method, target, strlen(body));
    client_send(client, head, strlen(head));
    client_send(client, body, strlen(body));
    free(head);
    client_wait_end(client);
}

static void follow(struct client *client, const char *query, const char *last_event_id)
{
    client_open(client);
    char *head = memory_format("GET /v1/events%s HTTP/1.1\r\nHost: sluice\r\n%s%s%s\r\n", query,
                               last_event_id != NULL ? "Last-Event-ID: " : "",
                               last_event_id != NULL ? last_event_id : "",
                               last_event_id != NULL ? "\r\n" : "");
    client_send(client, head, strlen(head));
    free(head);
    client_wait(client, "retry: 1000\n\n");
}

static void publish(const char *event, const char *json)
{
    struct cJSON *data = cJSON_Parse(json);
    assert_non_null(data);
    admin_publish(admin, event, data);
    cJSON_Delete(data);
}

/* The id in the line before `event`, as text. */
static void id_of(const struct client *client, const char *event, char id[32])
{
    const char *found = strstr(client->text, event);
    assert_non_null(found);
    while (found > client->text && strncmp(found, "id: ", 4) != 0)
        found--;
    assert_int_equal(sscanf(found, "id: %31s", id), 1);
}

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sluice-admin-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run/admin.sock", folder);
    loop = ev_loop_new(EVFLAG_AUTO);
    handled = 0;
    assert_int_equal(admin_open(loop, path, handle, NULL, &admin), 0);
    return 0;
}

static int stop(void **state)
{
    char run[96];
    (void)state;
    admin_close(admin);
    ev_loop_destroy(loop);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(run, sizeof run, "%s/run", folder);
    rmdir(run);
    return rmdir(folder);
}

static void answers_with_json_and_knows_its_peer(void **state)
{
    struct client client;
    char expected[64];
    (void)state;
    ask(&client, "POST", "/v1/echo?limit=20", "{\"image\": \"web:v2\"}\n");
    assert_non_null(strstr(client.text, "HTTP/1.1 201 "));
    assert_non_null(strstr(client.text, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(client.text, "\"method\":\"POST\""));
    assert_non_null(strstr(client.text, "\"limit\":\"20\""));
    assert_non_null(strstr(client.text, "\"body\":{\"image\":\"web:v2\"}"));
    snprintf(expected, sizeof expected, "\"uid\":%d,\"pid\":%d", (int)getuid(), (int)getpid());
    assert_non_null(strstr(client.text, expected));
    client_close(&client);
}

static void answers_with_text_of_its_own_type(void **state)
{
    struct client client;
    (void)state;
    ask(&client, "GET", "/v1/text", "");
    assert_non_null(strstr(client.text, "HTTP/1.1 200 "));
    assert_non_null(strstr(client.text, "Content-Type: text/plain; version=0.0.4\r\n"));
    assert_non_null(strstr(client.text, "\r\n\r\nsluice_up 1\n"));
    client_close(&client);
}

static void serves_many_requests_on_one_connection(void **state)
{
    struct client client;
    const char *request = "GET /v1/text HTTP/1.1\r\nHost: sluice\r\n\r\n";
    (void)state;
    client_open(&client);
    for (unsigned i = 0; i < 20; i++) {
        client_send(&client, request, strlen(request));
        client_wait(&client, "sluice_up 1\n");
        client.length = 0;
        client.text[0] = '\0';
    }
    assert_int_equal(handled, 20);
    client_close(&client);
}

/* Begins a request whose answer is deferred. */
static void ask_later(struct client *client)
{
    const char *request = "POST /v1/later HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n"
                          "Content-Length: 2\r\n\r\n{}";
    deferred = NULL;
    client_open(client);
    client_send(client, request, strlen(request));
    while (deferred == NULL)
        turn_without_waiting();
}

static void answers_later_where_it_has_to_ask_others(void **state)
{
    struct client client, other;
    struct admin_answer answer = {.status = 201, .body = cJSON_CreateObject()};
    (void)state;
    ask_later(&client);
    ask(&other, "GET", "/v1/text", "");
    assert_non_null(strstr(other.text, "HTTP/1.1 200 "));
    client_close(&other);
    assert_string_equal(client.text, "");
    admin_answer_deferred(deferred, &answer);
    client_wait_end(&client);
    assert_non_null(strstr(client.text, "HTTP/1.1 201 "));
    client_close(&client);
}

static void an_answer_may_come_after_its_client_has_gone(void **state)
{
    struct client client;
    struct admin_answer answer = {.status = 201, .body = cJSON_CreateObject()};
    (void)state;
    ask_later(&client);
    client_close(&client);
    admin_answer_deferred(deferred, &answer);
    ask(&client, "GET", "/v1/text", "");
    assert_non_null(strstr(client.text, "HTTP/1.1 200 "));
    client_close(&client);
}

static void tells_whoever_still_waits_that_it_closes(void **state)
{
    struct client client;
    (void)state;
    ask_later(&client);
    admin_close(admin);
    client_wait_end(&client);
    assert_non_null(strstr(client.text, "HTTP/1.1 503 "));
    client_close(&client);
    assert_int_equal(admin_open(loop, path, handle, NULL, &admin), 0);
}

static void says_where_a_body_stops_being_json(void **state)
{
    struct client client;
    (void)state;
    ask(&client, "POST", "/v1/echo", "{\n  \"image\": oops\n}");
    assert_non_null(strstr(client.text, "HTTP/1.1 400 "));
    assert_non_null(strstr(client.text, "\"code\":\"bad-request\""));
    assert_non_null(strstr(client.text, "line 2, column 12"));
    client_close(&client);
    ask(&client, "POST", "/v1/echo", "{} trailing");
    assert_non_null(strstr(client.text, "HTTP/1.1 400 "));
    assert_non_null(strstr(client.text, "line 1, column 4"));
    client_close(&client);
    assert_int_equal(handled, 0);
}

static void refuses_a_body_that_is_too_large(void **state)
{
    struct client client;
    (void)state;
    char *body = memory_new(ADMIN_BODY_BYTES_MAX + 2);
    memset(body, ' ', ADMIN_BODY_BYTES_MAX + 1);
    body[0] = '1';
    ask(&client, "POST", "/v1/echo", body);
    assert_non_null(strstr(client.text, "HTTP/1.1 413 "));
    assert_int_equal(handled, 0);
    client_close(&client);
    body[ADMIN_BODY_BYTES_MAX] = '\0';
    ask(&client, "POST", "/v1/echo", body);
    assert_non_null(strstr(client.text, "HTTP/1.1 201 "));
    client_close(&client);
    free(body);
}

static void refuses_methods_it_does_not_know(void **state)
{
    struct client client;
    (void)state;
    ask(&client, "DELETE", "/v1/echo", "");
    assert_non_null(strstr(client.text, "HTTP/1.1 405 "));
    assert_non_null(strstr(client.text, "Allow: GET, POST\r\n"));
    assert_non_null(strstr(client.text, "\"code\":\"method-not-allowed\""));
    client_close(&client);
    ask(&client, "POST", "/v1/events", "");
    assert_non_null(strstr(client.text, "HTTP/1.1 405 "));
    client_close(&client);
    assert_int_equal(handled, 0);
}

static void whatever_was_said_it_gives_out_utf_8(void **state)
{
    struct client client, follower;
    (void)state;
    ask(&client, "GET", "/v1/latin", "");
    assert_non_null(strstr(client.text, "\"message\":\"caf?\""));
    client_close(&client);
    follow(&follower, "", NULL);
    publish("service", "{\"reason\": \"caf\xe9\"}");
    client_wait(&follower, "data: {\"reason\":\"caf?\"}\n\n");
    client_close(&follower);
}

static void streams_events_to_each_client_that_follows(void **state)
{
    struct client first, second, poster;
    (void)state;
    follow(&first, "", NULL);
    follow(&second, "", NULL);
    assert_non_null(strstr(first.text, "Content-Type: text/event-stream\r\n"));
    publish("rollout_updated", "{\"service\": \"web\", \"n\": 1}");
    client_wait(&first, "event: rollout_updated\ndata: {\"service\":\"web\",\"n\":1}\n\n");
    client_wait(&second, "event: rollout_updated\ndata: {\"service\":\"web\",\"n\":1}\n\n");
    /* from inside a handler too */
    ask(&poster, "POST", "/v1/publish", "{\"name\": \"web\", \"n\": 2}");
    client_wait(&first, "data: {\"name\":\"web\",\"n\":2}\n\n");
    client_wait(&second, "data: {\"name\":\"web\",\"n\":2}\n\n");
    client_close(&first);
    client_close(&second);
    client_close(&poster);
}

static void sends_only_the_service_that_was_asked_for(void **state)
{
    struct client client;
    (void)state;
    follow(&client, "?service=web", NULL);
    publish("service", "{\"name\": \"shop\", \"n\": 1}");
    publish("rollout_updated", "{\"service\": \"shop\", \"name\": \"web\", \"n\": 2}");
    publish("service", "{\"name\": \"web\", \"n\": 3}");
    publish("drain_started", "{\"service\": \"web\", \"n\": 4}");
    client_wait(&client, "\"n\":4}");
    assert_non_null(strstr(client.text, "\"n\":3}"));
    assert_null(strstr(client.text, "shop"));
    client_close(&client);
}

static void gives_what_was_missed_to_a_client_that_comes_back(void **state)
{
    struct client client;
    char id[32], past[64];
    (void)state;
    follow(&client, "", NULL);
    publish("service", "{\"n\": 1}");
    client_wait(&client, "\"n\":1}");
    id_of(&client, "event: service", id);
    client_close(&client);
    publish("service", "{\"n\": 2}");
    publish("service", "{\"n\": 3}");
    follow(&client, "", id);
    client_wait(&client, "\"n\":3}");
    assert_null(strstr(client.text, "\"n\":1}"));
    assert_true(strstr(client.text, "\"n\":2}") < strstr(client.text, "\"n\":3}"));
    client_close(&client);
    /* an id of an earlier run of the updater: all that is kept; one that cannot be ours: nothing */
    follow(&client, "", "12");
    client_wait(&client, "\"n\":3}");
    assert_non_null(strstr(client.text, "\"n\":1}"));
    client_close(&client);
    snprintf(past, sizeof past, "99%s", id);
    follow(&client, "", past);
    publish("service", "{\"n\": 4}");
    client_wait(&client, "\"n\":4}");
    assert_null(strstr(client.text, "\"n\":3}"));
    client_close(&client);
}

static void keeps_a_bounded_number_of_events(void **state)
{
    struct client client;
    char json[32];
    (void)state;
    for (unsigned i = 0; i < ADMIN_EVENTS_KEPT + 5; i++) {
        snprintf(json, sizeof json, "{\"n\": %u}", i);
        publish("service", json);
    }
    follow(&client, "", "1");
    snprintf(json, sizeof json, "{\"n\":%u}", ADMIN_EVENTS_KEPT + 4);
    client_wait(&client, json);
    assert_non_null(strstr(client.text, "{\"n\":5}"));
    assert_null(strstr(client.text, "{\"n\":4}"));
    client_close(&client);
}

static char *large_event(size_t size)
{
    char *filler = memory_new(size + 1);
    memset(filler, 'x', size);
    char *json = memory_format("{\"name\":\"web\",\"filler\":\"%s\"}", filler);
    free(filler);
    return json;
}

static void cuts_off_a_client_that_does_not_read(void **state)
{
    struct client slow, quick;
    (void)state;
    follow(&slow, "", NULL);
    follow(&quick, "", NULL);
    ev_io_stop(loop, &slow.watcher);
    char *json = large_event(256 * 1024);
    for (unsigned i = 0; i < 12; i++) {
        publish("service", json);
        size_t wanted = quick.length + strlen(json);
        while (quick.length < wanted)
            turn();
    }
    free(json);
    publish("service", "{\"n\": 13}");
    client_wait(&quick, "{\"n\":13}");
    assert_false(quick.ended);
    ev_io_start(loop, &slow.watcher);
    client_wait_end(&slow);
    assert_null(strstr(slow.text, "{\"n\":13}"));
    client_close(&slow);
    client_close(&quick);
}

static void does_not_cut_off_for_what_was_missed(void **state)
{
    struct client client;
    (void)state;
    char *json = large_event(512 * 1024);
    for (unsigned i = 0; i < 6; i++)
        publish("service", json);
    free(json);
    follow(&client, "", "1");
    publish("service", "{\"n\": 7}");
    client_wait(&client, "{\"n\":7}");
    client_close(&client);
}

static void allows_a_bounded_number_of_streams(void **state)
{
    static struct client clients[ADMIN_STREAMS_MAX];
    struct client more;
    (void)state;
    for (unsigned i = 0; i < ADMIN_STREAMS_MAX; i++)
        follow(&clients[i], "", NULL);
    ask(&more, "GET", "/v1/events", "");
    assert_non_null(strstr(more.text, "HTTP/1.1 503 "));
    client_close(&more);
    ask(&more, "GET", "/v1/text", "");
    assert_non_null(strstr(more.text, "HTTP/1.1 200 "));
    client_close(&more);
    for (unsigned i = 0; i < ADMIN_STREAMS_MAX; i++)
        client_close(&clients[i]);
}

static void ends_open_streams_when_it_closes(void **state)
{
    struct client idle, behind;
    (void)state;
    follow(&idle, "", NULL);
    follow(&behind, "", NULL);
    ev_io_stop(loop, &behind.watcher);
    char *json = large_event(512 * 1024);
    publish("service", json);
    free(json);
    client_wait(&idle, "filler");
    admin_close(admin);
    client_wait_end(&idle);
    client_close(&idle);
    client_close(&behind);
    assert_int_equal(admin_open(loop, path, handle, NULL, &admin), 0);
}

static void on_enough(struct ev_loop *where, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(where, EVBREAK_ALL);
}

static void sleeps_while_a_stream_has_nothing_to_say(void **state)
{
    struct client client;
    ev_timer enough;
    (void)state;
    follow(&client, "", NULL);
    publish("service", "{\"n\": 1}");
    client_wait(&client, "{\"n\":1}");
    ev_timer_init(&enough, on_enough, 0.2, 0.);
    ev_timer_start(loop, &enough);
    unsigned before = ev_iteration(loop);
    ev_run(loop, 0);
    assert_in_range(ev_iteration(loop) - before, 1, 10);
    client_close(&client);
}

static void makes_the_socket_for_owner_and_group_only(void **state)
{
    struct stat found;
    (void)state;
    assert_int_equal(lstat(path, &found), 0);
    assert_true(S_ISSOCK(found.st_mode));
    assert_int_equal(found.st_mode & 0777, 0660);
}

static void leaves_a_socket_alone_that_answers(void **state)
{
    struct admin *other = NULL;
    struct client client;
    (void)state;
    assert_int_equal(admin_open(loop, path, handle, NULL, &other), -EADDRINUSE);
    ask(&client, "GET", "/v1/text", "");
    assert_non_null(strstr(client.text, "HTTP/1.1 200 "));
    client_close(&client);
}

static void replaces_a_socket_that_nobody_answers_on(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct client client;
    (void)state;
    admin_close(admin);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(admin_open(loop, path, handle, NULL, &admin), 0);
    ask(&client, "GET", "/v1/text", "");
    assert_non_null(strstr(client.text, "HTTP/1.1 200 "));
    client_close(&client);
}

static void never_replaces_a_file(void **state)
{
    struct admin *other = NULL;
    char file[96];
    (void)state;
    snprintf(file, sizeof file, "%s/file", folder);
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    fclose(stream);
    assert_int_equal(admin_open(loop, file, handle, NULL, &other), -EEXIST);
    assert_int_equal(access(file, F_OK), 0);
    unlink(file);
    char too_long[256];
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(admin_open(loop, too_long, handle, NULL, &other), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_with_json_and_knows_its_peer, start, stop),
        cmocka_unit_test_setup_teardown(answers_with_text_of_its_own_type, start, stop),
        cmocka_unit_test_setup_teardown(serves_many_requests_on_one_connection, start, stop),
        cmocka_unit_test_setup_teardown(answers_later_where_it_has_to_ask_others, start, stop),
        cmocka_unit_test_setup_teardown(an_answer_may_come_after_its_client_has_gone, start, stop),
        cmocka_unit_test_setup_teardown(tells_whoever_still_waits_that_it_closes, start, stop),
        cmocka_unit_test_setup_teardown(says_where_a_body_stops_being_json, start, stop),
        cmocka_unit_test_setup_teardown(refuses_a_body_that_is_too_large, start, stop),
        cmocka_unit_test_setup_teardown(refuses_methods_it_does_not_know, start, stop),
        cmocka_unit_test_setup_teardown(whatever_was_said_it_gives_out_utf_8, start, stop),
        cmocka_unit_test_setup_teardown(streams_events_to_each_client_that_follows, start, stop),
        cmocka_unit_test_setup_teardown(sends_only_the_service_that_was_asked_for, start, stop),
        cmocka_unit_test_setup_teardown(gives_what_was_missed_to_a_client_that_comes_back, start,
                                        stop),
        cmocka_unit_test_setup_teardown(keeps_a_bounded_number_of_events, start, stop),
        cmocka_unit_test_setup_teardown(cuts_off_a_client_that_does_not_read, start, stop),
        cmocka_unit_test_setup_teardown(does_not_cut_off_for_what_was_missed, start, stop),
        cmocka_unit_test_setup_teardown(allows_a_bounded_number_of_streams, start, stop),
        cmocka_unit_test_setup_teardown(ends_open_streams_when_it_closes, start, stop),
        cmocka_unit_test_setup_teardown(sleeps_while_a_stream_has_nothing_to_say, start, stop),
        cmocka_unit_test_setup_teardown(makes_the_socket_for_owner_and_group_only, start, stop),
        cmocka_unit_test_setup_teardown(leaves_a_socket_alone_that_answers, start, stop),
        cmocka_unit_test_setup_teardown(replaces_a_socket_that_nobody_answers_on, start, stop),
        cmocka_unit_test_setup_teardown(never_replaces_a_file, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
