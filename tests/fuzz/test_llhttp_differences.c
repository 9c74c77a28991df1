/* Where llhttp in strict mode takes what Sluice refuses: each difference with its rule, and held to
 * be one, so that the table stays true. The other way round are the exceptions of
 * compare_readings.c. */
#include "reading.h"
#include "tests/unit/unit.h"

#include <string.h>

struct difference {
    const char *name, *rule, *bytes;
    bool response;
};

#define REQUEST "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED REQUEST "Transfer-Encoding: chunked\r\n\r\n"
#define ANSWER  "HTTP/1.1 200 OK\r\n"

static const struct difference differences[] = {
    {"obsolete folding", "RFC 9112 5.2", REQUEST "X: a\r\n b\r\n\r\n", false},
    {"HTTP/0.9", "RFC 9112 C.1", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", false},
    {"HTTP/2.0", "RFC 9110 15.6.6", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", false},
    {"no Host", "RFC 9112 3.2", "GET / HTTP/1.1\r\n\r\n", false},
    {"two Hosts", "RFC 9112 3.2", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", false},
    {"Host that is none", "RFC 9112 3.2", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", false},
    {"absolute-form against Host", "RFC 9112 3.2.2", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
     false},
    {"fragment", "RFC 9112 3.2", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", false},
    {"quote in the target", "RFC 3986 2", "GET /\" HTTP/1.1\r\nHost: h\r\n\r\n", false},
    {"bad percent-encoding", "RFC 3986 2.1", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", false},
    {"asterisk-form of GET", "RFC 9112 3.2.4", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", false},
    {"Transfer-Encoding in HTTP/1.0", "RFC 9112 6.1",
     "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
    {"coding before chunked", "RFC 9112 6.1",
     REQUEST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false},
    {"empty Transfer-Encoding with a length", "RFC 9112 6.3",
     REQUEST "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", false},
    {"expectation that nobody knows", "RFC 9110 10.1.1", REQUEST "Expect: all\r\n\r\n", false},
    {"bad connection option", "RFC 9110 7.6.1", REQUEST "Connection: a b\r\n\r\n", false},
    {"TRACE", "RFC 9110 9.3.8", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", false},
    {"two empty lines before", "RFC 9112 2.2", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", false},
    {"status 099", "RFC 9110 15", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", true},
    {"status 999", "RFC 9110 15", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", true},
    {"no space behind the status", "RFC 9112 4", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", true},
    {"length with an interim answer", "RFC 9110 8.6",
     "HTTP/1.1 100 OK\r\nContent-Length: 0\r\n\r\n", true},
    {"chunked with 204", "RFC 9112 6.1",
     "HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
    {"answer in an unknown coding", "RFC 9112 6.1", ANSWER "Transfer-Encoding: gzip\r\n\r\n", true},
};

static void each_difference_is_one(void **state)
{
    static struct reading ours, theirs;

    (void)state;
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        const struct difference *difference = &differences[i];
        struct message message = {.data = difference->bytes,
                                  .length = strlen(difference->bytes),
                                  .response = difference->response};
        read_by_sluice(&message, &ours);
        read_by_llhttp(&message, &theirs);
        if (ours.outcome != READING_REFUSED || !theirs.head_whole ||
            theirs.outcome == READING_REFUSED)
            print_error("%s (%s): sluice %s, llhttp %s\n", difference->name, difference->rule,
                        ours.outcome == READING_REFUSED ? "refuses" : "takes it",
                        theirs.why != NULL ? theirs.why : "takes it");
        assert_int_equal(ours.outcome, READING_REFUSED);
        assert_true(theirs.head_whole && theirs.outcome != READING_REFUSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_difference_is_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
