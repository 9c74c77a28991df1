/* A raw message head and what is to come of it. Owner: the test programs of the HTTP/1.1 parser. */
#ifndef TESTS_HTTP1_CASE_H
#define TESTS_HTTP1_CASE_H

#include "proxy/http1.h"

/* What a message that is accepted is compared with. */
#define KEEP_ALIVE      1u
#define EXPECT_CONTINUE 2u
#define UPGRADE         4u

struct http1_case {
    const char *section; /* the rule: RFC and section */
    const char *name;    /* a sentence */
    struct slice raw;
    enum http1_result result;
    enum http_framing framing;
    uint64_t content_length;
    unsigned flags;
    const char *host;        /* NULL: not compared */
    const char *path;        /* likewise */
    enum http_method method; /* responses: of the request */
    unsigned status;         /* responses; 0: not compared */
};

#define RAW(literal)                                                                               \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* A head that is refused. */
#define REFUSED(rule, sentence, literal, outcome)                                                  \
    {                                                                                              \
        .section = (rule), .name = (sentence), .raw = RAW(literal), .result = (outcome)            \
    }

#endif
