/* Heads as they go out, parsed from what came in. */
#include "proxy/answer.h"
#include "proxy/forward.h"
#include "proxy/forwarded.h"
#include "proxy/limits.h"
#include "tests/unit/unit.h"

static struct http1_request request;
static struct http1_response response;
static char out[HEAD_OUT_BYTES_MAX];

static const struct forward_request_options stranger = {.peer_ip = {"192.0.2.1", 9},
                                                        .request_id = {"id", 2}};

static void check_request_from(const struct forward_request_options *options, const char *in,
                               const char *expected)
{
    size_t scanned = 0, length = 0;

    assert_int_equal(http1_parse_request(slice_from_string(in), &scanned, &request, &length),
                     HTTP1_DONE);
    length = forward_request(out, sizeof(out) - 1, &request, options);
    out[length] = 0;
    assert_string_equal(out, expected);
}

static void check_request(const char *in, const char *expected)
{
    check_request_from(&stranger, in, expected);
}

static void check_request_with(const char *in, const char *own_cookie, const char *expected)
{
    struct forward_request_options options = stranger;

    options.own_cookie = slice_from_string(own_cookie);
    check_request_from(&options, in, expected);
}

static void check_response(const char *in, enum http_method method,
                           const struct forward_response_options *options, const char *expected)
{
    size_t scanned = 0, length = 0;

    assert_int_equal(
        http1_parse_response(slice_from_string(in), method, &scanned, &response, &length),
        HTTP1_DONE);
    length = forward_response(out, sizeof(out) - 1, &response, options);
    out[length] = 0;
    assert_string_equal(out, expected);
}

