/* One HTTP/1 message as a reader understands it, in terms that two readers can be compared by: ours
 * (proxy/http1.h) and llhttp. Owner: the fuzz targets; nothing here is part of the product. */
#ifndef TESTS_READING_H
#define TESTS_READING_H

#include <stdbool.h>
#include <stddef.h>

#define READING_BYTES_MAX (128u << 10) /* longer inputs are not looked at */

struct text {
    size_t length;
    char data[READING_BYTES_MAX];
};

enum reading_outcome {
    READING_REFUSED,
    READING_UNFINISHED, /* fine so far: more has to come */
    READING_WHOLE,
};

struct reading {
    enum reading_outcome outcome;
    const char *why;  /* where refused */
    bool head_whole;  /* what follows says something */
    bool in_trailer;  /* llhttp: behind the last chunk */
    size_t length;    /* of the message, where whole */
    bool until_close; /* the body ends with the connection */
    bool keep_alive;
    unsigned status, minor_version;
    struct text method, target;
    struct text fields; /* "name:value\n" each, blanks around the value trimmed */
    struct text body;   /* as far as it is there */
};

/* What the reader has to know beforehand. */
struct message {
    const char *data;
    size_t length;
    bool response;
    bool to_head; /* a response to a HEAD */
};

/* As llhttp in strict mode reads it, with three allowances: a response to a HEAD and a 304 have no
 * body (it leaves it to its user to say so), a method that it does not know is read as POST, and
 * tabs in the head as spaces (it does not take them for blanks around Content-Length and
 * Transfer-Encoding, against RFC 9110 §5.6.3). */
void read_by_llhttp(const struct message *message, struct reading *ret_reading);

/* As the proxy reads it: proxy/http1.h and proxy/body.h. */
void read_by_sluice(const struct message *message, struct reading *ret_reading);

void reading_clear(struct reading *reading);
void text_add(struct text *text, const char *data, size_t length);
bool text_equals(const struct text *a, const struct text *b);

/* Holds that what Sluice takes, llhttp takes, and for the same message: method, target, version,
 * fields, body and end. Aborts with both readings where it is not so. */
void compare_readings(const struct message *message);

#endif