static void plain_request_gets_what_this_proxy_saw(void **state)
{
    (void)state;
    check_request("GET /a?b HTTP/1.1\r\nHost: h.example:8080\r\nAccept: */*\r\n\r\n",
                  "GET /a?b HTTP/1.1\r\nHost: h.example:8080\r\nAccept: */*\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h.example:8080\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h.example:8080\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

#define COOKIE_HEAD "GET / HTTP/1.1\r\nHost: h\r\n"
#define COOKIE_END                                                                                 \
    "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"                                    \
    "X-Forwarded-Host: h\r\nForwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"                    \
    "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n"

static void own_cookie_stays_with_the_proxy(void **state)
{
    (void)state;
    check_request_with(COOKIE_HEAD "Cookie: a=1; own=x; b=2\r\ncookie: own=y\r\n\r\n", "own",
                       COOKIE_HEAD "Cookie: a=1; b=2\r\n" COOKIE_END);
    check_request_with(COOKIE_HEAD "Cookie: own=x;own=;; c\r\n\r\n", "own",
                       COOKIE_HEAD "Cookie: c\r\n" COOKIE_END);
    /* what has none of ours is left as it is */
    check_request_with(COOKIE_HEAD "Cookie: a=1;;  own2=x;Own=y; own\r\n\r\n", "own",
                       COOKIE_HEAD "Cookie: a=1;;  own2=x;Own=y; own\r\n" COOKIE_END);
    check_request_with(COOKIE_HEAD "Cookie: own=x\r\n\r\n", "",
                       COOKIE_HEAD "Cookie: own=x\r\n" COOKIE_END);
}

static void what_the_client_claims_of_itself_is_replaced(void **state)
{
    (void)state;
    check_request("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\n"
                  "x-forwarded-proto: https\r\nX-FORWARDED-HOST: evil\r\nForwarded: for=1.1.1.1\r\n"
                  "X_Forwarded_For: 1.1.1.1\r\nX-Forwarded_Host: evil\r\n\r\n",
                  "GET / HTTP/1.1\r\nHost: h\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void what_a_trusted_proxy_says_is_extended(void **state)
{
    struct forward_request_options options = stranger;

    (void)state;
    options.trusted = true;
    check_request_from(&options,
                       "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.7\r\n"
                       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
                       "X-Forwarded-For: 10.0.0.2\r\nForwarded: for=198.51.100.7;proto=https\r\n"
                       "X-Real-IP: 198.51.100.7\r\nX-Forwarded-Port: 443\r\n"
                       "X_Forwarded_For: 1.1.1.1\r\nVia: 1.1 edge\r\n\r\n",
                       "GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 198.51.100.7\r\n"
                       "X-Forwarded-Port: 443\r\nVia: 1.1 edge\r\n"
                       "X-Forwarded-For: 198.51.100.7, 10.0.0.2, 192.0.2.1\r\n"
                       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
                       "Forwarded: for=198.51.100.7;proto=https, "
                       "for=192.0.2.1;host=\"h\";proto=http\r\n"
                       "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
    check_request_from(&options,
                       "GET / HTTP/1.0\r\nX-Forwarded-Proto: a\r\nX-Forwarded-Proto: b\r\n"
                       "X-Forwarded-Host:\r\nX-Forwarded-For: \r\n\r\n",
                       "GET / HTTP/1.1\r\nHost: \r\nX-Forwarded-For: 192.0.2.1\r\n"
                       "X-Forwarded-Proto: http\r\nForwarded: for=192.0.2.1;proto=http\r\n"
                       "X-Request-Id: id\r\nVia: 1.0 sluice\r\n\r\n");
}

static void ipv6_and_tls_are_told(void **state)
{
    struct forward_request_options options = {
        .peer_ip = {"2001:db8::1", 11}, .tls = true, .request_id = {"id", 2}};

    (void)state;
    check_request_from(&options, "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n",
                       "GET / HTTP/1.1\r\nHost: [::1]:8443\r\nX-Forwarded-For: 2001:db8::1\r\n"
                       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: [::1]:8443\r\n"
                       "Forwarded: for=\"[2001:db8::1]\";host=\"[::1]:8443\";proto=https\r\n"
                       "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void options_are_told_how_far_they_may_go(void **state)
{
    (void)state;
    check_request("OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 010\r\n\r\n",
                  "OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 9\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h\r\nForwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void expectation_is_sent_once(void **state)
{
    (void)state;
    check_request("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                  "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n",
                  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                  "Expect: 100-continue\r\nX-Forwarded-For: 192.0.2.1\r\n"
                  "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void hop_by_hop_fields_of_a_request_stay_behind(void **state)
{
    (void)state;
    check_request("GET / HTTP/1.1\r\nHost: h\r\nConnection: a, close\r\nA: 1\r\nB: 2\r\n"
                  "Keep-Alive: 3\r\nTE: trailers\r\nTrailer: x\r\nProxy-Connection: y\r\n\r\n",
                  "GET / HTTP/1.1\r\nHost: h\r\nB: 2\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void request_framing_is_one_field(void **state)
{
    (void)state;
    check_request("POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: h\r\n\r\n",
                  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
    check_request("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n",
                  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void upgrade_is_asked_for_anew_and_only_without_a_body(void **state)
{
    (void)state;
    check_request("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
                  "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
                  "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\n"
                  "Upgrade: websocket\r\nX-Forwarded-For: 192.0.2.1\r\n"
                  "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
    check_request("POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Content-Length: 3\r\n\r\n",
                  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: h\r\n"
                  "Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void absolute_form_is_sent_on_as_origin_form(void **state)
{
    (void)state;
    check_request("GET http://real.example/p HTTP/1.1\r\nHost: real.example\r\n\r\n",
                  "GET /p HTTP/1.1\r\nHost: real.example\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: real.example\r\n"
                  "Forwarded: for=192.0.2.1;host=\"real.example\";proto=http\r\n"
                  "X-Request-Id: id\r\nVia: 1.1 sluice\r\n\r\n");
}

static void head_that_does_not_fit_is_refused(void **state)
{
    const struct slice in = SLICE("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t scanned = 0, length = 0;

    (void)state;
    assert_int_equal(http1_parse_request(in, &scanned, &request, &length), HTTP1_DONE);
    size_t whole = forward_request(out, sizeof(out), &request, &stranger);
    assert_int_equal(forward_request(out, whole, &request, &stranger), whole);
    for (size_t size = 0; size < whole; size++)
        assert_int_equal(forward_request(out, size, &request, &stranger), 0);
}

static void answer_is_framed_for_its_client(void **state)
{
    struct forward_response_options options = {.framing = HTTP_BODY_LENGTH, .date = "now"};

    (void)state;
    check_response("HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 5\r\nConnection: x\r\n"
                   "X: hop\r\nY: kept\r\n\r\n",
                   HTTP_GET, &options,
                   "HTTP/1.1 200 OK\r\nDate: then\r\nY: kept\r\nContent-Length: 5\r\n\r\n");
    options = (struct forward_response_options){.framing = HTTP_BODY_CHUNKED, .date = "now"};
    check_response("HTTP/1.0 200 OK\r\n\r\n", HTTP_GET, &options,
                   "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n");
    options =
        (struct forward_response_options){.framing = HTTP_BODY_CLOSE, .close = true, .date = "now"};
    check_response("HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_GET, &options,
                   "HTTP/1.1 404 \r\nDate: now\r\nConnection: close\r\n\r\n");
}

static void request_id_is_told_unless_the_backend_did(void **state)
{
    struct forward_response_options options = {.date = "now", .request_id = {"id", 2}};

    (void)state;
    check_response("HTTP/1.1 204 \r\n\r\n", HTTP_GET, &options,
                   "HTTP/1.1 204 \r\nDate: now\r\nX-Request-Id: id\r\n\r\n");
    check_response("HTTP/1.1 204 \r\nx-request-id: own\r\n\r\n", HTTP_GET, &options,
                   "HTTP/1.1 204 \r\nx-request-id: own\r\nDate: now\r\n\r\n");
}

static void length_is_announced_to_a_head_without_a_body(void **state)
{
    struct forward_response_options options = {.announce_length = true, .date = "now"};

    (void)state;
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", HTTP_HEAD,
                   &options,
                   "HTTP/1.1 200 OK\r\nDate: now\r\n"
                   "Content-Length: 9223372036854775807\r\n\r\n");
}

static void own_answers_carry_their_length_and_never_a_body_to_a_head(void **state)
{
    static const unsigned statuses[] = {200, 400, 404, 405, 408, 414, 417,
                                        431, 501, 502, 503, 504, 505};
    char id[REQUEST_ID_BYTES_MAX];
    char text[ANSWER_BYTES_MAX];

    (void)state;
    memset(id, 'a', sizeof(id));
    for (unsigned i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        for (unsigned variant = 0; variant < 8; variant++) {
            size_t scanned = 0, head = 0;
            bool head_only = (variant & 1) != 0, close = (variant & 2) != 0;
            bool has_id = (variant & 4) != 0;
            size_t length =
                answer_write(text,
                             &(struct answer){.status = statuses[i],
                                              .close = close,
                                              .head_only = head_only,
                                              .request_id = {id, has_id ? sizeof(id) : 0}},
                             NULL, "Thu, 01 Jan 1970 00:00:00 GMT");
            assert_int_equal(http1_parse_response((struct slice){text, length}, HTTP_GET, &scanned,
                                                  &response, &head),
                             HTTP1_DONE);
            assert_int_equal(response.status, statuses[i]);
            assert_int_equal(response.keep_alive, !close);
            assert_int_equal((response.seen & 1u << FIELD_X_REQUEST_ID) != 0, has_id);
            assert_int_equal(length - head, head_only ? 0 : response.content_length);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_request_gets_what_this_proxy_saw),
        cmocka_unit_test(own_cookie_stays_with_the_proxy),
        cmocka_unit_test(what_the_client_claims_of_itself_is_replaced),
        cmocka_unit_test(what_a_trusted_proxy_says_is_extended),
        cmocka_unit_test(ipv6_and_tls_are_told),
        cmocka_unit_test(options_are_told_how_far_they_may_go),
        cmocka_unit_test(expectation_is_sent_once),
        cmocka_unit_test(request_id_is_told_unless_the_backend_did),
        cmocka_unit_test(hop_by_hop_fields_of_a_request_stay_behind),
        cmocka_unit_test(request_framing_is_one_field),
        cmocka_unit_test(upgrade_is_asked_for_anew_and_only_without_a_body),
        cmocka_unit_test(absolute_form_is_sent_on_as_origin_form),
        cmocka_unit_test(head_that_does_not_fit_is_refused),
        cmocka_unit_test(answer_is_framed_for_its_client),
        cmocka_unit_test(length_is_announced_to_a_head_without_a_body),
        cmocka_unit_test(own_answers_carry_their_length_and_never_a_body_to_a_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
